#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_snapshot_lasts.sh - snapshots after the mount that made them: remounts, kills, other programs
# at their directory, power cuts.
. "$(dirname "$0")/snapshots.sh"

test_snapshot_lasts_over_a_remount()
{
	mount_store
	fill
	local s=$M/.datawal/snapshots
	mkdir "$s/one"
	describe "$s/one" > "$W/want"
	find "$s/one" -printf '%P %i\n' | sort > "$W/numbers"
	change_everything
	mkdir "$s/two"
	describe "$s/two" > "$W/two"
	command_file compact
	remount_store
	[ "$(ls "$s" | tr '\n' ' ')" = 'one two ' ]
	describe "$s/one" | cmp "$W/want" -
	describe "$s/two" | cmp "$W/two" -
	find "$s/one" -printf '%P %i\n' | sort | cmp "$W/numbers" -
	rmdir "$s/one"
	remount_store
	[ "$(ls "$s")" = two ]
	describe "$s/two" | cmp "$W/two" -
	unmount_store
}

# The daemon is killed while it makes and removes snapshots: each is there whole, or not at all, and
# what mkdir and rmdir said counts.
test_snapshot_killed()
{
	local i j maker s=$M/.datawal/snapshots
	some_made()
	{
		[ "$(wc -l < "$W/made")" -ge 3 ]
	}
	mount_store -o compact=off,segment_size=100000
	for i in $(seq 50); do
		head -c 5000 /dev/urandom > "$M/$i"
	done
	unmount_store
	for i in $(seq 6); do
		mount_store -o compact=off,segment_size=100000
		: > "$W/made"
		(
			for j in $(seq 1000); do
				echo "$j" > "$M/a" && echo "$j" > "$M/b" && chmod $((600 + j % 8)) "$M/b" || exit
				mkdir "$s/$i.$j" && echo "$j" >> "$W/made" || exit
				[ "$j" -le 2 ] || rmdir "$s/$i.$((j - 2))" || exit
			done
		) 2> /dev/null &
		maker=$!
		wait_until some_made
		perl -e 'select undef, undef, undef, rand() / 5'
		kill -9 "$(daemon_pid)"
		wait $maker || true
		umount -l "$M"
		wait_released
		mount_store -o compact=off,segment_size=100000
		j=$(tail -1 "$W/made")
		[ -e "$s/$i.$j" ]
		[ "$(ls "$s" | wc -l)" -le 4 ]
		for j in $(cd "$s" && echo "$i".*); do
			[ "$(ls "$s/$j" | wc -l)" = 52 ]
			[ "$(cat "$s/$j/a")" = "${j#*.}" ]
			[ "$(cat "$s/$j/b")" = "${j#*.}" ]
			[ "$(stat -c %a "$s/$j/b")" = $((600 + ${j#*.} % 8)) ]
			cat "$s/$j"/* > /dev/null
			rmdir "$s/$j"
		done
		[ -z "$(ls -A "$s")" ]
		unmount_store
		! ls -A "$S/.snapshots" | grep .
	done
}

# Removed, and made anew, by whoever may write the store's directory.
test_snapshot_removed_elsewhere()
{
	mount_store
	echo 1 > "$M/a"
	local s=$M/.datawal/snapshots
	mkdir "$s/s" "$s/t"
	exec 3< "$s/s/a"
	cat "$s/t/a"
	mv "$S/.snapshots/s" "$W/moved"
	gone()
	{
		! [ -e "$1" ]
	}
	wait_until gone "$s/s"
	[ "$(cat <&3)" = 1 ]
	exec 3<&-
	echo 2 > "$M/a"
	mkdir "$s/s"
	[ "$(cat "$s/s/a")" = 2 ]
	rm -r "$S/.snapshots/s"
	mv "$W/moved" "$S/.snapshots/s"
	is_one()
	{
		[ "$(cat "$1")" = 1 ]
	}
	wait_until is_one "$s/s/a"
	unmount_store
}

# A snapshot, or a copy of it, is a store; its directory mounts read only.
test_snapshot_mounts_by_itself()
{
	mount_store
	fill
	local s=$M/.datawal/snapshots/s
	mkdir "$s"
	describe "$s" > "$W/want"
	change_everything
	mkdir "$W/look"
	"$DATAWALFS" "$S/.snapshots/s" "$W/look"
	describe "$W/look" | cmp "$W/want" -
	fails touch "$W/look/new"
	grep -q 'Read-only file system' "$W/stderr"
	grep -qx 'mode ro' "$W/look/.datawal/status"
	umount "$W/look"
	cp -a "$S/.snapshots/s" "$W/copy"
	wait_until "$DATAWALFS" -o ro "$W/copy" "$W/look"
	describe "$W/look" | cmp "$W/want" -
	umount "$W/look"
	unmount_store
	"$(dirname "$DATAWALFS")/datawal" verify "$S/.snapshots/s"
}

# A store on a file system of its own, whose power is cut right after mkdir said yes.
test_snapshot_powercut()
{
	local i s=$M/.datawal/snapshots
	make_disk
	for i in $(seq 4); do
		mount_store -o umask=022
		(umask 077 && echo "$i" > "$M/secret")
		head -c 300000 /dev/urandom > "$M/large$i"
		mkdir "$s/s$i"
		sha256sum < "$M/large$i" > "$W/sum$i"
		echo later > "$M/secret"
		[ "$i" != 3 ] || rmdir "$s/s1"
		cut_power -o umask=022
		[ "$(cat "$s/s$i/secret")" = "$i" ]
		[ "$(stat -c %a "$s/s$i/secret")" = 600 ]
		sha256sum < "$s/s$i/large$i" | cmp "$W/sum$i" -
		[ "$i" -lt 3 ] || [ ! -e "$s/s1" ]
		unmount_store
	done
	unmount_disk
}

run_tests "$@"
