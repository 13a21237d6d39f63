#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_daemon.sh - the daemon and who looks after it: --unmount, stale mounts, repair at
# mount, signals and logs, service managers, users.
. "$(dirname "$0")/lib.sh"

# --- datawalfs --unmount ---

test_daemon_unmount()
{
	local i
	for i in 1 2 3; do
		mount_store
		head -c 20000000 /dev/urandom > "$M/f$i"
		"$DATAWALFS" --unmount "$M"
		fails mountpoint -q "$M"
		# the lock is free, not only soon
		flock -n "$S/.lock" true
	done
	mount_store
	[ "$(ls "$M" | tr '\n' ' ')" = "f1 f2 f3 " ]
	# by another name of the place
	(cd "$W" && "$DATAWALFS" --unmount ./mnt/)
	flock -n "$S/.lock" true
}

# By symlinks, relative and absolute, one after the other; whether the daemon lives or not.
test_daemon_unmount_by_symlink()
{
	mkdir "$W/links"
	ln -s ../mnt "$W/links/one"
	ln -s "$W/links/one" "$W/two"
	for link in "$W/links/one" "$W/two" "$W/two/" two; do
		mount_store
		(cd "$W" && "$DATAWALFS" --unmount "$link")
		fails mountpoint -q "$M"
		flock -n "$S/.lock" true
	done
	mount_store
	kill_daemon
	"$DATAWALFS" --unmount "$W/two"
	[ "$(grep -c " $M " /proc/mounts)" = 0 ]
	ln -s round "$W/round"
	fails "$DATAWALFS" --unmount "$W/round"
	[ -L "$W/links/one" ] && [ -L "$W/two" ]
}

# A path of nearly as many bytes as there may be, each of which takes four in the table.
test_daemon_long_paths()
{
	[ "$(id -u)" = 0 ] || skip "fusermount3 takes no paths as long"
	local n name
	name=$(printf '%0199d' 0 | tr 0 ' ')
	cd "$W"
	for n in $(seq $(((4000 - ${#W}) / 200))); do
		mkdir "$name"
		cd "$name"
	done
	mkdir s m
	"$DATAWALFS" "$PWD/s" "$PWD/m"
	echo x > m/a
	fails "$DATAWALFS" "$PWD/s" "$W/mnt"
	grep -qF "mounted at '$PWD/m'" "$W/stderr"
	"$DATAWALFS" --unmount "$PWD/m"
	flock -n s/.lock true
	fails mountpoint -q m
}

# A process with a copy of the mount in its own namespace: said before the wait, not after it.
test_daemon_unmount_in_one_namespace()
{
	[ "$(id -u)" = 0 ] && unshare -m true 2> /dev/null || skip "no right to make a mount namespace"
	local pid other
	mount_store
	mkfifo "$W/hold"
	unshare -m --propagation private sh -c 'echo $$ > "$W/other"; exec cat "$W/hold"' > /dev/null &
	pid=$!
	wait_until test -s "$W/other"
	other=$(cat "$W/other")
	fails timeout "$(scaled 60)" "$DATAWALFS" --unmount "$M" --timeout=1
	grep -q "'$M' is unmounted here, but process $other has it in another mount namespace" "$W/stderr"
	grep -q "still serves '$S'" "$W/stderr"
	fails mountpoint -q "$M"
	: > "$W/hold"
	wait $pid
	wait_released
	# and it waits for as long as that takes
	mount_store
	unshare -m --propagation private sh -c 'echo $$ > "$W/other2"; exec cat "$W/hold"' > /dev/null &
	wait_until test -s "$W/other2"
	"$DATAWALFS" --unmount "$M" 2> "$W/said" &
	pid=$!
	wait_until grep -q 'another mount namespace' "$W/said"
	: > "$W/hold"
	wait $pid
	flock -n "$S/.lock" true
}

test_daemon_fsname()
{
	fails mount_store -o fsname=
	grep -q "fsname '' is no name" "$W/stderr"
	mount_store -o 'fsname=my:store'
	[ "$(findmnt -no SOURCE "$M")" = my:store ]
	echo x > "$M/a"
	"$DATAWALFS" --unmount "$M"
	flock -n "$S/.lock" true
	mount_store -o 'fsname=my:store'
	kill_daemon
	mount_store -o 'fsname=other,remount_stale'
	[ "$(cat "$M/a")" = x ]
	unmount_store
}

test_daemon_unmount_refuses()
{
	fails "$DATAWALFS" --unmount
	fails "$DATAWALFS" --unmount "$M" "$S"
	fails "$DATAWALFS" --unmount "$M"
	grep -q "no mount of datawalfs" "$W/stderr"
	fails "$DATAWALFS" --unmount "$W/missing/x"
	grep -q "missing/x" "$W/stderr"
	fails "$DATAWALFS" --unmount /proc
	mountpoint -q /proc
	mount_store
	exec 3> "$M/open"
	fails "$DATAWALFS" --unmount "$M"
	grep -q "in use" "$W/stderr"
	mountpoint -q "$M"
	exec 3>&-
	"$DATAWALFS" --unmount "$M"
}

# A mount that only reads does not wait for the one that writes.
test_daemon_unmount_of_a_reader()
{
	mkdir "$W/look"
	mount_store
	"$DATAWALFS" "$S" "$W/look" -o ro
	timeout "$(scaled 20)" "$DATAWALFS" --unmount "$W/look"
	fails flock -n "$S/.lock" true
	"$DATAWALFS" "$S" "$W/look" -o ro,control=off
	timeout "$(scaled 20)" "$DATAWALFS" --unmount "$W/look"
	"$DATAWALFS" --unmount "$M"
}

full_disk()
{
	mkdir "$W/disk"
	mount -t tmpfs -o size=3m tmpfs "$W/disk" 2>/dev/null || skip "no right to mount a tmpfs"
	S=$W/disk/store
	mkdir "$S"
	head -c 4000000 /dev/urandom > "$W/big"
}
export -f full_disk

# Whatever was lost, by a close that said so or at the end: --unmount fails.
test_daemon_unmount_tells_of_a_loss()
{
	full_disk
	mount_store -o log="$W/daemon.log"
	fails cp "$W/big" "$M/f"
	fails "$DATAWALFS" --unmount "$M"
	grep -q "values that were written to '$S' are lost or not on disk" "$W/stderr"
	fails mountpoint -q "$M"
	flock -n "$S/.lock" true
	grep -q "'f': the value written last, 4000000 bytes, is lost (No space left" "$W/daemon.log"
	grep -q 'ended with something lost' "$W/daemon.log"
	mount_store
	echo small > "$M/f"
	"$DATAWALFS" --unmount "$M"
	umount "$W/disk"
}

test_daemon_foreground_tells_of_a_loss()
{
	full_disk
	"$DATAWALFS" -f "$S" "$M" 2> "$W/daemon.log" &
	local pid=$!
	wait_until mountpoint -q "$M"
	echo old > "$M/f"
	# open while the mount ends
	exec 3<> "$M/f"
	fails cat "$W/big" >&3
	kill -TERM $pid
	fails wait $pid
	exec 3>&- || true
	grep -q "'f': the value written last, 4000000 bytes, is lost" "$W/daemon.log"
	mount_store
	[ "$(cat "$M/f")" = old ]
	"$DATAWALFS" --unmount "$M"
	umount "$W/disk"
}

# On a disk that stands still: --unmount says so in time, and else waits.
test_daemon_unmount_waits()
{
	[ "$(id -u)" = 0 ] || skip "needs root to freeze a file system"
	command -v mkfs.ext4 > /dev/null && command -v fsfreeze > /dev/null || skip "no mkfs.ext4 or no fsfreeze"
	mkdir "$W/disk"
	truncate -s 64M "$W/image"
	mkfs.ext4 -q "$W/image"
	mount -o loop "$W/image" "$W/disk" 2> /dev/null || skip "no loop devices"
	mkdir "$W/disk/store"
	S=$W/disk/store
	mount_store
	echo value > "$M/a"
	fsfreeze -f "$W/disk"
	trap 'fsfreeze -u "$W/disk" 2> /dev/null || true' EXIT
	fails timeout "$(scaled 30)" "$DATAWALFS" --unmount "$M" --timeout=1
	grep -q 'after 1 s the daemon is still writing' "$W/stderr"
	fails mountpoint -q "$M"
	fails flock -n "$S/.lock" true
	fsfreeze -u "$W/disk"
	wait_released
	mount_store
	[ "$(cat "$M/a")" = value ]
	echo value > "$M/b"
	fsfreeze -f "$W/disk"
	"$DATAWALFS" --unmount "$M" &
	local pid=$!
	wait_until fails is_mounted "$M"
	kill -0 $pid
	fails flock -n "$S/.lock" true
	fsfreeze -u "$W/disk"
	wait $pid
	flock -n "$S/.lock" true
	mount_store
	[ "$(cat "$M/b")" = value ]
	unmount_store
	unmount_disk
}

# A service manager that does not wait, or ^C twice: dirty values are committed all the same.
test_daemon_second_signal()
{
	[ "$(id -u)" = 0 ] || skip "needs root to freeze a file system"
	command -v mkfs.ext4 > /dev/null && command -v fsfreeze > /dev/null || skip "no mkfs.ext4 or no fsfreeze"
	local pid
	mkdir "$W/disk"
	truncate -s 64M "$W/image"
	mkfs.ext4 -q "$W/image"
	mount -o loop "$W/image" "$W/disk" 2> /dev/null || skip "no loop devices"
	mkdir "$W/disk/store"
	S=$W/disk/store
	"$DATAWALFS" -f "$S" "$M" -o commit_ms=3600000 2> "$W/said" < /dev/null &
	pid=$!
	wait_until mountpoint -q "$M"
	exec 3> "$M/open"
	echo value >&3
	fsfreeze -f "$W/disk"
	trap 'fsfreeze -u "$W/disk" 2> /dev/null || true' EXIT
	kill -TERM $pid
	wait_until fails is_mounted "$M"
	# it waits for the disk now, with a thread that nothing but SIGKILL ends
	wait_until grep -q 'State:.*D' "/proc/$pid/status"
	kill -TERM $pid
	kill -INT $pid
	kill -HUP $pid
	fsfreeze -u "$W/disk"
	wait $pid
	exec 3>&- || true
	grep -q 'unmounted, everything is on disk' "$W/said"
	mount_store
	[ "$(cat "$M/open")" = value ]
	unmount_store
	unmount_disk
}

# --- places ---

# What is no store is not mounted, and stays as it is.
test_daemon_no_store()
{
	local options
	mkdir "$W/other" "$W/empty"
	echo precious > "$W/other/file"
	echo file > "$W/file"
	for options in "" ro recover; do
		fails "$DATAWALFS" "$W/other" "$M" ${options:+-o "$options"}
		grep -q "no store here: '$W/other'" "$W/stderr"
	done
	[ "$(ls -A "$W/other")" = file ]
	fails "$DATAWALFS" "$W/empty" "$M" -o ro
	grep -q "no store here: '$W/empty' is empty" "$W/stderr"
	[ -z "$(ls -A "$W/empty")" ]
	fails "$DATAWALFS" "$W/missing" "$M"
	grep -q "datawal init" "$W/stderr"
	fails "$DATAWALFS" "$S" "$W/file"
	grep -q "'$W/file' is no directory" "$W/stderr"
	[ "$(cat "$W/file")" = file ]
	[ -z "$(ls -A "$S")" ]
	mkdir "$S/lost+found"
	mount_store
	echo value > "$M/a"
	remount_store
	[ "$(cat "$M/a")" = value ]
	unmount_store
}

# --- stale mounts ---

kill_daemon()
{
	kill -KILL "$(daemon_pid)"
	wait_released
	wait_until fails ls "$M"
}
export -f kill_daemon

test_daemon_remount_stale()
{
	mount_store
	echo kept > "$M/a"
	kill_daemon
	fails mount_store
	grep -q "stale mount" "$W/stderr"
	grep -q "umount $M" "$W/stderr"
	grep -q "remount_stale" "$W/stderr"
	mount_store -o remount_stale
	[ "$(cat "$M/a")" = kept ]
	[ "$(grep -c " $M " /proc/mounts)" = 1 ]
	# of a mount that lives it lets its hands off
	mkdir "$W/store2"
	"$DATAWALFS" "$W/store2" "$M" -o remount_stale
	[ -z "$(ls -A "$M")" ]
	umount "$M"
	[ "$(cat "$M/a")" = kept ]
	kill_daemon
	# --unmount clears it as well
	"$DATAWALFS" --unmount "$M"
	fails mountpoint -q "$M"
}

test_daemon_stale_mount_of_others()
{
	[ "$(id -u)" = 0 ] || skip "needs root to mount"
	exec 3<> /dev/fuse
	mount -i -t fuse.other other "$M" -o fd=3,rootmode=40000,user_id=0,group_id=0
	exec 3>&-
	fails mount_store -o remount_stale
	grep -q 'stale mount of another file system' "$W/stderr"
	fails "$DATAWALFS" --unmount "$M"
	grep -q "no mount of datawalfs" "$W/stderr"
	[ "$(grep -c " $M " /proc/mounts)" = 1 ]
	umount "$M"
}

# --- repair at mount ---

# A segment that is gone, and its hint: refused, or gone on without, and either is told.
test_daemon_recover_lost()
{
	mount_store
	echo one > "$M/a"
	command_file rotate
	echo two > "$M/b"
	command_file rotate
	echo three > "$M/c"
	unmount_store
	rm "$S/00000002.dwal"
	fails mount_store
	grep 'segment 00000002 is missing' "$W/stderr"
	grep "key 'b' is lost" "$W/stderr"
	mount_store -o recover 2> "$W/said"
	grep 'recover: segment 00000002: . records are gone (missing); .* is now .00000002.hint.lost-' "$W/said"
	grep "key 'b' is lost .*; nothing is left of it" "$W/said"
	[ "$(ls "$M")" = "$(printf 'a\nc')" ]
	remount_store -o recover 2> "$W/said"
	fails grep 'recover:' "$W/said"
	unmount_store
}

test_daemon_recover()
{
	cp -r "$TOP/tests/golden/read/d05_closed_magic/store/." "$S"
	(cd "$S" && cksum ./*.dwal) > "$W/before"
	fails mount_store
	(cd "$S" && cksum ./*.dwal) | cmp - "$W/before"
	fails mount_store -o recover,ro
	[ -z "$(find "$S" -name '*.torn-*')" ]
	mount_store -o recover 2> "$W/said"
	grep -q 'recover: segment 00000001: .* damaged bytes at offset 44 (magic) moved to' "$W/said"
	grep -q 'recover: 1 ranges' "$W/said"
	# what was found is told as it is: it is about to be changed
	grep -qx 'datawalfs: segment 00000001 is damaged at offset 44 (magic)' "$W/said"
	fails grep 'nothing was changed' "$W/said"
	[ "$(find "$S" -name '00000001.dwal.torn-*' | wc -l)" = 1 ]
	ls "$M" > "$W/names"
	[ -s "$W/names" ]
	unmount_store
	# repaired for good; and a sound store is left alone
	mount_store
	ls "$M" | cmp - "$W/names"
	unmount_store
	mount_store -o recover 2> "$W/said"
	fails grep '^datawalfs: recover' "$W/said"
	[ "$(find "$S" -name '*.torn-*' | wc -l)" = 1 ]
	unmount_store
}

# The attributes, which are a store of their own, likewise.
test_daemon_recover_attr()
{
	local log=$S/.attr/00000001.dwal
	mount_store
	touch "$M/a" "$M/b"
	chmod 640 "$M/a"
	sync "$M/a"
	chmod 600 "$M/b"
	unmount_store
	(cd "$S" && cksum ./*.dwal) > "$W/before"
	printf 'X' | dd of="$log" conv=notrunc status=none
	cksum "$log" > "$W/damaged"
	mount_store -o log="$W/plain"
	[ "$(stat -c %a "$M/b")" != 600 ]
	grep -q "attributes in '.attr' .*damaged" "$W/plain"
	unmount_store
	cksum "$log" | cmp - "$W/damaged"
	mount_store -o recover 2> "$W/said"
	grep "^datawalfs: '.attr': segment 00000001 is damaged at offset 0 (magic)" "$W/said"
	grep "recover: '.attr': segment 00000001: .* damaged bytes at offset 0 (magic) moved to" "$W/said"
	grep "recover: '.attr': 1 ranges" "$W/said"
	[ "$(stat -c %a "$M/b")" = 600 ]
	chmod 604 "$M/a"
	remount_store -o recover 2> "$W/said"
	fails grep 'recover:' "$W/said"
	[ "$(stat -c %a "$M/a" "$M/b")" = "$(printf '604\n600')" ]
	[ "$(find "$S/.attr" -name '*.torn-*' | wc -l)" = 1 ]
	unmount_store
	(cd "$S" && cksum ./*.dwal) | cmp - "$W/before"
}

# --- signals and logs ---

test_daemon_log_and_signals()
{
	local pid
	(cd "$W" && mount_store -o log=the.log)
	pid=$(daemon_pid)
	echo value > "$M/a"
	cat "$M/a" > /dev/null
	kill -USR1 "$pid"
	wait_until grep -q 'info: statistics: .*"keys":1' "$W/the.log"
	grep -qE '^[0-9-]+T[0-9:]+Z datawalfs\[[0-9]+\] info: statistics: [0-9]+ requests, [0-9]+ bytes read, 6 bytes written' "$W/the.log"
	mv "$W/the.log" "$W/old.log"
	kill -HUP "$pid"
	wait_until grep -q 'opened the log again' "$W/the.log"
	# it goes on to serve
	echo more > "$M/b"
	local lines
	lines=$(wc -l < "$W/old.log")
	kill -USR1 "$pid"
	wait_until grep -q '"keys":2' "$W/the.log"
	[ "$(wc -l < "$W/old.log")" = "$lines" ]
	# no new one to be had: the old one stays in use
	mv "$W/the.log" "$W/older.log"
	mkdir "$W/the.log"
	kill -HUP "$pid"
	wait_until grep -q 'could not be opened again' "$W/older.log"
	[ "$(cat "$M/a")" = value ]
	unmount_store
	fails mount_store -o log="$W/no/such/place"
	grep -q 'no/such/place' "$W/stderr"
}

# Who looks into the log finds what was mounted where, and when it came down.
test_daemon_log_tells_mounts()
{
	local version
	version=$("$DATAWALFS" --version | sed -n 's/^datawalfs //p')
	mount_store -o log="$W/log3"
	grep -qE "info: mounted: '$S' at '$M', 0 keys, in [0-9]+\.[0-9]{3} s \(datawalfs $version\)$" "$W/log3"
	touch "$M/a" "$M/b"
	unmount_store
	wait_until grep -qE "info: unmounted, everything is on disk: '$S' at '$M', 2 keys, in [0-9.]+ s" "$W/log3"
	[ "$(wc -l < "$W/log3")" = 2 ]
	mount_store -o ro,log="$W/log4"
	grep -q "info: mounted: '$S' at '$M', read only, 2 keys" "$W/log4"
	umount "$M"
	wait_until grep -q 'info: unmounted' "$W/log4"
	# one that never came up says nothing of the kind
	fails mount_store -o log="$W/log5",segment_size=1
	[ ! -s "$W/log5" ]
}

test_daemon_disk_that_is_read_only()
{
	[ "$(id -u)" = 0 ] || skip "needs root to mount"
	mount_store
	echo x > "$M/a"
	unmount_store
	mkdir "$W/disk"
	mount --bind "$S" "$W/disk"
	mount -o remount,bind,ro "$W/disk"
	fails "$DATAWALFS" "$W/disk" "$M"
	grep -q "'$W/disk' is on a disk that is read only; mount with -o ro" "$W/stderr"
	"$DATAWALFS" "$W/disk" "$M" -o ro
	[ "$(cat "$M/a")" = x ]
	fails command_file "export out"
	grep -q 'mount with -o export_dir=DIR' "$M/.datawal/control"
	umount "$M"
	unmount_disk # the reader ends on its own
}

test_daemon_signals_without_a_log()
{
	local pid
	"$DATAWALFS" -f "$S" "$M" 2> "$W/said" < /dev/null &
	pid=$!
	wait_until mountpoint -q "$M"
	kill -USR1 $pid
	wait_until grep -q '^datawalfs: statistics: ' "$W/said"
	kill -HUP $pid
	wait_until grep -q 'opened the log again' "$W/said"
	echo value > "$M/a"
	kill -TERM $pid
	wait $pid
	fails mountpoint -q "$M"
}

# Signals that end a program unless it says otherwise, and mean nothing to this one.
test_daemon_outlives_signals()
{
	local name pid
	env --default-signal "$DATAWALFS" "$S" "$M"
	pid=$(daemon_pid)
	for name in USR2 ALRM VTALRM PROF IO PIPE PWR STKFLT XCPU XFSZ URG WINCH RTMIN RTMIN+5 RTMAX; do
		kill -s "$name" "$pid"
	done
	# a request is answered after what came before it
	echo value > "$M/a"
	[ "$(cat "$M/a")" = value ]
	[ "$(daemon_pid)" = "$pid" ]
	kill -0 "$pid"
	unmount_store
}

# Whoever waits for the end of a pipe, or for a lock, does not wait for the mount.
test_daemon_inherits_no_descriptors()
{
	mkfifo "$W/pipe"
	touch "$W/lock"
	cat "$W/pipe" > "$W/read" &
	local pid=$!
	(
		exec 7> "$W/pipe" 9> "$W/lock" 200< "$W/lock"
		flock 9
		mount_store
		echo end >&7
	)
	wait $pid
	[ "$(cat "$W/read")" = end ]
	flock -n "$W/lock" true
	fails sh -c "ls -l /proc/$(daemon_pid)/fd | grep -E '$W/(pipe|lock)$'"
	mountpoint -q "$M"
	unmount_store
}

# --- service managers ---

test_daemon_notifies()
{
	local socket
	for socket in "$W/socket" "@datawalfs-test-$$"; do
		rm -f "$W/told"
		"$TOP/tests/support/notify-listen.pl" "$socket" "$W/told" &
		wait_until grep -q listening "$W/told"
		NOTIFY_SOCKET=$socket "$DATAWALFS" -f "$S" "$M" < /dev/null &
		wait_until grep -qx READY=1 "$W/told"
		mountpoint -q "$M"
		grep -qx "MAINPID=$(daemon_pid)" "$W/told"
		grep -qx "STATUS=mounted at $M" "$W/told"
		fails grep STOPPING "$W/told"
		echo x > "$M/a"
		umount "$M"
		wait
		[ "$(grep -c '^STOPPING=1$' "$W/told")" = 1 ]
	done
	# in the background the pid is the daemon's, too
	rm -f "$W/told"
	"$TOP/tests/support/notify-listen.pl" "$W/socket2" "$W/told" &
	wait_until grep -q listening "$W/told"
	NOTIFY_SOCKET=$W/socket2 mount_store
	wait_until grep -qx "MAINPID=$(daemon_pid)" "$W/told"
	unmount_store
	wait
	# nobody listens: that is no reason not to mount
	NOTIFY_SOCKET=$W/socket2 mount_store
	unmount_store
	NOTIFY_SOCKET=nonsense mount_store
	unmount_store
}

test_daemon_systemd_units()
{
	command -v systemd-analyze > /dev/null || skip "no systemd-analyze"
	mkdir "$W/units"
	# the unit with this build's program, since none need be installed
	sed "s|/usr/bin/datawalfs|$DATAWALFS|" "$TOP/tools/systemd/datawalfs@.service" > "$W/units/datawalfs@.service"
	cp "$TOP"/docs/examples/*.mount "$TOP"/docs/examples/*.automount "$W/units"
	local unit
	for unit in "datawalfs@store.service" $(cd "$W/units" && ls *.mount *.automount); do
		SYSTEMD_UNIT_PATH=$W/units: systemd-analyze verify --man=no "$W/units/$unit" > "$W/said" 2>&1 || {
			cat "$W/said"
			grep -q 'Failed to .*bus\|initialize manager' "$W/said" && skip "systemd-analyze does not work here"
			return 1
		}
		fails grep "$W/units" "$W/said"
	done
}

# The unit gives up what the daemon does not need, and nothing that hides the mount.
test_daemon_unit_is_confined()
{
	local unit=$TOP/tools/systemd/datawalfs@.service line
	for line in NoNewPrivileges=yes DevicePolicy=closed 'DeviceAllow=/dev/fuse rw' IPAddressDeny=any \
		MemoryDenyWriteExecute=yes RestrictAddressFamilies=AF_UNIX RestrictNamespaces=yes \
		RestrictSUIDSGID=yes SystemCallArchitectures=native 'SystemCallFilter=@system-service @mount'; do
		grep -qxF "$line" "$unit"
	done
	grep -q '^CapabilityBoundingSet=CAP_SYS_ADMIN ' "$unit"
	# a mount namespace of its own
	fails grep -E '^(Protect(System|Home|Proc|Kernel[A-Za-z]+|ControlGroups)|Private(Tmp|Devices|Mounts|Users)|ProcSubset|(ReadOnly|ReadWrite|Inaccessible|Exec|NoExec)Paths|Bind[A-Za-z]*Paths|TemporaryFileSystem|Root[A-Z][a-z]+|MountFlags|PrivateIPC|DynamicUser)=' "$unit"
	# programs of packages that need not be there
	fails grep -E '^Exec[A-Za-z]*=/bin/kill' "$unit"
	command -v systemd-analyze > /dev/null || skip "no systemd-analyze, which judges the rest"
	cp "$unit" "$W/"
	systemd-analyze security --help | grep -q -- --offline || skip "a systemd-analyze that judges no files"
	systemd-analyze security --no-pager --offline=yes --threshold=45 "$W/datawalfs@.service" > "$W/said" 2>&1 || {
		cat "$W/said"
		return 1
	}
}

# --- users ---

# In a mount table of its own, where everybody may open /dev/fuse.
test_daemon_for_a_user()
{
	[ "$(id -u)" = 0 ] || skip "needs root to become a user"
	mknod "$W/fuse" c 10 229 2> /dev/null && chmod 666 "$W/fuse" || skip "no right to make a device"
	chmod 755 "$W"
	chown 65534:65534 "$S" "$M"
	unshare -m true 2> /dev/null || skip "no right to make a mount namespace"
	unshare -m bash -exc "
		mount --bind '$W/fuse' /dev/fuse
		setpriv --reuid 65534 --regid 65534 --clear-groups true < /dev/fuse || exit 77
		setpriv --reuid 65534 --regid 65534 --clear-groups bash -exc as_a_user" || {
		[ $? != 77 ] || skip "a device cannot be opened here"
		return 1
	}
	flock -n "$S/.lock" true
	ls -ln "$S/00000001.dwal" | grep -q ' 65534 65534 '
}

as_a_user()
{
	W=$S # where they may write
	mount_store
	echo mine > "$M/a"
	[ "$(stat -c '%u %g' "$M/a")" = "65534 65534" ]
	echo sync > "$M/.datawal/control"
	echo "export out" > "$M/.datawal/control"
	cmp "$S/.export/out" "$M/.datawal/export.jsonl"
	"$DATAWALFS" --unmount "$M"
	flock -n "$S/.lock" true
	mount_store
	[ "$(cat "$M/a")" = mine ]
	exec 3> "$M/open"
	fails "$DATAWALFS" --unmount "$M"
	exec 3>&-
	kill -KILL "$(daemon_pid)"
	wait_released
	fails mount_store
	grep -q remount_stale "$W/stderr"
	mount_store -o remount_stale
	[ "$(cat "$M/a")" = mine ]
	"$DATAWALFS" --unmount "$M"
}
export -f as_a_user

run_tests "$@"
