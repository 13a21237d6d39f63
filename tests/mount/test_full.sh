#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_full.sh [TEST] - a disk, or a quota, that is full to the last block: when everything is
# deleted a compaction frees it, in the mount, after a remount, and without one.
. "$(dirname "$0")/lib.sh"
DATAWAL=$(readlink -f "${DATAWAL:-build/release/datawal}")
export DATAWAL

# disk KIND: mount "$W/disk", of which a store may have some 60 MB
disk()
{
	local kind=$1 image=$W/image
	mkdir "$W/disk"
	S=$W/disk/store
	case $kind in
	tmpfs) mount -t tmpfs -o size=60m tmpfs "$W/disk" || skip "no right to mount a tmpfs" ;;
	ext4)
		truncate -s 60M "$image"
		mkfs.ext4 -q -m 0 "$image" || skip "no mkfs.ext4"
		mount -o loop "$image" "$W/disk" || skip "no right to mount ext4"
		;;
	xfs) # the smallest there is, most of it taken
		truncate -s 330M "$image"
		mkfs.xfs -q "$image" || skip "no mkfs.xfs"
		mount -o loop "$image" "$W/disk" || skip "no right to mount XFS"
		fallocate -l 200M "$W/disk/taken"
		;;
	quota)
		truncate -s 400M "$image"
		mkfs.btrfs -q "$image" || skip "no mkfs.btrfs"
		mount -o loop "$image" "$W/disk" || skip "no right to mount btrfs"
		btrfs subvolume create "$W/disk/limited"
		btrfs quota enable "$W/disk" || skip "no quotas"
		btrfs qgroup limit 60M "$W/disk/limited"
		S=$W/disk/limited/store
		;;
	esac
	mkdir "$S"
}

# Files until not even a small one finds room.
fill()
{
	local size i=0
	for size in 300000 30000 3000 300; do
		while head -c $size /dev/urandom > "$M/$size.$i" 2> /dev/null; do
			i=$((i + 1))
		done
	done
	[ $i -gt 50 ]
}

sizes() { find "$S" -name '*.dwal' -printf '%s\n' | awk '{ sum += $1 } END { print sum + 0 }'; }

# deleted KIND SEGMENT_SIZE: the first compaction frees, whichever process runs it
deleted()
{
	local way
	disk "$1"
	for way in online remounted offline; do
		mount_store -o "segment_size=$2,compact=off"
		fill
		sync "$M"
		rm -f "$M"/*
		sync "$M"
		[ "$(sizes)" -gt 1000000 ]
		case $way in
		online) command_file compact ;;
		remounted) remount_store -o "segment_size=$2,compact=off" && command_file compact ;;
		offline) unmount_store && "$DATAWAL" compact "$S" && mount_store ;;
		esac
		[ "$(sizes)" -lt 1000 ]
		head -c 300000 /dev/urandom > "$M/again"
		rm "$M/again"
		unmount_store
	done
	unmount_disk
}

test_full_ext4() { deleted ext4 8M; }
test_full_ext4_one_segment() { deleted ext4 256M; }
test_full_xfs() { deleted xfs 8M; }
test_full_xfs_one_segment() { deleted xfs 256M; }
test_full_tmpfs() { deleted tmpfs 8M; }
test_full_quota() { deleted quota 8M; }
test_full_quota_one_segment() { deleted quota 256M; }

# With something alive in all that could be freed: how much room is needed, and where else to go.
test_full_alive()
{
	disk ext4
	mount_store -o segment_size=256M
	fill
	rm "$M"/300.* # what is left does not fit a second time
	fails command_file compact
	grep 'compact: failed: .*: nothing could be freed: make [0-9]* bytes of room, or .*datawal compact STORE TARGET' "$M/.datawal/control"
	unmount_store
	fails "$DATAWAL" compact "$S"
	grep "nothing freed: make [0-9.]* .*B of room, or .*'datawal compact $S TARGET'" "$W/stderr"
	"$DATAWAL" compact "$S" "$W/target"
	"$DATAWAL" verify "$W/target"
	unmount_disk
}

# With something dead that no room can be made for, and something for which none is needed.
test_full_partly()
{
	disk ext4
	mount_store -o segment_size=1M,compact=off
	head -c 900000 /dev/urandom | tee "$M/dead.1" "$M/dead.2" > "$M/dead.3"
	remount_store -o segment_size=256M,compact=off
	fill
	rm "$M"/dead.* "$M"/300.*
	command_file compact
	grep -E 'compact: done: .*; the disk is full: with [0-9]+ bytes of room another one frees more' "$M/.datawal/control"
	unmount_store
	fails "$DATAWAL" compact "$S"
	grep "nothing freed: make [0-9.]* .*B of room" "$W/stderr"
	unmount_disk
}

export -f disk fill sizes deleted

run_tests "$@"
