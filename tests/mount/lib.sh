# SPDX-License-Identifier: MIT OR Apache-2.0
#
# lib.sh - what mount tests share.  Sourced; then the script defines functions named
# test_* and calls run_tests, see tests/support/shell.sh.
#
# Each test has an empty store "$S" and a mount point "$M".  DATAWALFS names the binary.
. "$(dirname "${BASH_SOURCE[0]}")/../support/shell.sh"
DATAWALFS=$(readlink -f "${DATAWALFS:-build/release/datawalfs}")
export DATAWALFS
[ -c /dev/fuse ] && command -v fusermount3 > /dev/null || SKIP_ALL="no /dev/fuse or no fusermount3"

prepare_test()
{
	S=$W/store M=$W/mnt
	export S M
	mkdir "$S" "$M"
}

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

# A store on an XFS of its own at "$W/disk", for cut_power.
make_disk()
{
	local tool
	[ "$(id -u)" = 0 ] || skip "not root"
	for tool in mkfs.xfs xfs_io; do
		command -v $tool > /dev/null || skip "no $tool"
	done
	truncate -s 320M "$W/image"
	mkfs.xfs -q "$W/image"
	mkdir "$W/disk"
	mount -o loop "$W/image" "$W/disk" || skip "no loop device or no XFS"
	S=$W/disk/store
	mkdir "$S"
	sync -f "$W/disk"
}

# cut_power [OPTION...]: cut the power, and mount what is left.
cut_power()
{
	xfs_io -x -c shutdown "$W/disk"
	umount "$M" || umount -l "$M"
	unmount_disk
	mount -o loop "$W/image" "$W/disk"
	mount_store "$@"
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

# look_up_forever N DIR: N processes that look up names that are not there, one after the other,
# each of which holds the directory's lock in the kernel until it is answered.  They end when
# nobody answers any more.
look_up_forever()
{
	local i
	for i in $(seq "$1"); do
		perl -MErrno=ENOENT -e 'chdir shift or die; my $n = 0;
			while (1) { stat "no$$." . $n++; last if $! != ENOENT }' "$2" &
		wait_until [ "/proc/$!/cwd" -ef "$2" ]
	done
}

# expect_end_by_a_signal PID: SIGTERM ends the daemon PID, a child, while others use its mount
expect_end_by_a_signal()
{
	kill -TERM "$1"
	timeout "$(scaled 20)" tail --pid="$1" -f /dev/null || {
		# they let go of what it waits for
		kill -KILL $(jobs -p)
		return 1
	}
	wait
}
