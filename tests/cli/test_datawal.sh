#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_datawal.sh [TEST] - the command line: reading and writing, as text and as JSON, against
# stores with a known outcome.
. "$(dirname "$0")/lib.sh"

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

# A store whose index is on disk, in $S: 20,000 keys.
with_index()
{
	seq -f key%06.0f 20000 | tr -d '\n' | base64 -w12 |
		sed 's/.*/{"op":"put","key_b64":"&","value_b64":"dg=="}/' > ops
	echo >> ops
	"$DATAWAL" -q apply "$S" ops
	[ -e "$S/index" ]
}

# In each page of what is on disk of the index but those that opening reads.
damage_index()
{
	perl -e 'for (@ARGV) {
		open my $f, "+<", $_ or die;
		for (my $at = 4196; $at + 8192 < -s $f; $at += 4096) { seek $f, $at, 0; print $f "\377\376" }
	}' "$S"/*.run
}

# What the index has on disk is checked as well, though the log is sound.
test_verify_index()
{
	with_index
	status 0 "$DATAWAL" verify "$S" > out
	grep -x 'index_damaged: *0' out
	damage_index
	status 3 "$DATAWAL" verify "$S" > out 2> stderr
	grep -x 'damaged: *0' out
	grep -x 'index_damaged: *1' out
	grep "'[0-9]*\.run', a part of the index, is damaged at offset 4096; .*made anew" stderr
	status 3 "$DATAWAL" --json verify "$S" > out 2> stderr
	grep '"kind":"damage".*"offset":4096,"reason":"index".*"file":"[0-9]*\.run"' out
	[ "$(tail -1 out | field index_damaged)" = 1 ]
	# so that it cannot even be opened, or is gone
	damage "$S"/*.run 0 XXXX
	status 3 "$DATAWAL" verify "$S"
	rm "$S"/*.run
	status 3 "$DATAWAL" verify "$S"
	"$DATAWAL" put "$S" --key k v
	"$DATAWAL" verify "$S"
}

# What reads a store gets round an index that is damaged, wherever it meets that.
test_damaged_index()
{
	with_index
	"$DATAWAL" -q export "$S" before
	"$DATAWAL" ls "$S" > before.ls
	damage_index
	same v "$DATAWAL" get "$S" --key key012345
	"$DATAWAL" ls "$S" > after.ls 2> stderr
	cmp before.ls after.ls
	grep 'a part of the index, is damaged' stderr
	"$DATAWAL" -q export "$S" after
	cmp before after
	"$DATAWAL" check "$S" | grep -x 'keys_checked: *20000'
	"$DATAWAL" stats "$S" | grep -x 'keys *20000'
	"$DATAWAL" -q compact "$S" copy
	"$DATAWAL" verify copy
	status 3 "$DATAWAL" verify "$S" # a reader changes nothing
	"$DATAWAL" put "$S" --key k v
	"$DATAWAL" verify "$S"
}

# The same in an index that is too large to be read when a store is opened.
test_damaged_index_met()
{
	"$DATAWAL" put "$S" --key known v
	head -c 36000000 /dev/urandom | base64 -w400 |
		sed 's/.*/{"op":"put","key_b64":"&","value_b64":"dg=="}/' > ops
	"$DATAWAL" -q apply "$S" ops
	[ "$(cat "$S"/*.run | wc -c)" -gt 34000000 ]
	damage_index
	same v "$DATAWAL" get "$S" --key known 2> stderr
	grep 'reading the index' stderr
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
	same "{$v,\"kind\":\"verify\",\"frames_checked\":2,\"crc_failures\":0,\"tail_truncated\":0,\"tail_bytes_discarded\":0,\"last_segment\":1,\"last_offset\":30,\"damaged\":0,\"index_damaged\":0}" \
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

run_tests "$@"
