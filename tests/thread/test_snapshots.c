/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_snapshots.c - snapshots taken, read and closed by many threads while writers,
 * rotation and compaction go on below, for ThreadSanitizer.
 *
 * Each writer puts the number of its round into all of its keys with one batch.  A
 * snapshot is one moment, so in it all keys of a writer hold the same round, the one
 * that whoever took it saw first.  Work is counted, not timed.  Assertions end a test by a
 * jump, which no thread may do: they count failures.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/stores.h"

enum {
	WRITERS = 2,
	KEYS = 6,
	ROUNDS = 1500,
	SLOTS = 3,
	VALUE = 400,
	SEGMENT_SIZE = 60000,
	COMPACT_ROUNDS = 50
};

/* A snapshot that readers share; one thread takes and closes it, and writes to the slot. */
struct slot {
	pthread_rwlock_t lock;
	struct dw_store *snapshot;
	uint32_t rounds[WRITERS]; /* as of its moment */
};

struct world {
	struct dw_store *store;
	struct slot slots[SLOTS];
	atomic_int failures, writing, taken, compactions;
	atomic_uint reads;
};

struct worker {
	struct world *world;
	int number;
	pthread_t thread;
};

static void expect(struct world *w, bool good, const char *what)
{
	if (!good && atomic_fetch_add(&w->failures, 1) < 10)
		printf("  not as it should be: %s\n", what);
}

static struct dw_bytes key_of(char text[40], int writer, int key)
{
	(void)snprintf(text, 40, "writer %d key %d", writer, key);
	return stores_bytes(text);
}

/* --- writing --- */

static void compact(struct world *w)
{
	int rc = dw_compact(w->store, NULL);

	expect(w, !rc || rc == -EBUSY, "a compaction");
	atomic_fetch_add(&w->compactions, !rc);
}

/* All keys get the round; the last of them is there in odd rounds only.  While one writer
 * compacts the other goes on. */
static void *run_writer(void *arg)
{
	struct worker *me = arg;
	struct world *w = me->world;
	uint32_t words[VALUE / 4];
	char texts[KEYS + 1][40];
	struct dw_op ops[KEYS + 1];

	for (uint32_t round = 1; round <= ROUNDS; round++) {
		for (int i = 0; i < VALUE / 4; i++)
			words[i] = round;
		for (int k = 0; k <= KEYS; k++)
			ops[k] = (struct dw_op){.type = DW_PUT,
						.key = key_of(texts[k], me->number, k),
						.value = {words, VALUE}};
		if (round % 2 == 0)
			ops[KEYS] = (struct dw_op){.type = DW_DELETE, .key = ops[KEYS].key};
		expect(w, !dw_batch(w->store, ops, KEYS + 1), "a batch");
		if (round % COMPACT_ROUNDS == 0)
			compact(w);
	}
	atomic_fetch_sub(&w->writing, 1);
	return NULL;
}

/* --- reading --- */

/* The round that a key holds; 0: it is not there. */
static uint32_t round_of(struct world *w, struct dw_store *store, int writer, int k)
{
	struct dw_value value;
	uint32_t round = 0;
	char text[40];
	int rc = dw_get(store, key_of(text, writer, k), &value);

	expect(w, !rc || rc == -ENOENT, "a get");
	if (rc)
		return 0;
	expect(w, value.size == VALUE, "the size of a value");
	memcpy(&round, (char *)value.data + VALUE - sizeof round, sizeof round);
	free(value.data);
	return round;
}

static uint64_t expected_keys(const struct slot *slot)
{
	uint64_t count = 0;

	for (int writer = 0; writer < WRITERS; writer++)
		if (slot->rounds[writer])
			count += KEYS + slot->rounds[writer] % 2;
	return count;
}

static void read_keys(struct world *w, struct slot *slot)
{
	for (int writer = 0; writer < WRITERS; writer++)
		for (int k = 0; k <= KEYS; k++) {
			uint32_t want = slot->rounds[writer];
			if (k == KEYS && want % 2 == 0)
				want = 0;
			expect(w, round_of(w, slot->snapshot, writer, k) == want,
			       "a value of the moment");
		}
}

static int count_key(void *context, struct dw_bytes key, const struct dw_stat *stat)
{
	(void)key;
	(void)stat;
	(*(uint64_t *)context)++;
	return 0;
}

static void walk(struct world *w, struct slot *slot)
{
	struct dw_iter *iter = NULL;
	uint32_t words[VALUE / 4];
	uint64_t count = 0, walked = 0;
	struct dw_item item;

	expect(w, !dw_for_each(slot->snapshot, count_key, &count), "a walk");
	expect(w, count == expected_keys(slot), "the keys of a walk");
	expect(w, dw_count(slot->snapshot) == count, "a count");
	expect(w, !dw_iter_open(slot->snapshot, &iter), "an iterator");
	while (dw_iter_next(iter, &item) == 1) {
		int writer = ((const char *)item.key.data)[strlen("writer ")] - '0';
		ssize_t n = dw_iter_read(iter, words, sizeof words, 0);
		expect(w, n == VALUE && words[7] == slot->rounds[writer], "an item's value");
		walked++;
	}
	expect(w, walked == count, "the items of an iterator");
	dw_iter_close(iter);
}

static void *run_reader(void *arg)
{
	struct worker *me = arg;
	struct world *w = me->world;

	for (int i = me->number; atomic_load(&w->writing); i++) {
		struct slot *slot = &w->slots[i % SLOTS];
		(void)pthread_rwlock_rdlock(&slot->lock);
		if (slot->snapshot) {
			read_keys(w, slot);
			walk(w, slot);
			atomic_fetch_add(&w->reads, 1);
		}
		(void)pthread_rwlock_unlock(&slot->lock);
	}
	return NULL;
}

/* --- taking --- */

static void check_and_close(struct world *w, struct slot *slot)
{
	struct dw_verify_report report;
	struct dw_stats stats;

	read_keys(w, slot);
	dw_get_stats(slot->snapshot, &stats);
	expect(w, !dw_verify(slot->snapshot, &report), "a verify");
	expect(w, report.bytes == stats.bytes, "the bytes of the moment");
	expect(w, !dw_close(slot->snapshot), "closing");
	slot->snapshot = NULL;
}

static void *run_taker(void *arg)
{
	struct worker *me = arg;
	struct world *w = me->world;

	for (int i = me->number; atomic_load(&w->writing); i++) {
		struct slot *slot = &w->slots[i % SLOTS];
		(void)pthread_rwlock_wrlock(&slot->lock);
		if (slot->snapshot)
			check_and_close(w, slot);
		expect(w, !dw_snapshot(w->store, &slot->snapshot), "a snapshot");
		for (int writer = 0; writer < WRITERS; writer++)
			slot->rounds[writer] = round_of(w, slot->snapshot, writer, 0);
		(void)pthread_rwlock_unlock(&slot->lock);
		atomic_fetch_add(&w->taken, 1);
		for (int k = 0; k < 3; k++) { /* let others have it for a while */
			(void)pthread_rwlock_rdlock(&slot->lock);
			read_keys(w, slot);
			(void)pthread_rwlock_unlock(&slot->lock);
		}
	}
	return NULL;
}

/* `index_keys`: as struct dw_options has it. */
static struct dw_store *open_world(uint64_t index_keys)
{
	const struct dw_options options = {
		.create = true, .segment_size = SEGMENT_SIZE, .index_keys = index_keys};
	struct dw_store *store = NULL;

	CHECK_EQ(dw_open(stores_dir(), &options, NULL, &store), 0);
	return store;
}

static void run_all(uint64_t index_keys)
{
	static void *(*const runs[])(void *) = {run_writer, run_writer, run_reader,
						run_reader, run_taker,  run_taker};
	enum { THREADS = sizeof runs / sizeof *runs };
	static struct world w;
	struct worker workers[THREADS];

	w.store = open_world(index_keys);
	atomic_store(&w.writing, WRITERS);
	for (int i = 0; i < SLOTS; i++)
		CHECK_EQ(pthread_rwlock_init(&w.slots[i].lock, NULL), 0);
	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.world = &w, .number = i};
		CHECK_EQ(pthread_create(&workers[i].thread, NULL, runs[i], &workers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_join(workers[i].thread, NULL), 0);
	for (int i = 0; i < SLOTS; i++) {
		if (w.slots[i].snapshot)
			check_and_close(&w, &w.slots[i]);
		(void)pthread_rwlock_destroy(&w.slots[i].lock);
	}
	CHECK_EQ(atomic_load(&w.failures), 0);
	printf("  %d snapshots, read %u times, %d compactions\n", atomic_load(&w.taken),
	       atomic_load(&w.reads), atomic_load(&w.compactions));
	CHECK(atomic_load(&w.taken) > SLOTS && atomic_load(&w.reads) > 0);
	CHECK(atomic_load(&w.compactions) > 0);
	stores_close(w.store);
}

static void test_all_at_once(void)
{
	run_all(0);
}

/* The same while the index goes to disk and is joined all the time. */
static void test_index(void)
{
	run_all(10);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"snapshots_at_once", test_all_at_once},
		{"snapshots_index", test_index},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
