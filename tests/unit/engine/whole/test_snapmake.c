/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_snapmake.c - snapshots that last: a directory of links that is a store.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/checkpoint.h"
#include "store/store.h"
#include "tests/support/faultio.h"
#include "tests/support/files.h"
#include "tests/support/stores.h"

static struct dw_store *open_snapshot(int dirfd, const char *name, struct dw_report *report)
{
	struct dw_store *store = NULL;

	CHECK_EQ(dw_snapshot_open(dirfd, name, NULL, report, &store), 0);
	return store;
}

static void verify(struct dw_store *store)
{
	struct dw_verify_report report;

	CHECK_EQ(dw_verify(store, &report), 0);
}

static size_t count_snapshots(int dirfd)
{
	struct dw_snapshot_info *list = NULL;
	size_t count = SIZE_MAX;

	CHECK_EQ(dw_snapshot_list(dirfd, &list, &count), 0);
	free(list);
	return count;
}

static struct stat look(const char *dir, const char *name)
{
	struct stat st;

	CHECK_EQ(lstat(stores_path(dir, name), &st), 0);
	return st;
}

static bool is_there(const char *dir, const char *name)
{
	return !access(stores_path(dir, name), F_OK);
}

/* What was written, removed and compacted since is not in it; it outlives the store. */
static void test_made(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct dw_snapshot_info info;

	stores_put(store, "a", "old");
	stores_put(store, "b", "stays");
	CHECK_EQ(dw_snapshot_create(store, "first", &info), 0);
	CHECK_EQ(info.txid, 2);
	CHECK_EQ(info.segments, 2);
	CHECK_EQ(info.method, DW_SNAPSHOT_LINK);
	CHECK(!strcmp(info.name, "first"));
	stores_put(store, "a", "new");
	stores_delete(store, "b");
	stores_put(store, "c", "new");
	CHECK_EQ(dw_compact(store, NULL), 0);
	struct dw_store *old = open_snapshot(dw_directory_fd(store), "first", NULL);
	stores_expect(old, "a", "old");
	stores_expect(old, "b", "stays");
	stores_expect(old, "c", NULL);
	verify(old);
	stores_close(store);
	stores_expect(old, "a", "old");
	stores_close(old);
	store = stores_open(dir, 0);
	stores_expect(store, "a", "new");
	old = stores_open_reader(stores_path(dir, ".snapshots/first"));
	stores_expect(old, "a", "old");
	stores_close(old);
	stores_close(store);
}

/* Its blocks are the store's, until the store has them no more. */
static void test_shared(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct dw_snapshot_info info, *list = NULL;
	uint8_t *noise = stores_noise(1, 1 << 20);
	size_t count;

	CHECK_EQ(dw_put(store, stores_bytes("large"), (struct dw_bytes){noise, 1 << 20}), 0);
	CHECK_EQ(dw_snapshot_create(store, "one", &info), 0);
	CHECK_EQ(look(dir, "00000001.dwal").st_nlink, 2);
	CHECK_EQ(look(dir, "00000001.hint").st_nlink, 2);
	CHECK(info.alone_bytes < 64 << 10);
	CHECK(info.bytes > 1 << 20);
	CHECK_EQ(dw_snapshot_create(store, "two", NULL), 0);
	/* nothing was written: no further segment */
	CHECK_EQ(look(dir, "00000001.dwal").st_nlink, 3);
	CHECK(!is_there(dir, "00000003.dwal"));
	stores_delete(store, "large");
	CHECK_EQ(dw_compact(store, NULL), 0);
	CHECK_EQ(dw_snapshot_remove(dw_directory_fd(store), "one"), 0);
	CHECK_EQ(dw_snapshot_list(dw_directory_fd(store), &list, &count), 0);
	CHECK_EQ(count, 1);
	CHECK(!strcmp(list[0].name, "two"));
	CHECK(list[0].alone_bytes >= 1 << 20);
	free(list);
	free(noise);
	stores_close(store);
}

/* The last segment is its own, so that damage before it is damage, and the mark refuses writers;
 * one that does not know the mark appends to no file of the store. */
static void test_own_end(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0), *clone = NULL;
	const struct dw_options writes = {.create = true};

	stores_put(store, "a", "old");
	CHECK_EQ(dw_snapshot_create(store, "s", NULL), 0);
	stores_put(store, "a", "new");
	const char *inside = stores_path(dir, ".snapshots/s");
	struct stat own = look(inside, "00000002.dwal");
	CHECK_EQ(own.st_size, 0);
	CHECK_EQ(own.st_nlink, 1);
	CHECK_EQ(dw_open(inside, &writes, NULL, &clone), -EROFS);
	CHECK(!is_there(inside, ".lock"));
	CHECK_EQ(unlink(stores_path(inside, ".snapshot")), 0);
	clone = stores_open(inside, 0);
	stores_put(clone, "a", "of the clone");
	CHECK_EQ(dw_compact(clone, NULL), 0);
	stores_close(clone);
	stores_close(store);
	store = stores_open(dir, 0);
	stores_expect(store, "a", "new");
	verify(store);
	stores_close(store);
}

/* The moment is that of the second step. */
static void test_steps(void)
{
	struct dw_store *store = stores_open(stores_dir(), 0);
	int dirfd = dw_directory_fd(store);
	struct dw_snapshot_making *making = NULL;

	CHECK_EQ(dw_snapshot_prepare(store, "s", false, &making), 0);
	stores_put(store, "a", "before");
	CHECK_EQ(dw_snapshot_take(making), 0);
	stores_put(store, "a", "after");
	CHECK_EQ(dw_rotate(store), 0);
	stores_put(store, "b", "after");
	CHECK_EQ(count_snapshots(dirfd), 0);
	CHECK_EQ(dw_snapshot_finish(making, NULL), 0);
	struct dw_store *old = open_snapshot(dirfd, "s", NULL);
	stores_expect(old, "a", "before");
	stores_expect(old, "b", NULL);
	stores_close(old);
	/* cancelled: nothing is there, and a compaction does not wait */
	CHECK_EQ(dw_snapshot_prepare(store, "t", false, &making), 0);
	CHECK_EQ(dw_snapshot_take(making), 0);
	dw_snapshot_cancel(making);
	CHECK_EQ(count_snapshots(dirfd), 1);
	CHECK_EQ(dw_compact(store, NULL), 0);
	stores_close(store);
}

static void test_names(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0), *reader, *moment = NULL;
	int dirfd = dw_directory_fd(store);
	char name[DW_SNAPSHOT_NAME_MAX + 2];

	stores_put(store, "a", "1");
	CHECK_EQ(dw_snapshot_create(store, "", NULL), -EINVAL);
	CHECK_EQ(dw_snapshot_create(store, ".x", NULL), -EINVAL);
	CHECK_EQ(dw_snapshot_create(store, "x/y", NULL), -EINVAL);
	memset(name, 'n', sizeof name);
	name[DW_SNAPSHOT_NAME_MAX + 1] = '\0';
	CHECK_EQ(dw_snapshot_create(store, name, NULL), -EINVAL);
	name[DW_SNAPSHOT_NAME_MAX] = '\0';
	CHECK_EQ(dw_snapshot_create(store, name, NULL), 0);
	CHECK_EQ(dw_snapshot_create(store, name, NULL), -EEXIST);
	CHECK_EQ(count_snapshots(dirfd), 1);
	CHECK_EQ(dw_snapshot_remove(dirfd, "none"), -ENOENT);
	CHECK_EQ(dw_snapshot_remove(dirfd, ".new"), -ENOENT);
	CHECK_EQ(dw_snapshot_remove(dirfd, name), 0);
	CHECK_EQ(dw_snapshot_remove(dirfd, name), -ENOENT);
	CHECK_EQ(dw_snapshot_open(dirfd, "none", NULL, NULL, &moment), -ENOENT);
	CHECK_EQ(dw_snapshot_open(dirfd, "../x", NULL, NULL, &moment), -ENOENT);
	reader = stores_open_reader(dir);
	CHECK_EQ(dw_snapshot_create(reader, "s", NULL), -EROFS);
	stores_close(reader);
	CHECK_EQ(dw_snapshot(store, &moment), 0);
	CHECK_EQ(dw_snapshot_create(moment, "s", NULL), -EROFS);
	stores_close(moment);
	stores_close(store);
}

/* What a crash left goes with the next writer; other names stay. */
static void test_leftovers(void)
{
	static const char *const names[] = {".new", ".gone-17", ".brief-x", "kept"};
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);

	stores_put(store, "a", "1");
	CHECK_EQ(dw_snapshot_create(store, "s", NULL), 0);
	stores_close(store);
	char snapshots[200];
	(void)snprintf(snapshots, sizeof snapshots, "%s/.snapshots", dir);
	for (size_t i = 0; i < 4; i++) {
		char at[300];
		(void)snprintf(at, sizeof at, "%s/%s", snapshots, names[i]);
		CHECK_EQ(mkdir(at, 0700), 0);
		CHECK_EQ(mkdir(stores_path(at, ".attr"), 0700), 0);
		files_write(AT_FDCWD, stores_path(at, ".attr/00000001.dwal"), "x", 1);
		files_write(AT_FDCWD, stores_path(at, "00000001.dwal"), "x", 1);
	}
	stores_close(stores_open_reader(dir));
	CHECK(is_there(snapshots, ".new"));
	store = stores_open(dir, 0);
	CHECK(!is_there(snapshots, ".new"));
	CHECK(!is_there(snapshots, ".gone-17"));
	CHECK(is_there(snapshots, ".brief-x/.attr/00000001.dwal"));
	CHECK(is_there(snapshots, "kept/00000001.dwal"));
	CHECK(is_there(snapshots, "s/.snapshot"));
	CHECK_EQ(count_snapshots(dw_directory_fd(store)), 2);
	CHECK_EQ(dw_snapshot_remove(dw_directory_fd(store), "s"), 0);
	CHECK(!is_there(snapshots, "s"));
	stores_close(store);
}

/* A brief one is there until the next writer opens the store, however this one ends. */
static void test_brief(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct dw_snapshot_making *making = NULL;
	struct dw_snapshot_info info;

	stores_put(store, "a", "1");
	CHECK_EQ(dw_snapshot_create(store, "lasts", &info), 0);
	CHECK(!info.brief);
	CHECK_EQ(dw_snapshot_prepare(store, "brief", true, &making), 0);
	CHECK_EQ(dw_snapshot_take(making), 0);
	CHECK_EQ(dw_snapshot_finish(making, &info), 0);
	CHECK(info.brief);
	CHECK_EQ(count_snapshots(dw_directory_fd(store)), 2);
	stores_kill(store);
	stores_close(stores_open_reader(dir));
	CHECK(is_there(dir, ".snapshots/brief/00000001.dwal"));
	store = stores_open(dir, 0);
	CHECK_EQ(count_snapshots(dw_directory_fd(store)), 1);
	CHECK(!is_there(dir, ".snapshots/brief"));
	CHECK(is_there(dir, ".snapshots/lasts/00000001.dwal"));
	stores_close(store);
}

/* A disk without links, and one on which they end. */
static int no_link(struct io *io, int from, const char *name, int to)
{
	(void)io, (void)from, (void)name, (void)to;
	return -EPERM;
}

static int no_clone(struct io *io, int fd, int to)
{
	(void)io, (void)fd, (void)to;
	return -EOPNOTSUPP;
}

static void test_copied(void)
{
	for (int way = 0; way < 2; way++) {
		const char *dir = stores_dir();
		const struct dw_options options = {.create = true, .index_keys = 4};
		struct io io = io_posix;
		struct dw_store *store = NULL;
		struct dw_snapshot_info info;
		struct dw_report report;
		char key[16];

		io.link = way ? no_link : NULL;
		io.clone = way ? no_clone : NULL;
		CHECK_EQ(store_open(&io, dir, &options, NULL, &store), 0);
		for (int i = 0; i < 40; i++) {
			(void)snprintf(key, sizeof key, "key %d", i);
			stores_put(store, key, "value");
		}
		CHECK_EQ(dw_close(store), 0);
		CHECK_EQ(store_open(&io, dir, &options, NULL, &store), 0);
		CHECK_EQ(dw_snapshot_create(store, "s", &info), 0);
		CHECK_EQ(info.method, DW_SNAPSHOT_COPY);
		CHECK_EQ(look(dir, "00000001.dwal").st_nlink, 1);
		CHECK(info.alone_bytes >= info.bytes);
		struct dw_store *old = open_snapshot(dw_directory_fd(store), "s", &report);
		CHECK_EQ(dw_count(old), 40);
		CHECK_EQ(report.records, 0); /* the index fits the copies */
		stores_expect(old, "key 17", "value");
		verify(old);
		stores_close(old);
		stores_close(store);
	}
}

/* The index of the moment: opening reads what is newer, no more. */
static void test_index(void)
{
	enum { KEYS = 100 };
	const char *dir = stores_dir();
	const struct dw_options options = {.create = true, .index_keys = 16};
	struct dw_store *store = NULL;
	struct dw_report report;
	char key[16];

	CHECK_EQ(dw_open(dir, &options, NULL, &store), 0);
	for (int i = 0; i < KEYS; i++) {
		(void)snprintf(key, sizeof key, "key %d", i);
		stores_put(store, key, "value");
	}
	CHECK_EQ(dw_snapshot_create(store, "s", NULL), 0);
	struct dw_store *old = open_snapshot(dw_directory_fd(store), "s", &report);
	CHECK_EQ(dw_count(old), KEYS);
	CHECK(report.records < KEYS / 2);
	stores_close(old);
	/* one whose position is the empty segment at the end */
	CHECK_EQ(checkpoint_write(store->core, NULL), 0);
	CHECK_EQ(dw_snapshot_create(store, "t", NULL), 0);
	old = open_snapshot(dw_directory_fd(store), "t", &report);
	CHECK_EQ(dw_count(old), KEYS);
	CHECK_EQ(report.records, 0);
	stores_close(old);
	/* what the store does to its index later does not touch it */
	stores_put(store, "key 1", "new");
	CHECK_EQ(dw_compact(store, NULL), 0);
	stores_close(store);
	old = stores_open_reader(stores_path(dir, ".snapshots/t"));
	stores_expect(old, "key 1", "value");
	verify(old);
	stores_close(old);
}

/* Every call fails once: then there is no snapshot, or a whole one, and the store goes on. */
static void test_faults(void)
{
	struct faultio fault;
	uint64_t n = 0, made = 0;

	faultio_init(&fault);
	for (fault.hit = true; fault.hit; n++) {
		const struct dw_options options = {.create = true, .index_keys = 4};
		const char *dir = check_dir();
		struct dw_store *store = NULL;
		char key[16];

		faultio_init(&fault);
		CHECK_EQ(store_open(&fault.io, dir, &options, NULL, &store), 0);
		for (int i = 0; i < 10; i++) {
			(void)snprintf(key, sizeof key, "key %d", i);
			stores_put(store, key, "value");
		}
		faultio_arm(&fault, FAULTIO_ERROR, EIO, n + 1);
		int rc = dw_snapshot_create(store, "s", NULL);
		bool hit = fault.hit;
		faultio_arm(&fault, FAULTIO_ERROR, EIO, 0);
		fault.hit = hit;
		CHECK(!rc || hit);
		CHECK_EQ(count_snapshots(dw_directory_fd(store)), !rc);
		made += !rc;
		if (!rc) {
			struct dw_store *old = open_snapshot(dw_directory_fd(store), "s", NULL);
			CHECK_EQ(dw_count(old), 10);
			stores_close(old);
		}
		(void)dw_close(store); /* it may be poisoned */
		store = stores_open(dir, 0);
		CHECK_EQ(dw_count(store), 10);
		CHECK_EQ(count_snapshots(dw_directory_fd(store)), !rc);
		CHECK(!is_there(dir, ".snapshots/.new"));
		stores_close(store);
	}
	printf("  %llu calls, %llu of which may fail\n", (unsigned long long)n,
	       (unsigned long long)made);
	CHECK(n > 30 && made < n / 2);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"snap_made", test_made},
		{"snap_shared", test_shared},
		{"snap_own_end", test_own_end},
		{"snap_steps", test_steps},
		{"snap_names", test_names},
		{"snap_leftovers", test_leftovers},
		{"snap_brief", test_brief},
		{"snap_copied", test_copied},
		{"snap_index", test_index},
		{"snap_faults", test_faults},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
