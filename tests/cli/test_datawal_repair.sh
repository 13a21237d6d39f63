#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_datawal_repair.sh [TEST] - the command line on damaged stores: what it tells, and what
# `repair` leaves.
. "$(dirname "$0")/lib.sh"

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

# On a network disk whose server has forgotten a segment that was read; wherever that is met.
test_segment_forgotten()
{
	command -v cc > /dev/null || skip "no C compiler"
	# grep reads on to the end, or nm would fail
	! nm -D "$DATAWAL" | grep -E '__(a|t)san_init' > /dev/null || skip "the sanitizers' library must come first"
	cat > forget.c <<- 'END'
		#define _GNU_SOURCE
		#include <dlfcn.h>
		#include <errno.h>
		#include <stdlib.h>
		#include <sys/uio.h>
		ssize_t preadv(int fd, const struct iovec *iov, int count, off_t offset)
		{
			static int calls;
			ssize_t (*next)(int, const struct iovec *, int, off_t) = dlsym(RTLD_NEXT, "preadv");
			if (++calls >= atoi(getenv("FORGET_AT"))) {
				errno = ESTALE;
				return -1;
			}
			return next(fd, iov, count, offset);
		}
	END
	cc -shared -fPIC -o forget.so forget.c
	local i words at told=0
	for i in 1 2 3; do
		head -c 5000000 /dev/urandom > value
		"$DATAWAL" put "$S" --key "$i" --file value
		"$DATAWAL" rotate "$S"
	done
	for words in dump verify "export -"; do
		set -- $words
		for at in $(seq 1 40); do
			FORGET_AT=$at LD_PRELOAD=$PWD/forget.so timeout 60 "$DATAWAL" "$1" "$S" "${@:2}" > out 2> stderr && break
			! grep -q 'a segment was removed while it was read.*; try again' stderr || told=$((told + 1))
			# opening starts over, until it gives up
			! grep -i 'stale' stderr || grep -q 'cannot open' stderr
		done
	done
	[ $told -ge 3 ]
}

run_tests "$@"
