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

# list_and DIR ACTION: read DIR entry by entry, doing the action for each; then again from its start.
# What each reading found, counted: entries, and different ones.
list_and()
{
	timeout "$(scaled 60)" perl -e '
		my ($dir, $action, $n) = (@ARGV, 0);
		opendir(my $d, $dir) or die;
		my $read = sub {
			my (%seen, $count);
			while (defined(my $name = readdir($d))) {
				next if $name =~ /^\.\.?$/;
				$count++;
				$seen{$name =~ s/\.x*$//r}++;
				$_ = "$dir/$name";
				eval $action;
				die $@ if $@;
			}
			print "$count ", scalar(keys %seen), "\n";
		};
		$read->();
		rewinddir($d);
		$action = "";
		$read->()' "$1" "$2"
}

test_mount_listing_while_renaming()
{
	mount_store
	mkdir "$M/d" "$M/e"
	(cd "$M/d" && seq 1 1000 | xargs touch)
	(cd "$M/e" && seq 1001 2000 | xargs touch)
	# each once, and the listing ends
	list_and "$M/d" 'rename($_, "$_.x") or die' > "$W/renamed"
	diff - "$W/renamed" <<< $'1000 1000\n1000 1000'
	# what comes meanwhile is behind the end, and there from the start on
	list_and "$M/d" '++$n; open(my $f, ">", "$dir/new$n") or die' > "$W/created"
	diff - "$W/created" <<< $'1000 1000\n2000 2000'
	list_and "$M/d" '++$n; !-e "$dir/../e/" . (1000 + $n) or rename("$dir/../e/" . (1000 + $n), "$dir/moved$n") or die' > "$W/moved"
	diff - "$W/moved" <<< $'2000 2000\n3000 3000'
	mkdir "$M/f"
	touch "$M/f/a"
	list_and "$M/f" '++$n; mkdir("$dir/d$n") or die' > "$W/dirs"
	diff - "$W/dirs" <<< $'1 1\n2 2'
	mkdir "$M/.datawal/snapshots/s"
	list_and "$M/.datawal/snapshots" '++$n; mkdir("$dir/s$n") or die' > "$W/snapshots"
	diff - "$W/snapshots" <<< $'1 1\n2 2'
	unmount_store
}

# seek_in DIR COUNT: list as many, and go on where that is in a directory that was opened anew, as
# nfsd does; all names.
seek_in()
{
	perl -e '
		my ($dir, $count) = @ARGV;
		opendir(my $a, $dir) or die;
		print scalar(readdir($a)), "\n" for 1 .. $count;
		opendir(my $b, $dir) or die;
		seekdir($b, telldir($a));
		print "$_\n" while $_ = readdir($b)' "$1" "$2" | grep -vx '[.]*' | sort
}

test_mount_listing_by_place()
{
	mount_store
	mkdir "$M/d" "$M/.datawal/snapshots/"{a,b,c}
	(cd "$M/d" && seq 1000 1999 | xargs touch)
	seek_in "$M/d" 300 | cmp - <(seq 1000 1999)
	seek_in "$M/.datawal/snapshots" 3 | diff - <(printf '%s\n' a b c)
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

# How many values the daemon says that it lost.
lost_values()
{
	sed -n 's/.*"values_lost": \([0-9]*\).*/\1/p' "$M/.datawal/stats.json"
}

# lost_after COUNT COMMAND...: it fails, and after its last close COUNT values are lost.  The
# kernel does not wait for the daemon's part of that close.
lost_after()
{
	local count=$1
	shift
	fails "$@"
	wait_until bash -c '[ "$(lost_values)" = "$1" ]' sh "$count"
}

# What could not be committed looks to no tool as if it had been, and takes no memory.
test_mount_full_disk()
{
	mkdir "$W/disk"
	mount -t tmpfs -o size=6m tmpfs "$W/disk" 2>/dev/null || skip "no right to mount a tmpfs"
	S=$W/disk/store
	mkdir "$S" "$W/new"
	# memory that was given back would count where a sanitizer holds it
	export ASAN_OPTIONS="${ASAN_OPTIONS:-}:quarantine_size_mb=4"
	mount_store -o log="$W/daemon.log"
	echo old > "$M/keep"
	touch -d 2001-01-01 "$M/keep"
	chmod 640 "$M/keep"
	head -c 8000000 /dev/urandom > "$W/new/keep"
	tar -C "$W/new" -cf "$W/new.tar" keep
	lost_after 1 cp "$W/new/keep" "$M/keep"
	grep -q 'No space' "$W/stderr"
	[ "$(stat -c '%s %Y %a' "$M/keep")" = "4 $(date -d 2001-01-01 +%s) 640" ]
	[ "$(cat "$M/keep")" = old ]
	fails cmp "$W/new/keep" "$M/keep"
	lost_after 2 cp -u "$W/new/keep" "$M/keep"
	lost_after 3 rsync -a --inplace "$W/new/" "$M/"
	lost_after 4 rsync -a "$W/new/" "$M/"
	fails tar -C "$M" --compare -f "$W/new.tar"
	[ "$(cat "$M/keep")" = old ]
	# the log names it, once for each
	[ "$(grep -c "'keep' could not be committed: No space left on device" "$W/daemon.log")" = 3 ]
	[ "$(grep -c "'keep': the value written last, 8000000 bytes, is lost" "$W/daemon.log")" = 3 ]
	# through the kernel's pages, which must not outlive it (at
	# another size the kernel drops them by itself)
	head -c 3500000 /dev/urandom > "$W/mid"
	cp "$W/mid" "$M/mid"
	lost_after 5 perl -e 'open(my $f, "+<", $ARGV[0]) or die; print $f "N" x 3500000; close $f or die "$!"' "$M/mid"
	cmp "$W/mid" "$M/mid"
	# names that the log never had
	lost_after 6 cp "$W/new/keep" "$M/fresh"
	fails stat "$M/fresh"
	fails cat "$M/fresh"
	[ "$(ls -A "$M" | tr '\n' ' ')" = "keep mid " ]
	local before after i
	before=$(awk '/VmRSS/ { print $2 }' "/proc/$(daemon_pid)/status")
	for i in $(seq 20); do
		lost_after $((6 + i)) cp "$W/new/keep" "$M/fresh$i"
	done
	after=$(awk '/VmRSS/ { print $2 }' "/proc/$(daemon_pid)/status")
	[ $((after - before)) -lt 40000 ]
	echo small > "$M/small"
	echo again > "$M/fresh"
	[ "$(cat "$M/fresh")" = again ]
	remount_store
	[ "$(ls -A "$M" | tr '\n' ' ')" = "fresh keep mid small " ]
	[ "$(cat "$M/keep")" = old ]
	[ "$(stat -c '%s %Y %a' "$M/keep")" = "4 $(date -d 2001-01-01 +%s) 640" ]
	[ "$(cat "$M/fresh")" = again ]
	unmount_store
	unmount_disk
}

export -f list_and seek_in lost_values lost_after

# A daemon that may not write large files: an error for the one file, by close, by msync, by the
# timer and at the end; the signal that comes with it (SIGXFSZ) ends nothing.
test_mount_file_size_limit()
{
	head -c 8000000 /dev/urandom > "$W/big"
	(ulimit -f 2000; exec "$DATAWALFS" "$S" "$M" -o commit_ms=20,log="$W/daemon.log")
	local pid
	pid=$(daemon_pid)
	echo old > "$M/f"
	lost_after 1 cp "$W/big" "$M/f"
	grep -q 'File too large' "$W/stderr"
	python3 - "$M/f" <<-'END'
	import mmap, os, sys
	fd = os.open(sys.argv[1], os.O_RDWR)
	os.ftruncate(fd, 8000000)
	map = mmap.mmap(fd, 8000000)
	map[7000000] = 1
	for sync in map.flush, lambda: os.fsync(fd):
	    try:
	        sync()
	    except OSError as e:
	        assert e.errno == 27, e
	    else:
	        sys.exit("no error")
	END
	wait_until bash -c '[ "$(lost_values)" = 2 ]'
	[ "$(cat "$M/f")" = old ]
	exec 3<> "$M/f"
	fails cp "$W/big" "$M/f"
	wait_until bash -c "[ \"\$(sed -n 's/.*\"commits_failed\": \([0-9]*\).*/\1/p' '$M/.datawal/stats.json')\" -gt 9 ]"
	kill "$pid"
	wait_released
	exec 3>&- || true
	[ "$(grep -c "'f': the value written last, 8000000 bytes, is lost (File too large)" "$W/daemon.log")" = 3 ]
	mount_store
	[ "$(cat "$M/f")" = old ]
	unmount_store
}

# Each write through a descriptor with O_SYNC or O_DSYNC, or with RWF_DSYNC, is on disk when it
# returns, whether it goes through the kernel's pages or past them, and whoever opened first.
test_mount_synchronous_writes()
{
	mount_store
	python3 - "$M/f" "$M/.datawal/stats.json" <<-'END'
	import json, os, sys
	path, stats = sys.argv[1:]
	def syncs():
	    return json.load(open(stats))["syncs_asked"]
	def check(fd, name, flag=0):
	    before = syncs()
	    for i in range(3):
	        os.pwritev(fd, [b"x" * 100], i, flag)
	    after = syncs()
	    assert after == before + 3, (name, before, after)
	for first in None, os.O_WRONLY, os.O_RDONLY:
	    for mode in os.O_WRONLY, os.O_RDWR:
	        for sync in os.O_SYNC, os.O_DSYNC, os.O_DIRECT:
	            held = None if first is None else os.open(path, first | os.O_CREAT)
	            plain = sync == os.O_DIRECT # no sync by the descriptor, so by the write
	            fd = os.open(path, mode | os.O_CREAT | (0 if plain else sync))
	            check(fd, (first, mode, sync), os.RWF_DSYNC if plain else 0)
	            os.close(fd)
	            if held is not None:
	                os.close(held)
	fd = os.open(path, os.O_WRONLY)
	before = syncs()
	os.write(fd, b"y")
	assert syncs() == before
	END
	unmount_store
}

figure()
{
	sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" "$M/.datawal/stats.json"
}
export -f figure

# A shell opens, copies the descriptor, closes it, and writes: one record, and nothing before.
test_mount_shell_redirections()
{
	mount_store -o commit_ms=600000
	echo old > "$M/f"
	wait_until bash -c '[ "$(figure puts)" = 1 ]'
	local i
	for i in $(seq 20); do
		echo x > "$M/f"
		echo x > "$M/new$i"
	done
	[ "$(figure puts)" = 41 ]
	echo old > "$M/f"
	exec 3> "$M/f"
	exec 4>&3
	exec 3>&-
	[ "$(stat -c %s "$M/f")" = 0 ]
	kill -KILL "$(daemon_pid)"
	exec 4>&- || true
	umount -l "$M"
	wait_released
	mount_store
	[ "$(cat "$M/f")" = old ]
	# empty files are committed by their last close, which no caller waits for
	: > "$M/f"
	touch "$M/touched"
	wait_until bash -c '[ "$(figure puts)" = 2 ]'
	kill -KILL "$(daemon_pid)"
	umount -l "$M"
	wait_released
	mount_store
	[ -e "$M/f" ] && [ ! -s "$M/f" ]
	[ -e "$M/touched" ]
	unmount_store
}

# Each `date` closes its copy of the descriptor: the log does not grow with the square.
test_mount_many_append()
{
	mount_store -o commit_ms=600000
	local i
	for i in $(seq 1500); do date; done > "$M/log"
	[ "$(wc -l < "$M/log")" = 1500 ]
	[ "$(figure bytes_appended)" -lt $((5 * $(stat -c %s "$M/log") + 70000)) ]
	# a writer that stays: the appends of another one are there, and the timer commits them
	exec 3>> "$M/log"
	/bin/echo last >> "$M/log"
	exec 3>&-
	remount_store
	[ "$(tail -n 1 "$M/log")" = last ]
	unmount_store
}

# With little room left on the disk nothing waits for a last close, which could tell nobody
# that it failed.
test_mount_little_room()
{
	mkdir "$W/disk"
	mount -t tmpfs -o size=6m tmpfs "$W/disk" 2>/dev/null || skip "no right to mount a tmpfs"
	S=$W/disk/store
	mkdir "$S"
	mount_store -o commit_ms=600000
	exec 3> "$M/f"
	exec 4>&3
	exec 3>&-
	[ "$(figure puts)" = 1 ]
	exec 4>&-
	unmount_store
	unmount_disk
}

run_tests "$@"
