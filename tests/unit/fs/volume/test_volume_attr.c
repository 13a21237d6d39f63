/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_volume_attr.c - attributes and times, volumes that are read only, and listings
 * while names come and go.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/files.h"
#include "tests/support/volumes.h"

#include "fs/base/clock.h"

static int set(struct volume *v, const char *path, unsigned which, const struct stat *st)
{
	struct stat after;

	return volume_setattr(v, volumes_find(v, path), st, which, false, &after);
}

static int64_t mtime_of(struct volume *v, const char *path)
{
	return attr_ns(volumes_stat(v, path).st_mtim);
}

static struct stat created(struct volume *v, const struct volume_cred *cred, const char *path,
			   mode_t mode, bool is_dir)
{
	struct volume_entry entry;
	const char *name;
	struct node *parent = volumes_parent(v, path, &name);
	int rc = is_dir ? volume_mkdir(v, cred, parent, name, mode, &entry)
			: volume_mknod(v, cred, parent, name, mode, &entry);

	CHECK_EQ(rc, 0);
	volume_forget(v, entry.node, 1);
	return entry.st;
}

/* --- owner and mode --- */

static void test_defaults(void)
{
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);

	volumes_write(v, "f", "12345");
	CHECK_EQ(volumes_mkdir(v, "d"), 0);
	struct stat f = volumes_stat(v, "f"), d = volumes_stat(v, "d"), root = volumes_stat(v, "");
	CHECK_EQ(f.st_mode, S_IFREG | 0644);
	CHECK_EQ(d.st_mode, S_IFDIR | 0755);
	CHECK_EQ(root.st_mode, S_IFDIR | 0755);
	CHECK_EQ(root.st_ino, 1);
	CHECK(f.st_uid == 1000 && f.st_gid == 100 && d.st_uid == 1000 && d.st_gid == 100);
	CHECK_EQ(f.st_nlink, 1);
	CHECK_EQ(f.st_blocks, 1);
	volumes_unmount(v);
	v = volumes_mount(dir);
	CHECK_EQ(volumes_stat(v, "f").st_ino, f.st_ino);
	CHECK_EQ(volumes_stat(v, "d").st_ino, d.st_ino);
	CHECK(f.st_ino != d.st_ino);
	volumes_unmount(v);
}

static void test_owner(void)
{
	const struct volume_cred other = {7, 8};
	struct volume_options options = volumes_defaults;
	struct stat st = {.st_mode = 0600, .st_uid = 5, .st_gid = 6};
	struct volume *v = volumes_mount(stores_dir());

	volumes_write(v, "f", "f");
	CHECK_EQ(set(v, "f", ATTR_MODE | ATTR_UID | ATTR_GID, &st), 0);
	volumes_write(v, "f", "g");
	CHECK_EQ(volumes_rename(v, "f", "h", 0), 0);
	st = volumes_stat(v, "h");
	CHECK_EQ(st.st_mode, S_IFREG | 0600);
	CHECK(st.st_uid == 5 && st.st_gid == 6);
	st = created(v, &other, "n", S_IFREG | 0640, false);
	CHECK_EQ(st.st_mode, S_IFREG | 0640);
	CHECK(st.st_uid == 7 && st.st_gid == 8);
	volumes_unmount(v);
	options.fixed_uid = options.fixed_gid = true;
	v = volumes_mount_with(stores_dir(), &options, 0);
	st = created(v, &other, "n", S_IFREG | 0640, false);
	CHECK(st.st_uid == 1000 && st.st_gid == 100);
	volumes_unmount(v);
}

static void test_setgid_dir(void)
{
	const struct stat st = {.st_mode = 02775, .st_gid = 55};
	struct volume *v = volumes_mount(stores_dir());

	CHECK_EQ(volumes_mkdir(v, "d"), 0);
	CHECK_EQ(set(v, "d", ATTR_MODE | ATTR_GID, &st), 0);
	struct stat f = created(v, &volumes_cred, "d/f", S_IFREG | 0644, false);
	struct stat e = created(v, &volumes_cred, "d/e", 0755, true);
	CHECK_EQ(f.st_gid, 55);
	CHECK_EQ(f.st_mode, S_IFREG | 0644);
	CHECK_EQ(e.st_gid, 55);
	CHECK_EQ(e.st_mode, S_IFDIR | 02755);
	CHECK_EQ(created(v, &volumes_cred, "d/e/f", S_IFREG | 0644, false).st_gid, 55);
	volumes_unmount(v);
}

static void test_suid(void)
{
	const struct stat suid = {.st_mode = 06755, .st_uid = 9}, lock = {.st_mode = 02644};
	struct volume *v = volumes_mount(stores_dir());

	volumes_write(v, "f", "f");
	CHECK_EQ(set(v, "f", ATTR_MODE, &suid), 0);
	CHECK_EQ(volumes_stat(v, "f").st_mode, S_IFREG | 06755);
	volumes_write(v, "f", "g");
	CHECK_EQ(volumes_stat(v, "f").st_mode, S_IFREG | 0755);
	CHECK_EQ(set(v, "f", ATTR_MODE, &suid), 0);
	CHECK_EQ(volumes_truncate(v, "f", 5), 0);
	CHECK_EQ(volumes_stat(v, "f").st_mode, S_IFREG | 0755);
	CHECK_EQ(set(v, "f", ATTR_MODE, &suid), 0);
	CHECK_EQ(set(v, "f", ATTR_UID, &suid), 0);
	CHECK_EQ(volumes_stat(v, "f").st_mode, S_IFREG | 0755);
	CHECK_EQ(set(v, "f", ATTR_MODE, &lock), 0);
	volumes_write(v, "f", "h");
	CHECK_EQ(volumes_stat(v, "f").st_mode, S_IFREG | 02644);
	volumes_unmount(v);
}

/* --- times --- */

static void test_mtime(void)
{
	const struct stat mode = {.st_mode = 0600};
	struct volume *v = volumes_mount(stores_dir());

	volumes_write(v, "f", "value");
	int64_t mtime = mtime_of(v, "f");
	volumes_expect(v, "f", "value");
	volumes_done(v, volumes_open(v, "f", O_RDWR, NULL));
	CHECK_EQ(set(v, "f", ATTR_MODE, &mode), 0);
	CHECK_EQ(volumes_rename(v, "f", "g", 0), 0);
	CHECK_EQ(mtime_of(v, "g"), mtime);
	CHECK_EQ(dw_rotate(volume_store(v)), 0);
	CHECK_EQ(dw_compact(volume_store(v), NULL), 0);
	CHECK_EQ(volumes_mkdir(v, "d"), 0);
	CHECK_EQ(volumes_rename(v, "g", "d/g", 0), 0);
	CHECK_EQ(volumes_rename(v, "d", "e", 0), 0);
	CHECK_EQ(mtime_of(v, "e/g"), mtime);
	volumes_write(v, "e/g", "other");
	CHECK(mtime_of(v, "e/g") > mtime);
	mtime = mtime_of(v, "e/g");
	CHECK_EQ(volumes_truncate(v, "e/g", 2), 0);
	CHECK(mtime_of(v, "e/g") > mtime);
	volumes_unmount(v);
}

static void test_mtime_by_hand(void)
{
	const struct stat old = {.st_mtim = {1000, 5}, .st_atim = {2000, 6}};
	struct volume *v = volumes_mount(stores_dir());

	volumes_write(v, "f", "value");
	CHECK_EQ(set(v, "f", ATTR_MTIME | ATTR_ATIME, &old), 0);
	volumes_expect(v, "f", "value");
	struct stat st = volumes_stat(v, "f");
	CHECK_EQ(attr_ns(st.st_mtim), 1000000000005);
	CHECK_EQ(attr_ns(st.st_atim), 2000000000006);
	CHECK(attr_ns(st.st_ctim) > 2000000000006);
	CHECK_EQ(volumes_rename(v, "f", "g", 0), 0);
	CHECK_EQ(mtime_of(v, "g"), 1000000000005);
	volumes_write(v, "g", "newer");
	CHECK(mtime_of(v, "g") > 2000000000000);
	CHECK_EQ(set(v, "g", ATTR_MTIME, &old), 0);
	CHECK_EQ(mtime_of(v, "g"), 1000000000005);
	CHECK_EQ(set(v, "g", ATTR_MTIME | ATTR_MTIME_NOW, &old), 0);
	CHECK(mtime_of(v, "g") > 2000000000000);
	volumes_unmount(v);
}

/* The record format has no room for times: the hints beside the segments carry them. */
static void test_mtime_remount(void)
{
	const char *dir = stores_dir();
	const struct stat old = {.st_mtim = {1000, 5}};
	struct volume *v = volumes_mount(dir);

	/* as cp -p does it: written, dated, closed */
	struct node *f = volumes_open(v, "f", O_CREAT | O_RDWR, NULL);
	volumes_write_at(v, f, "copy", 4, 0);
	CHECK_EQ(set(v, "f", ATTR_MTIME, &old), 0);
	volumes_done(v, f);
	CHECK_EQ(mtime_of(v, "f"), 1000000000005);
	volumes_write(v, "g", "value");
	int64_t mtime = mtime_of(v, "g");
	volumes_unmount(v);
	if (!files_count_suffixed(dir, ".hint")) {
		check_skip("the engine writes no hints");
		return;
	}
	v = volumes_mount(dir);
	CHECK_EQ(mtime_of(v, "f"), 1000000000005);
	CHECK_EQ(mtime_of(v, "g"), mtime);
	volumes_unmount(v);
}

static void test_dir_mtime(void)
{
	struct volume *v = volumes_mount(stores_dir());

	CHECK_EQ(volumes_mkdir(v, "d"), 0);
	int64_t before = mtime_of(v, "d");
	volumes_write(v, "d/f", "f");
	int64_t after = mtime_of(v, "d");
	CHECK(after > before);
	volumes_write(v, "d/f", "g");
	CHECK_EQ(mtime_of(v, "d"), after);
	CHECK_EQ(volumes_unlink(v, "d/f"), 0);
	CHECK(mtime_of(v, "d") > after);
	volumes_unmount(v);
}

/* After a mount: of the newest value in it, or below it; and no date set by a user in the
 * future. */
static void test_dir_mtime_remount(void)
{
	const struct stat future = {.st_mtim = {7258118400, 0}}; /* 2200-01-01 */
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);

	CHECK_EQ(volumes_mkdir(v, "d"), 0);
	volumes_write(v, "d/t", "t");
	CHECK_EQ(set(v, "d/t", ATTR_MTIME, &future), 0);
	CHECK_EQ(volumes_rename(v, "d/t", "d/f", 0), 0);
	struct node *f = volumes_open(v, "d/g", O_CREAT | O_RDWR, NULL);
	CHECK_EQ(set(v, "d/g", ATTR_MTIME, &future), 0);
	volumes_done(v, f);
	stores_put(volume_store(v), "a/b/old", "");
	stores_put(volume_store(v), "a/b/c/new", "");
	stores_put(volume_store(v), "z/y/x", "");
	volumes_unmount(v);
	v = volumes_mount(dir);
	CHECK_EQ(mtime_of(v, "d/f"), attr_ns(future.st_mtim));
	CHECK_EQ(mtime_of(v, "d/g"), attr_ns(future.st_mtim));
	CHECK(mtime_of(v, "d") <= clock_realtime_ns());
	CHECK(mtime_of(v, "d") > 0);
	CHECK_EQ(mtime_of(v, "z"), mtime_of(v, "z/y/x"));
	CHECK_EQ(mtime_of(v, "z/y"), mtime_of(v, "z/y/x"));
	CHECK_EQ(mtime_of(v, "a/b/c"), mtime_of(v, "a/b/c/new"));
	CHECK_EQ(mtime_of(v, "a/b"), mtime_of(v, "a/b/c/new")); /* however deep */
	CHECK_EQ(mtime_of(v, "a"), mtime_of(v, "a/b/c/new"));
	/* a time in the future counts as now */
	CHECK(attr_ns(volumes_stat(v, "").st_mtim) >= mtime_of(v, "z/y/x"));
	CHECK(attr_ns(volumes_stat(v, "").st_mtim) <= clock_realtime_ns());
	volumes_unmount(v);
}

/* --- read only --- */

static void test_read_only(void)
{
	const char *dir = stores_dir();
	struct volume_options options = volumes_defaults;
	struct volume *v = volumes_mount(dir);
	struct stat st = {.st_mode = 0600};
	struct volume_entry entry;
	int rc;

	volumes_write(v, "f", "f");
	volumes_write(v, "g", "g");
	CHECK_EQ(volumes_mkdir(v, "d"), 0);
	volumes_unmount(v);
	options.read_only = true;
	v = volumes_mount_with(dir, &options, 0);
	CHECK_EQ(volumes_create(v, "n"), -EROFS);
	CHECK_EQ(volumes_mkdir(v, "n"), -EROFS);
	CHECK_EQ(volumes_unlink(v, "f"), -EROFS);
	CHECK_EQ(volumes_rmdir(v, "d"), -EROFS);
	CHECK_EQ(volumes_rename(v, "f", "g", 0), -EROFS);
	CHECK_EQ(volumes_rename(v, "f", "n", 0), -EROFS);
	CHECK_EQ(volumes_truncate(v, "f", 0), -EROFS);
	CHECK_EQ(set(v, "f", ATTR_MODE, &st), -EROFS);
	CHECK_EQ(volume_mknod(v, &volumes_cred, volume_root(v), "n", S_IFREG, &entry), -EROFS);
	CHECK_EQ(volume_mknod(v, &volumes_cred, volume_root(v), "n", S_IFIFO, &entry), -EROFS);
	CHECK(!volumes_open(v, "f", O_RDWR, &rc) && rc == -EROFS);
	CHECK(!volumes_open(v, "f", O_WRONLY, &rc) && rc == -EROFS);
	CHECK(!volumes_open(v, "f", O_RDONLY | O_TRUNC, &rc) && rc == -EROFS);
	struct node *f = volumes_open(v, "f", O_RDONLY, NULL);
	CHECK_EQ(volume_write(v, f, "x", 1, 0), -EROFS);
	CHECK_EQ(volume_fallocate(v, f, 0, 0, 10), -EROFS);
	volumes_done(v, f);
	volumes_expect(v, "f", "f");
	volumes_expect_list(v, "", "d|f|g|");
	volumes_unmount(v);
}

static void test_statfs(void)
{
	struct volume *v = volumes_mount(stores_dir());
	struct statvfs st;

	CHECK_EQ(volume_statfs(v, &st), 0);
	CHECK_EQ(st.f_namemax, 255);
	CHECK(st.f_blocks > 0 && st.f_bsize > 0);
	volumes_unmount(v);
}

/* --- listings --- */

enum { NAMES = 1000, STAY_EVERY = 7 };

struct taking {
	bool seen[NAMES];
	unsigned left, count; /* entries to take now; taken */
	uint64_t offset;
};

static int take(void *context, const char *name, struct node *node, const struct stat *st,
		uint64_t next)
{
	struct taking *l = context;

	if (!l->left)
		return 1;
	l->left--;
	l->offset = next;
	if (!node) {
		CHECK(S_ISDIR(st->st_mode));
		return 0;
	}
	int n = atoi(name);
	CHECK(!l->seen[n]);
	l->seen[n] = true;
	l->count++;
	return 0;
}

static void remove_seen(struct volume *v, const struct taking *l, bool gone[NAMES])
{
	char name[16];

	for (int i = 0; i < NAMES; i++) {
		if (!l->seen[i] || gone[i])
			continue;
		gone[i] = true;
		(void)snprintf(name, sizeof name, "%d", i);
		volume_forget(v, volumes_find(v, name), 1); /* counted by the listing */
		if (i % STAY_EVERY)
			CHECK_EQ(volumes_unlink(v, name), 0);
	}
}

/* As rm -r does it: some entries are read, they are removed, and on it goes. */
static void test_readdir_removing(void)
{
	struct volume *v = volumes_mount(stores_dir());
	struct taking l = {.offset = 0};
	bool gone[NAMES] = {false};
	char name[16];

	for (int i = 0; i < NAMES; i++) {
		(void)snprintf(name, sizeof name, "%d", i);
		CHECK_EQ(volumes_create(v, name), 0);
	}
	struct listing *open_dir = NULL;
	CHECK_EQ(volume_opendir(v, volume_root(v), &open_dir), 0);
	while (!l.left) { /* a listing that ends early has taken less than it may */
		l.left = 13;
		CHECK_EQ(volume_readdir(open_dir, l.offset, true, take, &l), 0);
		remove_seen(v, &l, gone);
	}
	volume_closedir(open_dir);
	CHECK_EQ(l.count, NAMES);
	unsigned stayed = 0;
	l = (struct taking){.left = UINT32_MAX};
	CHECK_EQ(volumes_readdir(v, volume_root(v), take, &l), 0);
	for (int i = 0; i < NAMES; i++) {
		CHECK_EQ(l.seen[i], i % STAY_EVERY == 0);
		stayed += l.seen[i];
	}
	CHECK_EQ(l.count, stayed);
	volumes_unmount(v);
}

/* The names of a directory change while it is listed: entries that stay show once, new ones come
 * after the end. */
static void test_readdir_end(void)
{
	struct volume *v = volumes_mount(stores_dir());
	struct taking l = {.offset = 0};
	char name[16], other[16];

	CHECK_EQ(volumes_mkdir(v, "e"), 0);
	for (int i = 0; i < NAMES; i++) {
		(void)snprintf(name, sizeof name, "%d", i);
		CHECK_EQ(volumes_create(v, name), 0);
	}
	CHECK_EQ(volumes_unlink(v, "0"), 0);
	struct listing *open_dir = NULL;
	CHECK_EQ(volume_opendir(v, volume_root(v), &open_dir), 0);
	while (!l.left) {
		l.left = 13;
		CHECK_EQ(volume_readdir(open_dir, l.offset, false, take, &l), 0);
		/* one that was not listed yet, perhaps, and one that is new */
		unsigned next = l.count + 20;
		(void)snprintf(name, sizeof name, "%u", next);
		(void)snprintf(other, sizeof other, "%ub", next);
		if (volumes_find(v, name))
			CHECK_EQ(volumes_rename(v, name, other, 0), 0);
		(void)snprintf(name, sizeof name, "new%u", next);
		CHECK_EQ(volumes_create(v, name), 0);
		(void)snprintf(other, sizeof other, "e/%u", next);
		CHECK_EQ(volumes_create(v, other), 0);
		(void)snprintf(name, sizeof name, "from%u", next);
		CHECK_EQ(volumes_rename(v, other, name, 0), 0);
	}
	CHECK_EQ(l.count, NAMES); /* "e", and all but "0" */
	volume_closedir(open_dir);
	CHECK_EQ(volume_opendir(v, volumes_find(v, "1"), &open_dir), -ENOTDIR);
	volumes_unmount(v);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"volume_defaults", test_defaults},
		{"volume_owner", test_owner},
		{"volume_setgid_dir", test_setgid_dir},
		{"volume_suid", test_suid},
		{"volume_mtime", test_mtime},
		{"volume_mtime_by_hand", test_mtime_by_hand},
		{"volume_mtime_remount", test_mtime_remount},
		{"volume_dir_mtime", test_dir_mtime},
		{"volume_dir_mtime_remount", test_dir_mtime_remount},
		{"volume_read_only", test_read_only},
		{"volume_statfs", test_statfs},
		{"volume_readdir_removing", test_readdir_removing},
		{"volume_readdir_end", test_readdir_end},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
