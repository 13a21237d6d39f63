#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_datawal_use.sh [TEST] - the command line as people meet it: wrong arguments, no store, a
# locked or mounted one, a full disk, a terminal, Ctrl-C.
. "$(dirname "$0")/lib.sh"

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
	same "report repair" complete_at rep
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

run_tests "$@"
