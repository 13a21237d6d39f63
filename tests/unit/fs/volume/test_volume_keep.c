/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_volume_keep.c - what is set lasts: over mounts, other programs' changes, and what
 * crashes and damage leave.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "store/store.h"
#include "tests/support/files.h"
#include "tests/support/volumes.h"

static int set(struct volume *v, const char *path, unsigned which, const struct stat *st)
{
	struct stat after;

	return volume_setattr(v, volumes_find(v, path), st, which, false, &after);
}

static int64_t mtime_of(struct volume *v, const char *path)
{
	return attr_ns(volumes_stat(v, path).st_mtim);
}

static bool attr_dir(const char *dir, char path[300])
{
	struct stat st;

	(void)snprintf(path, 300, "%s/.attr", dir);
	return !stat(path, &st);
}

static void test_kept(void)
{
	const struct stat st = {.st_mode = 0600,
				.st_uid = 5,
				.st_gid = 6,
				.st_mtim = {1000, 5},
				.st_atim = {2000, 6}};
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);
	char path[300];

	volumes_write(v, "f", "value");
	CHECK_EQ(volumes_mkdir(v, "d"), 0);
	volumes_write(v, "d/g", "value");
	CHECK(!attr_dir(dir, path));
	CHECK_EQ(set(v, "f", ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_MTIME | ATTR_ATIME, &st), 0);
	CHECK_EQ(set(v, "d", ATTR_MODE | ATTR_MTIME, &st), 0);
	CHECK_EQ(set(v, "", ATTR_GID, &st), 0);
	CHECK(attr_dir(dir, path));
	struct stat f = volumes_stat(v, "f");
	for (int i = 0; i < 2; i++) {
		volumes_unmount(v);
		v = volumes_mount(dir);
		struct stat again = volumes_stat(v, "f");
		CHECK_EQ(again.st_mode, S_IFREG | 0600);
		CHECK(again.st_uid == 5 && again.st_gid == 6);
		CHECK_EQ(attr_ns(again.st_mtim), 1000000000005);
		CHECK_EQ(attr_ns(again.st_atim), 2000000000006);
		CHECK_EQ(attr_ns(again.st_ctim), attr_ns(f.st_ctim));
		CHECK_EQ(volumes_stat(v, "d").st_mode, S_IFDIR | 0600);
		CHECK_EQ(mtime_of(v, "d"), 1000000000005);
		CHECK_EQ(volumes_stat(v, "").st_gid, 6);
		CHECK_EQ(volumes_stat(v, "d/g").st_mode, S_IFREG | 0644);
	}
	volumes_unmount(v);
}

/* Another program writes: owner and mode stay, the time was that of another value. */
static void test_changed_outside(void)
{
	const struct stat st = {.st_mode = 0600, .st_mtim = {1000, 5}};
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);
	char path[300];

	volumes_write(v, "f", "value");
	volumes_write(v, "gone", "value");
	CHECK_EQ(volumes_mkdir(v, "d"), 0);
	volumes_write(v, "d/f", "value");
	CHECK_EQ(set(v, "f", ATTR_MODE | ATTR_MTIME, &st), 0);
	CHECK_EQ(set(v, "gone", ATTR_MODE, &st), 0);
	CHECK_EQ(set(v, "d", ATTR_MODE, &st), 0);
	CHECK_EQ(set(v, "d/f", ATTR_MODE, &st), 0);
	volumes_unmount(v);
	struct dw_store *store = stores_open(dir, 0);
	stores_put(store, "f", "other");
	stores_delete(store, "gone");
	stores_delete(store, "d/f");
	stores_delete(store, "d/");
	stores_close(store);
	v = volumes_mount(dir);
	CHECK_EQ(volumes_stat(v, "f").st_mode, S_IFREG | 0600);
	CHECK(mtime_of(v, "f") > 2000000000000);
	volumes_unmount(v);
	CHECK(attr_dir(dir, path));
	store = stores_open(path, 0);
	CHECK_EQ(dw_count(store), 1);
	stores_close(store);
	v = volumes_mount(dir);
	volumes_write(v, "gone", "anew");
	CHECK_EQ(volumes_stat(v, "gone").st_mode, S_IFREG | 0644);
	volumes_unmount(v);
}

/* A txid that a crash took back is given to another value: no time is for that. */
static void test_lost_tail(void)
{
	const struct stat st = {.st_mode = 0600, .st_mtim = {1000, 5}};
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);

	volumes_write(v, "f", "one");
	volumes_write(v, "g", "public");
	CHECK_EQ(dw_rotate(volume_store(v)), 0);
	struct files before = files_snapshot(dir);
	volumes_write(v, "f", "two");
	CHECK_EQ(set(v, "f", ATTR_MODE | ATTR_MTIME, &st), 0);
	volumes_write(v, "s", "secret");
	CHECK_EQ(set(v, "s", ATTR_MODE, &st), 0);
	CHECK_EQ(volumes_rename(v, "s", "g", 0), 0);
	volumes_unmount(v);
	files_remove_suffixed(dir, ".dwal");
	files_remove_suffixed(dir, ".hint");
	files_restore(&before, dir);
	files_release(&before);
	v = volumes_mount(dir);
	volumes_expect(v, "g", "public");
	CHECK_EQ(volumes_stat(v, "g").st_mode, S_IFREG | 0644);
	CHECK_EQ(volumes_stat(v, "f").st_mode, S_IFREG | 0600);
	volumes_write(v, "f", "two again");
	CHECK(mtime_of(v, "f") > 2000000000000);
	volumes_unmount(v);
	v = volumes_mount(dir);
	CHECK(mtime_of(v, "f") > 2000000000000);
	volumes_unmount(v);
}

/* --- syncs, and what is done while they last --- */

/* io_posix; says what of `.attr` is written and not synced, and has something done during the
 * next sync of values. */
struct syncio {
	struct io io; /* first: the engine hands it back to us */
	bool unsynced;
	struct volume *volume; /* its "b" is removed then; NULL: nothing is */
};

static bool is_attr_fd(int fd)
{
	char link[64], path[300] = "";

	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	CHECK(readlink(link, path, sizeof path - 1) > 0);
	return strstr(path, "/.attr/") && strstr(path, ".dwal");
}

static ssize_t note_write(struct io *io, int fd, const struct iovec *iov, int count, off_t offset)
{
	struct syncio *sync = (struct syncio *)io;

	sync->unsynced = sync->unsynced || is_attr_fd(fd);
	return io_posix.pwritev(&io_posix, fd, iov, count, offset);
}

static int note_sync(struct io *io, int fd)
{
	struct syncio *sync = (struct syncio *)io;
	struct volume *volume = sync->volume;

	if (is_attr_fd(fd)) {
		sync->unsynced = false;
	} else if (volume) {
		sync->volume = NULL;
		CHECK_EQ(volumes_unlink(volume, "b"), 0);
	}
	return 0;
}

static struct volume *mount_syncio(struct syncio *sync, const char *dir)
{
	struct dw_store *store = NULL;
	struct volume *volume = NULL;

	*sync = (struct syncio){.io = io_posix};
	sync->io.pwritev = note_write;
	sync->io.fdatasync = note_sync;
	CHECK_EQ(store_open(&sync->io, dir, &(struct dw_options){.create = true}, NULL, &store), 0);
	CHECK_EQ(volume_open(store, &volumes_defaults, &volume), 0);
	return volume;
}

static bool has_record(const char *dir, const char *key)
{
	char path[300];

	CHECK(attr_dir(dir, path));
	struct dw_store *store = stores_open_reader(path);
	bool has = dw_contains(store, stores_bytes(key));
	stores_close(store);
	return has;
}

/* A part that a mount takes out of a record is gone on disk before the txid is used again. */
static void test_lost_tail_synced(void)
{
	const struct stat st = {.st_mode = 0600, .st_mtim = {1000, 5}};
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);
	struct syncio sync;

	volumes_write(v, "f", "one");
	CHECK_EQ(dw_rotate(volume_store(v)), 0);
	struct files before = files_snapshot(dir);
	volumes_write(v, "f", "two");
	CHECK_EQ(set(v, "f", ATTR_MODE | ATTR_MTIME, &st), 0);
	volumes_unmount(v);
	files_remove_suffixed(dir, ".dwal");
	files_remove_suffixed(dir, ".hint");
	files_restore(&before, dir);
	files_release(&before);
	v = mount_syncio(&sync, dir);
	CHECK(!sync.unsynced);
	volumes_unmount(v);
}

/* The record of a removed key stays until the removal is on disk: a removal during a sync waits for
 * the next one. */
static void test_removed_during_sync(void)
{
	const struct stat st = {.st_mode = 0600};
	const char *dir = stores_dir();
	struct syncio sync;
	struct volume *v = mount_syncio(&sync, dir);

	volumes_write(v, "a", "a");
	volumes_write(v, "b", "b");
	CHECK_EQ(set(v, "a", ATTR_MODE, &st), 0);
	CHECK_EQ(set(v, "b", ATTR_MODE, &st), 0);
	CHECK_EQ(volumes_unlink(v, "a"), 0);
	CHECK(has_record(dir, "fa"));
	sync.volume = v;
	CHECK_EQ(volume_sync(v), 0);
	CHECK(sync.volume == NULL); /* "b" went */
	CHECK(!has_record(dir, "fa"));
	CHECK(has_record(dir, "fb"));
	volumes_write(v, "c", "c");
	CHECK_EQ(volume_sync(v), 0);
	CHECK(!has_record(dir, "fb"));
	volumes_unmount(v);
}

/* A name that is used again has what it was given now, also after a kill, and after the old one's
 * record was to go. */
static void test_anew(void)
{
	const struct stat st = {.st_mode = 0600};
	const char *dir = stores_dir(), *copy = stores_dir();
	struct volume *v = volumes_mount(dir);
	char path[300], attrs[300];

	volumes_write(v, "f", "old");
	CHECK_EQ(volumes_mkdir(v, "d"), 0);
	CHECK_EQ(set(v, "f", ATTR_MODE, &st), 0);
	CHECK_EQ(set(v, "d", ATTR_MODE, &st), 0);
	CHECK_EQ(volumes_unlink(v, "f"), 0);
	CHECK_EQ(volumes_rmdir(v, "d"), 0);
	volumes_write(v, "f", "new");
	CHECK_EQ(volumes_mkdir(v, "d"), 0);
	CHECK_EQ(set(v, "f", ATTR_MODE, &st), 0);
	files_copy(dir, copy);
	CHECK(attr_dir(dir, path));
	(void)snprintf(attrs, sizeof attrs, "%s/.attr", copy);
	CHECK_EQ(mkdir(attrs, 0700), 0);
	files_copy(path, attrs);
	CHECK_EQ(volume_sync(v), 0);
	volumes_unmount(v);
	for (int i = 0; i < 2; i++) {
		v = volumes_mount(i ? dir : copy);
		CHECK_EQ(volumes_stat(v, "f").st_mode, S_IFREG | 0600);
		CHECK_EQ(volumes_stat(v, "d").st_mode, S_IFDIR | 0755);
		volumes_unmount(v);
	}
}

/* With a damaged `.attr` nothing can be set, also after it was repaired: the mount does not show
 * the attributes in it. */
static void test_damaged_store(void)
{
	const struct stat st = {.st_mode = 0600};
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);
	char path[300], segment[320];

	volumes_write(v, "f", "value");
	CHECK_EQ(set(v, "f", ATTR_MODE, &st), 0);
	volumes_unmount(v);
	CHECK(attr_dir(dir, path));
	(void)snprintf(segment, sizeof segment, "%s/00000001.dwal", path);
	struct buf bytes = files_read(AT_FDCWD, segment);
	uint8_t first = bytes.data[0];
	bytes.data[0] = 'X';
	files_write(AT_FDCWD, segment, bytes.data, bytes.size);
	files_remove_suffixed(path, ".hint");
	v = volumes_mount(dir);
	CHECK_EQ(volumes_stat(v, "f").st_mode, S_IFREG | 0644);
	CHECK_EQ(set(v, "f", ATTR_MODE, &st), -EIO);
	bytes.data[0] = first;
	files_write(AT_FDCWD, segment, bytes.data, bytes.size);
	CHECK_EQ(set(v, "f", ATTR_MODE, &st), -EIO);
	volumes_unmount(v);
	v = volumes_mount(dir);
	CHECK_EQ(volumes_stat(v, "f").st_mode, S_IFREG | 0600);
	volumes_unmount(v);
	buf_release(&bytes);
}

/* Flat layout: the same keys; directories just do not show, and keep what they have. */
static void test_flat(void)
{
	const struct stat st = {.st_mode = 0600};
	struct volume_options options = volumes_defaults;
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);

	CHECK_EQ(volumes_mkdir(v, "d"), 0);
	volumes_write(v, "d/f", "f");
	CHECK_EQ(set(v, "d", ATTR_MODE, &st), 0);
	volumes_unmount(v);
	options.flat = true;
	v = volumes_mount_with(dir, &options, 0);
	CHECK_EQ(set(v, "d%2Ff", ATTR_MODE, &st), 0);
	volumes_unmount(v);
	v = volumes_mount_with(dir, &options, 0);
	CHECK_EQ(volumes_stat(v, "d%2Ff").st_mode, S_IFREG | 0600);
	volumes_unmount(v);
	v = volumes_mount(dir);
	CHECK_EQ(volumes_stat(v, "d/f").st_mode, S_IFREG | 0600);
	CHECK_EQ(volumes_stat(v, "d").st_mode, S_IFDIR | 0600);
	volumes_unmount(v);
}

/* A key that is also a directory: two names, and what is set on either is its own. */
static void test_conflict(void)
{
	const struct stat file = {.st_mode = 0600}, below = {.st_mode = 0700};
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);

	stores_put(store, "a", "file");
	stores_put(store, "a/b", "below");
	stores_close(store);
	struct volume *v = volumes_mount(dir);
	CHECK_EQ(set(v, "a%=", ATTR_MODE, &file), 0);
	CHECK_EQ(set(v, "a", ATTR_MODE, &below), 0);
	volumes_unmount(v);
	v = volumes_mount(dir);
	CHECK_EQ(volumes_stat(v, "a%=").st_mode, S_IFREG | 0600);
	CHECK_EQ(volumes_stat(v, "a").st_mode, S_IFDIR | 0700);
	CHECK_EQ(volumes_stat(v, "a/b").st_mode, S_IFREG | 0644);
	volumes_unmount(v);
}

static char logged[600];

static void on_log(void *context, int priority, const char *text)
{
	(void)context;
	(void)priority;
	(void)snprintf(logged, sizeof logged, "%s", text);
}

/* A record that cannot be read takes nothing with it. */
static void test_damaged_record(void)
{
	const struct stat st = {.st_mode = 0600};
	struct volume_options options = volumes_defaults;
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);
	char path[300];

	volumes_write(v, "f", "f");
	volumes_write(v, "g", "g");
	CHECK_EQ(set(v, "f", ATTR_MODE, &st), 0);
	CHECK_EQ(set(v, "g", ATTR_MODE, &st), 0);
	volumes_unmount(v);
	CHECK(attr_dir(dir, path));
	struct dw_store *store = stores_open(path, 0);
	stores_put(store, "ff", "no record");
	stores_close(store);
	*logged = '\0';
	options.log = on_log;
	v = volumes_mount_with(dir, &options, 0);
	CHECK(strstr(logged, "1 records of attributes") != NULL);
	volumes_expect(v, "f", "f");
	CHECK_EQ(volumes_stat(v, "f").st_mode, S_IFREG | 0644);
	CHECK_EQ(volumes_stat(v, "g").st_mode, S_IFREG | 0600);
	CHECK_EQ(set(v, "f", ATTR_MODE, &st), 0);
	volumes_unmount(v);
	v = volumes_mount(dir);
	CHECK_EQ(volumes_stat(v, "f").st_mode, S_IFREG | 0600);
	volumes_unmount(v);
}

static void test_symlink(void)
{
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);
	struct volume_entry entry;
	char *target = NULL, name[300];

	CHECK_EQ(volume_symlink(v, &volumes_cred, volume_root(v), "l", "to/../there", &entry), 0);
	volume_forget(v, entry.node, 1);
	CHECK_EQ(entry.st.st_mode, S_IFLNK | 0777);
	CHECK_EQ(entry.st.st_size, 11);
	CHECK_EQ(volume_symlink(v, &volumes_cred, volume_root(v), "l", "x", &entry), -EEXIST);
	CHECK_EQ(volume_symlink(v, &volumes_cred, volume_root(v), "m", "", &entry), -ENOENT);
	volumes_write(v, "f", "f");
	CHECK_EQ(volume_readlink(v, volumes_find(v, "f"), &target), -EINVAL);
	CHECK_EQ(volumes_rename(v, "l", "k", 0), 0);
	volumes_unmount(v);
	v = volumes_mount(dir);
	CHECK_EQ(volume_readlink(v, volumes_find(v, "k"), &target), 0);
	CHECK(!strcmp(target, "to/../there"));
	free(target);
	volumes_unmount(v);
	/* any other reader sees a value; without attributes so do we */
	struct dw_store *store = stores_open(dir, 0);
	stores_expect(store, "k", "to/../there");
	stores_put(store, "k", "");
	stores_close(store);
	v = volumes_mount(dir);
	CHECK_EQ(volumes_stat(v, "k").st_mode, S_IFREG | 0644); /* no target is empty */
	volumes_unmount(v);
	CHECK(attr_dir(dir, name));
	files_remove_suffixed(name, "");
	CHECK_EQ(rmdir(name), 0);
	store = stores_open(dir, 0);
	stores_put(store, "k", "text");
	stores_close(store);
	v = volumes_mount(dir);
	volumes_expect(v, "k", "text");
	volumes_unmount(v);
}

static void test_xattr(void)
{
	struct volume_options options = volumes_defaults;
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);
	struct node *f = volumes_open(v, "f", O_CREAT | O_RDWR, NULL);
	char got[8];

	CHECK_EQ(volume_setxattr(v, f, "user.a", "1", 1, 0), 0); /* before there is a value */
	CHECK_EQ(volume_setxattr(v, f, "user.b", NULL, 0, XATTR_CREATE), 0);
	CHECK_EQ(volume_setxattr(v, f, "user.b", "", 0, XATTR_CREATE), -EEXIST);
	CHECK_EQ(volume_setxattr(v, f, "user.b", "", 0, 8), -EINVAL);
	CHECK_EQ(volume_setxattr(v, f, "trusted.b", "", 0, 0), -EOPNOTSUPP);
	CHECK_EQ(volume_getxattr(v, f, "security.capability", NULL, 0), -EOPNOTSUPP);
	CHECK_EQ(volume_removexattr(v, f, "user.c"), -ENODATA);
	volumes_done(v, f);
	volumes_unmount(v);
	options.read_only = true;
	v = volumes_mount_with(dir, &options, 0);
	f = volumes_find(v, "f");
	CHECK_EQ(volume_getxattr(v, f, "user.a", got, sizeof got), 1);
	CHECK_EQ(volume_getxattr(v, f, "user.b", got, sizeof got), 0);
	CHECK_EQ(volume_listxattr(v, f, NULL, 0), 14);
	CHECK_EQ(volume_setxattr(v, f, "user.a", "1", 1, 0), -EROFS);
	volumes_unmount(v);
}

/* Times of files that are not committed when their directory moves: one that the log has, and one
 * that it does not. */
static void test_times_moved(void)
{
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);
	struct stat st = {.st_mtim = {1000000000, 7}, .st_atim = {1100000000, 9}};
	static const char *const before[] = {"d/old", "d/new"}, *const after[] = {"e/old", "e/new"};
	struct node *files[2];

	CHECK_EQ(volumes_mkdir(v, "d"), 0);
	volumes_write(v, "d/old", "old");
	for (int i = 0; i < 2; i++) {
		struct stat ret;
		files[i] = volumes_open(v, before[i], O_CREAT | O_WRONLY, NULL);
		volumes_write_at(v, files[i], "value", 5, 0);
		CHECK_EQ(volume_setattr(v, files[i], &st, ATTR_MTIME | ATTR_ATIME, true, &ret), 0);
	}
	CHECK_EQ(volumes_rename(v, "d", "e", 0), 0);
	for (int i = 0; i < 2; i++)
		volumes_done(v, files[i]);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 2; i++) {
			struct stat now = volumes_stat(v, after[i]);
			CHECK_EQ(now.st_mtim.tv_sec, 1000000000);
			CHECK_EQ(now.st_atim.tv_sec, 1100000000);
			volumes_expect(v, after[i], "value");
		}
		if (!round) {
			volumes_unmount(v);
			v = volumes_mount(dir);
		}
	}
	volumes_unmount(v);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"keep_kept", test_kept},
		{"keep_changed_outside", test_changed_outside},
		{"keep_lost_tail", test_lost_tail},
		{"keep_lost_tail_synced", test_lost_tail_synced},
		{"keep_removed_during_sync", test_removed_during_sync},
		{"keep_anew", test_anew},
		{"keep_damaged_store", test_damaged_store},
		{"keep_flat", test_flat},
		{"keep_conflict", test_conflict},
		{"keep_damaged_record", test_damaged_record},
		{"keep_symlink", test_symlink},
		{"keep_xattr", test_xattr},
		{"keep_times_moved", test_times_moved},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
