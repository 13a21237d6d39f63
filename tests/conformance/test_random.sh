#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_random.sh - random operations: fileops on files, held against bytes in memory, and
# treeops on trees, held against another file system; with compaction beside them, and
# compared once more after the next mount.  A failure says its seed (CHECK_SEED).
. "$(dirname "$0")/lib.sh"

# Until the file "$W/stop" is there: what is in the log moves, and segments end.
disturb()
{
	until [ -e "$W/stop" ]; do
		command_file rotate
		command_file compact
		sleep 0.5
	done
}

on_files() # OPTIONS...
{
	local i pids=()
	mount_store "$@"
	disturb &
	local beside=$!
	for i in 1 2 3; do
		"$HERE/fileops" "$M/file$i" "$W/shadow$i" "$SECONDS_EACH" &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	touch "$W/stop"
	wait $beside
	for i in 1 2 3; do cmp "$M/file$i" "$W/shadow$i"; done
	expect_lasting "$@"
	for i in 1 2 3; do cmp "$M/file$i" "$W/shadow$i"; done
	unmount_store
}

on_trees() # OPTIONS...
{
	local i pids=()
	mount_store "$@"
	disturb &
	local beside=$!
	for i in 1 2; do
		mkdir "$M/tree$i" "$W/tree$i"
		"$HERE/treeops" "$M/tree$i" "$W/tree$i" "$SECONDS_EACH" &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	touch "$W/stop"
	wait $beside
	for i in 1 2; do diff -r "$W/tree$i" "$M/tree$i"; done
	# numbers are of one file each
	[ -z "$(find "$M" -printf '%i\n' | sort | uniq -d)" ]
	expect_lasting "$@"
	for i in 1 2; do diff -r "$W/tree$i" "$M/tree$i"; done
	rm -r "$M"/tree*
	unmount_store
}
export -f disturb on_files on_trees

test_random_files() { on_files; }
test_random_files_one_thread() { on_files -s; }
test_random_trees() { on_trees; }
test_random_trees_one_thread() { on_trees -s; }

# A tree that several processes change at once, each without regard for the others: what
# they are told cannot be foreseen, but the tree must be whole.
test_random_trees_shared()
{
	local i
	mount_store
	mkdir "$M/shared"
	for i in 1 2 3 4; do
		"$HERE/treeops" "$M/shared" - "$SECONDS_EACH" > /dev/null &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	expect_lasting
	rm -r "$M/shared"
	[ -z "$(ls -A "$M")" ]
	unmount_store
}

run_tests "$@"
