#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# run.sh - build and run the tests; the last line is "N passed, N failed, N skipped".
#
#   run.sh               everything: unit, model, golden, crash and mount tests and
#                        fuzzers, as released and under ASan and UBSan; those with threads
#                        under TSan; power cuts as released
#   run.sh --only DIR    what needs no mount, of one build, e.g. build/san
#   run.sh --mount DIR   the mount tests with one build's daemon
#   run.sh --crash DIR   the fault and crash tests of one build, and its power cuts
#
# Each program prints "ok NAME", "not ok NAME" or "skip NAME: why"; this counts them.
set -u
cd "$(dirname "$0")/.." || exit
. tests/support/limit.sh
jobs=$(nproc)
log=build/test-log
mkdir -p build
: > $log
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1

say() { printf '\n== %s\n' "$*" | tee -a $log; }

# run COMMAND: a program that dies without a word failed as well
run()
{
	local out rc=0
	out=$(mktemp build/test-out-XXXXXX)
	timeout -k 10 "$(scaled 900)" env bash -c "$1" > "$out" 2>&1 || rc=$?
	if [ $rc != 0 ] && ! grep -q '^not ok ' "$out"; then
		echo "not ok $1 (exit status $rc)" >> "$out"
	fi
	{
		echo "== $1"
		cat "$out"
	} >> "$log"
	{
		echo "== $1"
		grep -E '^(ok|not ok|skip) ' "$out"
		# what a failed test said: how it began and how it ended
		[ $rc = 0 ] || grep -vE '^(ok|skip) ' "$out" |
			awk '{ line[NR] = $0 }
			     END { for (i = 1; i <= NR; i++) if (i <= 40 || i > NR - 20) print line[i] }'
	} > "$out.short"
	cat "$out.short"
	rm -f "$out" "$out.short"
}

build()
{
	make -s -j"$jobs" "$@" || {
		echo "not ok build $*" | tee -a $log
		close
	}
}

# Jobs are queued, then run as many at once as there are processors; each prints when done.
queue=build/test-queue
: > $queue

add() { printf '%s\n' "$*" >> $queue; }

# As the sources have them: DIR may hold programs of tests that have moved.
programs() # DIR KIND...
{
	local dir=$1 kind source
	shift
	for kind; do
		while IFS= read -r source; do
			[ ! -x "$dir/${source%.c}" ] || add "$dir/${source%.c}"
		done < <(find "tests/$kind" -name 'test_*.c' -o -name 'fuzz_*.c' | sort)
	done
}

scripts() # DIR KIND
{
	for script in tests/"$2"/test_*.sh; do
		add "DATAWALFS=$1/datawalfs DATAWAL=$1/datawal DATAWAL_SOAK=$1/datawal-soak $script"
	done
}

run_queue()
{
	export -f run scaled
	export log
	# the longest first, or one of them would keep the others waiting at the end
	grep -E 'crash|test_datawal|tools.sh' $queue > $queue.1
	grep -vE 'crash|test_datawal|tools.sh' $queue >> $queue.1
	xargs -d '\n' -P "$jobs" -I{} bash -c 'run "{}"' < $queue.1
	: > $queue
}

close()
{
	passed=$(grep -c '^ok ' $log)
	failed=$(grep -c '^not ok ' $log)
	skipped=$(grep -c '^skip ' $log)
	echo
	grep -E '^skip ' $log
	# of each failed test what it said first; of three of them, or these would hide the figures
	awk '/^not ok / { print; left = ++failed <= 3 ? 15 : 0; next }
	     !/^  / { left = 0 }
	     left-- > 0' $log
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ] && [ "$passed" != 0 ]
	exit
}

case ${1:-} in
--only) programs "$2" unit golden model crash thread fuzz; run_queue; close ;;
--mount) scripts "$2" mount; run_queue; close ;;
--crash) programs "$2" crash; scripts "$2" crash; run_queue; close ;;
esac

say "build"
build all tests
build SAN=1 all tests
build TSAN=1 all tests
say "as released"
programs build/release unit golden model crash thread fuzz
scripts build/release crash
add tests/support/check-man.sh build/release/datawalfs docs/man/datawalfs.1.scd
add tests/support/check-man.sh build/release/datawal-soak docs/man/datawal-soak.1.scd
add tests/support/check-man.sh build/release/datawal-backup docs/man/datawal-backup.1.scd
add tests/support/check-man-datawal.sh build/release/datawal docs/man/datawal.1.scd
add tests/support/check-semantics.sh
add "tools/demo build/release/datawalfs && echo ok demo"
scripts build/release cli
scripts build/release mount
run_queue
say "under ASan and UBSan; with threads, TSan"
programs build/san unit golden model crash fuzz
programs build/tsan thread
add build/tsan/tests/unit/fs/mounted/test_metrics
add DATAWALFS=build/tsan/datawalfs tests/mount/test_corners.sh
add DATAWALFS=build/tsan/datawalfs tests/mount/test_control.sh
add DATAWALFS=build/tsan/datawalfs tests/mount/test_metrics.sh
add DATAWALFS=build/tsan/datawalfs tests/mount/test_readonly.sh
add DATAWALFS=build/tsan/datawalfs tests/mount/test_daemon.sh
add DATAWALFS=build/tsan/datawalfs tests/mount/test_snapshot.sh
add DATAWALFS=build/tsan/datawalfs tests/mount/test_snapshot_lasts.sh test_snapshot_removed_elsewhere
add DATAWALFS=build/tsan/datawalfs tests/mount/test_attr.sh test_attr_many_at_once
scripts build/san cli
scripts build/san mount
run_queue
close
