#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_files.sh - files and directories through the kernel, and what is left after.
. "$(dirname "$0")/lib.sh"

test_mount_read_write()
{
	mount_store
	mountpoint -q "$M"
	echo hello > "$M/a"
	[ "$(cat "$M/a")" = hello ]
	echo more >> "$M/a"
	[ "$(wc -l < "$M/a")" = 2 ]
	mkdir -p "$M/d/e"
	printf x | dd of="$M/a" bs=1 seek=2 conv=notrunc status=none
	[ "$(head -1 "$M/a")" = hexlo ]
	truncate -s 3 "$M/a"
	[ "$(cat "$M/a")" = hex ]
	truncate -s 10 "$M/a"
	[ "$(stat -c %s "$M/a")" = 10 ]
	cmp <(printf 'hex\0\0\0\0\0\0\0') "$M/a"
	remount_store
	cmp <(printf 'hex\0\0\0\0\0\0\0') "$M/a"
	[ -d "$M/d/e" ]
	rm -r "$M/a" "$M/d"
	[ -z "$(ls -A "$M")" ]
	unmount_store
}

test_mount_stat()
{
	mount_store -o umask=027
	head -c 1000 /dev/zero > "$M/f"
	mkdir "$M/d"
	[ "$(stat -c '%s %b %a %F' "$M/f")" = "1000 2 640 regular file" ]
	[ "$(stat -c %a "$M/d")" = 750 ]
	chmod 600 "$M/f"
	[ "$(stat -c %a "$M/f")" = 600 ]
	touch -d '2001-02-03 04:05:06 UTC' "$M/f"
	[ "$(stat -c %Y "$M/f")" = 981173106 ]
	echo more >> "$M/f"
	[ "$(stat -c %Y "$M/f")" != 981173106 ]
	local ino
	ino=$(stat -c %i "$M/f")
	remount_store
	[ "$(stat -c %i "$M/f")" = "$ino" ]
	[ "$(stat -f -c %S "$M")" = "$(stat -f -c %S "$S")" ]
	[ "$(stat -f -c %b "$M")" = "$(stat -f -c %b "$S")" ]
	unmount_store
}

test_mount_open_unlinked()
{
	mount_store
	head -c 300000 /dev/urandom > "$W/big"
	cp "$W/big" "$M/f"
	exec 3< "$M/f" 4<> "$M/g"
	echo written >&4
	rm "$M/f" "$M/g"
	command_file compact
	cmp "$W/big" /proc/self/fd/3
	[ "$(cat /proc/self/fd/4)" = written ]
	[ ! -e "$M/f" ]
	exec 3<&- 4<&-
	unmount_store
}

test_mount_rename()
{
	mount_store
	echo 1 > "$M/a"
	echo 2 > "$M/b"
	mv "$M/a" "$M/b"
	[ "$(cat "$M/b")" = 1 ]
	[ ! -e "$M/a" ]
	echo 3 > "$M/a"
	mv -n "$M/a" "$M/b"
	[ "$(cat "$M/b")" = 1 ]
	mkdir -p "$M/d/x/y"
	echo deep > "$M/d/x/y/f"
	mv "$M/d" "$M/e"
	[ "$(cat "$M/e/x/y/f")" = deep ]
	mv "$M/e/x/y/f" "$M/f"
	[ -d "$M/e/x/y" ]
	remount_store
	[ "$(cat "$M/f")" = deep ]
	[ -d "$M/e/x/y" ]
	[ ! -e "$M/d" ]
	unmount_store
}


test_mount_large_values()
{
	mount_store
	head -c 67108864 /dev/urandom > "$W/max"
	cp "$W/max" "$M/max"
	cmp "$W/max" "$M/max"
	fails dd if=/dev/zero of="$M/max" bs=1 count=1 seek=67108864 conv=notrunc
	grep -q 'too large' "$W/stderr"
	fails truncate -s 67108865 "$M/max"
	remount_store
	cmp "$W/max" "$M/max"
	dd if="$M/max" bs=4096 skip=16000 count=1 status=none | cmp -n 4096 - <(tail -c +65536001 "$W/max" | head -c 4096)
	unmount_store
}

test_mount_many_files()
{
	mount_store
	mkdir "$M/d"
	(cd "$M/d" && seq 1 100000 | xargs touch)
	[ "$(ls -f "$M/d" | wc -l)" = 100002 ]
	# two listings at once, while entries come and go
	ls -f "$M/d" > "$W/one" &
	ls -f "$M/d" > "$W/two"
	wait
	cmp <(sort "$W/one") <(sort "$W/two")
	rm -r "$M/d"
	[ ! -e "$M/d" ]
	unmount_store
}

test_mount_listing_while_removing()
{
	mount_store
	mkdir "$M/d"
	(cd "$M/d" && seq 1 3000 | xargs touch)
	(cd "$M/d" && seq 1 2 3000 | xargs rm) &
	ls -f "$M/d" > "$W/names"
	wait
	# what stayed is listed exactly once, whatever went
	[ "$(grep -c '^[0-9]*[02468]$' "$W/names")" = 1500 ]
	[ "$(sort "$W/names" | uniq -d | wc -l)" = 0 ]
	unmount_store
}

test_mount_odd_names()
{
	mount_store
	local name
	for name in ' ' '%' '100%' 'foo%20bar' '%00' '%2500' '%~' '%~.' '%~%~' 'a%=' $'new\nline' $'\377\376' '...' '-rf' "$(printf 'x%.0s' $(seq 255))"; do
		printf '%s' "$name" > "$M/$name"
	done
	remount_store
	for name in ' ' '%' '100%' 'foo%20bar' '%00' '%2500' '%~' '%~.' '%~%~' 'a%=' $'new\nline' $'\377\376' '...' '-rf' "$(printf 'x%.0s' $(seq 255))"; do
		[ "$(cat "$M/$name")" = "$name" ]
	done
	[ "$(find "$M" -mindepth 1 -maxdepth 1 -print0 | tr -dc '\0' | wc -c)" = 15 ]
	find "$M" -mindepth 1 -delete
	[ -z "$(ls -A "$M")" ]
	unmount_store
}

test_mount_flat()
{
	mount_store
	mkdir "$M/a"
	echo 1 > "$M/a/b"
	remount_store -o flat
	[ "$(cat "$M/a%2Fb")" = 1 ]
	[ -e "$M/a%2F" ]
	fails mkdir "$M/d"
	echo 2 > "$M/c%2Fd"
	remount_store
	[ "$(cat "$M/c/d")" = 2 ]
	unmount_store
}

test_mount_full_disk()
{
	mkdir "$W/disk"
	mount -t tmpfs -o size=4m tmpfs "$W/disk" 2>/dev/null || skip "no right to mount a tmpfs"
	S=$W/disk/store
	mkdir "$S"
	mount_store
	echo small > "$M/small"
	head -c 8000000 /dev/urandom > "$W/big"
	fails cp "$W/big" "$M/big"
	grep -q 'No space' "$W/stderr"
	[ "$(cat "$M/small")" = small ]
	rm "$M/big"
	echo again > "$M/again"
	remount_store
	[ "$(cat "$M/again")" = again ]
	[ ! -e "$M/big" ]
	unmount_store
	umount "$W/disk"
}

run_tests "$@"
