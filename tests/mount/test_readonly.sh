#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_readonly.sh - mounts with -o ro: a moment of a store, and the next one.
. "$(dirname "$0")/lib.sh"

# The store is mounted for writing at "$M", and to look at it at "$R".
mount_both()
{
	R=$W/look
	mkdir "$R"
	mount_store
	echo old > "$M/a"
	mkdir "$M/d"
	echo old > "$M/d/x"
	"$DATAWALFS" "$S" "$R" -o ro "$@"
}
export -f mount_both

reload()
{
	echo reload > "$R/.datawal/control"
}
export -f reload

test_readonly_changes_nothing()
{
	mount_both
	ls -l "$S" > "$W/before"
	local command
	for command in 'touch new' 'rm a' 'mv a b' 'mkdir e' 'rmdir d' 'chmod 600 a' 'truncate -s 1 a' \
		'sh -c "echo 1 > a"' 'sh -c "echo 1 >> a"' 'ln -s a l'; do
		(cd "$R" && fails bash -c "$command")
	done
	(cd "$R" && fails touch new)
	grep -q 'Read-only file system' "$W/stderr"
	[ "$(cat "$R/a" "$R/d/x" | tr -d '\n')" = oldold ]
	ls -l "$S" | cmp - "$W/before"
	umount "$R"
	unmount_store
}

test_readonly_takes_commands()
{
	mount_both
	grep -qx 'mode ro' "$R/.datawal/status"
	echo verify > "$R/.datawal/control"
	grep -q '^verify: done' "$R/.datawal/control"
	echo "export out" > "$R/.datawal/control"
	cmp "$S/.export/out" "$M/.datawal/export.jsonl"
	local command
	for command in compact rotate; do
		fails sh -c "echo $command > '$R/.datawal/control'"
		grep -qx 'last.error EROFS' "$R/.datawal/status"
	done
	"$TOP/tests/support/check-prometheus.pl" "$R/.datawal/metrics"
	grep -qx 'datawalfs_read_only 1' "$R/.datawal/metrics"
	umount "$R"
	unmount_store
}

# Names, values and what is not there: nothing that the kernel kept outlives a reload.
test_readonly_reload()
{
	mount_both
	[ "$(ls -A "$R" "$R/d" | tr '\n' ' ')" = "$R: a d  $R/d: x " ]
	fails cat "$R/new" "$R/d/new"
	[ "$(cat "$R/a" "$R/d/x" | tr -d '\n')" = oldold ]
	echo "newer" > "$M/a"
	echo new > "$M/new"
	echo new > "$M/d/new"
	rm "$M/d/x"
	mkdir "$M/e"
	# still the old moment
	[ "$(cat "$R/a")" = old ]
	fails ls "$R/new"
	reload
	# by their names, before a listing brings them
	[ "$(cat "$R/a" "$R/new" "$R/d/new" | tr '\n' ' ')" = "newer new new " ]
	diff -r "$M" "$R"
	[ "$(stat -c %s "$R/a")" = 6 ]
	fails cat "$R/d/x"
	rm -r "$M/d"
	reload
	[ "$(ls -A "$R" | tr '\n' ' ')" = "a e new " ]
	diff -r "$M" "$R"
	umount "$R"
	unmount_store
}

# Who had something open has it whole, and a listing goes on where it began.
test_readonly_reload_keeps_what_is_open()
{
	mount_both
	local i
	for i in $(seq 2000); do
		echo "$i" > "$M/f$i"
	done
	head -c 300000 /dev/urandom > "$W/value"
	cp "$W/value" "$M/large"
	reload
	exec 3< "$R/large"
	head -c 100000 <&3 > "$W/read"
	cd "$R/d"
	perl -e 'opendir my $d, $ARGV[0] or die; push @n, scalar readdir $d for 1 .. 10;
		system("bash", "-c", $ARGV[1]) == 0 or die; push @n, readdir $d;
		print "$_\n" for sort grep { !/^\./ } @n' "$R" "
			set -e
			cp /dev/null '$M/large'; rm '$M'/f1*; for i in \$(seq 500); do : > '$M'/g\$i; done
			echo compact > '$M/.datawal/control'
			echo reload > '$R/.datawal/control'" > "$W/listed"
	{ echo a; echo d; echo large; seq -f f%.0f 2000; } | LC_ALL=C sort | cmp - <(LC_ALL=C sort "$W/listed")
	[ "$(cat x)" = old ]
	cat <&3 >> "$W/read"
	cmp "$W/value" "$W/read"
	[ "$(stat -c %s "$R/large")" = 0 ]
	cd "$W"
	exec 3<&-
	diff -r "$M" "$R"
	umount "$R"
	unmount_store
}

# Older moments do not pile up: their files of the store are closed.
test_readonly_reload_lets_go()
{
	mount_both
	local pid i
	pid=$(sed -n 's/^pid //p' "$R/.datawal/status")
	for i in $(seq 20); do
		echo "$i" > "$M/a"
		command_file rotate
		reload
		[ "$(cat "$R/a" "$R/d/x" | tr '\n' ' ')" = "$i old " ]
	done
	command_file compact
	reload
	[ "$(cat "$R/a")" = 20 ]
	few_open()
	{
		[ "$(ls -l "/proc/$1/fd" | grep -c '\.dwal')" -le 4 ] && ! ls -l "/proc/$1/fd" | grep '\.dwal.*(deleted)'
	}
	wait_until few_open "$pid"
	umount "$R"
	unmount_store
}

# Reading goes on while the store is written, compacted and loaded again.
test_readonly_reload_under_load()
{
	mount_both
	local i reader
	for i in $(seq 100); do
		echo "$i" > "$M/d/f$i"
	done
	reload
	(
		while [ ! -e "$W/done" ]; do
			for i in $(seq 100); do
				case $(cat "$R/d/f$i") in
				"$i" | "$i.new") ;;
				*) exit 1 ;;
				esac
			done
			ls -l "$R" "$R/d" > /dev/null
		done
	) &
	reader=$!
	for i in $(seq 100); do
		echo "$i.new" > "$M/d/f$i"
		[ $((i % 10)) != 0 ] || command_file compact
		[ $((i % 5)) != 0 ] || reload
	done
	touch "$W/done"
	wait $reader
	diff -r "$M" "$R"
	umount "$R"
	unmount_store
}

# A signal ends it well, whatever is open of whichever moment.
test_readonly_ends_by_a_signal()
{
	mount_store
	echo old > "$M/a"
	mkdir "$W/look"
	"$DATAWALFS" -f "$S" "$W/look" -o ro < /dev/null &
	local pid=$!
	wait_until mountpoint -q "$W/look"
	exec 3< "$W/look" 4< "$W/look/a" 5< "$W/look/.datawal/export.jsonl"
	echo new > "$M/a"
	echo reload > "$W/look/.datawal/control"
	exec 6< "$W/look" 7< "$W/look/a"
	kill -TERM $pid
	wait $pid
	exec 3<&- 4<&- 5<&- 6<&- 7<&-
	unmount_store
}

# A reload has the kernel forget names of the root, which waits for its lock, which a lookup may
# hold: somebody must answer that.
test_readonly_ends_while_it_reloads()
{
	local i
	mount_store
	for i in $(seq 200); do echo "$i" > "$M/$i"; done
	unmount_store
	"$DATAWALFS" -f "$S" "$M" -o ro < /dev/null &
	local pid=$!
	wait_until mountpoint -q "$M"
	look_up_forever 3 "$M"
	(while ls -l "$M" > /dev/null && command_file reload; do :; done) 2> /dev/null &
	for i in 1 2 3; do command_file reload; done
	expect_end_by_a_signal $pid
}

# A store that cannot be opened any more: the last moment that could stays.
test_readonly_reload_fails()
{
	mount_both
	unmount_store
	printf X | dd of="$S/00000001.dwal" bs=1 seek=0 conv=notrunc status=none
	rm -f "$S"/*.hint
	fails reload
	grep -qx 'last.error EBADMSG' "$R/.datawal/status"
	ls "$R/d/x"
	umount "$R"
}

run_tests "$@"
