# SPDX-License-Identifier: MIT OR Apache-2.0
#
# shell.sh - what tests in shell share.  Sourced; then the script defines functions named
# test_* and calls run_tests.
#
# Each test runs in a shell of its own with `set -e`, in a fresh directory "$W" or in "$WHERE", under
# a time limit; whatever happens, what it mounted below "$W" is unmounted and "$W" removed.
#
# LIMIT: seconds for a test.  SKIP_ALL: why none of the tests can run; empty.
# prepare_test: a function that is called before each test, if there is one.

set -u
TOP=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../..")
. "$TOP/tests/support/limit.sh"
LIMIT=${LIMIT:-$(scaled 240)}
SKIP_ALL=

# leaks: nodes that only the kernel still counted on when a session ended by a signal
export LSAN_OPTIONS="suppressions=$TOP/tests/mount/lsan.supp:print_suppressions=0"

# wait_until COMMAND...: until it succeeds; half a minute at most, or more under load
wait_until()
{
	{ local n - && set +x; } 2> /dev/null # its rounds would hide what led to them
	for n in $(seq "$(scaled 1500)"); do
		! "$@" >/dev/null 2>&1 || return 0
		read -rt 0.02 <> <(:) || true
	done
	echo "never came true: $*" >&2
	return 1
}

# fails COMMAND...: must fail
fails()
{
	if "$@" 2>"$W/stderr"; then
		echo "should have failed: $*" >&2
		return 1
	fi
}

skip()
{
	echo "$*" > "$W/skip"
	exit 0
}

clean_up()
{
	local m
	for m in $(awk -v w="$W/" 'index($2, w) == 1 { print $2 }' /proc/mounts | tac); do
		umount -l "$m" 2>/dev/null || fusermount3 -uz "$m" 2>/dev/null
	done
	[ ! -e "$W/store/.lock" ] || flock -w "$(scaled 30)" "$W/store/.lock" true
	rm -rf "$W"
}

# In the shell of a test: note the command that ends it.
on_error()
{
	{ local command=$BASH_COMMAND && set +x; } 2> /dev/null
	echo "failed, in ${FUNCNAME[1]}: $command" >> "$W/failed"
}

# The end first: a program that shows this may cut it after some lines.
tell_failure()
{
	{
		tail -n 2 "$W/failed" 2> /dev/null
		grep -v '^++* on_error$' "$W/log" |
			awk '{ line[NR] = $0 }
			     END {
				from = NR > 12 ? NR - 11 : 1
				for (i = from; i <= NR; i++) print line[i]
				if (from > 1) print "--- before that:"
				for (i = from > 28 ? from - 28 : 1; i < from; i++) print line[i]
			     }'
	} | sed 's/^/  /'
}

run_one()
{
	local name=$1 rc=0
	W=$(mktemp -d "${TMPDIR:-/tmp}/datawalfs-test-XXXXXX")
	export TOP W
	[ "$(type -t prepare_test)" != function ] || prepare_test
	timeout -k 10 "$LIMIT" bash -Eexc "cd \"${WHERE:-$W}\"; set -o pipefail; trap on_error ERR; $name" \
		> "$W/log" 2>&1 || rc=$?
	if [ $rc != 0 ]; then
		echo "not ok $name"
		[ $rc != 124 ] || echo "  took longer than $LIMIT s"
		tell_failure
	elif [ -e "$W/skip" ]; then
		echo "skip $name: $(cat "$W/skip")"
	else
		echo "ok $name"
	fi
	clean_up
	return $rc
}

# run_tests [NAME]: all tests of the script, or one
run_tests()
{
	local failed=0 name
	# shellcheck disable=SC2046 # a list of names
	export -f $(declare -F | awk '{ print $3 }')
	for name in ${1:-$(declare -F | awk '$3 ~ /^test_/ { print $3 }')}; do
		if [ -n "$SKIP_ALL" ]; then
			echo "skip $name: $SKIP_ALL"
		else
			run_one "$name" || failed=1
		fi
	done
	return $failed
}
