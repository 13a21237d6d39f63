/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_snap_threads.c - snapshots made and removed while others write and compact.
 *
 * Put number n sets key n modulo KEYS to n, from one thread: so the highest number in a snapshot
 * says what each of its keys must hold.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/stores.h"

enum { KEYS = 50, SNAPSHOTS = 40 };

static struct dw_store *store;
static atomic_bool done;
static atomic_uint compactions;

static void *write_keys(void *context)
{
	char key[16], value[32];

	(void)context;
	for (unsigned n = 0; !atomic_load(&done); n++) {
		(void)snprintf(key, sizeof key, "%02u", n % KEYS);
		(void)snprintf(value, sizeof value, "%u", n);
		stores_put(store, key, value);
	}
	return NULL;
}

static void *compact(void *context)
{
	const struct dw_compact_options options = {.dead_percent = 20};

	(void)context;
	while (!atomic_load(&done)) {
		struct dw_compact_report report;
		CHECK_EQ(dw_compact_with(store, &options, &report), 0);
		atomic_fetch_add(&compactions, report.segments_before > 0);
	}
	return NULL;
}

static unsigned value_of(struct dw_store *snapshot, unsigned i)
{
	struct dw_value value;
	char key[16], text[32] = "";

	(void)snprintf(key, sizeof key, "%02u", i);
	CHECK_EQ(dw_get(snapshot, stores_bytes(key), &value), 0);
	CHECK(value.size < sizeof text);
	memcpy(text, value.data, value.size);
	free(value.data);
	return (unsigned)strtoul(text, NULL, 10);
}

static void check_one(struct dw_store *snapshot)
{
	struct dw_verify_report report;
	unsigned values[KEYS], highest = 0;

	for (unsigned i = 0; i < KEYS; i++) {
		values[i] = value_of(snapshot, i);
		highest = values[i] > highest ? values[i] : highest;
	}
	for (unsigned i = 0; i < KEYS; i++) {
		unsigned behind = (highest % KEYS + KEYS - i) % KEYS;
		CHECK_EQ(values[i], highest - behind);
	}
	CHECK_EQ(dw_verify(snapshot, &report), 0);
}

static void test_threads(void)
{
	const struct dw_options options = {.create = true, .segment_size = 4000, .index_keys = 30};
	pthread_t writer, compactor;
	char name[16];

	CHECK_EQ(dw_open(stores_dir(), &options, NULL, &store), 0);
	for (unsigned i = 0; i < KEYS; i++) {
		(void)snprintf(name, sizeof name, "%02u", i);
		stores_put(store, name, "0");
	}
	CHECK_EQ(pthread_create(&writer, NULL, write_keys, NULL), 0);
	CHECK_EQ(pthread_create(&compactor, NULL, compact, NULL), 0);
	int dirfd = dw_directory_fd(store);
	/* past the first round of all keys */
	while (value_of(store, KEYS - 1) < KEYS)
		;
	for (unsigned i = 0; i < SNAPSHOTS; i++) {
		struct dw_store *snapshot = NULL;
		(void)snprintf(name, sizeof name, "s%u", i);
		CHECK_EQ(dw_snapshot_create(store, name, NULL), 0);
		CHECK_EQ(dw_snapshot_open(dirfd, name, NULL, NULL, &snapshot), 0);
		check_one(snapshot);
		stores_close(snapshot);
		(void)snprintf(name, sizeof name, "s%u", i / 2);
		if (i % 2)
			CHECK_EQ(dw_snapshot_remove(dirfd, name), 0);
	}
	atomic_store(&done, true);
	CHECK_EQ(pthread_join(writer, NULL), 0);
	CHECK_EQ(pthread_join(compactor, NULL), 0);
	/* those that are left, once more */
	for (unsigned i = SNAPSHOTS / 2; i < SNAPSHOTS; i++) {
		struct dw_store *snapshot = NULL;
		(void)snprintf(name, sizeof name, "s%u", i);
		CHECK_EQ(dw_snapshot_open(dirfd, name, NULL, NULL, &snapshot), 0);
		check_one(snapshot);
		stores_close(snapshot);
	}
	printf("  %u compactions\n", atomic_load(&compactions));
	CHECK(atomic_load(&compactions) > 5);
	stores_close(store);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"snap_threads", test_threads},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
