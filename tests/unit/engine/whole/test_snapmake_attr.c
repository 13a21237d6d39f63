/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_snapmake_attr.c - the attributes in a snapshot, sound ones, new ones, and damaged ones.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "tests/support/files.h"
#include "tests/support/stores.h"

static struct dw_store *open_snapshot(struct dw_store *store, const char *name)
{
	struct dw_store *old = NULL;

	CHECK_EQ(dw_snapshot_open(dw_directory_fd(store), name, NULL, NULL, &old), 0);
	return old;
}

static struct dw_store *open_inside(struct dw_store *above, bool read_only)
{
	const struct dw_options options = {.read_only = read_only, .create = !read_only};
	struct dw_store *store = NULL;

	CHECK_EQ(dw_open_in(above, DW_ATTR_DIRECTORY, &options, NULL, &store), 0);
	return store;
}

static struct stat look(const char *dir, const char *name)
{
	struct stat st;

	CHECK_EQ(lstat(stores_path(dir, name), &st), 0);
	return st;
}

static void test_attributes(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0), *attrs = open_inside(store, false);
	struct dw_snapshot_info info;

	stores_put(attrs, "a", "mode 1");
	stores_put(store, "a", "old");
	CHECK_EQ(dw_snapshot_create(store, "with", &info), 0);
	CHECK_EQ(info.segments, 4);
	stores_put(attrs, "a", "mode 2");
	stores_put(store, "a", "new");
	stores_close(attrs);
	/* also if nobody has them open */
	CHECK_EQ(dw_snapshot_create(store, "closed", NULL), 0);
	for (int i = 0; i < 2; i++) {
		struct dw_store *old = open_snapshot(store, i ? "closed" : "with");
		struct dw_store *inside = open_inside(old, true);
		stores_expect(old, "a", i ? "new" : "old");
		stores_expect(inside, "a", i ? "mode 2" : "mode 1");
		stores_close(inside);
		stores_close(old);
	}
	attrs = open_inside(store, false);
	stores_expect(attrs, "a", "mode 2");
	stores_close(attrs);
	stores_close(store);
}

/* A snapshot has damaged attributes as they are: values can be backed up, attributes repaired. */
static void test_attributes_damaged(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0), *attrs = open_inside(store, false);
	const char *segment = DW_ATTR_DIRECTORY "/00000001.dwal";

	stores_put(attrs, "a", "mode 1");
	stores_put(attrs, "b", "mode 2");
	CHECK_EQ(dw_rotate(attrs), 0);
	stores_close(attrs);
	stores_put(store, "a", "value");
	struct stat before = look(dir, segment);
	struct buf bytes = files_read(AT_FDCWD, stores_path(dir, segment));
	bytes.data[0] ^= 1;
	files_write(AT_FDCWD, stores_path(dir, segment), bytes.data, bytes.size);
	buf_release(&bytes);
	CHECK_EQ(dw_snapshot_create(store, "s", NULL), 0);
	struct stat now = look(dir, ".snapshots/s/" DW_ATTR_DIRECTORY "/00000001.dwal");
	CHECK_EQ(now.st_size, before.st_size);
	CHECK(now.st_ino != before.st_ino);
	struct dw_store *old = open_snapshot(store, "s");
	stores_expect(old, "a", "value");
	const struct dw_options options = {.read_only = true};
	CHECK_EQ(dw_open_in(old, DW_ATTR_DIRECTORY, &options, NULL, &attrs), -EBADMSG);
	stores_close(old);
	stores_close(store);
}

/* A file where attributes should be is no reason to refuse values. */
static void test_attributes_none(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);

	stores_put(store, "a", "value");
	files_write(AT_FDCWD, stores_path(dir, DW_ATTR_DIRECTORY), "x", 1);
	CHECK_EQ(dw_snapshot_create(store, "s", NULL), 0);
	struct dw_store *old = open_snapshot(store, "s");
	stores_expect(old, "a", "value");
	stores_close(old);
	stores_close(store);
}

/* Attributes that come into being while a snapshot is got ready. */
static void test_new_attributes(void)
{
	struct dw_store *store = stores_open(stores_dir(), 0);
	struct dw_snapshot_making *making = NULL;

	stores_put(store, "a", "1");
	CHECK_EQ(dw_snapshot_prepare(store, "s", false, &making), 0);
	struct dw_store *attrs = open_inside(store, false);
	stores_put(attrs, "a", "mode 1");
	CHECK_EQ(dw_snapshot_take(making), 0);
	CHECK_EQ(dw_snapshot_finish(making, NULL), 0);
	struct dw_store *old = open_snapshot(store, "s");
	struct dw_store *inside = open_inside(old, true);
	stores_expect(inside, "a", "mode 1");
	stores_close(inside);
	stores_close(old);
	CHECK_EQ(dw_compact(attrs, NULL), 0); /* its names are free again */
	stores_close(attrs);
	stores_close(store);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"snap_attributes", test_attributes},
		{"snap_attributes_damaged", test_attributes_damaged},
		{"snap_attributes_none", test_attributes_none},
		{"snap_new_attributes", test_new_attributes},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
