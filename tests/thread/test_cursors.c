/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_cursors.c - cursors, and counts below directories, while others put, remove, compact and
 * take snapshots, and the index goes to disk again and again.
 *
 * FIXED keys are always there, each with a value that begins with the key: a cursor sees each of
 * them once, and reads it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/stores.h"

enum { FIXED = 300, KEYS = 1000, ROUNDS = 12000, DIRECTORIES = 7 };

static struct dw_store *store;
static atomic_bool done;
static atomic_uint walks, compactions;

static struct dw_bytes key_of(char ret[32], uint64_t i)
{
	int n = snprintf(ret, 32, "%c/%04u", (int)('a' + i % DIRECTORIES), (unsigned)i);

	return (struct dw_bytes){ret, (size_t)n};
}

static void put(uint64_t i, unsigned round)
{
	char name[32], value[64];
	struct dw_bytes key = key_of(name, i);
	int n = snprintf(value, sizeof value, "%.*s %u", (int)key.size, name, round);

	CHECK_EQ(dw_put(store, key, (struct dw_bytes){value, (size_t)n}), 0);
}

static void *write_keys(void *context)
{
	struct rng rng = {77};
	char name[32];

	(void)context;
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t i = rng_below(&rng, KEYS);
		if (i >= FIXED && rng_below(&rng, 2))
			CHECK_EQ(dw_delete(store, key_of(name, i)), 0);
		else
			put(i, round);
	}
	atomic_store(&done, true);
	return NULL;
}

static bool is_fixed(struct dw_bytes key)
{
	char name[32];

	for (uint64_t i = 0; i < FIXED; i++) {
		struct dw_bytes fixed = key_of(name, i);
		if (fixed.size == key.size && !memcmp(fixed.data, key.data, key.size))
			return true;
	}
	return false;
}

static void walk(struct dw_store *view)
{
	struct dw_cursor *cursor;
	struct dw_item item;
	char last[32] = "", value[64];
	unsigned fixed = 0;
	int rc;

	CHECK_EQ(dw_cursor_open(view, (struct dw_bytes){"", 0}, &cursor), 0);
	while ((rc = dw_cursor_next(cursor, &item)) == 1) {
		CHECK(item.key.size == 6 && memcmp(item.key.data, last, 6) > 0);
		memcpy(last, item.key.data, 6);
		ssize_t n = dw_cursor_read(cursor, value, sizeof value, 0);
		CHECK(n >= 8 && !memcmp(value, item.key.data, 6));
		fixed += is_fixed(item.key);
	}
	CHECK_EQ(rc, 0);
	CHECK_EQ(fixed, FIXED);
	dw_cursor_close(cursor);
	atomic_fetch_add(&walks, 1);
}

static void *walk_now(void *context)
{
	struct dw_below_info below;

	(void)context;
	while (!atomic_load(&done)) {
		walk(store);
		CHECK_EQ(dw_below(store, (struct dw_bytes){"a/", 2}, &below), 0);
		CHECK(below.keys >= FIXED / DIRECTORIES && below.keys <= KEYS / DIRECTORIES + 1);
	}
	return NULL;
}

static void *walk_then(void *context)
{
	(void)context;
	while (!atomic_load(&done)) {
		struct dw_store *snapshot;
		struct dw_below_info below;
		CHECK_EQ(dw_snapshot(store, &snapshot), 0);
		walk(snapshot);
		CHECK_EQ(dw_below(snapshot, (struct dw_bytes){"", 0}, &below), 0);
		CHECK_EQ(below.keys, dw_count(snapshot));
		CHECK_EQ(dw_close(snapshot), 0);
	}
	return NULL;
}

static void *compact(void *context)
{
	struct dw_compact_report report;

	(void)context;
	while (!atomic_load(&done)) {
		CHECK_EQ(dw_compact(store, &report), 0);
		atomic_fetch_add(&compactions, 1);
	}
	return NULL;
}

static void test_cursors(void)
{
	static void *(*const work[])(void *) = {write_keys, walk_now, walk_then, compact};
	enum { THREADS = sizeof work / sizeof *work };
	struct dw_options options = {.create = true, .segment_size = 32 << 10, .index_keys = 400};
	pthread_t threads[THREADS];
	char dir[128];

	(void)snprintf(dir, sizeof dir, "%s", stores_dir());
	CHECK_EQ(dw_open(dir, &options, NULL, &store), 0);
	for (uint64_t i = 0; i < FIXED; i++)
		put(i, 0);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, work[i], NULL), 0);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	printf("  %u walks, %u compactions\n", atomic_load(&walks), atomic_load(&compactions));
	uint64_t count = dw_count(store);
	CHECK_EQ(dw_close(store), 0);
	CHECK_EQ(dw_open(dir, &options, NULL, &store), 0);
	CHECK_EQ(dw_count(store), count);
	walk(store);
	stores_close(store);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {{"cursors_threads", test_cursors}, {NULL, NULL}};

	return check_main(argc, argv, tests);
}
