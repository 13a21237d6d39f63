#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_datawal.sh [TEST] - the command line: exit status, output, what it leaves on disk.
#
# DATAWAL names the binary, DATAWALFS the daemon for the tests of a mounted store; no other
# test needs a mount.  Each test has a fresh directory $W with an empty one, $S, inside.
. "$(dirname "$0")/../mount/lib.sh"
DATAWAL=$(readlink -f "${DATAWAL:-build/release/datawal}")
export DATAWAL

# status N COMMAND...: must end with that exit status
status()
{
	local want=$1 got=0
	shift
	"$@" || got=$?
	[ $got = "$want" ] || {
		echo "exit status $got instead of $want: $*" >&2
		return 1
	}
}

# same TEXT COMMAND...: must succeed and print that, with a line feed
same()
{
	local want=$1 got
	shift
	got=$("$@")
	[ "$got" = "$want" ] || {
		printf 'got  %s\nwant %s\n' "$got" "$want" >&2
		return 1
	}
}

# A member of an expect.json that is a number or a word.
expected() # FILE NAME
{
	sed -n "s/.*\"$2\": \"\{0,1\}\([a-z0-9_]*\)\"\{0,1\}.*/\1/p" "$1" | head -1
}

# field NAME: of the JSON line on stdin, a number or a word
field()
{
	sed -n "s/.*[{,]\"$1\":\"\{0,1\}\([^,\"}]*\)\"\{0,1\}[,}].*/\1/p" | head -1
}

# Everything in a directory as text, without its lock file and what only saves time.
digest()
{
	(cd "$1" && find . -type f ! -name .lock ! -name .gitkeep ! -name '*.hint' -exec sha256sum {} + | sort)
}

names() { find "$1" -mindepth 1 ! -name .lock ! -name .gitkeep; }

# damage FILE OFFSET BYTES
damage() { printf '%b' "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }

# Keys of every kind, as operations: empty, NUL, newline, not UTF-8, slashes, long.
edge_keys()
{
	cat "$TOP/tests/golden/write/v03_edge_keys/ops.jsonl"
	printf '{"op":"put","key_b64":"%s","value_b64":"%s"}\n' \
		"$(head -c 65536 /dev/zero | base64 -w0)" "$(head -c 300000 /dev/urandom | base64 -w0)"
	echo '{"op":"put","key_b64":"ZA==","value_b64":"eA=="}'
	echo '{"op":"delete","key_b64":"ZA=="}'
	echo '{"op":"raw","value_b64":"cmF3"}'
}

# The exit status that the verdict of a golden store stands for.
verdict_status()
{
	case $(expected "$1/expect.json" verdict) in
	ok) echo 0 ;;
	torn) echo 2 ;;
	error) echo 3 ;;
	esac
}

# Every command on a directory that is no store: it says so, and leaves the directory alone.
expect_no_store() # DIR
{
	local command before after
	before=$(find "$1" -printf '%P %s %T@ %C@\n' | sort)
	for command in scan dump report verify check stats ls "get --key a" "export - o" "compact - to" \
		compact rotate "delete --key a" "put --key a b" apply "import - /dev/null" repair \
		"repair --yes" init; do
		# shellcheck disable=SC2086 # words
		set -- "$1" $command
		[ "${3-}" != - ] || set -- "$1" "$2" "${@:4}"
		status 1 "$DATAWAL" "$2" "$1" "${@:3}" < /dev/null 2>no-store
		grep -q "no store here: '$1'" no-store
	done
	after=$(find "$1" -printf '%P %s %T@ %C@\n' | sort)
	same "$before" echo "$after"
}

# Reading commands on one golden store, against its expect.json.
read_golden() # DIR
{
	local s=$1/store e=$1/expect.json want records
	case $1 in */d12_wrong_case_only/) expect_no_store "$s"; return ;; esac
	want=$(verdict_status "$1") records=$(expected "$e" records)
	status "$want" "$DATAWAL" --json scan "$s" > scan
	# what reads all that counts, and only that, is done; the torn tail is told
	local complete=$((want == 3 ? 3 : 0))
	status $complete "$DATAWAL" --json dump "$s" > dump
	[ "$(wc -l < scan)" = "$records" ]
	[ "$(wc -l < dump)" = "$records" ]
	status "$want" "$DATAWAL" --json report "$s" > report
	[ "$(field records_replayed < report)" = "$records" ]
	[ "$(field last_txid_seen < report)" = "$(expected "$e" last_txid)" ]
	[ "$(field tail_bytes_discarded < report)" = "$(expected "$e" torn_bytes)" ]
	[ "$(field mid_stream_errors < report)" = $((want == 3)) ]
	[ $want != 3 ] || [ "$(field damage < report)" = "$(expected "$e" reason)" ]
	status "$want" "$DATAWAL" --json verify "$s" > verify
	[ "$(field tail_truncated < verify)" = $((want == 2)) ]
	[ $want = 3 ] || [ "$(field frames_checked < verify)" = "$records" ]
	[ $want != 3 ] || [ "$(field damaged < verify)" -ge 1 ]
	status "$want" "$DATAWAL" --json check "$s" > check
	[ "$(field keys_checked < check)" = "$(grep -c '"key_b64"' "$e")" ]
	rm -f out.jsonl
	status $complete "$DATAWAL" export "$s" out.jsonl
	if [ $want = 3 ]; then
		[ ! -e out.jsonl ]
	else
		[ "$(sed -n 's/{"key_b64":"\([^"]*\)".*/\1/p' out.jsonl)" = \
			"$(sed -n 's/.*"key_b64": "\([^"]*\)".*/\1/p' "$e")" ]
	fi
}

test_golden_read()
{
	local dir count=0
	for dir in "$TOP"/tests/golden/read/*/; do
		echo "$dir"
		digest "$dir/store" > before
		read_golden "$dir" 2>stderr
		digest "$dir/store" > after
		cmp before after
		[ ! -e "$dir/store/.lock" ]
		count=$((count + 1))
	done
	[ $count -gt 40 ]
}

test_golden_write()
{
	local dir count=0
	for dir in "$TOP"/tests/golden/write/*/; do
		rm -rf s to out
		"$DATAWAL" apply s < "$dir/ops.jsonl"
		diff <(digest s) <(digest "$dir/store")
		rm -rf s
		"$DATAWAL" apply s "$dir/ops.jsonl"
		diff <(digest s) <(digest "$dir/store")
		if [ -e "$dir/compacted" ]; then
			"$DATAWAL" compact s to
			diff <(digest to) <(digest "$dir/compacted")
			diff <(digest s) <(digest "$dir/store")
			status 1 "$DATAWAL" compact s to
		fi
		if [ -e "$dir/export.jsonl" ]; then
			"$DATAWAL" export s out
			cmp out "$dir/export.jsonl"
			"$DATAWAL" export s - | cmp - "$dir/export.jsonl"
		fi
		count=$((count + 1))
	done
	[ $count = 7 ]
}

test_round_trip()
{
	edge_keys | "$DATAWAL" apply a
	"$DATAWAL" export a a.jsonl
	[ "$(stat -c %a a.jsonl)" = 600 ]
	"$DATAWAL" import b a.jsonl
	"$DATAWAL" export a - | "$DATAWAL" --quiet import c -
	"$DATAWAL" export b b.jsonl
	"$DATAWAL" export c c.jsonl
	cmp a.jsonl b.jsonl
	cmp a.jsonl c.jsonl
	[ "$(wc -l < a.jsonl)" -ge 10 ]
	"$DATAWAL" compact a to
	"$DATAWAL" export to - | cmp - a.jsonl
	"$DATAWAL" compact a
	"$DATAWAL" export a - | cmp - a.jsonl
	"$DATAWAL" --json scan a | grep -c '"record_type":"Raw"'
	"$DATAWAL" verify a
}

# Only what is dead enough, at a pace.
test_compact_options()
{
	seq 20 | while read -r i; do
		echo "{\"op\":\"put\",\"key_b64\":\"$(printf 'k%02d' "$i" | base64)\",\"value_b64\":\"YWJj\"}"
		[ "$i" != 10 ] || echo '{"op":"rotate"}'
	done | "$DATAWAL" apply s
	for i in 01 02 03 04 05 06; do
		"$DATAWAL" delete s --key k$i
	done
	"$DATAWAL" ls s > before
	[ "$("$DATAWAL" compact s --dead 70)" = "0 segments of 0 B became 0 of 0 B" ]
	"$DATAWAL" --json compact s --dead 60 --rate 1000000 |
		grep -F '"segments_before":1,"segments_after":1,"bytes_before":340,"bytes_after":136}'
	"$DATAWAL" ls s | diff before -
	"$DATAWAL" verify s
	status 1 "$DATAWAL" compact s --dead 101
	status 1 "$DATAWAL" compact s to --dead 50 2>stderr
	grep "in place" stderr
	[ ! -e to ]
}

# The largest value there is, as an argument of no command line.
test_large_value()
{
	head -c 67108864 /dev/urandom > value
	"$DATAWAL" put "$S" --key big --file value
	"$DATAWAL" get "$S" --key big | cmp - value
	"$DATAWAL" export "$S" out.jsonl
	"$DATAWAL" import copy out.jsonl
	"$DATAWAL" get copy --key big | cmp - value
	"$DATAWAL" scan "$S" | grep -c 'payload=b64:.*\.\.\.$'
	[ "$("$DATAWAL" --json scan "$S" | wc -c)" -gt 89478485 ]
	printf x >> value
	status 1 "$DATAWAL" put "$S" --key big --file value 2>stderr
	grep 'more than 67108864 bytes' stderr
	printf '{"op":"put","key_b64":"","value_b64":"%s"}\n' "$(: )" > ops
	printf '{"op":"put","key_b64":"YQ==","value_b64":"' >> ops
	base64 -w0 value >> ops
	printf '"}\n' >> ops
	status 1 "$DATAWAL" apply "$S" ops 2>stderr
	grep 'ops, line 2: the value has 67108865 bytes' stderr
}

test_put_get_delete()
{
	"$DATAWAL" put "$S/new" --key a one
	printf 'two\n\0\377' | "$DATAWAL" put "$S/new" --key-hex 62
	"$DATAWAL" put "$S/new" --key-base64 Yw== --value-base64 dGhyZWU=
	printf four > f
	"$DATAWAL" put "$S/new" --key d --file f
	"$DATAWAL" put "$S/new" --key '' ''
	same one "$DATAWAL" get "$S/new" --key a
	[ "$("$DATAWAL" get "$S/new" --key a | wc -c)" = 3 ]
	"$DATAWAL" get "$S/new" --key b | cmp - <(printf 'two\n\0\377')
	same three "$DATAWAL" get "$S/new" --key-hex 63
	same Zm91cg== "$DATAWAL" get "$S/new" --key d --bytes base64
	same 666f7572 "$DATAWAL" get "$S/new" --key d --bytes hex
	[ "$("$DATAWAL" get "$S/new" --key '' | wc -c)" = 0 ]
	status 2 "$DATAWAL" get "$S/new" --key z 2>stderr
	grep 'key not found' stderr
	"$DATAWAL" delete "$S/new" --key a
	status 2 "$DATAWAL" get "$S/new" --key a
	status 2 "$DATAWAL" delete "$S/new" --key a
	[ "$("$DATAWAL" ls "$S/new" | wc -l)" = 4 ]
	[ "$("$DATAWAL" --json ls "$S/new" b)" = "$("$DATAWAL" ls --json "$S/new" b)" ]
	[ "$("$DATAWAL" ls "$S/new" b | wc -l)" = 1 ]
	"$DATAWAL" rotate "$S/new" | grep 00000002
	[ -e "$S/new/00000002.dwal" ]
}

# On a terminal values are cut and say so, and control bytes stay away.
test_terminal()
{
	command -v script || skip "no script(1)"
	script -qec true /dev/null >/dev/null 2>&1 || skip "no pseudo-terminals here"
	local long
	long=$(head -c 100 /dev/zero | tr '\0' x)
	"$DATAWAL" put "$S" --key long "$long"
	printf 'a\033[31m' | "$DATAWAL" put "$S" --key binary
	script -qec "$DATAWAL get $S --key long" /dev/null < /dev/null | tr -d '\r' > out
	[ "$(cat out)" = "$(printf '%s' "$long" | head -c 64)..." ]
	script -qec "$DATAWAL get $S --key long --no-truncate" /dev/null < /dev/null |
		tr -d '\r' > out
	[ "$(cat out)" = "$long" ]
	for i in "long" "long --no-truncate" "long --bytes hex" "empty"; do
		[ "$i" != empty ] || "$DATAWAL" put "$S" --key empty ''
		script -qec "$DATAWAL get $S --key $i" /dev/null < /dev/null | tr -d '\r' > out
		[ "$(wc -l < out)" = 1 ] && [ -z "$(tail -c 1 out)" ]
	done
	script -qec "$DATAWAL get $S --key binary" /dev/null < /dev/null > out
	grep '<binary value, 6 bytes; use --bytes base64' out
	! grep -q "$(printf '\033')" out
	[ "$("$DATAWAL" get "$S" --key long | wc -c)" = 100 ]
}

test_human()
{
	"$DATAWAL" put "$S" --key 'a b"c\' "$(head -c 70 /dev/zero | tr '\0' y)"
	"$DATAWAL" put "$S" --key-hex 00ff b64:x
	"$DATAWAL" scan "$S" > out
	grep -F 'seg=00000001 off=         0 len=     104 type=PUT txid=         1 key="a b\"c\\" payload=yyyy' out
	grep -F "$(head -c 64 /dev/zero | tr '\0' y)..." out
	grep -F 'key=b64:AP8= payload="b64:x"' out
	"$DATAWAL" scan --bytes hex --no-truncate "$S" | grep -F 'key=hex:00ff payload=hex:6236343a78'
	"$DATAWAL" dump "$S" --limit 1 | grep -F 'key_len=6 payload_len=70'
	[ "$("$DATAWAL" dump "$S" --limit 1 | wc -l)" = 1 ]
	[ "$("$DATAWAL" scan "$S" --limit 0 | wc -l)" = 0 ]
	"$DATAWAL" report "$S" | grep -x 'records_replayed:    2'
	"$DATAWAL" report "$S" | grep -x 'tail_bytes_discarded:0'
}

test_scan_from()
{
	local one=$TOP/tests/golden/write/v04_multiseg/store
	[ "$("$DATAWAL" dump "$one" | wc -l)" -gt 5 ]
	[ "$("$DATAWAL" scan "$one" --from-segment 2 | head -1 | cut -c1-12)" = seg=00000002 ]
	"$DATAWAL" scan "$one" --from-segment 2 --from-offset 1 > out
	[ "$(grep -c seg=00000002 out)" = 1 ]
	! grep -q 'seg=00000002 off=         0' out
	grep -q seg=00000003 out
	[ "$("$DATAWAL" scan "$one" --from-segment 999 | wc -l)" = 0 ]
	[ "$("$DATAWAL" scan "$one" --from-segment 3 --limit 1 | wc -l)" = 1 ]
}

# What scripts written for the reference rely on: texts, lines, exit status.
test_contract_keys()
{
	"$DATAWAL" put "$S" --key k v
	status 1 "$DATAWAL" get "$S" 2>stderr
	grep -x 'datawal: get: pass exactly one of --key, --key-base64, or --key-hex' stderr
	status 1 "$DATAWAL" get "$S" --key k --key-base64 aw== 2>stderr
	grep -F "the argument '--key <TEXT>' cannot be used with '--key-base64 <B64>'" stderr
	status 1 "$DATAWAL" get "$S" --key-hex 6b --key-base64 aw== 2>stderr
	grep -F "the argument '--key-base64 <B64>' cannot be used with '--key-hex <HEX>'" stderr
	status 1 "$DATAWAL" get "$S" --key-base64 '!!!' 2>stderr
	grep 'invalid --key-base64: ' stderr
	status 1 "$DATAWAL" get "$S" --key-hex 6b6 2>stderr
	grep -x 'datawal: get: invalid --key-hex: odd length' stderr
	status 1 "$DATAWAL" get "$S" --key-hex 6x 2>stderr
	grep -x "datawal: get: invalid --key-hex: non-hex byte 'x'" stderr
	status 1 "$DATAWAL" put "$S" --key k --value-base64 '!' 2>stderr
	grep 'invalid --value-base64: ' stderr
	status 2 "$DATAWAL" get "$S" --key no 2>stderr
	grep -x 'datawal: get: key not found' stderr
}

test_contract_scan_from()
{
	local one=$TOP/tests/golden/write/v04_multiseg/store
	# no segment is called 0, so its offset is nobody's
	"$DATAWAL" scan "$one" > all
	"$DATAWAL" scan "$one" --from-segment 0 --from-offset 99999 | cmp - all
	[ "$("$DATAWAL" scan "$one" --from-segment 4294967295 | wc -l)" = 0 ]
	status 1 "$DATAWAL" scan "$one" --from-offset 0 2>stderr
	grep -F 'the following required arguments were not provided: --from-segment' stderr
}

test_contract_lines()
{
	"$DATAWAL" put "$S" --key k v
	"$DATAWAL" check "$S" | head -7 | cmp - <(printf '%-22s%s\n' schema: datawal.cli.v1 kind: check \
		keys_checked: 1 tail_truncated: 0 tail_bytes_discarded: 0 mid_stream_errors: 0 \
		unsupported_versions: 0)
	"$DATAWAL" verify "$S" | head -7 | cmp - <(printf '%-21s%s\n' schema: datawal.cli.v1 \
		frames_checked: 1 crc_failures: 0 tail_truncated: 0 tail_bytes_discarded: 0 \
		last_segment: 1 last_offset: 0)
	"$DATAWAL" report "$S" | cmp - <(printf '%-21s%s\n' schema: datawal.cli.v1 files_scanned: 1 \
		records_replayed: 1 tail_truncated: 0 tail_bytes_discarded: 0 mid_stream_errors: 0 \
		unsupported_versions: 0 last_txid_seen: 1)
	"$DATAWAL" export "$S" out.jsonl | cmp - <(printf '%-17s%s\n' schema: datawal.cli.v1 \
		kind: export outfile: out.jsonl records_written: 1 bytes_written: 38)
	"$DATAWAL" compact "$S" to | cmp - <(printf '%-17s%s\n' schema: datawal.cli.v1 \
		kind: compact target: to live_keys: 1 records_written: 1 bytes_written: 30)
}

# Nothing that is there already is written over, or among, unless that is asked for.
test_contract_refusals()
{
	local word
	"$DATAWAL" put "$S" --key k v
	echo precious > there
	ln -s nowhere dangling
	for word in there dangling; do
		status 1 "$DATAWAL" export "$S" $word 2>stderr
		grep -x "datawal: export: refuses to overwrite existing file: $word" stderr
	done
	# before it looks at the store
	status 1 "$DATAWAL" export missing there 2>stderr
	grep 'refuses to overwrite' stderr
	[ "$(cat there)" = precious ]
	"$DATAWAL" export "$S" there --force
	"$DATAWAL" export "$S" - | cmp - there
	# directories above it are made
	"$DATAWAL" export "$S" new/er/out.jsonl
	cmp new/er/out.jsonl there
	status 1 "$DATAWAL" export "$S" there/out.jsonl 2>stderr
	grep 'Not a directory' stderr

	mkdir to empty full new-disk new-disk/lost+found
	echo precious > full/file
	status 1 "$DATAWAL" compact "$S" full 2>stderr
	grep -x 'datawal: compact: target directory is not empty: full' stderr
	status 1 "$DATAWAL" compact missing full 2>stderr
	grep 'target directory is not empty' stderr
	status 1 "$DATAWAL" compact "$S" there 2>stderr
	grep 'Not a directory' stderr
	[ "$(ls full)" = file ]
	"$DATAWAL" compact "$S" full --force
	same v "$DATAWAL" get full --key k
	"$DATAWAL" compact "$S" empty
	"$DATAWAL" compact "$S" new-disk
	# two logs in one directory are neither
	status 1 "$DATAWAL" compact "$S" empty --force 2>stderr
	grep 'has segments already' stderr
	status 1 "$DATAWAL" compact "$S" --force 2>stderr
	grep -- '--force' stderr
}

# Complete work is exit status 0, and a torn tail is said.
test_contract_torn()
{
	local word
	"$DATAWAL" put "$S" --key a 1
	"$DATAWAL" put "$S" --key b 2
	rm "$S/00000001.hint" # which says that all of it was on disk
	truncate -s -3 "$S/00000001.dwal"
	for word in "export $S out" "export $S -" "compact $S to" "dump $S"; do
		# shellcheck disable=SC2086 # words
		status 0 "$DATAWAL" $word 2>stderr >stdout
		grep 'that are no record' stderr
	done
	for word in scan report verify check ls; do
		status 2 "$DATAWAL" $word "$S" 2>stderr
		grep 'that are no record' stderr
	done
	same 1 "$DATAWAL" get "$S" --key a
}

test_json()
{
	local v='"schema":"datawal.cli.v1"'
	"$DATAWAL" put "$S" --key k v
	"$DATAWAL" put "$S" --key k w
	same "{$v,\"kind\":\"record\",\"segment\":1,\"offset\":0,\"len\":30,\"record_type\":\"Put\",\"txid\":1,\"key_base64\":\"aw==\",\"payload_base64\":\"dg==\"}" \
		"$DATAWAL" --json scan "$S" --limit 1
	same "{$v,\"kind\":\"frame\",\"segment\":1,\"offset\":0,\"len\":30,\"record_type\":\"Put\",\"txid\":1,\"key_len\":1,\"payload_len\":1}" \
		"$DATAWAL" dump --json "$S" --limit 1
	same "{$v,\"kind\":\"value\",\"key_base64\":\"aw==\",\"value_base64\":\"dw==\",\"value_len\":1}" \
		"$DATAWAL" --json get "$S" --key k
	[ "$("$DATAWAL" --json get "$S" --key no || true)" = "{$v,\"kind\":\"miss\",\"key_base64\":\"bm8=\"}" ]
	same "{$v,\"kind\":\"report\",\"files_scanned\":1,\"records_replayed\":2,\"tail_truncated\":0,\"tail_bytes_discarded\":0,\"mid_stream_errors\":0,\"unsupported_versions\":0,\"last_txid_seen\":2,\"records_behind\":0,\"damage\":null}" \
		"$DATAWAL" --json report "$S"
	same "{$v,\"kind\":\"verify\",\"frames_checked\":2,\"crc_failures\":0,\"tail_truncated\":0,\"tail_bytes_discarded\":0,\"last_segment\":1,\"last_offset\":30,\"damaged\":0}" \
		"$DATAWAL" --json verify "$S"
	same "{$v,\"kind\":\"check\",\"keys_checked\":1,\"tail_truncated\":0,\"tail_bytes_discarded\":0,\"mid_stream_errors\":0,\"unsupported_versions\":0,\"keys_damaged\":0}" \
		"$DATAWAL" --json check "$S"
	same "{$v,\"kind\":\"export\",\"outfile\":\"o\",\"records_written\":1,\"bytes_written\":38}" \
		"$DATAWAL" --json export "$S" o
	same "{$v,\"kind\":\"compact\",\"target\":\"t\",\"live_keys\":1,\"records_written\":1,\"bytes_written\":30}" \
		"$DATAWAL" --json compact "$S" t
	same "{$v,\"kind\":\"segment\",\"segment\":1,\"bytes\":60,\"live_bytes\":30,\"raw_bytes\":0,\"dead_bytes\":30,\"records\":2,\"deletes\":0}
{$v,\"kind\":\"stats\",\"keys\":1,\"segments\":1,\"bytes\":60,\"live_bytes\":30,\"compaction_frees\":30,\"key_size_min\":1,\"key_size_p50\":1,\"key_size_p90\":1,\"key_size_p99\":1,\"key_size_max\":1,\"value_size_min\":1,\"value_size_p50\":1,\"value_size_p90\":1,\"value_size_p99\":1,\"value_size_max\":1}" \
		"$DATAWAL" --json stats "$S"
	same "{$v,\"kind\":\"repair\",\"done\":false,\"segments\":1,\"segments_damaged\":0,\"places\":0,\"bytes_out\":0,\"records\":2,\"records_behind\":0,\"segments_short\":0,\"keys_lost\":0}" \
		"$DATAWAL" --json repair "$S"
	same "{$v,\"kind\":\"compact\",\"target\":null,\"live_keys\":1,\"segments_before\":1,\"segments_after\":1,\"bytes_before\":60,\"bytes_after\":30}" \
		"$DATAWAL" --json compact "$S"
	"$DATAWAL" --json put "$S" --key k x | grep -F '"kind":"put","key_base64":"aw==","value_len":1}'
	"$DATAWAL" --json delete "$S" --key k | grep -F '"kind":"delete","key_base64":"aw==","existed":true}'
	echo '{"op":"sync"}' | "$DATAWAL" --json apply "$S" |
		grep -F '"kind":"apply","lines":1,"puts":0,"deletes":0,"raws":0,"rotates":0,"syncs":1}'
}

# A line that is wrong is named; those before it are there, those behind are not.
test_apply_bad_line()
{
	local good='{"op":"put","key_b64":"YQ==","value_b64":"MQ=="}' bad text
	while IFS='|' read -r text bad; do
		rm -rf s
		printf '%s\n\n%s\n%s\n' "$good" "$bad" '{"op":"put","key_b64":"Yg==","value_b64":""}' > ops
		status 1 "$DATAWAL" apply s ops 2>stderr
		grep -F "ops, line 3: $text" stderr
		same 1 "$DATAWAL" get s --key a
		status 2 "$DATAWAL" get s --key b 2>/dev/null
		status 1 "$DATAWAL" apply s < ops 2>stderr
		grep -F "stdin, line 3: " stderr
	done <<- 'END'
		no JSON|{"op":"put"
		no JSON object|[1]
		'op' is missing|{"key_b64":"YQ=="}
		unknown operation|{"op":"get","key_b64":"YQ=="}
		unknown member 'key'|{"op":"put","key":"YQ==","value_b64":""}
		'value_b64' is missing|{"op":"put","key_b64":"YQ=="}
		'value_b64' is no string|{"op":"put","key_b64":"YQ==","value_b64":1}
		'key_b64': no standard base64|{"op":"put","key_b64":"YQ","value_b64":""}
		'key_b64': no standard base64|{"op":"put","key_b64":"Y Q=","value_b64":""}
		'key_b64': no standard base64|{"op":"put","key_b64":"YR==","value_b64":""}
		'key_b64': no standard base64|{"op":"put","key_b64":"-_==","value_b64":""}
		a delete has no value|{"op":"delete","key_b64":"YQ==","value_b64":""}
		no JSON|{"op":"put","op":"put","key_b64":"YQ==","value_b64":""}
	END
	printf '%s\n' '{"key_b64":"YQ==","value_b64":"MQ=="}' '{"key_b64":"YQ=="}' > in
	status 1 "$DATAWAL" import s in 2>stderr
	grep -F "in, line 2: 'value_b64' is missing" stderr
	status 1 "$DATAWAL" import s missing.jsonl 2>stderr
	grep 'missing.jsonl' stderr
}

# More than a batch takes, in one order.
test_apply_many()
{
	# eight digits are base64 as they are
	seq 5000 | awk '{ printf "{\"op\":\"put\",\"key_b64\":\"%08d\",\"value_b64\":\"MQ==\"}\n", $1 }' > ops
	"$DATAWAL" --json apply "$S" ops | grep '"puts":5000,'
	"$DATAWAL" --json dump "$S" | sed -n 's/.*"txid":\([0-9]*\),.*/\1/p' | cmp - <(seq 5000)
	"$DATAWAL" --json ls "$S" | wc -l | grep -x 5000
}

test_usage()
{
	local command
	for command in scan get report verify dump check export compact put delete rotate apply \
		import stats repair ls; do
		"$DATAWAL" $command --help > help
		grep -q "^usage: datawal $command STORE" help
		grep -q '^Example:$' help
		"$DATAWAL" --help | grep -q "^    $command "
		status 1 "$DATAWAL" $command 2>stderr
		status 1 "$DATAWAL" $command --nonsense "$S" 2>stderr
		case $command in
		get | put | delete) status 1 "$DATAWAL" $command "$S" < /dev/null 2>stderr ;;
		esac
	done
	status 1 "$DATAWAL" 2>stderr
	status 1 "$DATAWAL" nonsense 2>stderr
	status 1 "$DATAWAL" get "$S" --key a --key-hex 61 2>stderr
	status 1 "$DATAWAL" get "$S" --key-hex 6 2>stderr
	status 1 "$DATAWAL" get "$S" --key-base64 'YQ' 2>stderr
	status 1 "$DATAWAL" scan "$S" --limit -1 2>stderr
	status 1 "$DATAWAL" scan "$S" --bytes odd 2>stderr
	status 1 "$DATAWAL" put "$S" --key a v --file f 2>stderr
	status 1 "$DATAWAL" scan "$W/missing" 2>stderr
	grep 'No such file' stderr
	status 1 "$DATAWAL" rotate "$W/missing" 2>stderr
	[ ! -e "$W/missing" ]
	[ -z "$(names "$S")" ]
	"$DATAWAL" --version | grep '^datawal [0-9]'
	status 1 "$DATAWAL" scan "$TOP/tests/golden/read/d00_base_one/store" > /dev/full 2>stderr
	grep 'writing to stdout' stderr
	# an option is named by whoever does not know it
	for command in "--nosuch" "ls --nosuch" "ls $S --nosuch" "help nosuch"; do
		# shellcheck disable=SC2086 # words
		status 1 "$DATAWAL" $command 2>stderr
		grep -e nosuch stderr
	done
	"$DATAWAL" --help > want
	"$DATAWAL" help | cmp - want
	"$DATAWAL" export --help > want
	"$DATAWAL" help export | cmp - want
}

# A number that is none, or out of range: named, with the range.
test_numbers()
{
	local given option
	"$DATAWAL" put "$S" --key a b
	for given in --limit=-1 --limit=5x --limit= "--limit= 5" --limit=18446744073709551616 \
		--from-segment=4294967296 --from-segment=-1 --from-offset=1e3; do
		option=${given%%=*}
		status 1 "$DATAWAL" scan "$S" --from-segment 1 "$given" 2>stderr
		grep -E -- "$option '.*' is no number from 0 to [0-9]+" stderr
	done
	for given in --dead=101 --dead=-1 --rate=1M --rate=-5; do
		option=${given%%=*}
		status 1 "$DATAWAL" compact "$S" "$given" 2>stderr
		grep -E -- "$option '.*' is no number from 0 to [0-9]+" stderr
	done
	"$DATAWAL" scan "$S" --limit 18446744073709551615 > /dev/null
}

# What did not arrive on a full disk is a failure that says so, and no fault of the store.
test_full_stdout()
{
	local command
	head -c 3000000 /dev/urandom > value
	"$DATAWAL" put "$S" --key small v
	for command in "--help" "help" "help export" "--version" "export $S -" "ls $S" "scan $S" "dump $S" \
		"stats $S" "verify $S" "check $S" "report $S" "--json ls $S" "get $S --key small" \
		"put $S --key large --file value" "export $S -" "dump $S" "get $S --key large"; do
		case $command in
		put*) "$DATAWAL" $command; continue ;;
		esac
		status 1 "$DATAWAL" $command > /dev/full 2>stderr
		grep 'writing to stdout: No space left on device' stderr
		[ "$(grep -cv '^+' stderr)" = 1 ]
	done
	for command in --help --version; do
		status 1 "$DATAWALFS" $command > /dev/full 2>stderr
		grep 'No space left' stderr
		status 2 "$(dirname "$DATAWAL")/datawal-soak" $command > /dev/full 2>stderr
		grep 'No space left' stderr
		status 125 "$(dirname "$DATAWAL")/datawal-backup" $command > /dev/full 2>stderr
		grep 'No space left' stderr
	done
}

# Long work ends with a word to whoever waits for it, and none to scripts.
test_summary()
{
	printf '%s\n' '{"key_b64":"YQ==","value_b64":"MQ=="}' '{"key_b64":"Yg==","value_b64":""}' > in
	"$DATAWAL" import "$S" in > stdout 2>stderr
	[ ! -s stdout ]
	grep -x 'datawal: import: done: 2 lines: 2 puts, 0 deletes, 0 raws, 0 rotates, 0 syncs' stderr
	"$DATAWAL" apply "$S" < /dev/null 2>stderr
	grep -x 'datawal: apply: done: 0 lines: .*' stderr
	"$DATAWAL" import -q "$S" in 2>stderr
	"$DATAWAL" --json import "$S" in > stdout 2>>stderr
	[ ! -s stderr ]
	grep '"puts":2' stdout
	printf 'nonsense\n' >> in
	status 1 "$DATAWAL" import "$S" in 2>stderr
	grep 'what stands before line 3 was applied' stderr
	fails grep 'done:' stderr
}

# The completions know every command and option that --help tells of, and no other.
test_completions()
{
	PATH=$(dirname "$DATAWAL"):$PATH
	. "$TOP/tools/completions/datawal.bash"
	compopt() { :; }
	complete_at() { COMP_WORDS=(datawal "$@") COMP_CWORD=$#; _datawal; echo "${COMPREPLY[*]}"; }
	same "report rotate repair" complete_at r
	same "auto raw base64 hex" complete_at scan --bytes ''
	same "--yes --json --quiet --help" complete_at repair "$S" --
	same "--version" complete_at --v
	"$DATAWAL" --help | sed -n '/^Commands:/,/^$/s/^    \([a-z]*\)  *\(.*\)/\1 \2/p' | tr -d "'" | sort > help
	sed -n "s/^\t'\([a-z]*\):\(.*\)'$/\1 \2/p" "$TOP/tools/completions/_datawal" | sort > zsh
	cmp help zsh
	for command in $(cut -d' ' -f1 help); do "$DATAWAL" "$command" --help; done |
		sed -n 's/^  *-/-/p' | grep -oE -- '--[a-z0-9-]+' | sort -u > options
	grep -oE -- '--[a-z][a-z0-9-]+' "$TOP/tools/completions/_datawal" | grep -v -- --version | sort -u > zsh
	cmp options zsh
}

# Who reads leaves no trace, not even a lock file, and works on a read-only directory.
test_reading_changes_nothing()
{
	local command
	cp -r "$TOP/tests/golden/read/d03_crc_first_active/store" s
	touch -d '2001-01-01' s s/*
	find s -printf '%p %s %T@ %C@\n' | sort > before
	for command in scan report verify dump check stats ls repair "get --key a" "export s o"; do
		# shellcheck disable=SC2086 # words
		set -- $command
		[ "$1" = export ] && set -- export s o || set -- "$1" s "${@:2}"
		case $1 in
		export | dump) status 0 "$DATAWAL" "$@" 2>stderr ;;
		*) status 2 "$DATAWAL" "$@" 2>stderr ;;
		esac
		[ "$1" = get ] || [ "$1" = repair ] || grep 'that are no record' stderr
	done
	status 0 "$DATAWAL" compact s to 2>stderr
	grep 'that are no record' stderr
	find s -printf '%p %s %T@ %C@\n' | sort | cmp - before
}

# A typo in a path must not look healthy, nor fill a foreign directory with segments.
test_no_store()
{
	mkdir other empty disk disk/lost+found parent
	echo precious > other/file
	expect_no_store other
	expect_no_store /usr
	# among other files no store is made, and none is read where nothing is
	for command in scan dump report verify check stats ls "get --key a" compact rotate \
		"delete --key a" repair "repair --yes"; do
		# shellcheck disable=SC2086 # words
		set -- $command
		for place in empty disk; do
			status 1 "$DATAWAL" "$1" $place "${@:2}" 2>stderr
			grep "no store here: '$place' is empty" stderr
		done
		status 1 "$DATAWAL" "$1" missing "${@:2}" 2>stderr
		grep "no store here: 'missing': No such file" stderr
	done
	same "" names empty
	same "disk/lost+found" names disk
	[ ! -e missing ]
	"$DATAWAL" put disk --key a one
	same one "$DATAWAL" get disk --key a
	"$DATAWAL" init parent/new
	same 700 stat -c %a parent/new
	"$DATAWAL" verify parent/new
	"$DATAWAL" put parent/new --key a one
	status 1 "$DATAWAL" init parent/new 2>stderr
	grep 'is a store already' stderr
	same one "$DATAWAL" get parent/new --key a
	same '{"schema":"datawal.cli.v1","kind":"init","store":"empty"}' "$DATAWAL" --json init empty
	status 1 "$DATAWAL" init missing/new 2>stderr
	[ ! -e missing ]
	# a store that was opened and never written
	rm parent/new/*.dwal parent/new/*.hint
	"$DATAWAL" verify parent/new
}

test_locked()
{
	"$DATAWAL" put "$S" --key a one
	exec 9< "$S/.lock"
	flock -xn 9
	for command in "put --key a two" "delete --key a" rotate compact "repair" "repair --yes"; do
		# shellcheck disable=SC2086 # words
		set -- $command
		status 1 "$DATAWAL" "$1" "$S" "${@:2}" 2>stderr
		grep "open for writing" stderr
	done
	status 1 "$DATAWAL" apply "$S" < /dev/null 2>stderr
	status 1 "$DATAWAL" import "$S" /dev/null 2>stderr
	same one "$DATAWAL" get "$S" --key a
	"$DATAWAL" verify "$S"
	"$DATAWAL" compact "$S" "$W/to"
	flock -u 9
	"$DATAWAL" put "$S" --key a two
}

# What repair must do to any store: tell first, then lose nothing.
repair_case() # STORE
{
	local s=$1 file want=0 back
	rm -rf before && cp -r "$s" before
	"$DATAWAL" --json repair "$s" > plan || want=$?
	diff <(digest before) <(digest "$s")
	[ $want = 0 ] || [ $want = 2 ]
	[ "$(field segments_damaged < <(tail -1 plan))" != 0 ] || [ $want = 0 ]
	"$DATAWAL" --json repair --yes "$s" > done
	[ "$(sed 's/"quarantine":[^}]*}/}/; s/"done":[a-z]*//' plan)" = \
		"$(sed 's/"quarantine":[^}]*}/}/; s/"done":[a-z]*//' done)" ]
	# every byte is still there: the old segment is the new one with the quarantined put back
	for file in $(cd before && find . -regextype egrep -regex './[0-9]{8}\.dwal' | cut -c3-); do
		rebuild "$s" "$file" done > rebuilt
		cmp rebuilt "before/$file"
	done
	[ -z "$(find "$s" -name '*.compact' -o -name '*.torn-*.tmp')" ]
	"$DATAWAL" --json verify "$s" > verify
	[ "$(field frames_checked < verify)" = "$(field records < <(tail -1 done))" ]
	back=$(digest "$s")
	"$DATAWAL" --json repair --yes "$s" | grep '"segments_damaged":0'
	[ "$back" = "$(digest "$s")" ]
	[ $want = 0 ] || "$DATAWAL" put "$s" --key after x || [ "${s%txid_max*}" != "$s" ]
}

# rebuild STORE SEGMENT DONE: the bytes of a segment before it was repaired
rebuild()
{
	local id=$((10#${2%.dwal})) at=0 from=0 offset size name saved
	while IFS=' ' read -r offset size name; do
		head -c $((from + offset - at)) "$1/$2" | tail -c $((offset - at))
		from=$((from + offset - at))
		saved=0 # of zeros at the end not all are
		[ -z "$name" ] || { cat "$1/$name"; saved=$(stat -c %s "$1/$name"); }
		head -c $((size - saved)) /dev/zero
		at=$((offset + size))
	done < <(sed -n "s/.*\"kind\":\"damage\",\"segment\":$id,\"offset\":\([0-9]*\),\"len\":\([0-9]*\),.*\"quarantine\":\(null\|\"\([^\"]*\)\"\).*/\1 \2 \4/p" "$3")
	tail -c +$((from + 1)) "$1/$2"
}

test_repair_golden()
{
	local dir damaged=0
	for dir in "$TOP"/tests/golden/read/*/; do
		echo "$dir"
		rm -rf s
		cp -r "$dir/store" s
		case $dir in */d12_wrong_case_only/) expect_no_store s; continue ;; esac
		repair_case s
		[ "$(verdict_status "$dir")" = 0 ] || damaged=$((damaged + 1))
		[ "$(verdict_status "$dir")" = 0 ] || [ -n "$(find s -name '*.torn-*')" ] ||
			! grep -v '"quarantine":null' < <(grep '"kind":"damage"' done)
	done
	[ $damaged -gt 30 ]
}

# has_part: the target of the command that runs has something
has_part() { [ -n "$(find "$W/parts" -type f -size +1000k 2>/dev/null)" ]; }

# interrupted COMMAND...: ends by SIGTERM in the middle, and leaves nothing of its work in "$W/parts"
interrupted()
{
	local pid rc=0
	mkdir "$W/parts"
	"$DATAWAL" "$@" > said 2>&1 &
	pid=$!
	wait_until has_part
	kill -TERM $pid
	wait $pid || rc=$?
	[ $rc = 143 ]
	[ -z "$(find "$W/parts" -type f)" ]
	rmdir "$W/parts"/* 2>/dev/null || true
	rmdir "$W/parts"
}

# What a signal ends leaves no file that passes for a whole one, and no temporary one.
test_interrupted()
{
	local i
	for i in $(seq 12); do
		head -c 30000000 /dev/urandom | "$DATAWAL" put s --key "k$i"
	done
	interrupted export s "$W/parts/out"
	interrupted compact s "$W/parts/copy"
	# and without a signal
	mkdir "$W/parts"
	"$DATAWAL" compact s "$W/parts/copy"
	"$DATAWAL" export s "$W/parts/out"
	[ "$("$DATAWAL" ls "$W/parts/copy" | wc -l)" = 12 ]
}

# Zeros alone are not worth a copy; nor are those that a piece of a record ends in.
test_repair_zeros()
{
	"$DATAWAL" put s --key a 1
	truncate -s 64M s/00000001.dwal
	"$DATAWAL" repair --yes s > said
	grep '(zeros); zeros alone, saved nowhere' said
	[ -z "$(find s -name '*.torn-*')" ]
	[ "$(stat -c %s s/00000001.dwal)" = 30 ]
	truncate -s 64M s/00000001.dwal
	"$DATAWAL" put s --key b 2 2>stderr
	grep 'cut off the 67108834 zero bytes behind offset 30 of segment 00000001' stderr
	[ -z "$(find s -name '*.torn-*')" ]
	printf 'DWAL\1\0\1\0abc' >> s/00000001.dwal
	truncate -s 64M s/00000001.dwal
	repair_case s
	same 2 "$DATAWAL" get s --key b
}

# A record in the middle of a sealed segment: it goes, all others come back.
test_repair_middle()
{
	local i at
	for i in 1 2 3 4 5 6 7 8; do
		"$DATAWAL" put s --key "k$i" "value $i"
		case $i in 3 | 6) "$DATAWAL" rotate s ;; esac
	done
	at=$("$DATAWAL" --json dump s | sed -n 's/.*"segment":2,"offset":\([0-9]*\),.*"txid":5,.*/\1/p')
	damage s/00000002.dwal $((at + 30)) '\377'
	status 3 "$DATAWAL" verify s 2>stderr
	grep 'segment 00000002 is damaged at offset' stderr
	status 2 "$DATAWAL" repair s > plan
	grep "segment 00000002, offset $at: .* (crc)" plan
	grep '1 behind damage would come back' plan
	repair_case s
	for i in 1 2 3 4 6 7 8; do
		same "value $i" "$DATAWAL" get s --key "k$i"
	done
	status 2 "$DATAWAL" get s --key k5
	[ "$(find s -name '*.torn-*' | wc -l)" = 1 ]
}

# A damaged value that holds a whole record: that one is not a record of the log.
test_repair_embedded()
{
	"$DATAWAL" put inner --key wrong wrong
	"$DATAWAL" put s --key a 1
	{ printf 'head'; cat inner/00000001.dwal; printf tail; } | "$DATAWAL" put s --key copy
	"$DATAWAL" put s --key b 2
	damage s/00000001.dwal 60 'X'
	repair_case s 2>stderr
	status 2 "$DATAWAL" get s --key wrong
	same 1 "$DATAWAL" get s --key a
	same 2 "$DATAWAL" get s --key b
}

# Damage, and what a writer that knows no better appended behind a torn tail.
test_repair_behind_tail()
{
	"$DATAWAL" put s --key a 1
	"$DATAWAL" put s --key torn 'a long value that a crash cut off'
	"$DATAWAL" put other --key a 2
	"$DATAWAL" put other --key b 3
	rm s/00000001.hint # a crash leaves none that says it was closed
	truncate -s -9 s/00000001.dwal
	cat other/00000001.dwal >> s/00000001.dwal
	status 2 "$DATAWAL" report s 2>stderr
	grep '2 whole records behind' stderr
	repair_case s 2>stderr
	same 2 "$DATAWAL" get s --key a
	same 3 "$DATAWAL" get s --key b
}

# What a writer has cut off already is a store of its own, after a repair.
test_repair_quarantined()
{
	local i
	for i in 1 2 3; do "$DATAWAL" put s --key "k$i" "value $i"; done
	damage s/00000001.dwal 70 '\377'
	# its hint says that all of it was on disk, so that it is no torn tail
	status 3 "$DATAWAL" put s --key k4 'value 4' 2>stderr
	grep "is damaged at offset 37 (crc), in the record of key 'k2'" stderr
	rm s/*.hint
	"$DATAWAL" put s --key k4 'value 4' 2>stderr
	grep 'saved the .* bytes behind offset' stderr
	status 2 "$DATAWAL" get s --key k3
	mkdir torn
	cp s/*.torn-* torn/00000001.dwal
	status 2 "$DATAWAL" repair torn
	"$DATAWAL" repair --yes torn
	"$DATAWAL" export torn - | "$DATAWAL" import s -
	for i in 1 3 4; do same "value $i" "$DATAWAL" get s --key "k$i"; done
}

# What a hint knows, and the log holds no more, is told by name, and gone on without.
test_lost()
{
	local gone v='"schema":"datawal.cli.v1"'
	"$DATAWAL" put s --key a 1
	"$DATAWAL" put s --key f 'the first'
	"$DATAWAL" put s --key e ''
	"$DATAWAL" rotate s
	for key in b f e; do "$DATAWAL" put s --key $key "the second"; done
	"$DATAWAL" rotate s
	"$DATAWAL" put s --key c 3
	cp -a s whole
	for gone in "rm x/00000002.dwal" "truncate -s 0 x/00000002.dwal"; do
		rm -rf x
		cp -a whole x
		$gone
		digest x > before
		for word in verify check; do
			status 3 "$DATAWAL" $word x 2>stderr
			grep 'segment 00000002 is missing\|segment 00000002 holds less' stderr
			grep "the newest record of key 'b' is lost" stderr
			status 3 "$DATAWAL" --json $word x >json 2>/dev/null
			grep -F "{$v,\"kind\":\"damage\",\"segment\":2," json
			grep -F "{$v,\"kind\":\"lost\",\"segment\":2," json | grep '"key_base64":"Yg=="'
		done
		status 3 "$DATAWAL" ls x 2>stderr
		status 3 "$DATAWAL" put x --key d 4 2>stderr
		status 2 "$DATAWAL" repair x >said
		grep 'nothing was changed' said
		status 2 "$DATAWAL" --json repair x >json 2>stderr
		grep '"kind":"lost".*"left":"nothing".*"key_base64":"Yg=="' json
		grep '"kind":"repair".*"segments_short":1,"keys_lost":3' json
		digest x | diff before -
		"$DATAWAL" repair --yes x >said
		grep 'records are gone' said
		grep "key 'b' is lost.*; nothing is left of it" said
		grep "key 'f' is lost.*an older value of 9 bytes" said
		grep "key 'e' is lost.*an older value, which is empty" said
		status 1 grep "key 'a'" said
		ls x/00000002.hint.lost-*
		"$DATAWAL" verify x
		"$DATAWAL" repair x | grep 'nothing to do'
		same 'the first' "$DATAWAL" get x --key f
		"$DATAWAL" put x --key b again
		"$DATAWAL" compact x
		same again "$DATAWAL" get x --key b
	done
}

# A key is told with the damage in its record, and what a repair leaves of it.
test_damage_named()
{
	"$DATAWAL" put s --key f old
	"$DATAWAL" put s --key f 'the new value'
	"$DATAWAL" rotate s
	damage s/00000001.dwal 70 '\377'
	status 3 "$DATAWAL" verify s 2>stderr
	grep "at offset 32 (crc), in the record of key 'f'" stderr
	status 2 "$DATAWAL" repair s >said
	grep 'are no record (crc), where one of key f was' said
	"$DATAWAL" repair --yes s >said
	grep "key 'f' is lost (segment 00000001, offset 32); what is left is an older value of 3 bytes" said
	same old "$DATAWAL" get s --key f
	"$DATAWAL" check s
}

test_mounted()
{
	[ -c /dev/fuse ] && command -v fusermount3 || skip "no /dev/fuse or no fusermount3"
	"$DATAWAL" put "$S" --key a one
	mount_store
	same one "$DATAWAL" get "$S" --key a
	echo two > "$M/b"
	sync "$M/b"
	same two "$DATAWAL" get "$S" --key b
	"$DATAWAL" verify "$S"
	"$DATAWAL" export "$S" - | wc -l | grep -x 2
	status 1 "$DATAWAL" put "$S" --key a two 2>stderr
	grep "is mounted at '$M'; .*cp FILE '$M/KEY'" stderr
	status 1 "$DATAWAL" compact "$S/../store" 2>stderr
	grep "echo compact > '$M/.datawal/control'" stderr
	status 1 "$DATAWAL" rotate "$S" 2>stderr
	grep "echo rotate > '$M/.datawal/control'" stderr
	status 1 "$DATAWAL" delete "$S" --key a 2>stderr
	grep "rm '$M/KEY'" stderr
	status 1 "$DATAWAL" repair "$S" 2>stderr
	grep "fusermount3 -u '$M'" stderr
	status 1 "$DATAWAL" apply "$S" < /dev/null 2>stderr
	grep "is mounted at '$M'" stderr
	# not at a place where it is only looked at, be that mounted before or after
	mkdir "$W/look"
	"$DATAWALFS" "$S" "$W/look" -o ro
	status 1 "$DATAWAL" compact "$S/../store" 2>stderr
	grep "echo compact > '$M/.datawal/control'" stderr
	unmount_store
	mount_store
	status 1 "$DATAWAL" compact "$S/../store" 2>stderr
	grep "echo compact > '$M/.datawal/control'" stderr
	umount "$W/look"
	"$DATAWAL" compact "$S" "$W/to"
	unmount_store
	"$DATAWAL" put "$S" --key a two
}

# A bar on a terminal only, and never with --quiet.
test_progress()
{
	command -v script || skip "no script(1)"
	script -qec true /dev/null >/dev/null 2>&1 || skip "no pseudo-terminals here"
	head -c 60000000 /dev/urandom > value
	for i in 1 2 3; do "$DATAWAL" put "$S" --key "$i" --file value; done
	"$DATAWAL" export "$S" out.jsonl 2>stderr
	[ ! -s stderr ]
	script -qec "$DATAWAL --quiet import q out.jsonl" /dev/null < /dev/null > quiet
	! grep -q '\[' quiet
	script -qec "$DATAWAL import l out.jsonl; $DATAWAL import l out.jsonl" /dev/null < /dev/null > loud ||
		{ cat loud; exit 1; }
	# however fast this machine is, nothing but a bar is there
	tr '\r' '\n' < loud | sed 's/^import \[[#.]*\] .* left .*//; s/^\(\x1b\[K\)*datawal: import: done: .*//' > rest
	! grep '[a-z]' rest
}

run_cli_tests()
{
	local failed=0 name
	export -f expect_no_store status same expected field digest names damage edge_keys verdict_status \
		read_golden repair_case rebuild has_part interrupted
	for name in ${1:-$(declare -F | awk '$3 ~ /^test_/ { print $3 }')}; do
		run_one "$name" || failed=1
	done
	return $failed
}

run_cli_tests "$@"
