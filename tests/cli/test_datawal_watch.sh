#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_datawal_watch.sh [TEST] - `datawal watch`: what it tells, from where on, and when it ends.
. "$(dirname "$0")/lib.sh"

put() { "$DATAWAL" put "$S" --key "$1" "$2"; }
last_position() { sed -n 's/.*"position":"\([^"]*\)".*/\1/p' "$1" | tail -1; }

# watch_begin ARGUMENT...: in the background, into the file `told`; its pid is $watching
watch_begin()
{
	"$DATAWAL" watch "$S" "$@" > told 2> stderr &
	watching=$!
}

# told PATTERN: waits for a line
told()
{
	for _ in $(seq 500); do
		grep -q -- "$1" told && return 0
		sleep 0.01
	done
	cat told stderr >&2
	return 1
}

test_watch_follows()
{
	put a 1
	watch_begin --json
	# it begins with what comes from now on: wait until it does
	for i in $(seq 200); do
		put "probe$i" 1
		[ -s told ] && break
	done
	[ -s told ]
	put b 22
	told '"op":"put","txid":[0-9]*,"mtime_ns":[0-9]*,"key":"b","key_base64":"Yg==","value_len":2,"position":"'
	"$DATAWAL" delete "$S" --key b
	told '"op":"delete".*"key":"b"'
	"$DATAWAL" rotate "$S"
	put c 1
	told '"key":"c"'
	"$DATAWAL" compact "$S"
	put d 1
	told '"key":"d"'
	! grep reset told
	kill -TERM $watching
	wait $watching
	! grep '"key":"a"' told
	[ -z "$(tail -c 1 told)" ]
}

test_watch_since()
{
	put a 1
	put b 1
	"$DATAWAL" watch "$S" --since 0 --once --json > told
	[ "$(grep -c '"kind":"change"' told)" = 2 ]
	put a/x 2
	put c 3
	"$DATAWAL" watch "$S" --since "$(last_position told)" --once --json --values > more
	same '"a/x" "c"' echo "$(sed -n 's/.*"key":\("[^"]*"\).*/\1/p' more | paste -sd ' ')"
	grep -q '"value_base64":"Mg=="' more
	same 1 grep -c '"key"' <("$DATAWAL" watch "$S" a/ --since 0 --once --json)
	same 2 grep -c ' put .* 1 ' <("$DATAWAL" watch "$S" --since 2 --once)
	status 1 "$DATAWAL" watch "$S" --since x --once 2> stderr
	grep -q "'x' is no position" stderr
	status 1 "$DATAWAL" watch "$S" --since 0 --state 2> stderr
	status 1 "$DATAWAL" watch "$S" --values --once 2> stderr
	status 1 "$DATAWAL" watch "$W" --once 2> stderr
}

test_watch_history_gone()
{
	put a 1
	"$DATAWAL" watch "$S" --since 0 --once --json > told
	put a 2
	put a 3
	put b 1
	"$DATAWAL" compact "$S"
	"$DATAWAL" watch "$S" --since "$(last_position told)" --once --json > more
	grep -q '"kind":"reset","reason":"compacted","missing_from":2,"missing_to":2}' more
	same 2 grep -c '"kind":"state"' more
	grep -q '"kind":"ready","position":"4@' more
	same '' "$DATAWAL" watch "$S" --since "$(last_position more)" --once --json
	"$DATAWAL" watch "$S" --since 0 --once | grep -q '^# a compaction dropped changes'
	same 2 grep -c '"kind":"state"' <("$DATAWAL" watch "$S" --state --once --json)
}

# A power cut takes back what nobody synced: what is told of it is void.
test_watch_taken_back()
{
	put a 1
	local size
	size=$(stat -c %s "$S/00000001.dwal")
	put b 1
	"$DATAWAL" watch "$S" --since 0 --once --json > told
	# the hint is sealed, and would say that more was on disk
	rm "$S"/*.hint
	truncate -s "$size" "$S/00000001.dwal"
	put c 1
	"$DATAWAL" watch "$S" --since "$(last_position told)" --once --json > more
	grep -q '"kind":"reset","reason":"taken_back"}' more
	same '"a" "c"' echo "$(sed -n 's/.*"kind":"state".*"key":\("[^"]*"\).*/\1/p' more | paste -sd ' ')"
}

test_watch_damage()
{
	put a 1
	"$DATAWAL" rotate "$S"
	put b 1
	damage "$S/00000001.dwal" 25 X
	status 3 "$DATAWAL" watch "$S" --since 0 --once > told 2> stderr
	grep -q 'crc' stderr
}

run_tests "$@"
