/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_hold_removed.c - engine/store/hold: segments, the directory or `.lock` are removed, moved,
 * replaced or cut while the store is open.  No sync says yes for a store that is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store.h"
#include "tests/support/files.h"
#include "tests/support/holds.h"
#include "tests/support/stores.h"

static void expect_gone(struct dw_store *store, uint32_t segment)
{
	struct dw_stats stats;
	char text[300];

	CHECK_EQ(holds_found.kind, DW_FINDING_REMOVED);
	CHECK_EQ(holds_found.segment, segment);
	CHECK(dw_finding_text(&holds_found, text, sizeof text) < (int)sizeof text);
	CHECK(strstr(text, "was removed") != NULL);
	CHECK_EQ(dw_sync(store), -ESTALE);
	CHECK_EQ(dw_put(store, stores_bytes("x"), stores_bytes("y")), -ESTALE);
	CHECK_EQ(dw_rotate(store), -ESTALE);
	dw_get_stats(store, &stats);
	CHECK_EQ(stats.poisoned, ESTALE);
	stores_expect(store, "a", "1"); /* it can still be copied */
	CHECK_EQ(dw_close(store), -ESTALE);
}

static struct dw_store *two_segments(const char *dir)
{
	struct dw_store *store = holds_open(dir);

	stores_put(store, "a", "1");
	CHECK_EQ(dw_rotate(store), 0);
	stores_put(store, "b", "2");
	CHECK_EQ(dw_sync(store), 0);
	holds_found.kind = DW_FINDING_IO;
	return store;
}

enum way { SYNC, SYNC_NOTHING, ROTATE, PUTS, CLOSE, WAYS };

/* Each call that says yes to something. */
static void meet(struct dw_store *store, enum way way)
{
	int rc = 0;

	switch (way) {
	case SYNC:
		stores_put(store, "c", "3");
		CHECK_EQ(dw_sync(store), -ESTALE);
		break;
	case SYNC_NOTHING: CHECK_EQ(dw_sync(store), -ESTALE); break;
	case ROTATE: CHECK_EQ(dw_rotate(store), -ESTALE); break;
	case PUTS:
		while (!rc) /* a second; without end, and the test's time limit, if it never is */
			rc = dw_put(store, stores_bytes("c"), stores_bytes("3"));
		CHECK_EQ(rc, -ESTALE);
		break;
	case CLOSE:
	case WAYS: break;
	}
}

static void test_segments_removed(void)
{
	for (int way = 0; way < WAYS; way++) {
		const char *dir = stores_dir();
		struct dw_store *store = two_segments(dir);
		holds_remove_files(dir, ".dwal");
		meet(store, (enum way)way);
		if (way == CLOSE)
			CHECK_EQ(dw_close(store), -ESTALE);
		else
			expect_gone(store, 2);
	}
}

static void test_directory_removed(void)
{
	for (int way = 0; way < WAYS; way++) {
		char dir[600];
		(void)snprintf(dir, sizeof dir, "%s/store", stores_dir());
		struct dw_store *store = two_segments(dir);
		/* the segment lives on under another name */
		CHECK_EQ(link(stores_path(dir, "00000002.dwal"), stores_path(dir, "../kept")), 0);
		holds_remove_files(dir, "");
		CHECK_EQ(rmdir(dir), 0);
		meet(store, (enum way)way);
		if (way == CLOSE)
			CHECK_EQ(dw_close(store), -ESTALE);
		else
			expect_gone(store, 0);
	}
}

/* The file goes on under another name, as after `cp -al` and `rm`, or `mv`. */
static void move_away(const char *dir, const char *name)
{
	CHECK_EQ(rename(stores_path(dir, name), stores_path(dir, "elsewhere")), 0);
}

static void replace(const char *dir, const char *name)
{
	move_away(dir, name);
	CHECK_EQ(close(open(stores_path(dir, name), O_CREAT | O_EXCL | O_WRONLY, 0600)), 0);
}

static void cut(const char *dir, const char *name)
{
	CHECK_EQ(truncate(stores_path(dir, name), 5), 0);
}

static void lose_active(void (*lose)(const char *dir, const char *name), enum way way)
{
	const char *dir = stores_dir();
	struct dw_store *store = two_segments(dir);

	lose(dir, "00000002.dwal");
	meet(store, way);
	if (way == CLOSE)
		CHECK_EQ(dw_close(store), -ESTALE);
	else
		expect_gone(store, 2);
}

static void test_segment_elsewhere(void)
{
	for (int way = 0; way < WAYS; way++) {
		lose_active(move_away, (enum way)way);
		lose_active(replace, (enum way)way);
	}
	/* an append would make it as long as it was */
	lose_active(cut, SYNC_NOTHING);
	lose_active(cut, ROTATE);
	lose_active(cut, CLOSE);
}

static void lose_sealed(void (*lose)(const char *dir, const char *name))
{
	const char *dir = stores_dir();
	struct dw_store *store = two_segments(dir);
	int rc = 0;

	lose(dir, "00000001.dwal");
	for (int i = 0; !rc && i < 2; i++)
		rc = dw_sync(store);
	CHECK_EQ(rc, -ESTALE);
	CHECK_EQ(holds_found.kind, DW_FINDING_REMOVED);
	CHECK_EQ(holds_found.segment, 1);
	CHECK_EQ(dw_close(store), -ESTALE);
}

static void test_sealed_segment_elsewhere(void)
{
	lose_sealed(move_away);
	lose_sealed(replace);
	lose_sealed(cut);
}

/* A sealed one is looked at in turn. */
static void test_sealed_segment_removed(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = two_segments(dir);
	int rc = 0;

	CHECK_EQ(dw_rotate(store), 0);
	stores_put(store, "c", "3");
	CHECK_EQ(unlink(stores_path(dir, "00000001.dwal")), 0);
	for (int i = 0; !rc && i < 3; i++)
		rc = dw_sync(store);
	CHECK_EQ(rc, -ESTALE);
	expect_gone(store, 1);
}

/* Of the attributes' store, too, before the values are said to be safe. */
static void test_attributes_removed(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = two_segments(dir), *attrs = NULL;

	CHECK_EQ(dw_open_in(store, DW_ATTR_DIRECTORY, &holds_options, NULL, &attrs), 0);
	stores_put(attrs, "fa", "mode");
	CHECK_EQ(dw_sync(store), 0);
	holds_remove_files(stores_path(dir, DW_ATTR_DIRECTORY), ".dwal");
	stores_put(store, "c", "3");
	CHECK_EQ(dw_sync(store), -ESTALE);
	CHECK_EQ(holds_found.kind, DW_FINDING_REMOVED);
	CHECK_EQ(dw_sync(store), -ESTALE);
	CHECK_EQ(dw_close(attrs), -ESTALE);
	CHECK(dw_close(store) < 0);
}

/* Programs that know of `.lock` only are kept out again from the next sync on. */
static void test_lock_file_comes_back(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = two_segments(dir);
	char text[32];

	CHECK_EQ(unlink(stores_path(dir, ".lock")), 0);
	CHECK_EQ(dw_sync(store), 0);
	CHECK(holds_is_locked(dir, ".lock"));
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct buf got = files_read(fd, ".lock");
	(void)snprintf(text, sizeof text, "%ld\n", (long)getpid());
	CHECK(got.size == strlen(text) && !memcmp(got.data, text, got.size));
	buf_release(&got);
	(void)close(fd);
	/* and one of them that was faster has the store */
	CHECK_EQ(unlink(stores_path(dir, ".lock")), 0);
	int other = open(stores_path(dir, ".lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(other >= 0);
	CHECK_EQ(flock(other, LOCK_EX | LOCK_NB), 0);
	stores_put(store, "c", "3");
	CHECK_EQ(dw_sync(store), -EBUSY);
	CHECK_EQ(holds_found.kind, DW_FINDING_POISONED);
	CHECK_EQ(dw_put(store, stores_bytes("x"), stores_bytes("y")), -EBUSY);
	CHECK_EQ(dw_close(store), -EBUSY);
	(void)close(other);
}

static int refusals;

static int refuse_lock(struct io *io, int fd, int operation)
{
	return refusals > 0 && refusals-- ? -EWOULDBLOCK : io_posix.flock(io, fd, operation);
}

/* A program that was refused had it, for as long as it took. */
static void test_lock_file_had_for_a_moment(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = NULL;
	struct io io = io_posix;

	io.flock = refuse_lock;
	CHECK_EQ(store_open(&io, dir, &holds_options, NULL, &store), 0);
	stores_put(store, "a", "1");
	CHECK_EQ(unlink(stores_path(dir, ".lock")), 0);
	refusals = 3;
	CHECK_EQ(dw_sync(store), 0);
	CHECK_EQ(refusals, 0);
	CHECK(holds_is_locked(dir, ".lock"));
	stores_close(store);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"hold_segments_removed", test_segments_removed},
		{"hold_directory_removed", test_directory_removed},
		{"hold_sealed_segment_removed", test_sealed_segment_removed},
		{"hold_segment_elsewhere", test_segment_elsewhere},
		{"hold_sealed_segment_elsewhere", test_sealed_segment_elsewhere},
		{"hold_attributes_removed", test_attributes_removed},
		{"hold_lock_file_comes_back", test_lock_file_comes_back},
		{"hold_lock_file_had_for_a_moment", test_lock_file_had_for_a_moment},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
