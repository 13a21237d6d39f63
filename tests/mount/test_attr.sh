#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_attr.sh - what people set on files lasts: over remounts, kill -9, renames; as the
# tools they have set it, for root and for a user.
. "$(dirname "$0")/attr.sh"

# A tree with every kind of thing that can be set, in "$W/tree".
make_odd_tree()
{
	mkdir -p "$W/tree/dir/sub" "$W/tree/private" "$W/tree/shared"
	echo one > "$W/tree/plain"
	echo two > "$W/tree/dir/script"
	echo three > "$W/tree/private/key"
	: > "$W/tree/dir/empty"
	head -c 300000 /dev/urandom > "$W/tree/dir/sub/large"
	ln -s ../plain "$W/tree/dir/link"
	ln -s /no/such/target "$W/tree/dangling"
	chmod 0755 "$W/tree/dir/script"
	chmod 4711 "$W/tree/dir/empty"
	chmod 0700 "$W/tree/private"
	chmod 0600 "$W/tree/private/key"
	chmod 1777 "$W/tree/shared"
	chmod 2775 "$W/tree/dir/sub"
	touch -d '1999-12-31 23:59:59.123456789' "$W/tree/plain"
	touch -d '2001-02-03 04:05:06' "$W/tree/dir/script"
	touch -h -d '2002-02-02' "$W/tree/dir/link"
	touch -a -d '2003-03-03' "$W/tree/private/key"
	# whole seconds: rsync keeps no others of directories and links
	touch -h -d '2002-02-03' "$W/tree/dangling"
	if [ "$(id -u)" = 0 ]; then
		chown 1234:5678 "$W/tree/plain"
		chown 1234:5678 "$W/tree/private" "$W/tree/private/key"
		chown -h 42:43 "$W/tree/dangling"
	fi
	touch -d '2004-04-04' "$W/tree/dir/sub" "$W/tree/private" "$W/tree/shared"
	touch -d '2005-05-05' "$W/tree/dir" "$W/tree"
}

kill_daemon()
{
	kill -9 "$(daemon_pid)"
	flock -w 60 "$S/.lock" true
	umount -l "$M" 2>/dev/null || fusermount3 -uz "$M"
}

test_attr_nothing_set_nothing_written()
{
	mount_store
	echo x > "$M/f"
	mkdir "$M/d"
	echo y > "$M/d/g"
	mv "$M/d/g" "$M/d/h"
	rm "$M/f"
	[ ! -e "$S/.attr" ]
	unmount_store
	[ ! -e "$S/.attr" ]
}

test_attr_cp_a()
{
	make_odd_tree
	mount_store
	cp -a "$W/tree" "$M/tree"
	describe "$W/tree" > want
	describe "$M/tree" | diff want -
	remount_store
	describe "$M/tree" | diff want -
	diff -r --no-dereference "$W/tree" "$M/tree"
	cp -a "$M/tree" "$W/back"
	describe "$W/back" | diff want -
	mv "$M/tree" "$M/moved"
	describe "$M/moved" | diff want -
	remount_store
	describe "$M/moved" | diff want -
	# they die with their files
	rm -r "$M/moved"
	unmount_store
	[ "$("$DATAWAL" ls "$S/.attr" | wc -l)" = 0 ]
}

test_attr_rsync_twice()
{
	make_odd_tree
	mount_store
	rsync -a "$W/tree/" "$M/tree/"
	describe "$W/tree" > want
	describe "$M/tree" | diff want -
	[ -z "$(rsync -a -i "$W/tree/" "$M/tree/")" ]
	unmount_soon
	mount_store
	[ -z "$(rsync -a -i "$W/tree/" "$M/tree/")" ]
	describe "$M/tree" | diff want -
	# one file changes, and one is transferred
	echo changed > "$W/tree/dir/script"
	[ "$(rsync -a -i "$W/tree/" "$M/tree/" | grep -c '^>f')" = 1 ]
	[ -z "$(rsync -a -i "$W/tree/" "$M/tree/")" ]
	command_file compact
	unmount_soon
	mount_store
	[ -z "$(rsync -a -i "$W/tree/" "$M/tree/")" ]
	[ -z "$(rsync -a -i "$M/tree/" "$W/tree/")" ]
	unmount_soon
}

test_attr_tar_p()
{
	make_odd_tree
	mount_store
	mkdir "$M/tree"
	tar -C "$W/tree" -c . | tar -C "$M/tree" -xp
	describe "$W/tree" > want
	describe "$M/tree" | sed 's/\.[0-9]* / /' > got
	sed 's/\.[0-9]* / /' want | diff - got
	remount_store
	describe "$M/tree" | sed 's/\.[0-9]* / /' | diff got -
	unmount_store
}

test_attr_install_and_touch()
{
	mount_store
	echo x > src
	install -m 0751 src "$M/i"
	install -d -m 0710 "$M/d"
	install -D -m 0444 -p src "$M/e/f/g"
	ln -s i "$M/l"
	echo x > "$M/t"
	touch -d 1980-01-01 "$M/t"
	touch -r "$M/t" "$M/d"
	stat -c '%n %F %a %Y %N' "$M"/i "$M"/d "$M"/e/f/g "$M"/t "$M/l" > want
	grep -q 'i regular file 751' want
	grep -q 'd directory 710 315532800' want
	grep -q 'g regular file 444' want
	grep -q "t regular file 644 315532800" want
	grep -q "l symbolic link 777 " want
	remount_store
	stat -c '%n %F %a %Y %N' "$M"/i "$M"/d "$M"/e/f/g "$M"/t "$M/l" | diff want -
	[ "$(cat "$M/l")" = x ]
	# a time set by hand counts until the value changes
	echo y >> "$M/t"
	[ "$(stat -c %Y "$M/t")" -gt 1000000000 ]
	touch "$M/d/new"
	[ "$(stat -c %Y "$M/d")" -gt 1000000000 ]
	remount_store
	[ "$(stat -c %Y "$M/t")" -gt 1000000000 ]
	[ "$(stat -c %Y "$M/d")" -gt 1000000000 ]
	unmount_store
	# what a link leads to is a value like any other
	"$DATAWAL" get "$S" --key l > got
	[ "$(cat got)" = i ]
}

test_attr_xattrs()
{
	command -v setfattr >/dev/null || skip "no setfattr"
	mount_store
	echo x > "$M/f"
	mkdir "$M/d"
	setfattr -n user.one -v 1 "$M/f"
	setfattr -n user.two -v 0x00ff00 "$M/f"
	setfattr -n user.empty "$M/f"
	setfattr -n user.dir -v d "$M/d"
	setfattr -n user.one -v uno "$M/f"
	fails setfattr -x user.none "$M/f"
	fails setfattr -n system.x -v 1 "$M/f"
	fails setfattr -n trusted.x -v 1 "$M/f"
	fails getfattr -n user.none "$M/f"
	grep -q 'No such attribute' "$W/stderr"
	getfattr -d -e hex "$M/f" "$M/d" > want
	[ "$(grep -c '^user\.' want)" = 4 ]
	remount_store
	getfattr -d -e hex "$M/f" "$M/d" | diff want -
	mv "$M/f" "$M/g"
	getfattr -d -e hex "$M/g" | grep -c '^user\.' | grep -qx 3
	cp -a "$M/g" "$M/h"
	setfattr -x user.one "$M/g"
	remount_store
	[ "$(getfattr -d "$M/g" | grep -c '^user\.')" = 2 ]
	[ "$(getfattr -d "$M/h" | grep -c '^user\.')" = 3 ]
	[ "$(getfattr --only-values -n user.one "$M/h")" = uno ]
	perl -e 'print "v" x 60000' > value
	setfattr -n user.large -v "$(cat value)" "$M/h"
	remount_store
	getfattr --only-values -n user.large "$M/h" | cmp - value
	unmount_store
}

test_attr_kill_9()
{
	make_odd_tree
	mount_store
	cp -a "$W/tree" "$M/tree"
	describe "$W/tree" > want
	kill_daemon
	mount_store
	describe "$M/tree" | diff want -
	# replaced by one with other attributes
	install -m 0600 /dev/null "$M/secret"
	echo key > "$M/secret"
	echo public > "$M/tmp"
	mv "$M/tmp" "$M/secret"
	kill_daemon
	mount_store
	[ "$(stat -c %a "$M/secret")" = 644 ]
	[ "$(cat "$M/secret")" = public ]
	unmount_store
}

test_attr_vanished_keys()
{
	mount_store
	mkdir "$M/d"
	echo x > "$M/d/f"
	echo x > "$M/g"
	chmod 0600 "$M/d/f" "$M/g"
	chmod 0700 "$M/d"
	unmount_store
	"$DATAWAL" delete "$S" --key d/f
	"$DATAWAL" delete "$S" --key d/
	mount_store
	[ ! -e "$M/d" ]
	[ "$(stat -c %a "$M/g")" = 600 ]
	mkdir "$M/d"
	echo x > "$M/d/f"
	remount_store
	[ "$(stat -c %a "$M/d")" = 755 ]
	[ "$(stat -c %a "$M/d/f")" = 644 ]
	[ "$(stat -c %a "$M/g")" = 600 ]
	unmount_store
	# a value that another program wrote has its own time
	mount_store
	touch -d 1990-01-01 "$M/g"
	remount_store
	[ "$(stat -c %Y "$M/g")" = 631152000 ]
	unmount_store
	printf other | "$DATAWAL" put "$S" --key g
	mount_store
	[ "$(stat -c %Y "$M/g")" -gt 1000000000 ]
	[ "$(stat -c %a "$M/g")" = 600 ]
	unmount_store
}

test_attr_read_only()
{
	mount_store
	echo x > "$M/f"
	unmount_store
	mount_store -o ro
	fails chmod 600 "$M/f"
	fails touch "$M/f"
	fails ln -s f "$M/l"
	unmount_store
	[ ! -e "$S/.attr" ]
	mount_store
	chmod 600 "$M/f"
	remount_store -o ro
	[ "$(stat -c %a "$M/f")" = 600 ]
	fails setfattr -n user.x -v 1 "$M/f"
	unmount_store
}

# A damaged log of attributes never hides data, and is never written to.
test_attr_damaged()
{
	mount_store
	echo secret > "$M/f"
	chmod 0600 "$M/f"
	ln -s f "$M/l"
	unmount_store
	printf '\001' | dd of="$S/.attr/00000001.dwal" bs=1 seek=0 conv=notrunc status=none
	rm -f "$S"/.attr/*.hint
	cp -r "$S/.attr" before
	"$DATAWALFS" "$S" "$M" -f 2> messages &
	until mountpoint -q "$M"; do sleep 0.05; done
	grep -q "attributes in '.attr' inside the store cannot be read (they are damaged)" messages
	grep -q 'datawal repair' messages
	[ "$(cat "$M/f")" = secret ]
	[ "$(stat -c %a "$M/f")" = 644 ]
	[ "$(stat -c %F "$M/l")" = 'regular file' ]
	[ "$(cat "$M/l")" = f ]
	fails chmod 0600 "$M/f"
	grep -q 'Input/output error' "$W/stderr"
	fails ln -s f "$M/m"
	[ ! -e "$M/m" ]
	echo more > "$M/g"
	mv "$M/g" "$M/h"
	[ "$(cat "$M/h")" = more ]
	unmount_store
	diff -r -x .lock "$S/.attr" before
	"$DATAWAL" repair --yes "$S/.attr"
	mount_store
	[ "$(cat "$M/h")" = more ]
	[ "$(readlink "$M/l")" = f ]
	chmod 0600 "$M/f"
	remount_store
	[ "$(stat -c %a "$M/f")" = 600 ]
	unmount_store
}

# The hint of a segment of attributes that is gone: no file is kept back for that.
test_attr_lost()
{
	local gone
	for gone in "rm $S/.attr/00000001.dwal" "truncate -s 0 $S/.attr/00000001.dwal"; do
		rm -rf "$S"
		mkdir "$S"
		mount_store
		echo secret > "$M/f"
		chmod 0600 "$M/f"
		unmount_store
		$gone
		"$DATAWALFS" "$S" "$M" -f 2> messages &
		wait_until mountpoint -q "$M"
		grep "in '.attr', the store of attributes: .* key 'ff' is lost" messages
		[ "$(cat "$M/f")" = secret ]
		fails chmod 0600 "$M/f"
		unmount_store
		"$DATAWAL" repair --yes "$S/.attr"
		mount_store
		chmod 0600 "$M/f"
		remount_store
		[ "$(stat -c %a "$M/f")" = 600 ]
		unmount_store
	done
}

test_attr_no_such_kinds()
{
	mount_store
	echo x > "$M/f"
	fails ln "$M/f" "$M/hard"
	grep -q 'Operation not permitted' "$W/stderr"
	fails mkfifo "$M/fifo"
	grep -q 'Operation not permitted' "$W/stderr"
	if [ "$(id -u)" = 0 ]; then
		fails mknod "$M/dev" c 1 3
		grep -q 'Operation not permitted' "$W/stderr"
	fi
	[ "$(ls "$M")" = f ]
	unmount_store
}

# Many set, rename and remove the same files at once; what shows then is what lasts.
test_attr_many_at_once()
{
	mount_store
	mkdir "$M/d" "$M/e"
	local i
	for i in 1 2 3 4; do
		(
			RANDOM=$i
			for n in $(seq 150); do
				f=$M/d/$((RANDOM % 5)) g=$M/e/$((RANDOM % 5))
				case $((RANDOM % 8)) in
				0) echo "$n" > "$f" ;;
				1) chmod 0$((RANDOM % 8))00 "$f" ;;
				2) touch -d "@$((RANDOM * 1000))" "$f" "$g" ;;
				3) mv "$f" "$g" ;;
				4) ln -s "$n" "$f" ;;
				5) rm -f "$g" ;;
				6) sync "$M/d" ;;
				7) mv -T "$M/e" "$M/h"; mkdir -m 0711 "$M/e"; rm -rf "$M/h" ;;
				esac
			done
		) 2>/dev/null &
	done
	wait
	# the times of directories are those of what is in them, after a mount
	describe "$M" | sed 's/^\(.* d [0-9 ]*\) [0-9.]* $/\1/' > want
	remount_store
	describe "$M" | sed 's/^\(.* d [0-9 ]*\) [0-9.]* $/\1/' | diff want -
	unmount_store
}

run_tests "$@"
