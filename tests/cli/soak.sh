# SPDX-License-Identifier: MIT OR Apache-2.0
#
# soak.sh - what the tests of datawal-soak share.  Sourced; then the script defines functions
# named test_* and calls run_tests, see tests/support/shell.sh.
#
# DATAWAL_SOAK and DATAWALFS name the binaries.  Each test runs at the top of the sources, with a
# fresh directory "$W" for the logs and the work directory.
. "$(dirname "${BASH_SOURCE[0]}")/../support/shell.sh"
WHERE=$TOP
DATAWAL_SOAK=$(readlink -f "${DATAWAL_SOAK:-build/release/datawal-soak}")
DATAWALFS=$(readlink -f "${DATAWALFS:-build/release/datawalfs}")
LIBRARY=$(dirname "$DATAWAL_SOAK")/libdatawal.a
export DATAWAL_SOAK DATAWALFS LIBRARY
# the tests are about these
unset "${!DATAWAL_SOAK_@}"

prepare_test()
{
	export DATAWAL_SOAK_LOG_DIR=$W DATAWAL_SOAK_WORK_DIR=$W/work
}

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

# says PATTERN: on stderr
says()
{
	grep -qE -- "$1" "$W/err" && return
	echo "not said: $1" >&2
	cat "$W/err" >&2
	return 1
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
