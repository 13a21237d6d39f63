#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_snapshot.sh - `.datawal/snapshots`: a moment of the store beside the one that goes
# on.
. "$(dirname "$0")/snapshots.sh"

test_snapshot_does_not_change()
{
	mount_store
	fill
	describe "$M" > "$W/want"
	mkdir "$M/.datawal/snapshots/one" "$M/.datawal/snapshots/unseen"
	[ "$(ls "$M/.datawal/snapshots" | tr '\n' ' ')" = "one unseen " ]
	describe "$M/.datawal/snapshots/one" | cmp "$W/want" -
	change_everything
	describe "$M/.datawal/snapshots/one" | cmp "$W/want" -
	fails cmp -s "$W/want" <(describe "$M")
	command_file compact
	describe "$M/.datawal/snapshots/one" | cmp "$W/want" -
	rm -r "$M"/*
	[ -z "$(ls -A "$M")" ]
	command_file rotate
	command_file compact
	command_file compact
	echo 3 > /proc/sys/vm/drop_caches 2> /dev/null || true
	describe "$M/.datawal/snapshots/one" | cmp "$W/want" -
	# looked at for the first time
	describe "$M/.datawal/snapshots/unseen" | cmp "$W/want" -
	describe_copy "$M/.datawal/snapshots/one" > "$W/want"
	cp -a "$M/.datawal/snapshots/one/." "$M"
	describe_copy "$M" | cmp "$W/want" -
	unmount_store
}

# Open files with their writes are in it, later changes are not.
test_snapshot_has_what_is_open()
{
	mount_store -o commit_ms=3600000
	exec 3> "$M/open" 4> "$M/empty"
	echo before >&3
	chmod 600 "$M/open"
	mkdir "$M/.datawal/snapshots/s"
	echo after >&3
	[ "$(cat "$M/.datawal/snapshots/s/open")" = before ]
	[ "$(stat -c %a "$M/.datawal/snapshots/s/open")" = 600 ]
	[ -e "$M/.datawal/snapshots/s/empty" ]
	[ "$(cat "$M/open" | tr '\n' ' ')" = "before after " ]
	exec 3>&- 4>&-
	unmount_store
}

test_snapshot_several()
{
	mount_store
	local i
	for i in $(seq 12); do
		echo "$i" > "$M/count"
		echo "$i" > "$M/f$i"
		mkdir "$M/.datawal/snapshots/s$i"
	done
	grep -qx 'snapshots 12' "$M/.datawal/status"
	[ "$(ls "$M/.datawal/snapshots" | wc -l)" = 12 ]
	for i in 1 3 5 7 9 11; do
		rmdir "$M/.datawal/snapshots/s$i"
	done
	command_file compact
	for i in 2 4 6 8 10 12; do
		[ "$(cat "$M/.datawal/snapshots/s$i/count")" = "$i" ]
		[ "$(ls "$M/.datawal/snapshots/s$i" | wc -l)" = $((i + 1)) ]
		fails ls "$M/.datawal/snapshots/s$((i - 1))"
	done
	rmdir "$M"/.datawal/snapshots/*
	[ -z "$(ls -A "$M/.datawal/snapshots")" ]
	mkdir "$M/.datawal/snapshots/s3"
	[ "$(cat "$M/.datawal/snapshots/s3/count")" = 12 ]
	unmount_store
}

# Whatever is open stays readable; then the space goes.
test_snapshot_removed_while_open()
{
	mount_store
	fill
	cp "$M/large" "$W/large"
	local s=$M/.datawal/snapshots/s
	mkdir "$s"
	exec 3< "$s/large" 4< "$s/d/e/9"
	head -c 1000000 <&3 > "$W/read"
	cd "$s/d/e"
	rm -r "$M"/*
	rmdir "$s"
	fails ls "$s"
	command_file compact
	mkdir "$s"
	[ -z "$(ls -A "$s")" ]
	rmdir "$s"
	cat <&3 >> "$W/read"
	cmp "$W/large" "$W/read"
	[ "$(cat <&4)" = "value 9" ]
	[ "$(cat 10)" = "value 10" ]
	cd "$W"
	exec 3<&- 4<&-
	nothing_kept()
	{
		! ls -l "/proc/$1/fd" | grep '\.dwal.*(deleted)'
	}
	wait_until nothing_kept "$(daemon_pid)"
	command_file compact
	[ "$(du -sb --exclude=.attr "$S" | cut -f1)" -lt 1000000 ]
	unmount_store
}

# The kernel keeps paths in a snapshot, down from the control directory, as it keeps others; until
# the snapshot goes.
test_snapshot_paths_are_kept()
{
	mount_store
	mkdir -p "$M/d/e"
	for i in $(seq 100); do
		echo "$i" > "$M/d/e/$i"
	done
	local s=$M/.datawal/snapshots
	mkdir "$s/n"
	# lookups and getattrs so far
	asked()
	{
		awk '/_duration_seconds_count{operation="(lookup|getattr)"}/ { n += $2 } END { print n }' "$M/.datawal/metrics"
	}
	stat "$s"/n/d/e/* > "$W/first"
	cat "$s"/n/d/e/* > /dev/null
	local before after
	before=$(asked)
	stat "$s"/n/d/e/* | cmp "$W/first" -
	cat "$s"/n/d/e/* > /dev/null
	[ "$(stat -c '%a %h' "$M/.datawal" "$s" | tr '\n' ' ')" = '511 1 755 1 ' ]
	after=$(asked)
	[ $((after - before)) -lt 10 ]
	# another one of the name shows what it has
	rmdir "$s/n"
	fails stat "$s/n/d/e/1"
	rm "$M/d/e/1"
	echo new > "$M/d/e/2"
	mkdir "$s/n"
	fails stat "$s/n/d/e/1"
	[ "$(cat "$s/n/d/e/2")" = new ]
	[ "$(ls "$s/n/d/e" | wc -l)" = 99 ]
	unmount_store
}

# A signal ends it well, whatever is open of whichever moment.
test_snapshot_ends_by_a_signal()
{
	"$DATAWALFS" -f "$S" "$M" < /dev/null &
	local pid=$!
	wait_until mountpoint -q "$M"
	echo old > "$M/a"
	mkdir "$M/.datawal/snapshots/s" "$M/.datawal/snapshots/gone" "$M/.datawal/snapshots/unseen"
	exec 3< "$M/.datawal/snapshots/s" 4< "$M/.datawal/snapshots/s/a" 5< "$M/.datawal/snapshots/gone/a"
	rmdir "$M/.datawal/snapshots/gone"
	kill -TERM $pid
	wait $pid
	exec 3<&- 4<&- 5<&-
	umount -l "$M" 2> /dev/null || true
	mount_store
	[ "$(cat "$M/a")" = old ]
	unmount_store
}

# It has the kernel forget names of a removed snapshot, which waits for the lock of a directory
# that a request holds: somebody must answer that.
test_snapshot_ends_while_it_forgets()
{
	local i
	"$DATAWALFS" -f "$S" "$M" < /dev/null &
	local pid=$!
	wait_until mountpoint -q "$M"
	mkdir "$M/d"
	for i in $(seq 100); do echo "$i" > "$M/d/$i"; done
	mkdir "$M/.datawal/snapshots/s"
	ls -l "$M/.datawal/snapshots/s/d" > /dev/null
	exec 3< "$M/.datawal/snapshots/s/d"
	look_up_forever 4 "$M/.datawal/snapshots/s/d"
	rmdir "$M/.datawal/snapshots/s"
	exec 3<&-
	expect_end_by_a_signal $pid
	mount_store
	[ "$(cat "$M/d/7")" = 7 ]
	unmount_store
}

test_snapshot_refuses()
{
	mount_store
	mkdir "$M/d"
	echo 1 > "$M/a"
	local s=$M/.datawal/snapshots command
	mkdir "$s/s"
	for command in 'touch new' 'rm a' 'mv a b' 'mkdir e' 'rmdir d' 'chmod 600 a' 'truncate -s 1 a' \
		'sh -c "echo 1 > a"' 'sh -c "echo 1 >> a"' 'ln -s a l' 'mknod n p' 'chmod 700 .' \
		'setfattr -n user.x -v y a' 'mv ../../../d/. x'; do
		(cd "$s/s" && fails bash -c "$command")
	done
	(cd "$s/s" && fails touch new)
	grep -q 'Read-only file system' "$W/stderr"
	fails perl -e 'exit !rename $ARGV[0], $ARGV[1]' "$M/a" "$s/s/b"
	fails perl -e 'exit !rename $ARGV[0], $ARGV[1]' "$s/s/a" "$M/b"
	[ "$(ls -A "$M" | tr '\n' ' ')" = "a d " ]
	[ "$(ls -A "$s/s" | tr '\n' ' ')" = "a d " ]
	fails mkdir "$s/s"
	grep -q 'File exists' "$W/stderr"
	fails rmdir "$s/none"
	grep -q 'No such file' "$W/stderr"
	fails touch "$s/file"
	fails mv "$s/s" "$s/t"
	fails mv "$s/s" "$M/t"
	fails rm "$s/s"
	fails rmdir "$s"
	fails mkdir "$s/$(printf 'x%.0s' $(seq 256))"
	fails mkdir "$s/.hidden"
	mkdir "$s/$(printf 'x%.0s' $(seq 255))" "$s/a b%00" "$s/control"
	[ "$(cat "$s/a b%00/a" "$s/control/a" | tr -d '\n')" = 11 ]
	mkdir "$W/look"
	"$DATAWALFS" "$S" "$W/look" -o ro
	[ "$(cat "$W/look/.datawal/snapshots/s/a")" = 1 ]
	fails mkdir "$W/look/.datawal/snapshots/t"
	grep -q 'Read-only file system' "$W/stderr"
	fails rmdir "$W/look/.datawal/snapshots/s"
	grep -q 'Read-only file system' "$W/stderr"
	umount "$W/look"
	unmount_store
}

test_snapshot_other_user()
{
	[ "$(id -u)" = 0 ] || skip 'needs root'
	chmod 755 "$W"
	mount_store -o allow_other,uid=65534,gid=65534,umask=022
	echo 1 > "$M/all"
	echo 1 > "$M/own"
	chown 4321 "$M/own"
	chmod 600 "$M/own"
	local s=$M/.datawal/snapshots
	as()
	{
		setpriv --reuid="$1" --regid="$1" --clear-groups "${@:2}"
	}
	mkdir "$s/s"
	[ "$(as 4321 cat "$s/s/all" "$s/s/own" | tr -d '\n')" = 11 ]
	[ "$(as 1234 cat "$s/s/all")" = 1 ]
	fails as 1234 cat "$s/s/own"
	# what was shut later was open then, and the other way round
	chmod 600 "$M/all"
	chmod 644 "$M/own"
	[ "$(as 1234 cat "$s/s/all")" = 1 ]
	fails as 1234 cat "$s/s/own"
	fails as 1234 mkdir "$s/t"
	fails as 1234 rmdir "$s/s"
	fails as 1234 cat "$M/.datawal/status"
	fails as 1234 ls "$M/.datawal"
	as 65534 mkdir "$s/t"
	as 65534 rmdir "$s/t" "$s/s"
	unmount_store
}

test_snapshot_tools()
{
	mount_store
	fill
	local s=$M/.datawal/snapshots/s
	mkdir "$s"
	describe_copy "$s" > "$W/want"
	change_everything
	mkdir "$W/tar" "$W/rsync"
	tar -C "$s" --xattrs -cf - . | tar -C "$W/tar" --xattrs -xpf -
	diff -r --no-dereference "$s" "$W/tar"
	describe_copy "$W/tar" | cmp "$W/want" -
	rsync -aX "$s/" "$W/rsync/"
	diff -r --no-dereference "$s" "$W/rsync"
	[ "$(rsync -aXi "$s/" "$W/rsync/" | wc -l)" = 0 ]
	[ "$(grep -rl '^value 7$' "$s")" = "$s/d/e/7" ]
	[ "$(find "$s" -type f -size +1000k)" = "$s/large" ]
	# two files to whoever compares numbers, in this tree and in any other
	mkdir "$s.other"
	find "$M" "$s" "$s.other" -printf '%i\n' | sort | uniq -d > "$W/twice"
	[ ! -s "$W/twice" ]
	cmp <(find "$s/d" "$s.other/moved" | wc -l) <(find "$W/tar/d" "$M/moved" | wc -l)
	# but the same in the next one of that name
	find "$s" -printf '%P %i\n' | grep -E '^(large|link|) ' > "$W/numbers"
	rmdir "$s"
	mkdir "$s"
	find "$s" -printf '%P %i\n' | grep -E '^(large|link|) ' | cmp "$W/numbers" -
	unmount_store
}

# Snapshots are taken, read and removed while the store is written and compacted; each is
# one moment of values, names and attributes.
test_snapshot_under_load()
{
	mount_store
	local i a b c mode writer s=$M/.datawal/snapshots
	echo 0 | tee "$M/a" "$M/b" > "$M/c"
	chmod 600 "$M/c"
	(
		i=0
		while [ ! -e "$W/done" ]; do
			i=$((i + 1))
			echo $i > "$M/a"
			echo $i > "$M/new$i"
			[ $i = 1 ] || rm "$M/new$((i - 1))"
			echo $i > "$M/b"
			echo $i > "$M/c"
			chmod $((600 + i % 8)) "$M/c"
		done
	) &
	writer=$!
	for i in $(seq 60); do
		mkdir "$s/$i"
		[ $((i % 7)) != 0 ] || command_file compact
		a=$(cat "$s/$i/a") b=$(cat "$s/$i/b") c=$(cat "$s/$i/c") mode=$(stat -c %a "$s/$i/c")
		# `a` may be empty: `>` truncates when it opens
		[ -z "$a$b" ] || [ -z "$a" ] || [ -z "$b" ] || [ "$a" = "$b" ] || [ "$a" = $((b + 1)) ]
		[ -z "$b" ] || [ -z "$c" ] || [ "$b" = "$c" ] || [ "$b" = $((c + 1)) ]
		[ -z "$c" ] || [ "$mode" = $((600 + c % 8)) ] || [ "$mode" = $((600 + (c + 7) % 8)) ]
		[ "$(ls "$s/$i" | grep -c new)" -le 2 ]
		[ -z "$a" ] || [ "$a" = 0 ] || [ -e "$s/$i/new$a" ] || [ -e "$s/$i/new$((a - 1))" ] || [ "$a" = 1 ]
		ls -lR "$s" > "$W/all" 2>&1
		[ "$a" = "$(cat "$s/$i/a")" ]
		[ $i -le 3 ] || rmdir "$s/$((i - 3))"
	done
	touch "$W/done"
	wait $writer
	unmount_store
}

run_tests "$@"
