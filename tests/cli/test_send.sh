#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_send.sh [TEST] - datawal send and receive as people use them: through a pipe, on and on, and
# with either end killed.
. "$(dirname "$0")/lib.sh"

put() { "$DATAWAL" put "$S" --key "$1" "$2"; }
segments() { (cd "$1" && sha256sum -- *.dwal); }
same_segments() { same "$(segments "$S")" segments "$1"; }
resume() { "$DATAWAL" receive --have "$1" | "$DATAWAL" -q send "$S" --since - | "$DATAWAL" -q receive "$1"; }

# a hundred keys, from number $1 on
put_hundred()
{
	local i
	for i in $(seq "$1" $(($1 + 99))); do
		printf '{"op":"put","key_b64":"%s","value_b64":"%s"}\n' "$(printf 'key %d' "$i" | base64)" \
			"$(printf 'value %d' "$i" | base64)"
	done | "$DATAWAL" -q apply "$S" > /dev/null 2>&1
}

test_send_pipe()
{
	put a 1
	"$DATAWAL" send "$S" 2> out | "$DATAWAL" receive copy 2>> out
	grep 'send: .*up to 1@1:' out
	grep 'receive: .*up to 1@1:' out
	same_segments copy
	same 1 "$DATAWAL" get copy --key a
	put b 2
	since=$("$DATAWAL" send "$S" --dry-run | sed -n 's/^position: //p')
	resume copy
	same_segments copy
	put c 3
	"$DATAWAL" send "$S" --since "$since" > stream 2> out
	"$DATAWAL" --json receive copy < stream > out
	[ "$(field txid < out)" = 3 ]
	[ "$(field lag_bytes < out)" = 0 ]
	same_segments copy
	"$DATAWAL" compact "$S" > out
	put d 4
	"$DATAWAL" -q send "$S" | "$DATAWAL" -q receive other
	same_segments other
}

test_send_refused()
{
	put a 1
	status 1 "$DATAWAL" send nowhere > out
	status 1 "$DATAWAL" send "$S" --since x > out 2> err
	grep 'TXID@SEGMENT:OFFSET:CRC' err
	status 2 "$DATAWAL" receive copy < /dev/null
	[ ! -e copy ]
	"$DATAWAL" -q send "$S" | "$DATAWAL" -q receive copy
	"$DATAWAL" put copy --key b 2
	put c 3
	"$DATAWAL" -q send "$S" > stream
	status 1 "$DATAWAL" receive copy < stream 2> err
	grep 'another history, or was written to' err
	same 2 "$DATAWAL" get copy --key b
	"$DATAWAL" -q send "$S" --since "$("$DATAWAL" send "$S" --dry-run | sed -n 's/^position: //p')" > later
	status 1 "$DATAWAL" receive fresh < later 2> err
	grep 'send all (without --since)' err
	printf x | dd of=stream bs=1 seek=200 conv=notrunc status=none
	status 3 "$DATAWAL" receive damaged < stream 2> err
	grep 'the stream is damaged' err
	"$DATAWAL" -q send "$S" > stream
	head -c 150 stream > half
	status 2 "$DATAWAL" receive broken < half 2> err
	grep 'broke off' err
	"$DATAWAL" -q receive broken < stream
	same_segments broken
}

test_send_follow()
{
	put a 1
	"$DATAWAL" -q send "$S" --follow 2> err > >("$DATAWAL" -q receive copy; echo $? > ended) &
	local pid=$!
	wait_until "$DATAWAL" get copy --key a
	for i in 1 2 3; do
		put "key $i" "$i"
		wait_until "$DATAWAL" get copy --key "key $i"
	done
	"$DATAWAL" compact "$S" > out
	put last 4
	wait_until "$DATAWAL" get copy --key last
	wait_until same_segments copy
	kill "$pid"
	wait "$pid"
	wait_until test -s ended
	same 0 cat ended
	same_segments copy
}

# Either end is killed, again and again: nothing is lost, and it is one history.
test_send_killed()
{
	local round victim pids
	put_hundred 0
	for round in $(seq "${ROUNDS:-25}"); do
		if [ $((round % 6)) = 0 ]; then
			resume copy
			"$DATAWAL" compact "$S" --dead 30 > out
			resume copy
			same_segments copy
		fi
		"$DATAWAL" -q rotate "$S" > out
		put_hundred "$((round * 50))"
		"$DATAWAL" receive --have copy > have
		mkfifo "pipe$round"
		"$DATAWAL" -q receive copy < "pipe$round" 2>> err &
		pids=$!
		"$DATAWAL" -q send "$S" --since - --follow < have > "pipe$round" 2>> err &
		pids="$pids $!"
		sleep "0.0$((RANDOM % 8))"
		victim=$(echo "$pids" | cut -d' ' -f$((round % 2 + 1)))
		kill -9 "$victim" 2> /dev/null || true
		# the other one sees that it is alone
		# shellcheck disable=SC2086 # two numbers
		for pid in $pids; do wait "$pid" || true; done
		[ ! -e copy/00000001.dwal ] || "$DATAWAL" verify copy > out || [ $? = 2 ]
	done
	! grep 'another history' err
	resume copy
	same_segments copy
}

run_tests "$@"
