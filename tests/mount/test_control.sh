#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_control.sh - the control directory.
. "$(dirname "$0")/lib.sh"

test_control_not_listed()
{
	mount_store
	touch "$M/a"
	[ "$(ls -A "$M")" = a ]
	[ -d "$M/.datawal" ]
	[ "$(stat -c %a "$M/.datawal/control")" = 600 ]
	[ "$(ls "$M/.datawal" | tr '\n' ' ')" = "control export.jsonl stats.json " ]
	# nothing in it can be made, removed or moved
	fails touch "$M/.datawal/x"
	fails rm "$M/.datawal/control"
	fails rmdir "$M/.datawal"
	fails mv "$M/.datawal" "$M/y"
	fails mv "$M/a" "$M/.datawal/a"
	fails mkdir "$M/.datawal"
	timeout 20 grep -r nothing "$M/.datawal" || true
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
	command_file "export $W/out.jsonl"
	cmp "$W/want" "$W/out.jsonl"
	fails command_file "export relative"
	fails command_file "export $M/inside"
	fails command_file "export /.//${M#/}/inside"
	fails command_file "export $W/no/such/place"
	fails command_file "export"
	cp "$M/.datawal/export.jsonl" "$W/copied"
	cmp "$W/want" "$W/copied"
	head -c 3000000 /dev/urandom > "$M/large"
	[ "$(cat "$M/.datawal/export.jsonl" | wc -c)" -gt 4000000 ]
	unmount_store
}

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

test_control_only_for_the_owner()
{
	[ "$(id -u)" = 0 ] || skip "needs root to become another user"
	mount_store -o allow_other
	chmod 755 "$W"
	fails setpriv --reuid 65534 --regid 65534 --clear-groups cat "$M/.datawal/stats.json"
	fails setpriv --reuid 65534 --regid 65534 --clear-groups sh -c "echo sync > '$M/.datawal/control'"
	unmount_store
}

run_tests "$@"
