/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_snapshot.c - frozen views, case by case, and what they cost.
 * tests/model/test_snapshot_model.c has the random operations.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/store.h"
#include "tests/support/stores.h"

static int count_visit(void *context, struct dw_bytes key, const struct dw_stat *stat)
{
	(void)key;
	(void)stat;
	(*(uint64_t *)context)++;
	return 0;
}

static void test_empty(void)
{
	struct dw_store *store = stores_open(stores_dir(), 0), *snapshot = NULL;
	struct dw_verify_report verified;
	struct model nothing = {0};
	const char *copy = stores_dir();
	struct dw_export *export = NULL;
	uint64_t visited = 0;
	char byte;

	CHECK_EQ(dw_snapshot(store, &snapshot), 0);
	model_check(&nothing, snapshot);
	stores_put(store, "", "the empty key");
	stores_put(store, "a", "1");
	CHECK_EQ(dw_compact(store, NULL), 0);
	stores_put(store, "b", "2");
	stores_delete(store, "a");
	model_check(&nothing, snapshot);
	stores_expect(snapshot, "", NULL);
	stores_expect(snapshot, "a", NULL);
	CHECK_EQ(dw_for_each(snapshot, count_visit, &visited), 0);
	CHECK_EQ(visited, 0);
	CHECK_EQ(dw_export_open(snapshot, &export), 0);
	CHECK_EQ(dw_export_read(export, &byte, 1), 0);
	dw_export_close(export);
	CHECK_EQ(dw_verify(snapshot, &verified), 0);
	CHECK_EQ(verified.records, 0);
	CHECK_EQ(dw_compact_to(snapshot, copy), 0);
	struct dw_store *copied = stores_open_reader(copy);
	CHECK_EQ(dw_count(copied), 0);
	stores_close(copied);
	stores_close(snapshot);
	stores_expect(store, "b", "2");
	stores_close(store);
}

/* Each snapshot has its own moment. */
static void test_recreated(void)
{
	static const char *const values[] = {"1", NULL, "3", NULL, "5"};
	enum { MOMENTS = sizeof values / sizeof *values };
	struct dw_store *store = stores_open(stores_dir(), 1), *at[MOMENTS] = {NULL};

	stores_put(store, "other", "same");
	for (int i = 0; i < MOMENTS; i++) {
		if (values[i])
			stores_put(store, "key", values[i]);
		else
			stores_delete(store, "key");
		CHECK_EQ(dw_compact(store, NULL), 0);
		CHECK_EQ(dw_snapshot(store, &at[i]), 0);
	}
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < MOMENTS; i++) {
			stores_expect(at[i], "key", values[i]);
			stores_expect(at[i], "other", "same");
			stores_expect(at[i], "new", NULL);
			CHECK_EQ(dw_count(at[i]), values[i] ? 2 : 1);
		}
		stores_delete(store, "never there");
		const struct dw_op ops[] = {
			{.type = DW_PUT, .key = stores_bytes("new")},
			{.type = DW_DELETE, .key = stores_bytes("new")},
			{.type = DW_RAW, .key = stores_bytes("other")},
			{.type = round ? DW_PUT : DW_DELETE, .key = stores_bytes("key")},
		};
		CHECK_EQ(dw_batch(store, ops, 4), 0);
		CHECK_EQ(dw_compact(store, NULL), 0);
	}
	static const int order[MOMENTS] = {2, 0, 4, 1, 3};
	for (int i = 0; i < MOMENTS; i++) {
		stores_close(at[order[i]]);
		stores_put(store, "key", "once more");
		for (int j = i + 1; j < MOMENTS; j++)
			stores_expect(at[order[j]], "key", values[order[j]]);
	}
	stores_close(store);
}

static void test_large(void)
{
	enum { SIZE = 5 << 20, PIECE = 100000 };
	struct dw_store *store = stores_open(stores_dir(), 1 << 20), *snapshot = NULL;
	const struct dw_bytes key = stores_bytes("large"), value = {stores_noise(7, SIZE), SIZE};
	struct dw_bytes same = {stores_noise(8, SIZE), SIZE};
	uint8_t *piece = malloc(PIECE);
	struct dw_ref ref;

	CHECK_EQ(dw_put(store, key, value), 0);
	CHECK_EQ(dw_put(store, stores_bytes("same"), same), 0);
	CHECK_EQ(dw_snapshot(store, &snapshot), 0);
	CHECK_EQ(dw_ref_get(snapshot, key, &ref), 0);
	stores_put(store, "large", "small");
	CHECK_EQ(dw_compact(store, NULL), 0);
	CHECK_EQ(dw_compact(store, NULL), 0);
	stores_delete(store, "same"); /* noted where the compaction put it */
	CHECK_EQ(dw_compact(store, NULL), 0);
	CHECK(stores_holds(snapshot, key, value));
	CHECK(stores_holds(snapshot, stores_bytes("same"), same));
	for (int again = 0; again < 2; again++) {
		for (size_t at = 0; at < SIZE; at += PIECE) {
			size_t want = SIZE - at < PIECE ? SIZE - at : PIECE;
			CHECK_EQ(dw_ref_read(snapshot, &ref, key, piece, PIECE, at), want);
			CHECK(!memcmp(piece, (const uint8_t *)value.data + at, want));
		}
		dw_ref_put(snapshot, &ref);
		if (!again) /* by the note now */
			CHECK_EQ(dw_ref_get(snapshot, key, &ref), 0);
	}
	stores_close(snapshot);
	stores_expect(store, "large", "small");
	stores_close(store);
	free((void *)value.data);
	free((void *)same.data);
	free(piece);
}

static void test_refused(void)
{
	const struct dw_bytes key = stores_bytes("key");
	struct dw_store *store = stores_open(stores_dir(), 0), *snapshot = NULL, *none = NULL;

	stores_put(store, "key", "value");
	CHECK_EQ(dw_snapshot(store, &snapshot), 0);
	CHECK_EQ(dw_put(snapshot, key, key), -EROFS);
	CHECK_EQ(dw_delete(snapshot, key), -EROFS);
	CHECK_EQ(dw_append_raw(snapshot, key, key), -EROFS);
	CHECK_EQ(dw_rotate(snapshot), -EROFS);
	CHECK_EQ(dw_compact(snapshot, NULL), -EROFS);
	CHECK_EQ(dw_sync(snapshot), 0);
	CHECK_EQ(dw_snapshot(snapshot, &none), -EINVAL);
	CHECK(!none);
	CHECK_EQ(dw_directory_fd(snapshot), dw_directory_fd(store));
	CHECK_EQ(dw_close(store), -EBUSY);
	stores_put(store, "key", "still open");
	stores_expect(snapshot, "key", "value");
	stores_close(snapshot);
	stores_close(store);
}

/* A store that is open for reading has snapshots, too; they outlive nothing. */
static void test_of_reader(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0), *snapshot = NULL;

	stores_put(store, "key", "1");
	struct dw_store *reader = stores_open_reader(dir);
	CHECK_EQ(dw_snapshot(reader, &snapshot), 0);
	stores_put(store, "key", "2");
	stores_expect(snapshot, "key", "1");
	CHECK_EQ(dw_close(reader), -EBUSY);
	stores_close(snapshot);
	stores_close(reader);
	stores_close(store);
}

/* Segments that a compaction unlinked stay open for a snapshot, and no longer. */
static void test_space(void)
{
	struct dw_store *store = stores_open(stores_dir(), 1), *snapshot = NULL;
	struct dw_iter *iter = NULL;
	struct dw_item item;
	char key[32], byte;

	for (int i = 0; i < 20; i++) {
		(void)snprintf(key, sizeof key, "%02d", i);
		stores_put(store, key, "v");
	}
	CHECK_EQ(dw_compact(store, NULL), 0);
	CHECK_EQ(dw_snapshot(store, &snapshot), 0);
	for (int i = 0; i < 20; i += 2) {
		(void)snprintf(key, sizeof key, "%02d", i);
		stores_put(store, key, "w");
	}
	CHECK_EQ(dw_compact(store, NULL), 0);
	int fds = stores_fd_count();
	/* an iterator of the snapshot holds what later compactions take away */
	CHECK_EQ(dw_iter_open(snapshot, &iter), 0);
	for (int i = 0; i < 20; i++) {
		(void)snprintf(key, sizeof key, "%02d", i);
		stores_delete(store, key);
	}
	CHECK_EQ(dw_compact(store, NULL), 0);
	for (int i = 0; i < 20; i++) {
		CHECK_EQ(dw_iter_next(iter, &item), 1);
		CHECK_EQ(dw_iter_read(iter, &byte, 1, 0), 1);
		CHECK_EQ(byte, 'v');
	}
	CHECK_EQ(dw_iter_next(iter, &item), 0);
	dw_iter_close(iter);
	CHECK_EQ(dw_count(store), 0);
	CHECK_EQ(dw_count(snapshot), 20);
	stores_close(snapshot);
	CHECK(stores_fd_count() <= fds - 20);
	stores_close(store);
}

/* A write that finds no memory for its key is not done. */
static void test_no_memory(void)
{
	struct dw_store *store = stores_open(stores_dir(), 0), *older = NULL, *newer = NULL;
	const struct dw_bytes key = stores_bytes("key");
	struct dw_stats before, after;

	stores_put(store, "key", "1");
	CHECK_EQ(dw_snapshot(store, &older), 0);
	CHECK_EQ(dw_snapshot(store, &newer), 0);
	dw_get_stats(store, &before);
	struct arena *arena = &store->core->index.active->keydir.entries;
	uint32_t chunks = arena->chunk_count;
	arena->chunk_count = ARENA_CHUNKS_MAX; /* no further one */
	CHECK_EQ(dw_put(store, key, stores_bytes("2")), -ENOMEM);
	CHECK_EQ(dw_delete(store, key), -ENOMEM);
	arena->chunk_count = chunks;
	dw_get_stats(store, &after);
	CHECK_EQ(after.next_txid, before.next_txid);
	stores_expect(store, "key", "1");
	stores_expect(older, "key", "1");
	stores_expect(newer, "key", "1");
	stores_put(store, "key", "2");
	stores_expect(older, "key", "1");
	stores_expect(newer, "key", "1");
	stores_close(older);
	stores_close(newer);
	stores_expect(store, "key", "2");
	stores_close(store);
}

/* --- time --- */

#ifdef STORE_CHECKS
enum { MANY = 100000 };
#else
enum { MANY = 1000000 };
#endif
enum { BATCH = 1000, TRIES = 20 };

static double now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Put `count` keys of 16 bytes, from the first on; millions a second. */
static double put_many(struct dw_store *store, unsigned count)
{
	static char texts[BATCH][17];
	static struct dw_op ops[BATCH];
	double start = now_us();

	for (unsigned i = 0; i < count; i += BATCH) {
		for (unsigned j = 0; j < BATCH; j++) {
			(void)snprintf(texts[j], sizeof texts[j], "%016u", i + j);
			ops[j] = (struct dw_op){
				.type = DW_PUT, .key = {texts[j], 16}, .value = {texts[j], 16}};
		}
		CHECK_EQ(dw_batch(store, ops, BATCH), 0);
	}
	return count / (now_us() - start);
}

/* The best of some: other work of the machine is not measured. */
static double best_time(struct dw_store *store, double *close_ret)
{
	double best = 1e9, best_close = 1e9;

	for (int i = 0; i < TRIES; i++) {
		struct dw_store *snapshot = NULL;
		double start = now_us();
		CHECK_EQ(dw_snapshot(store, &snapshot), 0);
		double taken = now_us() - start;
		start = now_us();
		stores_close(snapshot);
		double closed = now_us() - start;
		best = taken < best ? taken : best;
		best_close = closed < best_close ? closed : best_close;
	}
	*close_ret = best_close;
	return best;
}

static void test_time(void)
{
	struct dw_store *store = stores_open(stores_dir(), 0), *snapshot = NULL;
	double empty_close, many_close, empty = best_time(store, &empty_close);

	put_many(store, MANY);
	double many = best_time(store, &many_close);
	printf("  taken in %.1f us of no keys, in %.1f us of %d; closed in %.1f and %.1f\n", empty,
	       many, MANY, empty_close, many_close);
	CHECK(many < 1000); /* a copy of so many keys takes much longer */
	double none = put_many(store, MANY / 4);
	CHECK_EQ(dw_snapshot(store, &snapshot), 0);
	double first = put_many(store, MANY / 4), later = put_many(store, MANY / 4);
	printf("  millions of puts a second: %.2f without, %.2f with a snapshot (first changes), "
	       "%.2f (later ones)\n",
	       none, first, later);
	stores_close(snapshot);
	stores_close(store);
}

/* Long work on a snapshot: it can be slowed and cancelled, and nothing of it outlives the
 * snapshot. */
struct canceller {
	struct dw_store *store;
	atomic_bool done;
};

static void *keep_cancelling(void *arg)
{
	struct canceller *canceller = arg;

	while (!atomic_load(&canceller->done)) {
		dw_verify_cancel(canceller->store);
		(void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	return NULL;
}

static void test_maintenance(void)
{
	const struct dw_maintain_options scrub = {.scrub_interval_ms = 1},
					 compact = {.compact = true};
	struct dw_store *store = stores_open(stores_dir(), 0), *snapshot = NULL;
	struct dw_verify_report report = {0};
	pthread_t thread;

	for (int i = 0; i < 3000; i++)
		stores_put(store, "key", "a value of which there are many records");
	CHECK_EQ(dw_snapshot(store, &snapshot), 0);
	CHECK_EQ(dw_maintain(snapshot, &scrub), -ENOTSUP);
	CHECK_EQ(dw_maintain(snapshot, &compact), -ENOTSUP);
	CHECK_EQ(dw_maintain(snapshot, NULL), 0);
	dw_compact_cancel(snapshot);
	/* a rate at which it waits: by the clock that its waiting goes by */
	const struct dw_verify_options slowly = {.rate = 1 << 20};
	struct timespec begun, ended, used;
	(void)clock_gettime(CLOCK_MONOTONIC, &begun);
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	int64_t cpu_ns = -((int64_t)used.tv_sec * 1000000000 + used.tv_nsec);
	CHECK_EQ(dw_verify_with(snapshot, &slowly, &report), 0);
	CHECK_EQ(report.records, 3000);
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	(void)clock_gettime(CLOCK_MONOTONIC, &ended);
	cpu_ns += (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
	double took = difftime(ended.tv_sec, begun.tv_sec) +
		      (double)(ended.tv_nsec - begun.tv_nsec) / 1e9;
	CHECK(took > 0.05);
	CHECK((double)cpu_ns / 1e9 < took / 2); /* it slept */
	const struct dw_verify_options hardly = {.rate = 1};
	struct canceller canceller = {.store = snapshot};
	CHECK_EQ(pthread_create(&thread, NULL, keep_cancelling, &canceller), 0);
	CHECK_EQ(dw_verify_with(snapshot, &hardly, &report), -ECANCELED);
	atomic_store(&canceller.done, true);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	stores_close(snapshot);
	stores_close(store);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"snapshot_empty", test_empty},         {"snapshot_recreated", test_recreated},
		{"snapshot_large", test_large},         {"snapshot_refused", test_refused},
		{"snapshot_of_reader", test_of_reader}, {"snapshot_space", test_space},
		{"snapshot_no_memory", test_no_memory}, {"snapshot_maintenance", test_maintenance},
		{"snapshot_time", test_time},           {NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
