#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_corners.sh - where a file system is easily wrong: races, full disks, odd beginnings.
. "$(dirname "$0")/lib.sh"

# The descriptors 0 to 2 are written to; none of them may be the store's.
test_corner_closed_descriptors()
{
	"$DATAWALFS" "$S" "$M" <&- >&- 2>&-
	mountpoint -q "$M"
	fails flock -n "$S/.lock" true
	echo x > "$M/a"
	command_file rotate
	remount_store
	[ "$(cat "$M/a")" = x ]
	unmount_store
}

# More segments than descriptors: the active one must stay writable.
test_corner_few_descriptors()
{
	mount_store
	local i
	for i in $(seq 60); do
		echo "$i" > "$M/f$i"
		command_file rotate
	done
	unmount_store
	bash -c 'ulimit -n 40; exec "$@"' sh "$DATAWALFS" "$S" "$M"
	echo more > "$M/f61"
	for i in $(seq 60); do
		[ "$(cat "$M/f$i")" = "$i" ]
	done
	command_file compact
	remount_store
	[ "$(cat "$M/f61")" = more ]
	unmount_store
}

test_corner_signal_with_export_open()
{
	"$DATAWALFS" -f "$S" "$M" 2> "$W/log2" &
	local pid=$!
	until mountpoint -q "$M"; do kill -0 $pid; done
	head -c 3000000 /dev/urandom > "$M/big"
	exec 3< "$M/.datawal/export.jsonl"
	head -c 10 <&3 > /dev/null
	kill -TERM $pid
	wait $pid
	exec 3<&-
}

# A truncation that cannot be committed changes nothing, not in memory either.
test_corner_truncate_on_full_disk()
{
	mkdir "$W/disk"
	mount -t tmpfs -o size=1m tmpfs "$W/disk" 2>/dev/null || skip "no right to mount a tmpfs"
	S=$W/disk/store
	mkdir "$S"
	mount_store
	head -c 100000 /dev/urandom > "$W/want"
	cp "$W/want" "$M/f"
	head -c 2000000 /dev/zero > "$W/disk/fill" 2>/dev/null || true
	fails perl -e 'truncate($ARGV[0], 90000) or die "$!"' "$M/f"
	[ "$(stat -c %s "$M/f")" = 100000 ]
	cmp "$W/want" "$M/f"
	rm "$W/disk/fill"
	remount_store
	cmp "$W/want" "$M/f"
	unmount_store
	unmount_disk
}

# On a disk without a free block everything can be removed, and when space comes back
# writing goes on.  Whether syncs were frequent, so that there are preallocated zeros, or not.
remove_on_full_disk() # SYNCS
{
	mkdir "$W/disk"
	mount -t tmpfs -o size=16m tmpfs "$W/disk" 2>/dev/null || skip "no right to mount a tmpfs"
	S=$W/disk/store
	mkdir "$S"
	mount_store
	mkdir "$M/d"
	perl -e 'use IO::Handle; my ($dir, $syncs) = @ARGV;
		for my $i (0..999) { open(F, ">", "$dir/$i") or die $!; print F "x" x 500; F->flush;
			F->sync or die $! if $i < $syncs; close(F) or die $! }' "$M/d" "$1"
	dd if=/dev/zero of="$W/disk/fill" bs=4k 2>/dev/null || true
	# what was allocated ahead takes some, then none
	for size in 3000000 50000 400; do
		for i in $(seq 300); do
			head -c $size /dev/zero > "$M/large.$size.$i" 2> /dev/null || break
		done
		[ "$i" -lt 300 ]
	done
	[ "$(cat "$M"/d/5)" = "$(perl -e 'print "x" x 500')" ]
	rm -r "$M/d" "$M"/large.*
	[ -z "$(ls "$M")" ]
	rm "$W/disk/fill"
	echo again > "$M/again"
	remount_store
	[ "$(ls "$M")" = again ]
	unmount_store
	unmount_disk
}

test_corner_remove_on_full_disk() { remove_on_full_disk 0; }
test_corner_remove_on_full_disk_synced() { remove_on_full_disk 50; }

export -f remove_on_full_disk

test_corner_times()
{
	mount_store
	mkdir "$M/d"
	touch -d 2001-01-01 "$M/d"
	touch "$M/d/x"
	[ "$(stat -c %Y "$M/d")" -gt 1000000000 ]
	: > "$M/e"
	touch -d 2001-01-01 "$M/e"
	: > "$M/e"
	[ "$(stat -c %Y "$M/e")" -gt 1000000000 ]
	# commit times last
	echo 1 > "$M/f"
	local before
	before=$(stat -c %y "$M/f")
	remount_store
	[ "$(stat -c %y "$M/f")" = "$before" ]
	command_file compact
	remount_store
	[ "$(stat -c %y "$M/f")" = "$before" ]
	unmount_store
}

# An unlinked file that is still open and its successor are two files.
test_corner_inode_numbers()
{
	mount_store
	echo old > "$M/f"
	exec 3< "$M/f"
	rm "$M/f"
	echo new > "$M/f"
	perl -e 'open(my $f, "<&=3") or die; exit((stat($f))[1] == (stat($ARGV[0]))[1])' "$M/f"
	exec 3<&-
	unmount_store
}

# numbers DIR: of all that is in a mount
numbers()
{
	(cd "$1" && find . -mindepth 1 -printf '%i %p\n' | sort -k 2)
}
export -f numbers

# They follow from the keys and a secret in the store's directory, and go where that goes.
test_corner_inode_secret()
{
	mkdir "$W/look"
	mount_store -o log="$W/log.txt"
	mkdir -p "$M/d/e"
	touch "$M/a" "$M/d/b" "$M/d/e/c"
	ln -s a "$M/l"
	numbers "$M" > "$W/first"
	[ "$(stat -c '%a %s' "$S/.inode-secret")" = '600 33' ]
	fails grep -q inode "$W/log.txt"
	command_file compact
	"$DATAWALFS" "$S" "$W/look" -o ro
	numbers "$W/look" | cmp "$W/first" -
	umount "$W/look"
	unmount_store
	cp -a "$S" "$W/copy"
	mount_store -o log="$W/log.txt"
	numbers "$M" | cmp "$W/first" -
	unmount_store
	fails grep -q inode "$W/log.txt"
	# a copy with it has the numbers, one without it others, and a mount that only reads says that
	# they are brief, and leaves it so
	mount_store -o ro,log="$W/log.txt"
	numbers "$M" | cmp "$W/first" -
	unmount_store
	"$DATAWALFS" "$W/copy" "$M"
	numbers "$M" | cmp "$W/first" -
	umount "$M"
	flock -w 60 "$W/copy/.lock" true
	rm "$W/copy/.inode-secret"
	"$DATAWALFS" "$W/copy" "$M" -o ro,log="$W/log.txt"
	numbers "$M" > "$W/brief"
	fails cmp -s "$W/brief" "$W/first"
	echo reload > "$M/.datawal/control"
	numbers "$M" | cmp "$W/brief" -
	umount "$M"
	[ ! -e "$W/copy/.inode-secret" ]
	grep -q "'.inode-secret' is not in the store" "$W/log.txt"
	# lost, they change once, and that is said once
	mv "$S/.inode-secret" "$W/lost"
	mount_store -o log="$W/log.txt"
	numbers "$M" > "$W/second"
	[ "$(join -1 1 -2 1 <(cut -d' ' -f1 "$W/first" | sort) <(cut -d' ' -f1 "$W/second" | sort) | wc -l)" = 0 ]
	remount_store -o log="$W/log.txt"
	numbers "$M" | cmp "$W/second" -
	unmount_store
	[ "$(grep -c "'.inode-secret' was not in the store, and was made" "$W/log.txt")" = 1 ]
	# one that is no file is left alone
	rm "$S/.inode-secret"
	ln -s "$W/lost" "$S/.inode-secret"
	mount_store -o log="$W/log.txt"
	numbers "$M" > "$W/third"
	fails cmp -s "$W/third" "$W/first"
	unmount_store
	grep -q "'.inode-secret' in the store cannot be read" "$W/log.txt"
	[ -L "$S/.inode-secret" ]
}

# A name is replaced over and over: opening it gives the one file or the other.
test_corner_read_while_replaced()
{
	mount_store
	printf '%01000d' 0 > "$M/f"
	perl -e '
		my ($dir, $stop) = ($ARGV[0], time + 5);
		for (1 .. 3) {
			next if fork;
			while (time < $stop) {
				open(my $f, "<", "$dir/f") or die "open: $!";
				my $n = sysread($f, my $text, 4096);
				die "read: $!" unless defined $n;
				die "half a file: $n" unless $n == 1000;
			}
			exit 0;
		}
		for (my $i = 0; time < $stop; $i++) {
			open(my $f, ">", "$dir/t") or die;
			printf $f "%01000d", $i;
			close $f or die;
			rename("$dir/t", "$dir/f") or die;
		}
		my $bad = 0;
		while (wait > 0) { $bad ||= $?; }
		exit($bad ? 1 : 0);
	' "$M"
	unmount_store
}

test_corner_read_while_directory_moves()
{
	mount_store
	mkdir "$M/a"
	printf '%01000d' 0 > "$M/a/f"
	perl -MFcntl -e '
		my ($dir, $stop) = ($ARGV[0], time + 4);
		sysopen(my $f, "$dir/a/f", O_RDONLY | 040000) or die "open: $!"; # O_DIRECT: ask the daemon
		for (1 .. 3) {
			next if fork;
			while (time < $stop) {
				sysseek($f, 0, 0);
				my $n = sysread($f, my $text, 4096);
				die "read: $!" unless defined $n;
			}
			exit 0;
		}
		while (time < $stop) {
			rename("$dir/a", "$dir/b") or die;
			rename("$dir/b", "$dir/a") or die;
		}
		my $bad = 0;
		while (wait > 0) { $bad ||= $?; }
		exit($bad ? 1 : 0);
	' "$M"
	unmount_store
}

# One, two, ... eight at once, and one again: more threads answer, and fewer.
test_corner_many_clients()
{
	mount_store
	perl -e '
		my $dir = $ARGV[0];
		sub client {
			my ($me, $rounds) = @_;
			for my $i (1 .. $rounds) {
				my ($name, $text) = ("$dir/$me.$i", "$me " x $i);
				open(my $f, ">", "$dir/t$me") or die "open: $!";
				print $f $text;
				close $f or die "close: $!";
				rename("$dir/t$me", $name) or die "rename: $!";
				open($f, "<", $name) or die "open: $!";
				my $got = <$f>;
				close $f;
				die "$name: $got" if $got ne $text;
				die "size" if -s $name != length $text;
				unlink $name or die "unlink: $!" if $i % 2;
			}
		}
		for my $clients (1 .. 8, 1) {
			for my $me (1 .. $clients) {
				next if fork;
				client("$clients-$me", 60);
				exit 0;
			}
			my $bad = 0;
			while (wait > 0) { $bad ||= $?; }
			exit 1 if $bad;
		}
	' "$M"
	remount_store
	[ "$(ls "$M" | wc -l)" = $((36 * 30)) ]
	[ "$(cat "$M/8-8.60")" = "$(perl -e 'print "8-8 " x 60')" ]
	unmount_store
}

run_tests "$@"
