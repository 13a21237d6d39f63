#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_control.sh - the control directory.
. "$(dirname "$0")/lib.sh"
DATAWAL=$(readlink -f "${DATAWAL:-build/release/datawal}")
export DATAWAL

test_control_not_listed()
{
	mount_store
	touch "$M/a"
	[ "$(ls -A "$M")" = a ]
	[ -d "$M/.datawal" ]
	[ "$(stat -c %a "$M/.datawal/control")" = 600 ]
	[ "$(ls "$M/.datawal" | tr '\n' ' ')" = "control export.jsonl metrics snapshots stats.json status " ]
	# nothing in it can be made, removed or moved
	fails touch "$M/.datawal/x"
	fails rm "$M/.datawal/control"
	fails rmdir "$M/.datawal"
	fails mv "$M/.datawal" "$M/y"
	fails mv "$M/a" "$M/.datawal/a"
	fails mkdir "$M/.datawal"
	timeout "$(scaled 20)" grep -r nothing "$M/.datawal" || true
	unmount_store
}

test_control_compact()
{
	mount_store -o segment_size=64K
	local i
	for i in 1 2 3 4 5; do
		cp -r "$TOP/engine" "$M/"
	done
	command_file compact
	grep -q '^compact: done' "$M/.datawal/control"
	diff -r "$TOP/engine" "$M/engine"
	local live all
	all=$(cat "$S"/*.dwal | wc -c)
	live=$(sed -n 's/.*"live_bytes": \([0-9]*\).*/\1/p' "$M/.datawal/stats.json")
	[ "$all" = "$live" ]
	remount_store
	diff -r "$TOP/engine" "$M/engine"
	unmount_store
}

test_control_compact_while_writing()
{
	mount_store -o segment_size=64K
	(for i in $(seq 1 300); do seq "$i" > "$M/f$((i % 50))"; done) &
	for _ in 1 2 3 4 5 6; do
		command_file compact
	done
	wait %1
	remount_store
	local i
	for i in $(seq 251 300); do
		seq "$i" | cmp - "$M/f$((i % 50))"
	done
	unmount_store
}

test_control_export()
{
	mount_store
	printf value > "$M/key"
	printf '{"key_b64":"a2V5","value_b64":"dmFsdWU="}\n' > "$W/want"
	cmp "$W/want" "$M/.datawal/export.jsonl"
	command_file "export out.jsonl"
	cmp "$W/want" "$S/.export/out.jsonl"
	[ "$(stat -c %a "$S/.export" "$S/.export/out.jsonl" | tr '\n' ' ')" = "700 600 " ]
	# again, in its place, and by its path
	command_file "export $S/.export/out.jsonl"
	command_file "export $S/.export//other"
	cmp "$W/want" "$S/.export/other"
	[ "$(ls -A "$S/.export" | tr '\n' ' ')" = "other out.jsonl " ]
	cp "$M/.datawal/export.jsonl" "$W/copied"
	cmp "$W/want" "$W/copied"
	head -c 3000000 /dev/urandom > "$M/large"
	[ "$(cat "$M/.datawal/export.jsonl" | wc -c)" -gt 4000000 ]
	# what nobody but the mount knows is left alone by the next one, and by readers of the store
	cp "$W/want" "$S/.export/00000001.dwal"
	remount_store
	cmp "$W/want" "$S/.export/00000001.dwal"
	[ "$(stat -c %s "$M/large")" = 3000000 ]
	unmount_store
	"$DATAWAL" verify "$S" > "$W/verified"
	grep -qx 'damaged: *0' "$W/verified"
	[ "$(ls -A "$S/.export" | tr '\n' ' ')" = "00000001.dwal other out.jsonl " ]
}

# Only a name of a file is taken, and only a file is replaced.
test_control_export_names()
{
	mount_store
	echo x > "$M/key"
	local long name
	long=$(printf '%0256d' 0)
	for name in '' . .. .hidden a/b ../out "$W/out" /out "$M/inside" "$S/out" "$S/.attr/x" \
		"$S/.export/../out" "$S/.export/" "$S/.exported" "$long"; do
		fails command_file "export $name"
		grep -qx 'last.error EINVAL' "$M/.datawal/status"
	done
	[ ! -e "$S/.export" ]
	fails command_file "export $W/out"
	grep -qF "'$S/.export'; for another place: cat MNT/.datawal/export.jsonl > PATH" "$M/.datawal/control"
	command_file "export ${long%?}"
	mkdir "$S/.export/dir"
	mkfifo "$S/.export/fifo"
	echo other > "$W/other"
	ln -s "$W/other" "$S/.export/link"
	for name in dir fifo link; do
		fails command_file "export $name"
		grep -qx 'last.error EEXIST' "$M/.datawal/status"
	done
	[ "$(cat "$W/other")" = other ]
	# a hard link is not written through, nor what a killed daemon left
	ln "$W/other" "$S/.export/hard"
	ln "$W/other" "$S/.export/.export.tmp"
	command_file "export hard"
	[ "$(cat "$W/other")" = other ]
	[ "$(ls -A "$S/.export" | wc -l)" = 5 ]
	unmount_store
}

# The directory in the store may be a symlink that somebody else made.
test_control_export_follows_no_link()
{
	mount_store
	echo x > "$M/key"
	mkdir "$W/victim"
	ln -s "$W/victim" "$S/.export"
	fails command_file "export out"
	grep -q "^last.detail '.export' in the store is no directory" "$M/.datawal/status"
	[ -z "$(ls -A "$W/victim")" ]
	rm "$S/.export"
	command_file "export out"
	unmount_store
}

test_control_export_dir()
{
	mkdir "$W/exports"
	ln -s exports "$W/by_link"
	mount_store -o "export_dir=$W/by_link"
	echo x > "$M/key"
	command_file "export one"
	command_file "export $W/exports/two"
	command_file "export $W/by_link/three"
	fails command_file "export $S/.export/four"
	[ "$(ls -A "$W/exports" | tr '\n' ' ')" = "one three two " ]
	# it is the directory that was there at the start
	mv "$W/exports" "$W/moved"
	mkdir "$W/exports"
	command_file "export five"
	cmp "$W/moved/five" "$M/.datawal/export.jsonl"
	[ -z "$(ls -A "$W/exports")" ]
	[ ! -e "$S/.export" ]
	# another process may be at it
	flock "$W/moved" sh -c "! echo 'export six' > '$M/.datawal/control'"
	grep -qx 'last.error EBUSY' "$M/.datawal/status"
	unmount_store
	# a relative one is where it was said
	mount_store -o export_dir=moved
	command_file "export seven"
	[ -e "$W/moved/seven" ]
	unmount_store
	for name in nothing "$S" "$S/.attr" "$M" "$W/moved/one"; do
		mkdir -p "$S/.attr"
		fails mount_store -o "export_dir=$name"
		grep -q "^datawalfs: export_dir '$name'" "$W/stderr"
	done
}

status_of() # NAME
{
	sed -n "s/^$1 //p" "$M/.datawal/status"
}

# 90 values of 1 MB were written, 45 segments are left at most
is_compacted()
{
	[ "$(status_of compact.phase)" = none ] && [ "$(ls "$S" | grep -c 'dwal$')" -lt 46 ]
}

# In the background, and stopped.
test_control_compaction()
{
	mount_store -o segment_size=1M,compact=off
	[ "$(status_of compact.auto)" = off ]
	fails command_file "compact now"
	fails command_file "cancel it"
	command_file cancel
	command_file "compact auto"
	[ "$(status_of compact.auto)" = on ]
	head -c 1000000 /dev/urandom > "$W/value"
	for i in $(seq 90); do cp "$W/value" "$M/key"; done
	wait_until is_compacted
	cmp "$W/value" "$M/key"
	command_file "compact off"
	[ "$(status_of compact.auto)" = off ]
	unmount_store
}
log_size() { find "$S" -maxdepth 1 -name '*.dwal' -printf '%s\n' | awk '{ s += $1 } END { print s + 0 }'; }
attrs_size() { find "$S/.attr" -name '*.dwal' -printf '%s\n' | awk '{ s += $1 } END { print s + 0 }'; }
is_smaller() { [ "$($1)" -lt "$2" ]; }

# Without a word the log does not grow without limit, and what is small is left alone.
test_control_compaction_by_default()
{
	local i
	mount_store
	[ "$(status_of compact.auto)" = on ]
	head -c 30000000 /dev/urandom > "$W/want"
	for i in 1 2; do cp "$W/want" "$M/f"; done # half of it is dead, which is 30 MB
	sync "$M"
	[ "$(log_size)" -gt 60000000 ]
	for i in 1 2 3; do cp "$W/want" "$M/f"; done
	sync "$M"
	wait_until is_smaller log_size 80000000
	cmp "$W/want" "$M/f"
	[ "$(status_of last.command)" = none ]
	remount_store
	cmp "$W/want" "$M/f"
	unmount_store
}

# What it waits for is the operator's choice; attributes are compacted as well, also where there is
# no control directory.
test_control_compaction_options()
{
	local i
	mount_store -o segment_size=64K,compact_dead=20,compact_min=100K,compact_rate=0,control=off
	head -c 10000 /dev/urandom > "$W/want"
	for i in $(seq 60); do cp "$W/want" "$M/f"; done
	perl -e 'for (1 .. 3000) { chmod 0600 + $_ % 2 * 040, $ARGV[0] or die $! }' "$M/f"
	wait_until is_smaller log_size 150000
	wait_until is_smaller attrs_size 150000
	cmp "$W/want" "$M/f"
	[ "$(stat -c %a "$M/f")" = 600 ]
	unmount_store
	mount_store -o segment_size=64K,compact_min=100K,compact=off
	for i in $(seq 60); do cp "$W/want" "$M/f"; done
	sync "$M"
	[ "$(log_size)" -gt 600000 ]
	# by command it goes by the same options
	command_file "compact auto"
	wait_until is_smaller log_size 300000
	unmount_store
	for i in compact=on compact= compact_dead=0 compact_dead=101 compact_min=x compact_rate=-1; do
		fails mount_store -o "$i"
		grep -q "^datawalfs: ${i%%=*} '${i#*=}' is " "$W/stderr"
	done
}

# A small disk that fills: dead bytes go, though they are below all limits of the options.
test_control_compaction_of_a_full_disk()
{
	local i=0
	mkdir "$W/disk"
	mount -t tmpfs -o size=20m tmpfs "$W/disk" 2>/dev/null || skip "no right to mount a tmpfs"
	S=$W/disk/store
	mkdir "$S"
	mount_store -o segment_size=2M
	while head -c 100000 /dev/urandom > "$M/f$((i % 10))" 2> /dev/null; do
		i=$((i + 1))
		[ $i -lt 400 ] # 40 MB of 1 MB that live
	done
	wait_until is_smaller log_size 8000000
	head -c 100000 /dev/urandom > "$M/f0"
	unmount_store
	unmount_disk
}

export -f status_of is_compacted log_size attrs_size is_smaller

test_control_commands()
{
	mount_store
	touch "$M/a"
	command_file sync
	command_file rotate
	[ -e "$S/00000002.dwal" ]
	command_file verify
	grep -q '^verify: done' "$M/.datawal/control"
	fails command_file 'format c:'
	grep -q 'commands are' "$M/.datawal/control"
	printf 'sync\nrotate\n' > "$M/.datawal/control"
	[ -e "$S/00000003.dwal" ]
	unmount_store
}

# Reading it, or copying it there and back, changes nothing and ends, even while a command
# hangs: its export goes to a mount whose daemon stands still.
test_control_never_waits_for_a_command()
{
	mkdir "$W/store2" "$W/mnt2"
	"$DATAWALFS" "$W/store2" "$W/mnt2"
	mkdir "$W/mnt2/exports"
	mount_store -o "export_dir=$W/mnt2/exports"
	head -c 3000000 /dev/urandom > "$M/large"
	local other writer
	other=$(cat "$W/store2/.lock")
	kill -STOP "$other"
	command_file "export out" &
	writer=$!
	wait_until grep -qx 'running 1' "$M/.datawal/status"
	grep -qx 'running.1.command export' "$M/.datawal/status"
	grep -qx 'last.command none' "$M/.datawal/status"
	timeout "$(scaled 20)" cat "$M/.datawal/control" "$M/.datawal/stats.json" "$M/.datawal/metrics" > /dev/null
	timeout "$(scaled 60)" grep -r nothing-like-this "$M/.datawal" || [ $? = 1 ]
	timeout "$(scaled 60)" tar -cf "$W/control.tar" -C "$M" .datawal
	grep -qx 'running 1' "$M/.datawal/status"
	kill -CONT "$other"
	wait $writer
	grep -qx 'running 0' "$M/.datawal/status"
	grep -qx 'last.result done' "$M/.datawal/status"
	[ "$(wc -l < "$W/mnt2/exports/out")" = 1 ]
	unmount_store
	umount "$W/mnt2"
}

# A backup that took the directory by its name, put back: no command is run by that.
test_control_restored_triggers_nothing()
{
	mount_store
	touch "$M/a"
	cp -r "$M/.datawal" "$W/copy" || true
	command_file rotate
	cat "$M/.datawal/control" > "$W/copy/control"
	cp "$M/.datawal/stats.json" "$W/before"
	cp -a "$W/copy/." "$M/.datawal" 2> /dev/null || true
	cat "$W/copy/control" > "$M/.datawal/control" || true
	cmp "$W/before" "$M/.datawal/stats.json"
	unmount_store
}

test_control_status()
{
	mount_store
	touch "$M/a"
	grep -qx "pid $(daemon_pid)" "$M/.datawal/status"
	grep -qx 'mode rw' "$M/.datawal/status"
	command_file verify
	grep -qx 'last.command verify' "$M/.datawal/status"
	grep -qx 'last.result done' "$M/.datawal/status"
	grep -q '^last.detail 1 sound records' "$M/.datawal/status"
	grep -qE '^last.finished [0-9-]+T[0-9:]+Z$' "$M/.datawal/status"
	fails command_file reload
	grep -qx 'last.command reload' "$M/.datawal/status"
	grep -qx 'last.result failed' "$M/.datawal/status"
	grep -qx 'last.error EINVAL' "$M/.datawal/status"
	# a key and a value a line
	fails grep -vE '^[a-z0-9_.]+ .+$' "$M/.datawal/status"
	unmount_store
}

test_control_name()
{
	mount_store -o control=.steer
	[ -d "$M/.steer" ]
	fails ls "$M/.datawal"
	echo sync > "$M/.steer/control"
	# the other name is a key like any other, and the one in use is quoted
	mkdir "$M/.datawal"
	echo 1 > "$M/.datawal/control"
	echo 2 > "$M/%~.steer"
	[ "$(ls -A "$M" | tr '\n' ' ')" = "%~.steer .datawal " ]
	remount_store
	[ "$(cat "$M/%~.datawal/control")" = 1 ]
	[ "$(cat "$M/.steer")" = 2 ]
	unmount_store
	for name in a/b a%b % . ..; do
		fails mount_store -o "control=$name"
		grep -q 'no name for a directory' "$W/stderr"
	done
}

test_control_off()
{
	mount_store -o control=off
	fails ls "$M/.datawal"
	mkdir "$M/.datawal"
	echo data > "$M/.datawal/control"
	[ "$(cat "$M/.datawal/control")" = data ]
	[ "$(ls -A "$M")" = .datawal ]
	rm -r "$M/.datawal"
	[ -z "$(ls -A "$M")" ]
	echo kept > "$M/.datawal"
	remount_store
	[ "$(cat "$M/%~.datawal")" = kept ]
	remount_store -o control=off,ro
	[ "$(cat "$M/.datawal")" = kept ]
	# with nothing to be written to, the kernel knows as well
	findmnt -no OPTIONS "$M" | grep -qE '(^|,)ro(,|$)'
	umount "$M"
}

test_control_only_for_the_owner()
{
	[ "$(id -u)" = 0 ] || skip "needs root to become another user"
	mount_store -o allow_other
	chmod 755 "$W"
	fails setpriv --reuid 65534 --regid 65534 --clear-groups cat "$M/.datawal/stats.json"
	fails setpriv --reuid 65534 --regid 65534 --clear-groups sh -c "echo sync > '$M/.datawal/control'"
	# also if somebody else opened it for them
	fails setpriv --reuid 65534 --regid 65534 --clear-groups sh -c 'echo rotate >&3' 3> "$M/.datawal/control"
	[ ! -e "$S/00000002.dwal" ]
	unmount_store
}

# In a user namespace of its own a caller shows all capabilities, and its paths are others.
test_control_export_from_a_container()
{
	[ "$(id -u)" = 0 ] || skip "needs root to become another user"
	unshare -U true 2> /dev/null || skip "no right to make a user namespace"
	chmod 755 "$W"
	mount_store -o allow_other,uid=65534
	echo value > "$M/key"
	mkdir -m 700 "$W/private"
	echo private > "$W/private/file"
	fails setpriv --reuid 65534 --regid 65534 --clear-groups unshare -Ur \
		sh -c "echo 'export $W/private/file' > '$M/.datawal/control'"
	[ "$(cat "$W/private/file")" = private ]
	grep -qx 'last.error EINVAL' "$M/.datawal/status"
	setpriv --reuid 65534 --regid 65534 --clear-groups unshare -Ur \
		sh -c "echo 'export out' > '$M/.datawal/control'"
	[ "$(stat -c '%u %a' "$S/.export/out")" = "0 600" ]
	unmount_store
}

run_tests "$@"
