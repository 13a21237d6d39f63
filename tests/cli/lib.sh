# SPDX-License-Identifier: MIT OR Apache-2.0
#
# lib.sh - what the tests of the command line share.  Sourced; then the script defines functions
# named test_* and calls run_tests, see tests/support/shell.sh.
#
# DATAWAL names the binary, DATAWALFS the daemon for the tests of a mounted store; no other
# test needs a mount.  Each test has a fresh directory $W with an empty one, $S, inside.
. "$(dirname "${BASH_SOURCE[0]}")/../mount/lib.sh"
SKIP_ALL=
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
