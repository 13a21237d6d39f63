#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# run.sh - build and run the tests; the last line is "N passed, N failed, N skipped".
#
#   run.sh               everything: unit, model, golden, crash and mount tests as
#                        released and under ASan and UBSan; those with threads under TSan
#   run.sh --only DIR    what needs no mount, of one build, e.g. build/san
#   run.sh --mount DIR   the mount tests with one build's daemon
#   run.sh --crash DIR   the fault and crash tests of one build
#
# Each program prints "ok NAME", "not ok NAME" or "skip NAME: why"; this counts them.
set -u
cd "$(dirname "$0")/.." || exit
jobs=$(nproc)
log=build/test-log
mkdir -p build
: > $log
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1

say() { printf '\n== %s\n' "$*" | tee -a $log; }

# run LABEL COMMAND...: a program that dies without a word failed as well
run()
{
	local label=$1 out=build/test-out rc=0
	shift
	"$@" > $out 2>&1 || rc=$?
	cat $out >> $log
	if [ $rc != 0 ] && ! grep -q '^not ok ' $out; then
		echo "not ok $label (exit status $rc)" | tee -a $log
		tail -40 $out
	fi
	grep -E '^(ok|not ok|skip) ' $out
	# what a failed test said
	[ $rc = 0 ] || grep -vE '^(ok|skip) ' $out | tail -60
}

build()
{
	make -s -j"$jobs" "$@" || {
		echo "not ok build $*" | tee -a $log
		close
	}
}

programs() # DIR KIND...
{
	local dir=$1 kind
	shift
	for kind; do
		for program in "$dir"/tests/"$kind"/test_*; do
			[ ! -x "$program" ] || run "$program" timeout 900 "$program"
		done
	done
}

mounts() # DIR
{
	for script in tests/mount/test_*.sh; do
		DATAWALFS=$1/datawalfs run "$script" "$script"
	done
}

close()
{
	passed=$(grep -c '^ok ' $log)
	failed=$(grep -c '^not ok ' $log)
	skipped=$(grep -c '^skip ' $log)
	echo
	grep -E '^(not ok|skip) ' $log
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ] && [ "$passed" != 0 ]
	exit
}

case ${1:-} in
--only) programs "$2" unit golden model crash thread; close ;;
--mount) mounts "$2"; close ;;
--crash) programs "$2" crash; close ;;
esac

say "build"
build all tests
build SAN=1 all tests
build TSAN=1 tests
say "as released"
programs build/release unit golden model crash thread
run man tests/support/check-man.sh build/release/datawalfs docs/man/datawalfs.1.scd
say "under ASan and UBSan"
programs build/san unit golden model crash
say "under TSan"
programs build/tsan thread
say "mounted, as released"
mounts build/release
say "mounted, under ASan and UBSan"
mounts build/san
close
