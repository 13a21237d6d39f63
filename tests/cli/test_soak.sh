#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_soak.sh - datawal-soak: its contract, its determinism, and that it finds what is
# wrong with stores that lose something.
#
# DATAWAL_SOAK and DATAWALFS name the binaries.  Each test runs in a shell of its own with
# `set -e`, in a fresh directory "$W" that holds the logs and the work directory.
set -u
TOP=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../..")
cd "$TOP" || exit
DATAWAL_SOAK=$(readlink -f "${DATAWAL_SOAK:-build/release/datawal-soak}")
DATAWALFS=$(readlink -f "${DATAWALFS:-build/release/datawalfs}")
LIBRARY=$(dirname "$DATAWAL_SOAK")/libdatawal.a
. "$TOP/tests/support/limit.sh"
LIMIT=${LIMIT:-$(scaled 120)}
COLUMNS_LINE=elapsed_s,rss_kb,fds,segments,live_keys,puts,deletes,rotates,compacts,bytes_written
export LSAN_OPTIONS="suppressions=$TOP/tests/mount/lsan.supp:print_suppressions=0"
# the tests are about these
unset "${!DATAWAL_SOAK_@}"

soak()
{
	local rc=0
	"$DATAWAL_SOAK" "$@" > "$W/out" 2> "$W/err" || rc=$?
	cat "$W/err" >&2 # shown if the test fails
	return "$rc"
}

# exits STATUS COMMAND...
exits()
{
	local expected=$1 rc=0
	shift
	"$@" || rc=$?
	[ "$rc" = "$expected" ] && return
	echo "exit status $rc, not $expected: $*" >&2
	cat "$W/out" "$W/err" >&2
	return 1
}

# fails COMMAND...: must fail
fails()
{
	if "$@"; then
		echo "should have failed: $*" >&2
		return 1
	fi
}

# says PATTERN: on stderr
says()
{
	grep -qE -- "$1" "$W/err" && return
	echo "not said: $1" >&2
	cat "$W/err" >&2
	return 1
}

skip()
{
	echo "$*" > "$W/skip"
	exit 0
}

needs_fuse()
{
	if [ ! -c /dev/fuse ] || ! command -v fusermount3 >/dev/null; then
		skip "no /dev/fuse or no fusermount3"
	fi
}

# value NAME: of NAME=... in the last line
value()
{
	tail -1 "$W/out" | grep -oE "(^| )$1=[^ ]+" | cut -d= -f2
}

# Three small inputs: "small", "medium" and "large" in "$W".
make_inputs()
{
	local key
	for key in small medium large; do
		printf '{"key":"%s","payload":"%s"}\n\n \t\n{"payload":"","key":"%s"}\n' \
			"$(printf %s "$key/1" | base64)" "$(printf %s "$key payload" | base64)" \
			"$(printf %s "$key" | base64)" > "$W/$key"
	done
	export DATAWAL_SOAK_INPUT_SMALL=$W/small DATAWAL_SOAK_INPUT_MEDIUM=$W/medium \
		DATAWAL_SOAK_INPUT_LARGE=$W/large
}

# --- the command line ---

test_soak_help_and_version()
{
	soak --help
	grep -q '^usage: datawal-soak' "$W/out"
	soak --version
	grep -q '^datawal-soak [0-9]' "$W/out"
}

test_soak_wrong_options()
{
	exits 2 soak --nonsense
	exits 2 soak extra
	says "'extra'"
	exits 2 soak --mode banana
	says "--mode: 'banana'"
	exits 2 soak --via banana
	says "--via: 'banana'"
	exits 2 soak --kill-every 0
	says "--kill-every: '0'"
	exits 2 soak --via mount --compact swap
	says "--compact online"
	exits 2 soak --seed -1
	says "--seed: '-1'"
}

test_soak_variables_that_are_no_numbers()
{
	local name text
	for name in DURATION ROTATE_EVERY COMPACT_EVERY_ROTATIONS PROGRESS_SECS; do
		for text in banana "" -1 1x " 1" 99999999999999999999; do
			exits 2 env "DATAWAL_SOAK_$name=$text" "$DATAWAL_SOAK" 2> "$W/err"
			says "DATAWAL_SOAK_$name: '$text'"
		done
	done
	DATAWAL_SOAK_ROTATE_EVERY=0 exits 2 soak
	says DATAWAL_SOAK_ROTATE_EVERY
	DATAWAL_SOAK_LOG_DIR='' exits 2 soak
	says DATAWAL_SOAK_LOG_DIR
	DATAWAL_SOAK_LOG_DIR=/dev/null/x exits 2 soak
	says /dev/null/x
}

test_soak_spares_what_is_not_its_own()
{
	mkdir "$DATAWAL_SOAK_WORK_DIR"
	echo precious > "$DATAWAL_SOAK_WORK_DIR/file"
	exits 2 soak --operations 10
	says "no store here: DATAWAL_SOAK_WORK_DIR '$DATAWAL_SOAK_WORK_DIR' is not empty"
	[ "$(cat "$DATAWAL_SOAK_WORK_DIR/file")" = precious ]
	rm "$DATAWAL_SOAK_WORK_DIR/file"
	# its own may be used again, but not by two at a time
	soak --operations 10
	soak --operations 10
	exec 9< "$DATAWAL_SOAK_WORK_DIR.soak-lock"
	flock 9
	exits 2 soak --operations 10
	says "in use"
}

# --- the records ---

test_soak_fixtures_are_what_the_generator_writes()
{
	soak --write-fixtures "$W/fixtures"
	diff -r "$W/fixtures" "$TOP/tests/fixtures/soak"
	[ "$(wc -l < "$W/fixtures/small_records.jsonl")" = 100 ]
	[ "$(wc -l < "$W/fixtures/medium_records.jsonl")" = 100 ]
	[ "$(wc -l < "$W/fixtures/large_payloads.jsonl")" = 20 ]
}

test_soak_without_fixtures()
{
	local digest
	soak --operations 3000 --seed 5
	digest=$(value digest)
	cd "$W" || exit
	soak --operations 3000 --seed 5
	[ "$(value digest)" = "$digest" ]
}

test_soak_real()
{
	make_inputs
	soak --mode real --operations 1000
	grep -q 'streams loaded small=2 medium=2 large=2' "$W/out"
	[ "$(value puts)" = 950 ]
	soak --mode real --operations 1000 --compact online --kill-every 100
}

# The reference takes a record as an array as well.
test_soak_real_arrays()
{
	local digest
	make_inputs
	soak --mode real --operations 500 --seed 3
	digest=$(value digest)
	sed -i -E 's/^\{"key":("[^"]*"),"payload":("[^"]*")\}$/[\1, \2]/' "$W/small" "$W/medium"
	grep -q '^\["' "$W/small"
	soak --mode real --operations 500 --seed 3
	[ "$(value digest)" = "$digest" ]
}

# The work directory is the store, for any other program as well.
test_soak_store_is_the_work_directory()
{
	local kind
	for kind in swap online; do
		DATAWAL_SOAK_ROTATE_EVERY=100 soak --operations 2000 --compact $kind
		[ "$(ls "$DATAWAL_SOAK_WORK_DIR" | grep -c '^[0-9]\{8\}\.dwal$')" = "$(value final_segments)" ]
		[ "$("$(dirname "$DATAWAL_SOAK")/datawal" ls "$DATAWAL_SOAK_WORK_DIR" | wc -l)" = \
			"$(value final_keys)" ]
		# nothing is left of the run but that, and its lock
		[ "$(cd "$W" && ls -d work*)" = "$(printf 'work\nwork.soak-lock')" ]
	done
}

# Without arguments it says what it will do before it does anything.
test_soak_says_what_it_will_do()
{
	local pid
	"$DATAWAL_SOAK" > "$W/out" 2>&1 &
	pid=$!
	until grep -q 'streams loaded' "$W/out"; do read -rt 0.05 <> <(:) || true; done
	kill "$pid"
	wait "$pid"
	head -1 "$W/out" | grep -qF "soak: about to work on a store in '$DATAWAL_SOAK_WORK_DIR' for 1800 s"
	head -1 "$W/out" | grep -qF -- --help
}

test_soak_real_needs_all_inputs()
{
	local name
	for name in SMALL MEDIUM LARGE; do
		make_inputs
		unset "DATAWAL_SOAK_INPUT_$name"
		exits 2 soak --mode real
		says "DATAWAL_SOAK_INPUT_$name"
	done
}

test_soak_bad_lines()
{
	local line good
	make_inputs
	good=$(head -1 "$W/medium")
	while read -r line; do
		printf '%s\n\n%s\n' "$good" "$line" > "$W/medium"
		exits 2 soak --mode real
		says "medium', line 3: "
	done <<- 'END'
		x
		[]
		["YQ=="]
		["YQ==","YQ==","YQ=="]
		["YQ==",1]
		"YQ=="
		{"key":"YQ==","payload":"YQ=="
		{"key":"YQ==","payload":"YQ=="} x
		{"key":"YQ=="}
		{"payload":"YQ=="}
		{"key":1,"payload":"YQ=="}
		{"key":"YQ","payload":"YQ=="}
		{"key":"YQ==","payload":"Y Q="}
		{"key":"YQ==","payload":"YR=="}
		{"key":"YQ==","key":"YQ==","payload":"YQ=="}
	END
	printf '{"key":"%s","payload":""}\n' "$(head -c 65537 /dev/zero | base64 -w 0)" > "$W/medium"
	exits 2 soak --mode real
	says "medium', line 1: .*65,536"
	printf '\n \n' > "$W/medium"
	exits 2 soak --mode real
	says "medium' holds no records"
	: > "$W/medium"
	exits 2 soak --mode real
	says "medium' holds no records"
	rm "$W/medium"
	exits 2 soak --mode real
	says "medium'"
}

# --- runs ---

test_soak_figures()
{
	DATAWAL_SOAK_DURATION=2 DATAWAL_SOAK_PROGRESS_SECS=1 soak
	[ "$(head -1 "$W/soak.csv")" = "$COLUMNS_LINE" ]
	[ "$(wc -l < "$W/soak.csv")" -ge 3 ]
	# ten numbers a row, none of the first six of them nothing
	tail -n +2 "$W/soak.csv" | awk -F, 'NF != 10 || /[^0-9,]/ || !($2 && $3 && $4 && $5 && $6) { exit 1 }'
	grep -qE '^soak: t= +1s rss=[0-9]+kb fds=[0-9]+ segs=[0-9]+ live=[0-9]+ puts=[0-9]+ dels=[0-9]+ rot=[0-9]+ cmp=[0-9]+$' "$W/out"
	grep -qE '^soak: seed=[0-9]+$' "$W/out"
	tail -1 "$W/out" | grep -q '^soak: clean exit; final_keys='
}

test_soak_numbers()
{
	local given
	for given in --kill-every=0 --kill-every=-1 --operations=1e3 --seed=18446744073709551616 "--seed= 1"; do
		exits 2 soak "$given"
		says "${given%%=*}: '${given#*=}' is no number from [01] to 18446744073709551615"
	done
	for given in 0 -1 5s ''; do
		DATAWAL_SOAK_PROGRESS_SECS=$given exits 2 soak
		says "DATAWAL_SOAK_PROGRESS_SECS: '$given' is no number from 1 to"
	done
	# the largest is never, not at once
	DATAWAL_SOAK_DURATION=2 DATAWAL_SOAK_PROGRESS_SECS=18446744073709551615 soak
	[ "$(wc -l < "$W/soak.csv")" -le 3 ]
}

test_soak_counts()
{
	DATAWAL_SOAK_ROTATE_EVERY=100 DATAWAL_SOAK_COMPACT_EVERY_ROTATIONS=3 soak --operations 2000
	# each twentieth operation deletes
	[ "$(value puts) $(value deletes)" = "1900 100" ]
	[ "$(value rotates) $(value compacts)" = "20 6" ]
	[ "$(value final_segments)" -le 4 ]
	# as the reference: each rotation has one
	DATAWAL_SOAK_ROTATE_EVERY=100 DATAWAL_SOAK_COMPACT_EVERY_ROTATIONS=0 soak --operations 2000
	[ "$(value rotates) $(value compacts)" = "20 20" ]
	DATAWAL_SOAK_DURATION=0 soak
}

test_soak_reaches_all_records()
{
	soak --operations 20000
	[ "$(value final_keys)" -gt 180 ]
}

test_soak_seed_decides()
{
	local digest
	soak --operations 5000 --seed 7
	digest=$(value digest)
	[ "$(grep -o 'seed=.*' "$W/out")" = seed=7 ]
	DATAWAL_SOAK_ROTATE_EVERY=300 soak --operations 5000 --seed 7 --compact online --kill-every 900
	[ "$(value kills)" -gt 1 ]
	[ "$(value digest)" = "$digest" ]
	soak --operations 5000 --seed 8
	[ "$(value digest)" != "$digest" ]
}

test_soak_ends_on_sigterm()
{
	local pid
	"$DATAWAL_SOAK" > "$W/out" 2>&1 &
	pid=$!
	until grep -q 'streams loaded' "$W/out"; do read -rt 0.05 <> <(:) || true; done
	kill "$pid"
	wait "$pid"
	tail -1 "$W/out" | grep -q '^soak: clean exit'
}

test_soak_kills_with_swap()
{
	DATAWAL_SOAK_ROTATE_EVERY=500 DATAWAL_SOAK_DURATION=4 soak --kill-every 700
	[ "$(value kills)" -ge 5 ]
	[ "$(value kills_in_compaction)" -ge 1 ]
}

test_soak_kills_with_online_compaction()
{
	DATAWAL_SOAK_ROTATE_EVERY=500 DATAWAL_SOAK_DURATION=4 soak --compact online --kill-every 700
	[ "$(value kills)" -ge 5 ]
	[ "$(value kills_in_compaction)" -ge 1 ]
}

# --- through a mount ---

test_soak_mount()
{
	needs_fuse
	DATAWAL_SOAK_ROTATE_EVERY=200 soak --via mount --daemon "$DATAWALFS" --operations 3000 --seed 7
	[ "$(value compacts)" = 3 ]
	local digest
	digest=$(value digest)
	soak --operations 3000 --seed 7
	[ "$(value digest)" = "$digest" ]
	fails grep -q "$W" /proc/mounts
}

test_soak_mount_kills()
{
	needs_fuse
	DATAWAL_SOAK_DURATION=5 DATAWAL_SOAK_ROTATE_EVERY=60 soak --via mount --daemon "$DATAWALFS" --kill-every 100
	[ "$(value kills)" -ge 2 ]
	fails grep -q "$W" /proc/mounts
}

test_soak_mount_setup()
{
	exits 2 soak --via mount --daemon "$W/nowhere"
	says "'$W/nowhere' cannot be run"
	exits 2 soak --via mount --daemon false
	says "'false' could not mount"
	make_inputs
	printf '{"key":"%s","payload":""}\n' "$(head -c 256 /dev/zero | tr '\0' a | base64 -w 0)" > "$W/large"
	exits 2 soak --mode real --via mount --daemon "$DATAWALFS"
	says "large record 1 is too long"
}

test_soak_mount_daemon_dies()
{
	needs_fuse
	# a daemon that kills itself in the middle of the run, by somebody's hand
	"$DATAWAL_SOAK" --via mount --daemon "$DATAWALFS" > "$W/out" 2> "$W/err" &
	local pid=$! lock=$DATAWAL_SOAK_WORK_DIR/.lock rc=0
	until [ -e "$DATAWAL_SOAK_WORK_DIR.soak-mnt/.datawal/control" ] && [ -s "$lock" ]; do
		read -rt 0.05 <> <(:) || true
	done
	kill -KILL "$(cat "$lock")"
	wait "$pid" || rc=$?
	[ "$rc" = 1 ]
	says "the daemon was ended by signal 9"
	says "the store is left in"
	fails grep -q "$W" /proc/mounts
}

# --- engines that lose something ---

# broken CODE: datawal-soak over a library whose calls CODE spoils, as "$W/broken"
broken()
{
	local options=
	[ -e "$LIBRARY" ] || skip "no $LIBRARY"
	# grep reads on to the end, or nm would fail
	if nm "$LIBRARY" | grep __asan_ >/dev/null; then options=-fsanitize=address,undefined; fi
	local source objects=()
	for source in "$TOP"/tools/soak/*.c "$TOP"/tools/common/*.c; do
		source=${source#"$TOP"/}
		objects+=("$(dirname "$LIBRARY")/obj/${source%.c}.o")
	done
	printf '#include "datawal.h"\n%s\n' "$1" > "$W/broken.c"
	# shellcheck disable=SC2046,SC2086 # lists of options
	"${CC:-gcc}" -std=c11 -g $options -D_GNU_SOURCE -I"$TOP/engine" \
		-Wl,--wrap=dw_put,--wrap=dw_delete,--wrap=dw_compact,--wrap=dw_compact_to \
		"$W/broken.c" "${objects[@]}" "$LIBRARY" \
		$(pkg-config --libs libcrypto libxxhash jansson) -lisal -pthread -o "$W/broken"
	DATAWAL_SOAK=$W/broken
}

# declarations of those calls; each is passed on unless a test says otherwise
DECLARE='
int __real_dw_put(struct dw_store *, struct dw_bytes, struct dw_bytes);
int __real_dw_delete(struct dw_store *, struct dw_bytes);
int __real_dw_compact(struct dw_store *, struct dw_compact_report *);
int __real_dw_compact_to(struct dw_store *, const char *);
int PUT(struct dw_store *s, struct dw_bytes k, struct dw_bytes v) { return __real_dw_put(s, k, v); }
int DELETE(struct dw_store *s, struct dw_bytes k) { return __real_dw_delete(s, k); }
int COMPACT(struct dw_store *s, struct dw_compact_report *r) { return __real_dw_compact(s, r); }
int COMPACT_TO(struct dw_store *s, const char *p) { return __real_dw_compact_to(s, p); }
static int calls;
'

# spoil CALL CODE: CODE in the place of CALL
spoil()
{
	local text=$DECLARE name
	text=${text//$1(struct/SPOILED_$1(struct}
	for name in PUT DELETE COMPACT COMPACT_TO; do
		text=${text//int $name(/int __wrap_dw_${name,,}(}
	done
	broken "$text$2"
}

test_soak_finds_a_lost_delete()
{
	spoil DELETE 'int __wrap_dw_delete(struct dw_store *s, struct dw_bytes k)
		{ return ++calls == 5 ? 0 : __real_dw_delete(s, k); }'
	# the key of the fifth delete is not put again before the end
	exits 1 soak --operations 101 --seed 1
	says 'failed: .*: key [0-9a-f]+ \((small|medium|large) record [0-9]+\): it has [0-9]+ bytes that bear the mark of operation [0-9]+, but operation 99 deleted it'
	says 'seed=1; the store is left in'
	[ -e "$DATAWAL_SOAK_WORK_DIR/00000001.dwal" ]
	exits 1 soak --operations 1000000 --seed 2
}

test_soak_finds_a_lost_put()
{
	spoil PUT 'int __wrap_dw_put(struct dw_store *s, struct dw_bytes k, struct dw_bytes v)
		{ return ++calls == 900 ? 0 : __real_dw_put(s, k, v); }'
	# a key that is not put again before the end
	exits 1 soak --operations 950 --seed 1
	says 'but operation 946 put [0-9]+ bytes there'
}

test_soak_finds_an_invented_key()
{
	spoil PUT 'int __wrap_dw_put(struct dw_store *s, struct dw_bytes k, struct dw_bytes v)
		{ struct dw_bytes odd = {"odd", 3};
		  return ++calls == 900 ? __real_dw_put(s, odd, v) || __real_dw_put(s, k, v) : __real_dw_put(s, k, v); }'
	exits 1 soak --operations 950
	says 'never written: 6f6464'
}

test_soak_finds_a_compaction_that_forgets()
{
	local spoilt='{ struct dw_iter *i; struct dw_item item;
		if (dw_iter_open(s, &i) || dw_iter_next(i, &item) != 1) return -5;
		__real_dw_delete(s, item.key); dw_iter_close(i);'
	export DATAWAL_SOAK_ROTATE_EVERY=50
	spoil COMPACT "int __wrap_dw_compact(struct dw_store *s, struct dw_compact_report *r)
		$spoilt return __real_dw_compact(s, r); }"
	exits 1 soak --operations 201 --seed 1 --compact online
	says 'it is absent, but operation [0-9]+ put'
	spoil COMPACT_TO "int __wrap_dw_compact_to(struct dw_store *s, const char *p)
		$spoilt return __real_dw_compact_to(s, p); }"
	exits 1 soak --operations 201 --seed 1
	says 'it is absent, but operation [0-9]+ put'
}

# What was acknowledged only into memory dies with the process.
test_soak_finds_what_a_kill_loses()
{
	spoil DELETE 'static unsigned char kept[64]; static struct dw_bytes held;
		#include <string.h>
		int __wrap_dw_delete(struct dw_store *s, struct dw_bytes k)
		{ int rc = held.size ? __real_dw_delete(s, held) : 0;
		  memcpy(kept, k.data, k.size); held = (struct dw_bytes){kept, k.size}; return rc; }'
	exits 1 soak --operations 100000 --kill-every 500
	says 'failed: '
}

test_soak_says_why_a_call_failed()
{
	spoil PUT 'int __wrap_dw_put(struct dw_store *s, struct dw_bytes k, struct dw_bytes v)
		{ return ++calls == 9 ? -28 : __real_dw_put(s, k, v); }'
	exits 1 soak --operations 100
	says 'failed: operation 8: put: No space left'
}

# --- the picture ---

test_soak_plot()
{
	command -v gnuplot >/dev/null || skip "no gnuplot"
	DATAWAL_SOAK_DURATION=2 DATAWAL_SOAK_PROGRESS_SECS=1 soak
	soak --plot "$W/soak.svg"
	head -c 200 "$W/soak.svg" | grep -q '<svg'
	tail -2 "$W/soak.svg" | grep -q '</svg>'
	fails grep -qi nan "$W/soak.svg"
	[ "$(grep -c '<path' "$W/soak.svg")" -gt 10 ]
	[ ! -e "$W/soak.svg.tmp" ]
	[ ! -s "$W/err" ]
}

test_soak_plot_setup()
{
	exits 2 soak --plot "$W/soak.svg"
	says "soak.csv': No such file"
	echo banana > "$W/soak.csv"
	exits 2 soak --plot "$W/soak.svg"
	says "no CSV of datawal-soak"
	echo "$COLUMNS_LINE" > "$W/soak.csv"
	exits 2 soak --plot "$W/soak.svg"
	says "no rows"
	echo "1,2,3,4,5,6,7,8,9,10" >> "$W/soak.csv"
	PATH=$W exits 2 soak --plot "$W/soak.svg" 2> /dev/null
	PATH=$PATH:/usr/bin says "gnuplot cannot be run"
	[ ! -e "$W/soak.svg" ]
	exits 2 soak --plot "$W/nowhere/soak.svg"
}

# What it writes beside the store is written to no other file by a link of that name.
test_soak_links()
{
	echo precious > "$W/victim"
	ln -s "$W/victim" "$W/soak.csv"
	exits 2 soak --operations 10
	says "soak.csv': Too many levels of symbolic links"
	rm "$W/soak.csv"
	mkdir "$W/fixtures"
	ln -s "$W/victim" "$W/fixtures/small_records.jsonl"
	exits 2 soak --write-fixtures "$W/fixtures"
	command -v gnuplot > /dev/null || { grep -qx precious "$W/victim"; return; }
	DATAWAL_SOAK_DURATION=2 DATAWAL_SOAK_PROGRESS_SECS=1 soak
	ln -s "$W/victim" "$W/soak.svg.tmp"
	soak --plot "$W/soak.svg"
	[ ! -L "$W/soak.svg" ]
	grep -qx precious "$W/victim"
}

# --- running them ---

clean_up()
{
	local m
	for m in $(awk -v w="$W/" 'index($2, w) == 1 { print $2 }' /proc/mounts | tac); do
		umount -l "$m" 2>/dev/null || fusermount3 -uz "$m" 2>/dev/null
	done
	rm -rf "$W"
}

run_one()
{
	local name=$1 rc=0
	W=$(mktemp -d "${TMPDIR:-/tmp}/datawal-soak-test-XXXXXX")
	export W DATAWAL_SOAK_LOG_DIR=$W DATAWAL_SOAK_WORK_DIR=$W/work
	timeout -k 10 "$LIMIT" bash -exc "set -o pipefail; $name" > "$W/log" 2>&1 || rc=$?
	if [ $rc != 0 ]; then
		echo "not ok $name"
		[ $rc != 124 ] || echo "  took longer than $LIMIT s"
		sed 's/^/  /' "$W/log" | tail -12
	elif [ -e "$W/skip" ]; then
		echo "skip $name: $(cat "$W/skip")"
	else
		echo "ok $name"
	fi
	clean_up
	return $rc
}

failed=0
export TOP DATAWAL_SOAK DATAWALFS LIBRARY COLUMNS_LINE DECLARE
# shellcheck disable=SC2046 # a list of names
export -f $(declare -F | awk '{ print $3 }')
for name in ${1:-$(declare -F | awk '$3 ~ /^test_/ { print $3 }')}; do
	run_one "$name" || failed=1
done
exit $failed
