#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_powercut.sh - a mount whose store lies on an XFS that is shut down: what commands brought
# to disk has its owner and mode there, and whatever fails is said.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# cut_behind COMMAND...: the files that it brought to disk have their mode
cut_behind()
{
	mount_store -o umask=022,compact=off
	mkdir -p "$M/d"
	# so that there is something to compact
	head -c 100000 /dev/urandom > "$M/dead"
	rm "$M/dead"
	sync "$M"
	(umask 077 && echo secret > "$M/d/secret" && mkdir "$M/private")
	echo more > "$M/d/more"
	chmod 600 "$M/d/more"
	"$@"
	cut_power
	[ "$(stat -c %a "$M/d/secret")" = 600 ]
	[ "$(stat -c %a "$M/private")" = 700 ]
	[ "$(cat "$M/d/secret")" = secret ]
	umount "$M"
	unmount_disk
}

test_powercut_rotate()
{
	make_disk
	cut_behind command_file rotate
}

test_powercut_compact()
{
	make_disk
	cut_behind command_file compact
}

test_powercut_sync()
{
	make_disk
	cut_behind command_file sync
}

# A segment that becomes full is synced by nobody's order.
test_powercut_full()
{
	make_disk
	mount_store -o segment_size=100000
	for i in $(seq 40); do
		(umask 077 && head -c 9000 /dev/urandom > "$M/$i")
	done
	cut_power
	[ "$(ls "$M" | wc -l)" -ge 20 ]
	[ "$(find "$M" -type f ! -perm 600 | grep -v "^$M/.datawal" | wc -l)" = 0 ]
	umount "$M"
	unmount_disk
}

export -f make_disk cut_power cut_behind
run_tests "$@"
