#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test_odd.sh - odd but legal: the programs odd_*.c ask, beside the daemon's binary;
# what they leave must be the same after the next mount.
. "$(dirname "$0")/lib.sh"
ODD=$(dirname "$DATAWALFS")/tests/mount
export ODD
if [ ! -x "$ODD/odd_files" ]; then
	echo "not ok odd: build the programs odd_*.c first ('make tests')"
	exit 1
fi

# What is in the mount, in a form to compare.
picture()
{
	(cd "$M" && find . -printf '%y %s %p\n' | sort && find . -type f -print0 | sort -z |
		xargs -0 -r cksum)
}

# odd PROGRAM TEST: and what is left lasts.
odd()
{
	mount_store
	"$ODD/$1" "$2" "$M"
	picture > "$W/before"
	[ -s "$W/before" ]
	remount_store
	picture > "$W/after"
	cmp "$W/before" "$W/after"
	unmount_store
}
export -f odd picture

test_odd_append_from_several_writers() { odd odd_files append; }
test_odd_exclusive_create() { odd odd_files excl; }
test_odd_truncate_on_open() { odd odd_files trunc; }
test_odd_truncate_races() { odd odd_files truncate-race; }
test_odd_sparse_writes() { odd odd_files sparse; }
test_odd_fallocate_and_punch() { odd odd_files fallocate; }
test_odd_seek_data_and_hole() { odd odd_files seek; }
test_odd_copy_file_range() { odd odd_files copy-range; }
test_odd_64_mib_and_one_byte() { odd odd_files limit; }
test_odd_mmap_shared_and_private() { odd odd_files mmap; }
test_odd_writers_past_the_pages() { odd odd_files write-only; }
test_odd_asynchronous_direct_writes() { odd odd_direct aio; }
test_odd_asynchronous_direct_writes_by_io_uring()
{
	"$ODD/odd_direct" uring-allowed "$W" || skip "io_uring_setup(2) is not allowed here"
	odd odd_direct uring
}
test_odd_locks_between_processes() { odd odd_locks locks; }
test_odd_open_files_that_lose_their_name() { odd odd_files gone; }
test_odd_file_that_is_given_a_name() { odd odd_tmpfile named; }
test_odd_file_without_a_name() { odd odd_tmpfile nameless; }
test_odd_long_names() { odd odd_names long; }
test_odd_every_byte_in_names() { odd odd_names bytes; }
test_odd_64_levels() { odd odd_names deep; }
test_odd_longest_path() { odd odd_names deepest; }
test_odd_rename_noreplace() { odd odd_names noreplace; }
test_odd_rename_exchange() { odd odd_names exchange; }
test_odd_handles_of_removed_files()
{
	[ "$(id -u)" = 0 ] || skip "not root"
	odd odd_names handles
}

# Ids are addresses, which are the same in each mount here.
test_odd_handles_of_the_last_mount()
{
	[ "$(id -u)" = 0 ] || skip "not root"
	setarch -R true || skip "addresses cannot be had without chance"
	setarch -R "$DATAWALFS" "$S" "$M"
	"$ODD/odd_names" handle-kept "$M"
	unmount_store
	mv "$S" "$W/old"
	mkdir "$S"
	setarch -R "$DATAWALFS" "$S" "$M"
	"$ODD/odd_names" handle-stale "$M"
	unmount_store
}

# Of what was moved and what was made in its place no two have one number; else find, rm
# and du take the tree for a loop.
test_odd_inode_numbers_of_moved_trees()
{
	mount_store
	cd "$M"
	mkdir -p a/b
	: > a/b/f
	find . -printf '%i\n' > /dev/null # the kernel knows them all
	mv a c
	mkdir -p a/b
	: > a/b/f
	[ "$(stat -c %i a/b/f)" != "$(stat -c %i c/b/f)" ]
	[ -z "$(find . -printf '%i\n' | sort | uniq -d)" ]
	mv c a/b/c
	[ -z "$(find . -printf '%i\n' | sort | uniq -d)" ]
	[ "$(find a | wc -l)" = 6 ]
	find . -printf '%i %p\n' | sort > "$W/before"
	cd "$W"
	remount_store
	(cd "$M" && find . -printf '%i %p\n' | sort) | cmp "$W/before" -
	rm -r "$M/a"
	unmount_store
}

# What stays is listed once, however often; 100,000 that stay, and 20,000 that go.
test_odd_listing_of_100000_that_change()
{
	perl -MMIME::Base64 -e 'for my $i (1 .. 120000) {
		my $key = sprintf("dir/%06u-%s", $i, $i % 6 ? "stays" : "goes");
		printf qq({"key_b64":"%s","value_b64":""}\n), encode_base64($key, ""); }' > "$W/import"
	"$(dirname "$DATAWALFS")/datawal" import "$S" "$W/import" > /dev/null
	mount_store
	"$ODD/odd_names" listing "$M/dir"
	[ "$(find "$M/dir" -name '*-stays' | wc -l)" = 100000 ]
	unmount_store
}

run_tests "$@"
