#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_backup.sh - tools that take a tree away and bring it back: tar, rsync, restic, borg.
. "$(dirname "$0")/lib.sh"

# A tree of sources without links in "$M/tree", and the same in "$W/tree".
make_tree()
{
	mkdir "$W/tree"
	cp -r "$TOP/engine" "$TOP/fs" "$TOP/tests" "$TOP/docs" "$W/tree"
	head -c 20000000 /dev/urandom > "$W/tree/large"
	: > "$W/tree/empty"
	mkdir "$W/tree/empty directory"
	cp -r "$W/tree" "$M/tree"
	# some tools do not believe a time that is no older than their look at it
	sleep 1.1
	date > "$M/tree/last"
	cp "$M/tree/last" "$W/tree/last"
}
export -f make_tree

test_backup_tar()
{
	mount_store
	make_tree
	tar -C "$M" -cf "$W/one.tar" tree
	tar -C "$M" -df "$W/one.tar"
	mkdir "$M/back"
	tar -C "$M/back" -xf "$W/one.tar"
	diff -r "$W/tree" "$M/back/tree"
	tar -C "$M/back" -df "$W/one.tar"
	# incremental: of an unchanged tree nothing, of a changed one that
	tar -C "$M" -g "$W/snar" -cf "$W/full.tar" tree
	tar -C "$M" -g "$W/snar" -cf "$W/none.tar" tree
	[ -z "$(tar -tf "$W/none.tar" | grep -v '/$')" ]
	echo more >> "$M/tree/last"
	tar -C "$M" -g "$W/snar" -cf "$W/more.tar" tree
	[ "$(tar -tf "$W/more.tar" | grep -v '/$')" = tree/last ]
	unmount_store
}

test_backup_rsync()
{
	need rsync rsync
	mount_store
	make_tree
	rsync -a "$W/tree/" "$M/synced/"
	diff -r "$W/tree" "$M/synced"
	[ -z "$(rsync -ain "$W/tree/" "$M/synced/")" ]
	# a second one transfers nothing, by sums as well; also after the next mount
	[ -z "$(rsync -acin "$W/tree/" "$M/synced/")" ]
	remount_store
	[ -z "$(rsync -ain "$W/tree/" "$M/synced/")" ]
	echo more >> "$W/tree/last"
	[ "$(rsync -ai "$W/tree/" "$M/synced/" | wc -l)" = 1 ]
	rsync -a --inplace --no-whole-file "$W/tree/" "$M/synced/"
	rm "$W/tree/empty"
	rsync -a --delete "$W/tree/" "$M/synced/"
	diff -r "$W/tree" "$M/synced"
	unmount_store
}

# restic's summary of a backup: how many files were new or changed
restic_backup()
{
	restic backup -q --json "$M/tree" |
		perl -ne 'print $1 + $2 if /"files_new":(\d+),"files_changed":(\d+)/'
}

test_backup_restic()
{
	need restic restic
	export RESTIC_REPOSITORY=$W/repository RESTIC_PASSWORD=x RESTIC_CACHE_DIR=$W/cache
	mount_store
	make_tree
	restic init -q
	[ "$(restic_backup)" -gt 100 ]
	[ "$(restic_backup)" = 0 ]
	remount_store
	[ "$(restic_backup)" = 0 ]
	command_file compact
	remount_store
	[ "$(restic_backup)" = 0 ]
	echo more >> "$M/tree/last"
	[ "$(restic_backup)" = 1 ]
	restic check -q --read-data
	restic restore -q latest --target "$M/restored"
	diff -r "$M/tree" "$M/restored$M/tree"
	# a repository in the mount
	RESTIC_REPOSITORY=$M/repository restic init -q
	RESTIC_REPOSITORY=$M/repository restic backup -q "$W/tree"
	remount_store
	RESTIC_REPOSITORY=$M/repository restic check -q --read-data
	RESTIC_REPOSITORY=$M/repository restic restore -q latest --target "$W/restored"
	diff -r "$W/tree" "$W/restored$W/tree"
	unmount_store
}

# Files that borg read: added or modified.
borg_backup() # NAME
{
	(cd "$M" && borg create --list --filter=AMCE "$BORG_REPO::$1" tree 2>&1 | grep -cE '^[AMCE] ' || true)
}
export -f restic_backup borg_backup

test_backup_borg()
{
	need borg borgbackup
	export BORG_REPO=$W/repository BORG_BASE_DIR=$W/borg
	export BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes BORG_RELOCATED_REPO_ACCESS_IS_OK=yes
	mount_store
	make_tree
	mkdir "$W/borg"
	borg init -e none
	[ "$(borg_backup first)" -gt 100 ]
	# it never believes the file with the newest time
	[ "$(borg_backup second)" -le 1 ]
	remount_store
	[ "$(borg_backup third)" -le 1 ]
	command_file compact
	remount_store
	[ "$(borg_backup fourth)" -le 1 ]
	echo more >> "$M/tree/engine/datawal.h"
	[ "$(borg_backup fifth)" -le 2 ]
	borg check --verify-data
	mkdir "$M/restored"
	(cd "$M/restored" && borg extract "$BORG_REPO::fifth")
	diff -r "$M/tree" "$M/restored/tree"
	# a repository in the mount
	export BORG_REPO=$M/repository
	borg init -e none
	(cd "$W" && borg create "$BORG_REPO::first" tree)
	remount_store
	borg check --verify-data
	mkdir "$W/restored"
	(cd "$W/restored" && borg extract "$BORG_REPO::first")
	diff -r "$W/tree" "$W/restored/tree"
	unmount_store
}

run_tests "$@"
