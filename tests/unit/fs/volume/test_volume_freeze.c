/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_volume_freeze.c - a volume of one moment of another.
 */
#include <errno.h>
#include <string.h>

#include "tests/support/volumes.h"

static void chmod_path(struct volume *volume, const char *path, mode_t mode)
{
	struct stat st = {.st_mode = mode}, after;

	CHECK_EQ(volume_setattr(volume, volumes_find(volume, path), &st, ATTR_MODE, false, &after),
		 0);
}

static mode_t mode_of(struct volume *volume, const char *path)
{
	return volumes_stat(volume, path).st_mode & 07777;
}

static void test_stays(void)
{
	struct volume *volume = volumes_mount(stores_dir());

	CHECK_EQ(volumes_mkdir(volume, "d"), 0);
	volumes_write(volume, "d/f", "old");
	volumes_write(volume, "gone", "old");
	chmod_path(volume, "d/f", 0600);
	struct volume *first = volumes_snapshot(volume, "first");
	volumes_write(volume, "d/f", "new");
	CHECK_EQ(volumes_unlink(volume, "gone"), 0);
	chmod_path(volume, "d/f", 0640);
	struct volume *second = volumes_snapshot(volume, "second");
	CHECK_EQ(volumes_rename(volume, "d", "e", 0), 0);
	chmod_path(volume, "e/f", 0777);
	CHECK_EQ(dw_rotate(volume_store(volume)), 0);
	CHECK_EQ(dw_compact(volume_store(volume), NULL), 0);
	CHECK_EQ(volume_compact_attrs(volume), 0);
	volumes_expect_list(first, "", "d|gone|");
	volumes_expect(first, "d/f", "old");
	volumes_expect(first, "gone", "old");
	CHECK_EQ(mode_of(first, "d/f"), 0600);
	volumes_expect_list(second, "", "d|");
	volumes_expect(second, "d/f", "new");
	CHECK_EQ(mode_of(second, "d/f"), 0640);
	volumes_expect_list(volume, "", "e|");
	CHECK_EQ(mode_of(volume, "e/f"), 0777);
	CHECK_EQ(volumes_create(first, "x"), -EROFS);
	CHECK_EQ(volumes_unlink(first, "gone"), -EROFS);
	CHECK_EQ(volume_snapshot(first, "of it", false), -EROFS);
	volumes_unmount(first);
	volumes_expect(second, "d/f", "new");
	volumes_unmount(second);
	volumes_unmount(volume);
}

/* Bytes of open files are in it, with the attributes that wait for them. */
static void test_commits(void)
{
	struct volume *volume = volumes_mount(stores_dir());
	struct node *node = volumes_open(volume, "f", O_CREAT | O_WRONLY, NULL);
	struct node *removed = volumes_open(volume, "removed", O_CREAT | O_WRONLY, NULL);

	volumes_write_at(volume, node, "before", 6, 0);
	volumes_write_at(volume, removed, "lost", 4, 0);
	chmod_path(volume, "f", 0600);
	CHECK_EQ(volumes_unlink(volume, "removed"), 0);
	struct volume *frozen = volumes_snapshot(volume, "s");
	volumes_write_at(volume, node, "after", 5, 6);
	volumes_expect(frozen, "f", "before");
	CHECK_EQ(mode_of(frozen, "f"), 0600);
	volumes_expect_list(frozen, "", "f|");
	volumes_done(volume, removed);
	volumes_done(volume, node);
	volumes_expect(volume, "f", "beforeafter");
	volumes_expect(frozen, "f", "before");
	volumes_unmount(frozen);
	volumes_unmount(volume);
}

/* The root is known before anything was read, and shows the same afterwards. */
static void test_root(void)
{
	struct volume *volume = volumes_mount(stores_dir());
	struct volume_entry before, after;

	volumes_write(volume, "f", "1");
	chmod_path(volume, "", 0711);
	CHECK_EQ(volume_setxattr(volume, volume_root(volume), "user.k", "v", 1, 0), 0);
	struct volume *frozen = volumes_snapshot(volume, "s");
	chmod_path(volume, "", 0777);
	volume_enter(frozen, &before);
	CHECK_EQ(before.st.st_mode & 07777, 0711);
	volumes_expect(frozen, "f", "1");
	volume_enter(frozen, &after);
	CHECK(before.node == after.node && before.node == volume_root(frozen));
	CHECK(!memcmp(&before.st, &after.st, sizeof before.st));
	char value;
	CHECK_EQ(volume_getxattr(frozen, after.node, "user.k", &value, 1), 1);
	CHECK_EQ(value, 'v');
	volume_forget(frozen, after.node, 2);
	volumes_unmount(frozen);
	volumes_unmount(volume);
}

/* Numbers follow from the name, and no other snapshot has them. */
static void test_numbers(void)
{
	static const char *const paths[] = {"", "d", "d/f"};
	struct volume *volume = volumes_mount(stores_dir());
	const int dirfd = dw_directory_fd(volume_store(volume));

	CHECK_EQ(volumes_mkdir(volume, "d"), 0);
	volumes_write(volume, "d/f", "1");
	struct volume *a = volumes_snapshot(volume, "a"), *b = volumes_snapshot(volume, "b");
	CHECK_EQ(dw_snapshot_remove(dirfd, "a"), 0);
	struct volume *again = volumes_snapshot(volume, "a");
	CHECK_EQ(volumes_stat(a, "").st_ino, volume_snapshot_ino(volume, "a"));
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		ino_t live = volumes_stat(volume, paths[i]).st_ino;
		ino_t of_a = volumes_stat(a, paths[i]).st_ino;
		CHECK(of_a != live && of_a != volumes_stat(b, paths[i]).st_ino);
		CHECK_EQ(of_a, volumes_stat(again, paths[i]).st_ino);
	}
	volumes_unmount(again);
	volumes_unmount(b);
	volumes_unmount(a);
	volumes_unmount(volume);
}

/* It does not need the volume that it is of, and is there after that was closed. */
static void test_lasts(void)
{
	const char *dir = stores_dir();
	struct volume *volume = volumes_mount(dir);

	volumes_write(volume, "f", "1");
	chmod_path(volume, "f", 0600);
	struct volume *first = volumes_snapshot(volume, "s");
	ino_t ino = volumes_stat(first, "f").st_ino;
	volumes_write(volume, "f", "2");
	chmod_path(volume, "f", 0640);
	volumes_unmount(volume);
	volumes_expect(first, "f", "1");
	volume = volumes_mount(dir);
	CHECK_EQ(volume_snapshot(volume, "s", false), -EEXIST);
	struct volume *again = volumes_open_snapshot(dw_directory_fd(volume_store(volume)), "s");
	volumes_expect(again, "f", "1");
	CHECK_EQ(mode_of(again, "f"), 0600);
	CHECK_EQ(volumes_stat(again, "f").st_ino, ino);
	volumes_expect(volume, "f", "2");
	volumes_unmount(first);
	volumes_unmount(again);
	volumes_unmount(volume);
}

/* A store without attributes has no second store; later one is made. */
static void test_without_attributes(void)
{
	struct volume *volume = volumes_mount(stores_dir());

	volumes_write(volume, "f", "1");
	struct volume *frozen = volumes_snapshot(volume, "s");
	chmod_path(volume, "f", 0600);
	CHECK_EQ(mode_of(frozen, "f"), 0644);
	CHECK_EQ(volume_fsync(frozen, volumes_find(frozen, "f")), 0);
	volumes_unmount(frozen);
	volumes_unmount(volume);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"freeze_stays", test_stays},
		{"freeze_commits", test_commits},
		{"freeze_root", test_root},
		{"freeze_numbers", test_numbers},
		{"freeze_lasts", test_lasts},
		{"freeze_without_attributes", test_without_attributes},
		{NULL, NULL},
	};

	return check_main(argc, argv, tests);
}
