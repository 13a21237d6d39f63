# SPDX-License-Identifier: MIT OR Apache-2.0
#
# lib.sh - what mount tests share.  Sourced; then the script defines functions named
# test_* and calls run_tests.
#
# Each test runs in a shell of its own with `set -e`, in a fresh directory with an empty
# store "$S" and a mount point "$M", under a time limit; whatever happens, what it
# mounted is unmounted and the directory removed.  DATAWALFS names the binary.

set -u
DATAWALFS=$(readlink -f "${DATAWALFS:-build/release/datawalfs}")
TOP=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../..")
. "$TOP/tests/support/limit.sh"
LIMIT=${LIMIT:-$(scaled 240)}

# leaks: nodes that only the kernel still counted on when a session ended by a signal
export LSAN_OPTIONS="suppressions=$TOP/tests/mount/lsan.supp:print_suppressions=0"

# mount_store [OPTIONS...]: mount "$S" at "$M"
mount_store()
{
	"$DATAWALFS" "$S" "$M" "$@"
}

# pid of the daemon that serves "$S"
daemon_pid()
{
	cat "$S/.lock"
}

# Wait until no process holds the store's lock.
wait_released()
{
	flock -w "$(scaled 60)" "$S/.lock" true
}

unmount_store()
{
	umount "$M" 2>/dev/null || fusermount3 -u "$M"
	wait_released
}

# is_mounted PLACE: without a look at the place itself, which would keep it in use for as long
is_mounted()
{
	grep -q " $1 " /proc/self/mounts
}

# unmount_disk: "$W/disk", where "$S" is.  For after unmount_store: the lock is free by then, but
# the daemon may live for a moment, or the kernel be about to let go of what it had open.  Nothing
# is to be waited for after --unmount, nor after the end of a daemon in the foreground.
unmount_disk()
{
	wait_until umount "$W/disk"
}

remount_store()
{
	unmount_store
	mount_store "$@"
}

command_file()
{
	echo "$1" > "$M/.datawal/control"
}

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
	[ ! -e "$S/.lock" ] || flock -w "$(scaled 30)" "$S/.lock" true
	rm -rf "$W"
}

# In the shell of a test: note the command that ends it.
on_error()
{
	{ local command=$BASH_COMMAND && set +x; } 2> /dev/null
	echo "failed, in ${FUNCNAME[1]}: $command" >> "$W/failed"
}

# The end first: whoever shows this may cut it after some lines.
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
	S=$W/store M=$W/mnt
	mkdir "$S" "$M"
	export -f scaled mount_store daemon_pid wait_released unmount_store remount_store command_file \
		wait_until fails skip is_mounted unmount_disk on_error "$name"
	export DATAWALFS TOP W S M
	timeout -k 10 "$LIMIT" bash -Eexc "cd \"$W\"; set -o pipefail; trap on_error ERR; $name" \
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

run_tests()
{
	local failed=0 name
	if [ ! -c /dev/fuse ] || ! command -v fusermount3 >/dev/null; then
		for name in $(declare -F | awk '$3 ~ /^test_/ { print $3 }'); do
			echo "skip $name: no /dev/fuse or no fusermount3"
		done
		return 0
	fi
	for name in ${1:-$(declare -F | awk '$3 ~ /^test_/ { print $3 }')}; do
		run_one "$name" || failed=1
	done
	return $failed
}
