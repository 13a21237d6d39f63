/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_crash_snapshot.c - making and removing snapshots, ended at every call.
 *
 * The calls go to a real tree of directories.  From the one that is chosen on nothing is done any
 * more: what is there then are all names up to it, as a file system with a journal keeps them in
 * order; a power cut leaves those of an earlier call.  Of files that were not synced the end is
 * then cut off.  And whatever a snapshot's name promises is on disk before it has the name.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/snapdir.h"
#include "store/store.h"
#include "tests/support/stores.h"

enum { DIRTY_MAX = 64, PATH_SIZE = 300, KEYS = 12 };

struct treeio {
	struct io io; /* first: the engine hands it back to us */
	uint64_t calls, stop_at;
	bool stopped;
	char dirty[DIRTY_MAX][PATH_SIZE]; /* files with bytes, and directories with names, that are
					     not on disk; "": free */
};

static bool stops(struct io *io)
{
	struct treeio *tree = (struct treeio *)io;

	tree->calls++;
	tree->stopped = tree->stopped || tree->calls == tree->stop_at;
	return tree->stopped;
}

static void path_of(int fd, char ret[PATH_SIZE])
{
	char link[64];

	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, ret, PATH_SIZE - 1);
	CHECK(n > 0);
	ret[n] = '\0';
}

static void set_dirty(struct io *io, int fd, bool dirty)
{
	struct treeio *tree = (struct treeio *)io;
	char path[PATH_SIZE], *free_one = NULL;

	path_of(fd, path);
	for (int i = 0; i < DIRTY_MAX; i++) {
		if (!strcmp(tree->dirty[i], path))
			*tree->dirty[i] = '\0';
		if (!*tree->dirty[i])
			free_one = tree->dirty[i];
	}
	CHECK(free_one != NULL);
	if (dirty)
		memcpy(free_one, path, sizeof path);
}

/* Whether something below a path that ends so is not on disk. */
static bool is_dirty_below(const struct treeio *tree, const char *part)
{
	for (int i = 0; i < DIRTY_MAX; i++)
		if (strstr(tree->dirty[i], part))
			return true;
	return false;
}

static int tree_open(struct io *io, int dirfd, const char *name, int flags, mode_t mode)
{
	if ((flags & O_CREAT && stops(io)) || ((struct treeio *)io)->stopped)
		return -EIO;
	int fd = io_posix.open(&io_posix, dirfd, name, flags, mode);
	if (fd >= 0 && flags & O_CREAT)
		set_dirty(io, dirfd, true);
	return fd;
}

static int tree_close(struct io *io, int fd)
{
	(void)io;
	return io_posix.close(&io_posix, fd);
}

static ssize_t tree_preadv(struct io *io, int fd, const struct iovec *iov, int count, off_t offset)
{
	return ((struct treeio *)io)->stopped ? -EIO
					      : io_posix.preadv(&io_posix, fd, iov, count, offset);
}

static ssize_t tree_pwritev(struct io *io, int fd, const struct iovec *iov, int count, off_t offset)
{
	if (stops(io))
		return -EIO;
	set_dirty(io, fd, true);
	return io_posix.pwritev(&io_posix, fd, iov, count, offset);
}

static int tree_ftruncate(struct io *io, int fd, off_t size)
{
	return stops(io) ? -EIO : io_posix.ftruncate(&io_posix, fd, size);
}

static int tree_sync(struct io *io, int fd)
{
	if (stops(io))
		return -EIO;
	set_dirty(io, fd, false);
	return 0;
}

static int tree_fstat(struct io *io, int fd, struct stat *ret)
{
	(void)io;
	return io_posix.fstat(&io_posix, fd, ret);
}

static void rename_dirty(struct treeio *tree, int dirfd, const char *from, const char *to)
{
	char dir[PATH_SIZE], path[2 * PATH_SIZE];

	path_of(dirfd, dir);
	(void)snprintf(path, sizeof path, "%s/%s", dir, from);
	for (int i = 0; i < DIRTY_MAX; i++) {
		if (strcmp(tree->dirty[i], path) != 0)
			continue;
		(void)snprintf(path, sizeof path, "%s/%s", dir, to);
		CHECK(strlen(path) < PATH_SIZE);
		memcpy(tree->dirty[i], path, strlen(path) + 1);
		return;
	}
}

static int tree_rename(struct io *io, int dirfd, const char *from, const char *to)
{
	struct treeio *tree = (struct treeio *)io;

	if (stops(io))
		return -EIO;
	if (snapmark_may_name(to) && !strcmp(from, SNAPMARK_MAKING))
		CHECK(!is_dirty_below(tree, "/" DW_SNAPSHOT_DIRECTORY "/" SNAPMARK_MAKING));
	int rc = io_posix.rename(&io_posix, dirfd, from, to);
	if (!rc) {
		set_dirty(io, dirfd, true);
		rename_dirty(tree, dirfd, from, to);
	}
	return rc;
}

static int tree_unlink(struct io *io, int dirfd, const char *name)
{
	/* before a snapshot loses a file, that it has lost its name is on disk */
	if (stops(io))
		return -EIO;
	CHECK(!is_dirty_below((struct treeio *)io, "/" DW_SNAPSHOT_DIRECTORY) ||
	      faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) || strstr(name, ".new"));
	return io_posix.unlink(&io_posix, dirfd, name);
}

static int tree_mkdir(struct io *io, int dirfd, const char *name, mode_t mode)
{
	if (stops(io))
		return -EIO;
	int rc = io_posix.mkdir(&io_posix, dirfd, name, mode);
	if (!rc)
		set_dirty(io, dirfd, true);
	return rc;
}

static int tree_rmdir(struct io *io, int dirfd, const char *name)
{
	return stops(io) ? -EIO : io_posix.rmdir(&io_posix, dirfd, name);
}

static int tree_link(struct io *io, int from, const char *name, int to)
{
	if (stops(io))
		return -EIO;
	int rc = io_posix.link(&io_posix, from, name, to);
	if (!rc)
		set_dirty(io, to, true);
	return rc;
}

static int tree_flock(struct io *io, int fd, int operation)
{
	(void)io;
	return io_posix.flock(&io_posix, fd, operation);
}

static int tree_list(struct io *io, int dirfd, io_name_fn *visit, void *context)
{
	return ((struct treeio *)io)->stopped ? -EIO
					      : io_posix.list(&io_posix, dirfd, visit, context);
}

static void tree_init(struct treeio *tree)
{
	*tree = (struct treeio){
		.io = {.open = tree_open,
		       .close = tree_close,
		       .preadv = tree_preadv,
		       .pwritev = tree_pwritev,
		       .ftruncate = tree_ftruncate,
		       .fdatasync = tree_sync,
		       .fsync = tree_sync,
		       .fstat = tree_fstat,
		       .rename = tree_rename,
		       .unlink = tree_unlink,
		       .mkdir = tree_mkdir,
		       .rmdir = tree_rmdir,
		       .link = tree_link,
		       .flock = tree_flock,
		       .list = tree_list},
	};
}

/* A power cut: files that are not on disk end anywhere. */
static void lose_unsynced(const struct treeio *tree, struct rng *rng)
{
	struct stat st;

	for (int i = 0; i < DIRTY_MAX; i++) {
		const char *path = tree->dirty[i];
		if (*path && !lstat(path, &st) && S_ISREG(st.st_mode))
			CHECK_EQ(truncate(path, (off_t)rng_below(rng, (uint64_t)st.st_size + 1)),
				 0);
	}
}

/* --- a store with attributes --- */

struct scene {
	const char *dir;
	struct treeio tree;
	struct dw_store *store, *attrs;
};

static void put_all(struct dw_store *store, const char *value)
{
	char key[16];

	for (int i = 0; i < KEYS; i++) {
		(void)snprintf(key, sizeof key, "key %d", i);
		stores_put(store, key, value);
	}
}

static void scene_open(struct scene *s, bool without_links)
{
	const struct dw_options options = {.create = true, .segment_size = 200, .index_keys = 5};

	s->dir = stores_dir();
	tree_init(&s->tree);
	if (without_links)
		s->tree.io.link = NULL;
	CHECK_EQ(store_open(&s->tree.io, s->dir, &options, NULL, &s->store), 0);
	CHECK_EQ(dw_open_in(s->store, DW_ATTR_DIRECTORY, &options, NULL, &s->attrs), 0);
	put_all(s->attrs, "mode");
	put_all(s->store, "value");
}

static void scene_stop_after(struct scene *s, uint64_t calls)
{
	s->tree.stop_at = s->tree.calls + calls;
}

static void scene_close(struct scene *s)
{
	(void)dw_close(s->attrs); /* nothing goes any more */
	(void)dw_close(s->store); /* likewise */
}

static void check_all(struct dw_store *store, const char *value)
{
	struct dw_verify_report report;
	char key[16];

	CHECK_EQ(dw_count(store), KEYS);
	for (int i = 0; i < KEYS; i++) {
		(void)snprintf(key, sizeof key, "key %d", i);
		stores_expect(store, key, value);
	}
	CHECK_EQ(dw_verify(store, &report), 0);
}

static void check_both(struct dw_store *store)
{
	const struct dw_options options = {.read_only = true};
	struct dw_store *attrs = NULL;

	check_all(store, "value");
	CHECK_EQ(dw_open_in(store, DW_ATTR_DIRECTORY, &options, NULL, &attrs), 0);
	check_all(attrs, "mode");
	stores_close(attrs);
}

/* Each that has a name is whole; their number. */
static size_t check_snapshots(const char *dir)
{
	struct dw_snapshot_info *list = NULL;
	size_t count = 0;
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY);

	CHECK_EQ(dw_snapshot_list(dirfd, &list, &count), 0);
	for (size_t i = 0; i < count; i++) {
		struct dw_store *store = NULL;
		CHECK(list[i].txid >= KEYS);
		CHECK_EQ(dw_snapshot_open(dirfd, list[i].name, NULL, NULL, &store), 0);
		check_both(store);
		stores_close(store);
	}
	free(list);
	(void)close(dirfd);
	return count;
}

/* What the next writer finds, and leaves. */
static size_t check_after(const char *dir)
{
	size_t count = check_snapshots(dir);
	struct dw_store *store = stores_open(dir, 0);
	char path[PATH_SIZE];

	check_both(store);
	CHECK_EQ(check_snapshots(dir), count);
	(void)snprintf(path, sizeof path, "%s/.snapshots/.new", dir);
	CHECK(access(path, F_OK) < 0);
	(void)snprintf(path, sizeof path, "ls -A %s/.snapshots 2>/dev/null | grep -q gone", dir);
	CHECK(system(path) != 0); /* NOLINT(cert-env33-c): a test */
	stores_close(store);
	return count;
}

/* --- the tests --- */

static void make_each(bool without_links)
{
	struct rng rng = check_rng();
	bool done = false;
	uint64_t n = 0, whole = 0;

	while (!done) {
		struct scene s;
		scene_open(&s, without_links);
		/* what follows is durable only if the snapshot brings it to disk */
		scene_stop_after(&s, ++n);
		int rc = dw_snapshot_create(s.store, "s", NULL);
		done = !s.tree.stopped;
		CHECK(!rc || s.tree.stopped);
		if (!rc)
			CHECK(!is_dirty_below(&s.tree, "/" DW_SNAPSHOT_DIRECTORY));
		scene_close(&s);
		lose_unsynced(&s.tree, &rng);
		size_t count = 0;
		/* before the first sync of the store its own tail may be lost */
		if (!rc || access(stores_path(s.dir, ".snapshots"), F_OK) == 0)
			count = check_after(s.dir);
		CHECK(rc || count == 1);
		whole += count;
	}
	printf("  %llu calls, %llu of which left a snapshot\n", (unsigned long long)n,
	       (unsigned long long)whole);
	CHECK(n > 20 && whole >= 2);
}

static void test_made(void)
{
	make_each(false);
	make_each(true);
}

static void test_removed(void)
{
	struct rng rng = check_rng();
	bool done = false;
	uint64_t n = 0, whole = 0;

	while (!done) {
		struct scene s;
		scene_open(&s, false);
		CHECK_EQ(dw_snapshot_create(s.store, "s", NULL), 0);
		CHECK_EQ(dw_snapshot_create(s.store, "t", NULL), 0);
		int fd = snapdir_open(&io_posix, dw_directory_fd(s.store), DW_SNAPSHOT_DIRECTORY);
		scene_stop_after(&s, ++n);
		int rc = snapdir_remove(&s.tree.io, fd, "s");
		done = !s.tree.stopped;
		CHECK(!rc == done);
		(void)close(fd);
		scene_close(&s);
		lose_unsynced(&s.tree, &rng);
		size_t count = check_after(s.dir);
		CHECK(count == 1 || (rc && count == 2));
		whole += count - 1;
	}
	printf("  %llu calls, %llu of which left it\n", (unsigned long long)n,
	       (unsigned long long)whole);
	CHECK(n > 20 && whole >= 1);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"snap_crash_made", test_made},
		{"snap_crash_removed", test_removed},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
