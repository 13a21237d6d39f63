#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_powercut.sh - a power cut on a real file system: powercut.c writes a store on a loop
# device, the file system is shut down in the middle (its log flushed, or not) and
# mounted again, and what is left is held against what had been acknowledged.  First a
# writer that does not sync must be found out.
#
# ROUNDS: of each file system (default 15).  CHECK_SEED: the moments.  MOUNT_OPTIONS: further ones,
# e.g. data=writeback.  DATAWAL names the binary; powercut is looked for beside.
set -u
TOP=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../..")
cd "$TOP" || exit
DATAWAL=$(readlink -f "${DATAWAL:-build/release/datawal}")
POWERCUT=$(dirname "$DATAWAL")/tests/crash/powercut
ROUNDS=${ROUNDS:-15}
SEED=${CHECK_SEED:-$(date +%s%N)}
LIMIT=120 # of a writer, which a shutdown ends at once
writer=
W=

end_writer()
{
	[ -z "$writer" ] || kill "$writer" 2>/dev/null
	writer=
}

clean_up()
{
	end_writer
	# with the mount goes its loop device
	[ -z "$W" ] || ! mountpoint -q "$W/mnt" || umount "$W/mnt" || umount -l "$W/mnt"
	rm -rf "$W"
	W=
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

mount_image()
{
	mount -o "loop${MOUNT_OPTIONS:+,$MOUNT_OPTIONS}" "$W/image" "$W/mnt"
}

# Why this file system cannot be tested here; nothing if it can.
missing()
{
	local fs=$1 tool
	[ "$(id -u)" = 0 ] || { echo "not root"; return; }
	for tool in "mkfs.$fs" xfs_io mount umount mountpoint; do
		command -v "$tool" >/dev/null || { echo "no $tool"; return; }
	done
	truncate -s 320M "$W/image"
	if ! "mkfs.$fs" -q "$W/image" > "$W/log" 2>&1; then
		echo "mkfs.$fs failed"
	elif ! mount_image > "$W/log" 2>&1; then
		echo "no loop device or no $fs"
	elif ! xfs_io -x -c 'shutdown -f' "$W/mnt" > "$W/log" 2>&1 ||
		touch "$W/mnt/still-alive" 2>/dev/null; then
		echo "$fs cannot be shut down"
	elif ! umount "$W/mnt" || ! mount_image; then
		echo "$fs does not come back"
	fi
}

# Keep what a failed round left, and say what was found.
failed()
{
	local fs=$1 what=$2 kept
	kept=build/powercut-$fs-$SEED
	end_writer
	sleep 0.1
	! mountpoint -q "$W/mnt" || umount "$W/mnt"
	mkdir -p "$kept"
	cp --sparse=always "$W/image" "$W"/journal* "$W"/log* "$kept"
	echo "  $what (CHECK_SEED=$SEED); image and journal are in $kept"
	sed 's/^/  /' "$W/log" | tail -12
	return 1
}

# One power cut; "$W/log" gets a line of what was found.
cut_power()
{
	local how=$1 flush=$2 moment=$3 seed=$4 S=$W/mnt/store rc

	timeout -k 5 "$LIMIT" "$POWERCUT" "$how" "$S" "$W/journal" "$seed" > "$W/log.writer" 2>&1 &
	writer=$!
	sleep "$moment"
	# shellcheck disable=SC2086 # no flag or one
	xfs_io -x -c "shutdown $flush" "$W/mnt" || return
	wait "$writer"
	rc=$?
	writer=
	if [ $rc != 0 ] || [ -s "$W/log.writer" ]; then
		cp "$W/log.writer" "$W/log"
		return 1
	fi
	umount "$W/mnt" && mount_image || return
	# first those who only read
	local replayed=0 verified=0
	if [ -d "$S" ]; then
		perl tests/golden/replay.pl "$S" > "$W/view.replayed" 2> "$W/log.replay" || replayed=$?
		"$DATAWAL" -q verify "$S" > "$W/log.verify" 2>&1 || verified=$?
	fi
	"$POWERCUT" check "$S" "$W/journal" "$W/view" "$W/journal.next" > "$W/log" 2>&1 || return
	# 0: clean, 2: a torn tail, 3: refused
	case $(cut -d: -f1 "$W/log") in
	clean) rc=0 ;;
	torn) rc=2 ;;
	*) rc=3 ;;
	esac
	if [ "$verified" != $rc ] || [ "$replayed" != $((rc == 3)) ]; then
		echo "datawal verify says $verified, replay.pl $replayed" >> "$W/log"
		cat "$W/log.verify" "$W/log.replay" >> "$W/log"
		return 1
	fi
	if [ -d "$S" ] && [ $rc != 3 ] && ! cmp "$W/view" "$W/view.replayed" >> "$W/log"; then
		return 1
	fi
	mv "$W/journal.next" "$W/journal"
}

# A writer that only says that it synced.
catches_liar()
{
	local round

	for round in 1 2 3 4 5 6; do
		: > "$W/journal"
		if ! cut_power lie "" 0.3 "$((SEED + round))"; then
			grep -q '^lost: ' "$W/log" || return
			echo "  $1: found out: $(head -1 "$W/log")"
			rm -rf "$W/mnt/store"
			: > "$W/journal"
			return
		fi
		rm -rf "$W/mnt/store"
	done
	echo "a writer that does not sync was not found out" > "$W/log"
	return 1
}

# powercut FS
powercut()
{
	local fs=$1 why round flush moment
	RANDOM=$((SEED % 32749))
	W=$(mktemp -d "${TMPDIR:-/tmp}/datawal-powercut-XXXXXX")
	mkdir "$W/mnt"
	why=$(missing "$fs")
	if [ -n "$why" ]; then
		echo "skip powercut_$fs: $why"
		clean_up
		return
	fi
	if ! catches_liar "$fs"; then
		echo "not ok powercut_$fs"
		failed "$fs" "before the first round"
		clean_up
		return 1
	fi
	for ((round = 0; round < ROUNDS; round++)); do
		if [ $((RANDOM % 4)) = 0 ]; then
			rm -rf "$W/mnt/store"
			: > "$W/journal"
		fi
		flush=
		[ $((RANDOM % 2)) = 0 ] || flush=-f
		moment=$(printf '%d.%03d' $((RANDOM % 8 == 0)) $((20 + RANDOM % 700)))
		if ! cut_power write "$flush" "$moment" $((SEED + round)); then
			echo "not ok powercut_$fs"
			failed "$fs" "round $round, shutdown $flush after $moment s"
			clean_up
			return 1
		fi
		echo "  $fs $round: shutdown ${flush:-   } after $moment s: $(cat "$W/log")"
		cut -d: -f1 "$W/log" >> "$W/states"
	done
	echo "  $fs: $(sort "$W/states" | uniq -c | tr -s ' \n' ' ')"
	echo "ok powercut_$fs"
	clean_up
}

echo "  seed: CHECK_SEED=$SEED"
bad=0
for fs in ${1:-xfs ext4}; do
	powercut "$fs" || bad=1
done
exit $bad
