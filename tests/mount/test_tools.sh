#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_tools.sh - the tools people have, on a real source tree in the mount.
. "$(dirname "$0")/lib.sh"

# A tree of at least 2,000 real files in "$W/tree", without links: sources of this
# machine and of this project.
make_tree()
{
	local dir
	mkdir "$W/tree"
	for dir in /usr/include /usr/share/perl /usr/lib/python3 /usr/share/doc; do
		[ ! -d $dir ] || cp -rL --parents $dir "$W/tree" 2>/dev/null || true
		[ "$(find "$W/tree" -type f | wc -l)" -lt 2500 ] || break
	done
	[ "$(find "$W/tree" -type f | wc -l)" -ge 2000 ] || skip "no 2,000 files of sources here"
}
export -f make_tree

test_tools_copy_tar_rsync_remove()
{
	make_tree
	mount_store
	cp -r "$W/tree" "$M/tree"
	diff -r "$W/tree" "$M/tree"
	mkdir "$M/untarred"
	tar -C "$M/tree" -c . | tar -C "$M/untarred" -x
	diff -r "$W/tree" "$M/untarred"
	rsync -a "$W/tree/" "$M/synced/"
	rsync -a "$M/synced/" "$W/back/"
	diff -r "$W/tree" "$W/back"
	# times were kept: nothing is left to transfer
	[ -z "$(rsync -ain "$W/tree/" "$M/synced/")" ]
	rm -rf "$M/untarred" "$M/synced"
	remount_store
	diff -r "$W/tree" "$M/tree"
	rm -rf "$M/tree"
	[ -z "$(ls -A "$M")" ]
	unmount_store
}

test_tools_git()
{
	command -v git >/dev/null || skip "no git"
	mount_store
	cp -r "$TOP/engine" "$TOP/fs" "$TOP/tests" "$M/"
	cd "$M"
	git init -q
	git config user.name t
	git config user.email t@example.org
	git add -A
	git commit -qm first
	echo change >> engine/base/buf.c
	git commit -qam second
	git fsck --strict
	[ -z "$(git status --porcelain)" ]
	git gc -q
	git fsck --strict
	git checkout -q HEAD~1
	[ -z "$(git status --porcelain)" ]
	cd "$W"
	remount_store
	git -C "$M" fsck --strict
	rm -rf "$M/.git" "$M"/*
	[ -z "$(ls -A "$M")" ]
	unmount_store
}

test_tools_sed_and_editors()
{
	mount_store
	cp "$TOP/engine/datawal.h" "$M/f"
	sed -i 's/DataWal/DATAWAL/g' "$M/f"
	sed 's/DataWal/DATAWAL/g' "$TOP/engine/datawal.h" | cmp - "$M/f"
	[ "$(ls -A "$M")" = f ]
	sort -o "$M/f" "$M/f"
	sed 's/DataWal/DATAWAL/g' "$TOP/engine/datawal.h" | sort | cmp - "$M/f"
	# the way vim saves: backup aside, write anew, remove the backup
	mv "$M/f" "$M/f~"
	printf 'new\n' > "$M/f"
	sync "$M/f"
	rm "$M/f~"
	[ "$(cat "$M/f")" = new ]
	unmount_store
}

test_tools_build_in_the_mount()
{
	mount_store
	cp -r "$TOP/engine" "$TOP/Makefile" "$M/"
	make -s -C "$M" build/release/libdatawal.a
	[ -s "$M/build/release/libdatawal.a" ]
	unmount_store
}

test_tools_append_from_many()
{
	mount_store
	local i
	for i in 1 2 3 4; do
		(for n in $(seq 100); do echo "$i $n" >> "$M/log"; done) &
	done
	wait
	[ "$(sort -u "$M/log" | wc -l)" = 400 ]
	unmount_store
}

run_tests "$@"
