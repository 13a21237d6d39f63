/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_threads.c - everything at once on one store, for ThreadSanitizer.
 *
 * Each writer owns its keys and writes rising numbers, so that every reader can check that it never
 * sees an older value than before.  Work is counted, not timed. Assertions end a test by a jump,
 * which no thread may do: they count failures.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/support/stores.h"

enum {
	WRITERS = 3,
	READERS = 2,
	KEYS = 8, /* of each writer */
	ROUNDS = 4000,
	VALUE = 700,
	SEGMENT_SIZE = 40000,
};

struct world {
	struct dw_store *store;
	const char *dir;
	atomic_int failures;
	atomic_int writing; /* writers not yet done */
	atomic_int compactions, syncs;
	atomic_uint floors[WRITERS][KEYS]; /* rounds acknowledged */
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

/* A value holds its round again and again, so that a torn one shows. */
static struct dw_bytes fill(uint32_t *words, unsigned round)
{
	for (int i = 0; i < VALUE / 4; i++)
		words[i] = round;
	return (struct dw_bytes){words, VALUE};
}

static void check_value(struct world *w, const uint32_t *words, size_t size, unsigned least)
{
	expect(w, size == VALUE, "size of a value");
	for (size_t i = 1; i < size / 4; i++)
		expect(w, words[i] == words[0], "a value of one piece");
	expect(w, words[0] >= least, "a value no older than was acknowledged");
}

static void *run_writer(void *arg)
{
	struct worker *me = arg;
	struct world *w = me->world;
	uint32_t words[VALUE / 4];
	char text[40], ghost[40];

	(void)snprintf(ghost, sizeof ghost, "ghost %d", me->number);
	for (unsigned round = 1; round <= ROUNDS; round++) {
		struct dw_op ops[2] = {
			{.type = DW_PUT,
			 .key = key_of(text, me->number, (int)(round % KEYS)),
			 .value = fill(words, round)},
			{.type = round % 2 ? DW_PUT : DW_DELETE, .key = stores_bytes(ghost)},
		};
		expect(w, !dw_batch(w->store, ops, 2), "a batch");
		atomic_store(&w->floors[me->number][round % KEYS], round);
		expect(w, dw_contains(w->store, ops[1].key) == (round % 2), "the own write");
	}
	atomic_fetch_sub(&w->writing, 1);
	return NULL;
}

static void read_ref(struct world *w, struct dw_bytes key, unsigned floor)
{
	uint32_t words[VALUE / 4];
	struct dw_ref ref;
	int rc = dw_ref_get(w->store, key, &ref);

	expect(w, !rc || (rc == -ENOENT && !floor), "a pin");
	if (rc)
		return;
	ssize_t tail = dw_ref_read(w->store, &ref, key, words, 100, VALUE - 100);
	expect(w, tail == 100, "the end of a pinned value");
	ssize_t n = dw_ref_read(w->store, &ref, key, words, sizeof words, 0);
	expect(w, n == VALUE, "a pinned value");
	if (n == VALUE)
		check_value(w, words, (size_t)n, floor);
	dw_ref_put(w->store, &ref);
}

static void read_get(struct world *w, struct dw_bytes key, unsigned floor)
{
	struct dw_value value;
	int rc = dw_get(w->store, key, &value);

	expect(w, !rc || (rc == -ENOENT && !floor), "a get");
	if (rc)
		return;
	check_value(w, value.data, value.size, floor);
	free(value.data);
}

static void *run_reader(void *arg)
{
	struct worker *me = arg;
	struct world *w = me->world;
	char text[40];

	for (int i = 0; atomic_load(&w->writing); i++) {
		int writer = i % WRITERS, k = i / WRITERS % KEYS;
		unsigned floor = atomic_load(&w->floors[writer][k]);
		struct dw_bytes key = key_of(text, writer, k);
		if ((i + me->number) % 2)
			read_ref(w, key, floor);
		else
			read_get(w, key, floor);
	}
	return NULL;
}

static int count_key(void *context, struct dw_bytes key, const struct dw_stat *stat)
{
	(void)key;
	*(uint64_t *)context += stat->size;
	return 0;
}

static void walk(struct world *w)
{
	struct dw_iter *iter = NULL;
	struct dw_item item;
	uint32_t words[VALUE / 4];
	uint64_t bytes = 0;

	expect(w, !dw_for_each(w->store, count_key, &bytes), "a walk");
	expect(w, !dw_iter_open(w->store, &iter), "an iterator");
	while (dw_iter_next(iter, &item) == 1) {
		ssize_t n = dw_iter_read(iter, words, sizeof words, 0);
		expect(w, n == item.stat.size, "an item's value");
		if (n == VALUE)
			check_value(w, words, VALUE, 0);
	}
	dw_iter_close(iter);
}

static void export(struct world *w)
{
	struct dw_export *export = NULL;
	char chunk[5000], last = '\n';
	ssize_t n;

	expect(w, !dw_export_open(w->store, &export), "an export");
	while ((n = dw_export_read(export, chunk, sizeof chunk)) > 0)
		last = chunk[n - 1];
	expect(w, !n && last == '\n', "an export to its end");
	dw_export_close(export);
}

static void open_beside(struct world *w)
{
	const struct dw_options options = {.read_only = true};
	struct dw_store *reader = NULL;

	expect(w, !dw_open(w->dir, &options, NULL, &reader), "a reader's snapshot");
	(void)dw_close(reader);
}

static void *run_walker(void *arg)
{
	struct world *w = ((struct worker *)arg)->world;
	struct dw_verify_report report;
	struct dw_stats stats;

	while (atomic_load(&w->writing)) {
		walk(w);
		export(w);
		open_beside(w);
		int rc = dw_verify(w->store, &report);
		expect(w, !rc || rc == -ECANCELED, "a verify");
		dw_get_stats(w->store, &stats);
		expect(w, stats.live_bytes <= stats.bytes && !stats.poisoned, "the figures");
	}
	return NULL;
}

static void *run_syncer(void *arg)
{
	struct world *w = ((struct worker *)arg)->world;

	while (atomic_load(&w->writing)) {
		expect(w, !dw_delete(w->store, stores_bytes("never there")), "a tombstone");
		expect(w, !dw_sync(w->store), "a sync");
		atomic_fetch_add(&w->syncs, 1);
	}
	return NULL;
}

static void *run_compactor(void *arg)
{
	struct worker *me = arg;
	struct world *w = me->world;

	while (atomic_load(&w->writing)) {
		const struct dw_compact_options options = {.dead_percent = me->number % 2 ? 40 : 0};
		int rc = dw_compact_with(w->store, &options, NULL);
		expect(w, !rc || rc == -EBUSY || rc == -ECANCELED, "a compaction");
		atomic_fetch_add(&w->compactions, !rc);
		if (!rc)
			expect(w, !dw_rotate(w->store), "a rotation");
	}
	return NULL;
}

/* Turns the background on and off, asks how far things are, and cancels now and then. */
static void *run_maintainer(void *arg)
{
	const struct dw_maintain_options options = {.compact = true,
						    .dead_percent = 30,
						    .dead_bytes_min = 1,
						    .look_ms = 1,
						    .compact_rate = 20 << 20,
						    .scrub_interval_ms = 1,
						    .scrub_rate = 20 << 20};
	struct world *w = ((struct worker *)arg)->world;
	struct dw_compact_progress progress;

	for (int i = 0; atomic_load(&w->writing); i++) {
		expect(w, !dw_maintain(w->store, i % 4 ? &options : NULL), "maintenance");
		for (int k = 0; k < 20; k++) {
			dw_compact_progress(w->store, &progress);
			expect(w, progress.segments_done <= 1000, "a number of segments");
			(void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		}
		if (i % 8 == 0)
			dw_compact_cancel(w->store);
		if (i % 8 == 4)
			dw_verify_cancel(w->store);
	}
	/* the rest of it ends with the store */
	expect(w, !dw_maintain(w->store, &options), "maintenance at the end");
	return NULL;
}

static void check_end(struct world *w)
{
	struct dw_verify_report report;
	uint32_t words[VALUE / 4];
	char text[40];

	CHECK_EQ(dw_count(w->store), WRITERS * KEYS);
	for (int writer = 0; writer < WRITERS; writer++)
		for (int k = 0; k < KEYS; k++)
			CHECK(stores_holds(w->store, key_of(text, writer, k),
					   fill(words, atomic_load(&w->floors[writer][k]))));
	CHECK_EQ(dw_verify(w->store, &report), 0);
}

/* `index_keys`: as struct dw_options has it. */
static struct dw_store *open_world(const struct world *w, uint64_t index_keys)
{
	const struct dw_options options = {
		.create = true, .segment_size = SEGMENT_SIZE, .index_keys = index_keys};
	struct dw_store *store = NULL;

	CHECK_EQ(dw_open(w->dir, &options, NULL, &store), 0);
	return store;
}

static void run_all(uint64_t index_keys)
{
	static void *(*const runs[])(void *) = {
		run_writer, run_writer, run_writer, run_reader,    run_reader,    run_walker,
		run_syncer, run_syncer, run_syncer, run_compactor, run_compactor, run_maintainer};
	enum { THREADS = sizeof runs / sizeof *runs };
	struct world w = {.dir = stores_dir()};
	struct worker workers[THREADS];
	struct dw_stats stats;

	_Static_assert(WRITERS == 3 && READERS == 2, "as listed above");
	w.store = open_world(&w, index_keys);
	atomic_store(&w.writing, WRITERS);
	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.world = &w, .number = i};
		CHECK_EQ(pthread_create(&workers[i].thread, NULL, runs[i], &workers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_join(workers[i].thread, NULL), 0);
	CHECK_EQ(atomic_load(&w.failures), 0);
	dw_get_stats(w.store, &stats);
	printf("  %d compactions, %llu syncs took %llu calls\n", atomic_load(&w.compactions),
	       (unsigned long long)stats.syncs_asked, (unsigned long long)stats.syncs_done);
	CHECK(stats.syncs_done <= stats.syncs_asked);
	CHECK_EQ(stats.puts + stats.deletes, 2 * WRITERS * ROUNDS + atomic_load(&w.syncs));
	CHECK_EQ(dw_compact(w.store, NULL), 0); /* those above may all have been cancelled */
	check_end(&w);
	stores_close(w.store);
	w.store = open_world(&w, index_keys);
	check_end(&w);
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
		{"threads_all_at_once", test_all_at_once},
		{"threads_index", test_index},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
