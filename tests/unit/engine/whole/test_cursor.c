/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_cursor.c - dw_cursor_* and dw_below, of stores and snapshots.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/spoil.h"
#include "tests/support/stores.h"

static struct dw_cursor *open_at(struct dw_store *store, const char *prefix)
{
	struct dw_cursor *cursor;

	CHECK_EQ(dw_cursor_open(store, stores_bytes(prefix), &cursor), 0);
	return cursor;
}

/* `key` NULL: the end. */
static void expect_next(struct dw_cursor *cursor, const char *key, const char *value)
{
	struct dw_item item;
	char bytes[64];

	CHECK_EQ(dw_cursor_next(cursor, &item), key != NULL);
	if (!key)
		return;
	CHECK(item.key.size == strlen(key) && !memcmp(item.key.data, key, item.key.size));
	CHECK_EQ(item.stat.size, strlen(value));
	CHECK_EQ(dw_cursor_read(cursor, bytes, sizeof bytes, 0), strlen(value));
	CHECK(!memcmp(bytes, value, strlen(value)));
	CHECK_EQ(dw_cursor_read(cursor, bytes, 1, 1), strlen(value) > 1);
}

static struct dw_store *some_store(void)
{
	struct dw_store *store = stores_open(stores_dir(), 0);

	stores_put(store, "a", "1");
	stores_put(store, "b/x", "22");
	stores_put(store, "b/y", "333");
	stores_put(store, "b/z/deep", "4");
	stores_put(store, "b0", "5");
	stores_put(store, "", "6");
	stores_delete(store, "b/y");
	return store;
}

static void test_order(void)
{
	struct dw_store *store = some_store();
	struct dw_cursor *cursor = open_at(store, "");
	char byte;

	CHECK_EQ(dw_cursor_read(cursor, &byte, 1, 0), -EINVAL);
	expect_next(cursor, "", "6");
	expect_next(cursor, "a", "1");
	expect_next(cursor, "b/x", "22");
	expect_next(cursor, "b/z/deep", "4");
	expect_next(cursor, "b0", "5");
	expect_next(cursor, NULL, NULL);
	expect_next(cursor, NULL, NULL);
	CHECK_EQ(dw_cursor_read(cursor, &byte, 1, 0), -EINVAL);
	CHECK_EQ(dw_cursor_seek(cursor, stores_bytes("b/y")), 0);
	CHECK_EQ(dw_cursor_read(cursor, &byte, 1, 0), -EINVAL);
	expect_next(cursor, "b/z/deep", "4");
	dw_cursor_close(cursor);
	cursor = open_at(store, "b/");
	CHECK_EQ(dw_cursor_seek(cursor, stores_bytes("a")), 0);
	expect_next(cursor, "b/x", "22");
	expect_next(cursor, "b/z/deep", "4");
	expect_next(cursor, NULL, NULL);
	dw_cursor_close(cursor);
	dw_cursor_close(NULL);
	stores_close(store);
}

/* A cursor of a store goes on behind its last key; one of a snapshot stays in its moment. */
static void test_changes(void)
{
	struct dw_compact_report report;
	struct dw_store *store = some_store(), *snapshot;

	CHECK_EQ(dw_snapshot(store, &snapshot), 0);
	struct dw_cursor *now = open_at(store, ""), *then = open_at(snapshot, "");
	expect_next(now, "", "6");
	expect_next(then, "", "6");
	stores_delete(store, "a");
	stores_put(store, "b/x", "new");
	stores_put(store, "b/zz", "more");
	CHECK_EQ(dw_rotate(store), 0);
	CHECK_EQ(dw_compact(store, &report), 0);
	expect_next(now, "b/x", "new");
	expect_next(now, "b/z/deep", "4");
	expect_next(now, "b/zz", "more");
	expect_next(now, "b0", "5");
	expect_next(now, NULL, NULL);
	expect_next(then, "a", "1");
	expect_next(then, "b/x", "22");
	expect_next(then, "b/z/deep", "4");
	expect_next(then, "b0", "5");
	expect_next(then, NULL, NULL);
	dw_cursor_close(now);
	dw_cursor_close(then);
	CHECK_EQ(dw_close(snapshot), 0);
	stores_close(store);
}

/* The end is the end until a seek, also when the index has changed. */
static void test_end(void)
{
	struct dw_store *store = some_store(), *snapshot;
	struct dw_cursor *cursor = open_at(store, "b/");

	expect_next(cursor, "b/x", "22");
	expect_next(cursor, "b/z/deep", "4");
	expect_next(cursor, NULL, NULL);
	stores_put(store, "b/zz", "behind");
	CHECK_EQ(dw_snapshot(store, &snapshot), 0);
	expect_next(cursor, NULL, NULL);
	CHECK_EQ(dw_cursor_seek(cursor, stores_bytes("b/zz")), 0);
	expect_next(cursor, "b/zz", "behind");
	dw_cursor_close(cursor);
	CHECK_EQ(dw_close(snapshot), 0);
	stores_close(store);
}

/* Nor is a key looked at that was in memory only until the one behind it, a longer one, was read.
 */
static void test_end_in_runs(void)
{
	static const size_t sizes[] = {9000, 60000};
	const struct dw_options options = {.create = true, .index_keys = 4, .index_budget = 1};
	struct dw_store *store, *snapshot;
	struct dw_item item;
	char *key = (char *)stores_noise(1, sizes[1]), name[16];

	CHECK_EQ(dw_open(stores_dir(), &options, NULL, &store), 0);
	for (int i = 0; i < 2; i++) {
		key[0] = (char)('b' + i);
		CHECK_EQ(dw_put(store, (struct dw_bytes){key, sizes[i]}, stores_bytes("v")), 0);
	}
	for (int i = 0; i < 20; i++) { /* until those are in runs */
		(void)snprintf(name, sizeof name, "a%d", i);
		stores_put(store, name, "v");
	}
	struct dw_cursor *cursor = open_at(store, "b");
	CHECK_EQ(dw_cursor_next(cursor, &item), 1);
	CHECK_EQ(item.key.size, sizes[0]);
	expect_next(cursor, NULL, NULL);
	CHECK_EQ(dw_snapshot(store, &snapshot), 0);
	expect_next(cursor, NULL, NULL);
	dw_cursor_close(cursor);
	CHECK_EQ(dw_close(snapshot), 0);
	free(key);
	stores_close(store);
}

static void expect_below(struct dw_store *store, const char *prefix, uint64_t keys)
{
	struct dw_below_info below;

	CHECK_EQ(dw_below(store, stores_bytes(prefix), &below), 0);
	CHECK_EQ(below.keys, keys);
	CHECK_EQ(below.newest_ns == INT64_MIN, !keys);
}

static void test_below(void)
{
	struct dw_store *store = some_store(), *snapshot;
	struct dw_below_info below;

	expect_below(store, "", 4);
	expect_below(store, "b/", 2);
	expect_below(store, "b/z/", 1);
	expect_below(store, "c/", 0);
	CHECK_EQ(dw_below(store, stores_bytes("b"), &below), -EINVAL);
	CHECK_EQ(dw_snapshot(store, &snapshot), 0);
	stores_put(store, "b/z/other", "7");
	stores_put(store, "b/z/", "a marker is not below itself");
	expect_below(store, "b/z/", 2);
	expect_below(store, "b/", 4);
	expect_below(snapshot, "b/", 2);
	CHECK_EQ(dw_close(snapshot), 0);
	stores_close(store);
}

/* Keys written before a restart are there after it, for a writer and for a reader. */
static void test_reopened(void)
{
	char dir[128];

	(void)snprintf(dir, sizeof dir, "%s", stores_dir());
	struct dw_store *store = stores_open(dir, 0);
	char key[32];
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(key, sizeof key, "d%d/%04d", i % 10, i);
		stores_put(store, key, "value");
	}
	stores_close(store);
	for (int reader = 0; reader < 2; reader++) {
		store = reader ? stores_open_reader(dir) : stores_open(dir, 0);
		struct dw_cursor *cursor = open_at(store, "d3/");
		for (int i = 3; i < 1000; i += 10) {
			(void)snprintf(key, sizeof key, "d3/%04d", i);
			expect_next(cursor, key, "value");
		}
		expect_next(cursor, NULL, NULL);
		dw_cursor_close(cursor);
		expect_below(store, "d3/", 100);
		expect_below(store, "", 1000);
		stores_close(store);
	}
}

/* Damage of the index is an error, never a key that is not there; the next opening mends it. */
static void test_damaged_index(void)
{
	const struct dw_options options = {.create = true, .index_keys = 200, .index_budget = 1};
	struct dw_verify_report report;
	struct dw_cursor *cursor;
	struct dw_store *store;
	char dir[128], key[32];

	(void)snprintf(dir, sizeof dir, "%s", stores_dir());
	CHECK_EQ(dw_open(dir, &options, NULL, &store), 0);
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(key, sizeof key, "d%d/%04d", i % 10, i);
		stores_put(store, key, "value");
	}
	CHECK_EQ(dw_verify(store, &report), 0);
	CHECK_EQ(report.records, 1000);
	stores_close(store);
	spoil_runs(dir);
	CHECK_EQ(dw_open(dir, &options, NULL, &store), 0);
	CHECK_EQ(dw_cursor_open(store, (struct dw_bytes){"", 0}, &cursor), -EIO);
	for (int i = 0; i < 1000; i++) {
		struct dw_stat stat;
		(void)snprintf(key, sizeof key, "d%d/%04d", i % 10, i);
		int rc = dw_stat(store, stores_bytes(key), &stat);
		CHECK(!rc || rc == -EIO);
	}
	CHECK_EQ(dw_verify(store, &report), -EIO);
	stores_close(store);
	CHECK_EQ(dw_open(dir, &options, NULL, &store), 0);
	CHECK_EQ(dw_verify(store, &report), 0);
	expect_below(store, "", 1000);
	stores_close(store);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {{"cursor_order", test_order},
						  {"cursor_changes", test_changes},
						  {"cursor_end", test_end},
						  {"cursor_end_in_runs", test_end_in_runs},
						  {"cursor_below", test_below},
						  {"cursor_reopened", test_reopened},
						  {"cursor_damaged_index", test_damaged_index},
						  {NULL, NULL}};

	return check_main(argc, argv, tests);
}
