#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_life.sh - mounting, unmounting, dying; options and messages.
. "$(dirname "$0")/lib.sh"
DATAWAL=$(readlink -f "${DATAWAL:-build/release/datawal}")
export DATAWAL

test_life_help_and_version()
{
	"$DATAWALFS" --help | grep -q '^usage: datawalfs STORE MOUNTPOINT'
	"$DATAWALFS" --version | grep -q '^datawalfs [0-9]'
	fails "$DATAWALFS"
	fails "$DATAWALFS" "$S"
	fails "$DATAWALFS" "$S" "$M" -o nonsense_option
}

test_life_errors_reach_the_terminal()
{
	fails "$DATAWALFS" "$W/missing" "$M"
	grep -q "missing" "$W/stderr"
	fails "$DATAWALFS" "$S" "$W/nowhere"
	grep -q "nowhere" "$W/stderr"
	fails mount_store -o segment_size=banana
	grep -q "banana" "$W/stderr"
	cp -r "$TOP/tests/golden/read/d05_closed_magic/store/." "$S"
	fails mount_store
	grep -q 'segment 00000001 is damaged at offset 44 (magic)' "$W/stderr"
	grep -q 'datawal repair' "$W/stderr"
	fails mountpoint -q "$M"
}

test_life_store_in_use()
{
	mount_store
	echo 1 > "$M/a"
	mkdir "$W/second"
	fails "$DATAWALFS" "$S" "$W/second"
	grep -q "process $(daemon_pid)" "$W/stderr"
	grep -q "mounted at '$M'" "$W/stderr"
	# reading needs no lock
	"$DATAWALFS" "$S" "$W/second" -o ro
	[ "$(cat "$W/second/a")" = 1 ]
	fails touch "$W/second/b"
	umount "$W/second"
	unmount_store
}

# Without its lock file a store has one writer all the same, and the file comes back.
test_life_lock_removed()
{
	local mode
	for mode in 755 700; do
		chmod $mode "$S"
		mount_store
		local pid
		pid=$(daemon_pid)
		echo 1 > "$M/a"
		chmod 600 "$M/a"
		rm "$S/.lock" "$S/.attr/.lock"
		mkdir -p "$W/second"
		fails "$DATAWALFS" "$S" "$W/second"
		grep -q "process $pid on '$(hostname)'" "$W/stderr"
		fails "$DATAWAL" put "$S" --key b from-outside
		fails "$DATAWAL" repair --yes "$S"
		dd if=/dev/zero of="$M/c" bs=10 count=1 conv=fsync
		fails flock -n "$S/.lock" true
		[ "$(daemon_pid)" = "$pid" ]
		rm "$S/.lock"
		"$DATAWALFS" --unmount "$M"
		"$DATAWAL" verify "$S"
		[ "$("$DATAWAL" ls "$S" | wc -l)" = 2 ]
	done
}

# A writer that was refused leaves a lock file, which is free until the mount takes it.
test_life_lock_made_by_another()
{
	mount_store
	echo 1 > "$M/a"
	rm "$S/.lock"
	fails "$DATAWAL" put "$S" --key b from-outside
	[ -e "$S/.lock" ]
	"$DATAWALFS" --unmount "$M"
}

# Also a daemon that only reads has let go of the disk.
test_life_unmount_waits_for_reader()
{
	mkdir "$W/disk"
	mount -t tmpfs none "$W/disk"
	"$DATAWAL" put "$W/disk/store" --key a b
	"$DATAWALFS" -o ro "$W/disk/store" "$M"
	[ "$(cat "$M/a")" = b ]
	"$DATAWALFS" --unmount "$M"
	umount "$W/disk"
}

# What is written to a store that somebody deleted is not said to be safe.
test_life_store_removed()
{
	local what
	for what in "$S/"'*.dwal' "$S"; do
		mkdir -p "$S"
		mount_store -o log="$W/messages"
		echo 1 > "$M/a"
		dd if=/dev/zero of="$M/b" bs=10 count=1 conv=fsync
		# shellcheck disable=SC2086 # a pattern
		rm -r $what
		fails dd if=/dev/zero of="$M/c" bs=10 count=1 conv=fsync
		fails dd if=/dev/zero of="$M/c" bs=10 count=1 conv=fsync
		[ "$(cat "$M/a")" = 1 ]
		grep "was removed.* while the store was open" "$W/messages"
		fails "$DATAWALFS" --unmount "$M"
		rm -rf "$S" "$W/messages"
	done
}

test_life_fstab_options()
{
	mount_store -o rw,nofail,_netdev,noauto,dev,suid,user,x-systemd.automount,comment=hi
	mountpoint -q "$M"
	touch "$M/a"
	unmount_store
	mount_store -o ro
	fails touch "$M/b"
	grep -q 'Read-only' "$W/stderr"
	umount "$M"
}

# Options that are numbers: the message names the option, the value and what is possible.
test_life_numbers_have_ranges()
{
	local given option text
	for given in commit_ms=-5 commit_ms=0 commit_ms= commit_ms=5x commit_ms=86400001 \
		segment_size=1 segment_size=65535 segment_size=0 segment_size=17G segment_size=1T \
		segment_size=-1 segment_size=99999999999999999999G segment_size=K \
		max_threads=0 max_threads=-1 max_threads=65 max_threads=5x max_threads=4294967295 \
		uid=-1 uid=4294967295 uid=5x uid=root gid=-1 gid=4294967295 "gid= 5" gid=+5 \
		umask=8 umask=-1 umask=1000 umask=; do
		option=${given%%=*} text=${given#*=}
		fails mount_store -o "$given"
		grep -qE "^datawalfs: $option '[^']*' is no (octal number|number|size) from [0-9KMG]+ to [0-9KMG]+" "$W/stderr"
		grep -qF "$option '$text'" "$W/stderr"
		[ "$(grep -cv '^+' "$W/stderr")" = 1 ]
		[ -z "$(ls -A "$S")" ]
	done
	for text in -1 5x 86401 ''; do
		fails "$DATAWALFS" --unmount "$M" --timeout="$text"
		grep -qx "datawalfs: --timeout '$text' is no number from 0 to 86400 (seconds)" "$W/stderr"
	done
	# the edges are possible
	mount_store -o commit_ms=1,segment_size=64K,max_threads=1,uid=0,gid=0,umask=0
	echo x > "$M/a"
	unmount_store
	mount_store -o commit_ms=86400000,segment_size=16G,max_threads=64,umask=777
	[ "$(stat -c %a "$M")" = 0 ]
	unmount_store
}

# What an fstab may hold for any file system is taken, and has no effect where it could have none.
test_life_options_of_mount()
{
	local option
	mount_store -o relatime,norelatime,strictatime,nostrictatime,lazytime,nolazytime,diratime,nodiratime,iversion,noiversion,discard,nodiscard,silent,loud,nomand,symfollow
	echo x > "$M/a"
	unmount_store
	# what would not be obeyed is refused by its name
	for option in max_idle_threads=5 clone_fd subtype=other max_read=4096 nosymfollow mand bogus; do
		fails mount_store -o "$option"
		grep -qF "$option" "$W/stderr"
	done
}

flags_of_mount()
{
	findmnt -no OPTIONS "$M"
}
export -f flags_of_mount

# A log file's name that is a link leads nowhere, not when it is opened again either.
test_life_log_is_no_link()
{
	echo precious > "$W/victim"
	ln -s "$W/victim" "$W/messages"
	fails mount_store -o log="$W/messages"
	grep -q "log file '$W/messages': it is a link" "$W/stderr"
	rm "$W/messages"
	mount_store -o log="$W/messages"
	mv "$W/messages" "$W/moved"
	ln -s "$W/victim" "$W/messages"
	kill -HUP "$(daemon_pid)"
	kill -USR1 "$(daemon_pid)"
	wait_until grep -q '"keys"' "$W/moved"
	unmount_store
	[ "$(cat "$W/victim")" = precious ]
}

# A disk where another machine's lock may not be seen.
test_life_local_locks()
{
	mount_store
	mkdir "$M/store" "$W/inner"
	"$DATAWAL" put "$M/store" --key a one 2> "$W/stderr"
	grep -q 'a file system (FUSE) where a lock may keep out writers of this machine only' "$W/stderr"
	"$DATAWAL" get "$M/store" --key a 2> "$W/stderr" | grep -qx one
	[ ! -s "$W/stderr" ]
	"$DATAWAL" put "$W/inner" --key a one 2> "$W/stderr"
	[ ! -s "$W/stderr" ]
	unmount_store
}

# Bits that a store's maker set give no user another's rights, whichever user mounts it, and as the
# line in fstab does.
test_life_nosuid()
{
	[ "$(id -u)" = 0 ] && command -v setpriv > /dev/null || skip "needs root, and setpriv"
	local as_user="setpriv --reuid 4242 --regid 4343 --clear-groups"
	$as_user true || skip "setpriv cannot change users"
	chmod 755 "$W"
	mount_store -o allow_other,suid,dev
	flags_of_mount | grep -qE '^rw,nosuid,nodev,'
	cp "$(readlink -f "$(command -v id)")" "$M/id"
	chmod 4755 "$M/id"
	[ "$($as_user "$M/id" -u)" = 4242 ]
	remount_store -o allow_other,allow_suid
	flags_of_mount | grep -qE '^rw,nodev,'
	[ "$($as_user "$M/id" -u)" = 0 ]
	remount_store -o allow_other,allow_suid,nosuid,allow_dev
	flags_of_mount | grep -qE '^rw,nosuid,'
	fails grep nodev <(flags_of_mount)
	unmount_store
	command -v mount.fuse3 > /dev/null || return 0
	mkdir "$W/bin"
	ln -s "$DATAWALFS" "$W/bin/datawalfs"
	PATH=$W/bin:$PATH mount.fuse3 "$S" "$M" -t fuse.datawalfs -o rw,nofail,allow_other
	flags_of_mount | grep -qE '^rw,nosuid,nodev,'
	[ "$($as_user "$M/id" -u)" = 4242 ]
	unmount_store
}

test_life_remount()
{
	[ "$(id -u)" = 0 ] || skip "needs root to remount"
	mount_store -o noexec
	echo x > "$M/a"
	"$DATAWALFS" "$S" "$M" -o remount,ro
	flags_of_mount | grep -qE '^ro,nosuid,nodev,noexec,'
	fails touch "$M/b"
	[ "$(cat "$M/a")" = x ]
	"$DATAWALFS" "$S" "$M" -o rw,remount,user_id=0,group_id=0,default_permissions
	flags_of_mount | grep -qE '^rw,nosuid,nodev,noexec,'
	echo y > "$M/b"
	exec 3> "$M/open"
	fails "$DATAWALFS" "$S" "$M" -o remount,ro
	grep -q 'open for writing' "$W/stderr"
	exec 3>&-
	fails "$DATAWALFS" "$S" "$M" -o remount,allow_suid
	grep -q 'cannot come by -o remount' "$W/stderr"
	fails "$DATAWALFS" "$S" "$M" -o remount,allow_dev
	"$DATAWALFS" "$S" "$M" -o remount,suid,dev # as mount.fuse3 has it
	flags_of_mount | grep -qE '^rw,nosuid,nodev,noexec,'
	unmount_store
	mount_store -o ro
	fails "$DATAWALFS" "$S" "$M" -o remount,rw
	grep -q "was mounted with -o ro" "$W/stderr"
	umount "$M"
	fails "$DATAWALFS" "$S" "$M" -o remount,ro
	grep -q 'no mount of datawalfs' "$W/stderr"
}

test_life_owner_options()
{
	mount_store -o uid=1234,gid=4321,umask=077
	touch "$M/a"
	[ "$(stat -c '%u %g %a' "$M/a")" = "1234 4321 600" ]
	unmount_store
}

test_life_foreground()
{
	"$DATAWALFS" -f "$S" "$M" 2> "$W/log2" &
	local pid=$!
	wait_until mountpoint -q "$M"
	mountpoint -q "$M"
	echo x > "$M/a"
	kill -TERM $pid
	wait $pid
	fails mountpoint -q "$M"
}

test_life_single_thread()
{
	mount_store -s
	cp -r "$TOP/engine" "$M/"
	diff -r "$TOP/engine" "$M/engine"
	command_file compact
	unmount_store
}

# Bytes of files still open at the end are kept, by SIGTERM as by unmounting.
test_life_sigterm_keeps_open_files()
{
	mount_store
	exec 3> "$M/open"
	echo "not closed" >&3
	kill -TERM "$(daemon_pid)"
	wait_released
	exec 3>&- || true
	mount_store
	[ "$(cat "$M/open")" = "not closed" ]
	unmount_store
}

test_life_lazy_unmount_keeps_open_files()
{
	mount_store
	exec 3> "$M/open"
	echo "not closed" >&3
	umount -l "$M"
	exec 3>&-
	wait_released
	mount_store
	[ "$(cat "$M/open")" = "not closed" ]
	unmount_store
}

test_life_umount_then_mount()
{
	local i
	for i in 1 2 3 4 5; do
		mount_store
		echo "$i" > "$M/f$i"
		umount "$M"
	done
	mount_store
	[ "$(cat "$M"/f? | tr -d '\n')" = 12345 ]
	unmount_store
}

# Every file closed before a kill is there, whole.
# A file that is created and held open, as a lock is, has its name when its directory was synced.
test_life_kill_after_directory_sync()
{
	mount_store -o commit_ms=3600000
	mkdir "$M/d"
	exec 5> "$M/d/lock"
	perl -MIO::Handle -e 'open(my $d, "<", $ARGV[0]) or die; $d->sync or die "$!"' "$M/d"
	kill -KILL "$(daemon_pid)"
	exec 5>&-
	umount "$M" || umount -l "$M"
	wait_released
	mount_store
	[ -e "$M/d/lock" ]
	unmount_store
}

test_life_kill_while_writing()
{
	local round n
	for round in 1 2 3; do
		mount_store -o segment_size=256K
		(
			exec 2>/dev/null
			for n in $(seq 1 100000); do
				seq "$n" $((n + 500)) > "$M/r$round-$n" || break
				echo "$n" >> "$W/closed$round"
			done
		) &
		while [ "$(cat "$W/closed$round" 2>/dev/null | wc -l)" -lt 150 ]; do
			kill -0 $!
		done
		[ $round != 2 ] || command_file compact &
		kill -KILL "$(daemon_pid)"
		wait %1 || true
		wait || true
		fails ls "$M"
		fails mount_store
		grep -q 'stale mount' "$W/stderr"
		umount "$M" || umount -l "$M"
		mount_store
		while read -r n; do
			seq "$n" $((n + 500)) | cmp - "$M/r$round-$n"
		done < "$W/closed$round"
		unmount_store
	done
	[ "$(wc -l < "$W/closed3")" -ge 150 ]
}

test_life_replayed_by_hand()
{
	mount_store -o segment_size=64K
	cp -r "$TOP/engine" "$M/"
	rm "$M/engine/datawal.h"
	echo changed > "$M/engine/base/buf.c"
	unmount_store
	perl "$TOP/tests/golden/replay.pl" "$S" > "$W/replayed"
	grep -q "^$(printf engine/base/buf.c | od -An -tx1 | tr -d ' \n') 8 " "$W/replayed"
	fails grep -q "^$(printf engine/datawal.h | od -An -tx1 | tr -d ' \n') " "$W/replayed"
	mount_store
	# as many keys with bytes as files, and each of its file's size
	local hex size path
	while read -r hex size _; do
		path=$(printf '%b' "$(echo "$hex" | sed 's/../\\x&/g')")
		case $path in
		*/) [ -d "$M/$path" ] ;;
		*) [ "$(stat -c %s "$M/$path")" = "$size" ] ;;
		esac
	done < "$W/replayed"
	[ "$(grep -c . "$W/replayed")" = "$(find "$M" -mindepth 1 | wc -l)" ]
	unmount_store
}

test_life_torn_tail()
{
	mount_store
	echo whole > "$M/a"
	unmount_store
	printf 'DWAL\1\0\1\0torn' >> "$S/00000001.dwal"
	mount_store
	[ "$(cat "$M/a")" = whole ]
	echo later > "$M/b"
	unmount_store
	[ "$(cat "$S"/00000001.dwal.torn-* | wc -c)" = 12 ]
	mount_store
	[ "$(cat "$M/b")" = later ]
	unmount_store
}

# A damaged value is an I/O error, never data; all others are read.
# A page of a mapped segment that is gone is an error of that one read, in whatever thread.
test_life_unreadable_pages()
{
	mount_store
	head -c 100000 /dev/urandom > "$M/a"
	head -c 100000 /dev/urandom > "$M/b"
	unmount_store
	mount_store
	cmp "$M/a" "$M/a"
	truncate -s 110000 "$S/00000001.dwal"
	fails cat "$M/b"
	grep -q 'Input/output' "$W/stderr"
	[ "$(wc -c < "$M/a")" = 100000 ]
	cat "$M/a" > /dev/null
	kill -0 "$(cat "$S/.lock")"
	umount "$M"
	wait_released
}

test_life_damaged_value()
{
	mount_store
	echo damaged-value > "$M/a"
	echo sound > "$M/b"
	unmount_store
	mount_store
	printf X | dd of="$S/00000001.dwal" bs=1 seek=30 conv=notrunc status=none
	fails cat "$M/a"
	grep -q 'Input/output' "$W/stderr"
	[ "$(cat "$M/b")" = sound ]
	fails command_file verify
	grep -q 'damaged' "$M/.datawal/control"
	unmount_store
}

# ... and the log says whose record it is.
test_life_damage_named()
{
	mount_store
	echo damaged-value > "$M/a"
	unmount_store
	"$DATAWALFS" "$S" "$M" -f 2> messages &
	wait_until mountpoint -q "$M"
	printf X | dd of="$S/00000001.dwal" bs=1 seek=30 conv=notrunc status=none
	fails cat "$M/a"
	grep "segment 00000001 is damaged at offset 0 (crc), in the record of key 'a'" messages
	unmount_store
}

run_tests "$@"
