/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_compact_run.c - compaction of a run of the oldest segments: which run is chosen, that the
 * view stays the same, and that it can be cancelled and slowed down.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "compact/compact.h"
#include "store/store.h"
#include "tests/support/files.h"
#include "tests/support/numbered.h"
#include "tests/support/stores.h"

/* --- choosing --- */

/* Segments of 1000 bytes of which so many records of ten are dead; the tombstones lie in a
 * segment of their own, a large live put seals them and makes that one count for little. */
static struct dw_store *store_of(const int *dead, int count)
{
	struct dw_store *store = stores_open(stores_dir(), 1 << 20);

	for (int i = 0; i < count; i++)
		numbered_put(store, 100 * i, 10);
	for (int i = 0; i < count; i++)
		numbered_delete(store, 100 * i, dead[i]);
	return store;
}

static size_t chosen(struct dw_store *store, unsigned percent, uint64_t copy_max,
		     struct compact_run *ret)
{
	const struct compact_limits limits = {.dead_percent = percent, .copy_max = copy_max};

	log_lock(&store->core->log);
	compact_choose_locked(store->core, &limits, ret);
	log_unlock(&store->core->log);
	return ret->count;
}

static void test_choice(void)
{
	static const int front[] = {6, 0, 0, 0}, ends[] = {10, 0, 0, 6}, middle[] = {0, 0, 10, 0},
			 behind[] = {10, 1, 0, 0};
	struct compact_run run;
	struct dw_store *store = store_of(front, 4);

	/* 6 dead of 10, and 6 tombstones of 36 bytes at the end */
	CHECK_EQ(chosen(store, 50, UINT64_MAX, &run), 1);
	CHECK_EQ(run.copied, 400);
	CHECK_EQ(run.freed, 600);
	CHECK_EQ(chosen(store, 60, UINT64_MAX, &run), 1); /* exactly */
	CHECK_EQ(chosen(store, 61, UINT64_MAX, &run), 0);
	CHECK_EQ(chosen(store, 15, UINT64_MAX, &run), 5); /* the active one is dead, and the
							     whole is so by 816 of 4216 */
	CHECK(run.active);
	CHECK_EQ(chosen(store, 0, UINT64_MAX, &run), 5);
	CHECK_EQ(chosen(store, 0, 399, &run), 0);
	CHECK_EQ(chosen(store, 0, 400, &run), 1);
	CHECK_EQ(chosen(store, 0, 3399, &run), 1); /* no live segments for nothing */
	CHECK_EQ(chosen(store, 0, 3400, &run), 5);
	stores_close(store);
	store = store_of(ends, 4);
	/* 1600 of 4000 are dead; with the active one 2176 of 4576 */
	CHECK_EQ(chosen(store, 40, UINT64_MAX, &run), 5);
	CHECK_EQ(chosen(store, 50, UINT64_MAX, &run), 1);
	CHECK_EQ(chosen(store, 0, 0, &run), 1);
	CHECK_EQ(run.copied, 0);
	stores_close(store);
	store = store_of(behind, 4);
	/* both together are so by 55 %, but the second one is hardly worth it */
	CHECK_EQ(chosen(store, 50, UINT64_MAX, &run), 1);
	stores_close(store);
	store = store_of(middle, 4);
	/* two live ones in front: 1000 of 3000 */
	CHECK_EQ(chosen(store, 50, UINT64_MAX, &run), 0);
	CHECK_EQ(chosen(store, 33, UINT64_MAX, &run), 3);
	CHECK_EQ(chosen(store, 0, 0, &run), 0);
	stores_close(store);
}

/* Raw records are not dead. */
static void test_raw_counts(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 1 << 20);
	struct compact_run run;

	for (int i = 0; i < 10; i++)
		CHECK_EQ(dw_append_raw(store, stores_bytes("raw"), stores_bytes("payload")), 0);
	for (int i = 0; i < 3; i++) { /* appended, replayed by reading, by hint, compacted */
		CHECK_EQ(chosen(store, 1, UINT64_MAX, &run), 0);
		stores_close(store);
		if (!i)
			files_remove_suffixed(dir, ".hint");
		store = stores_open(dir, 1 << 20);
	}
	stores_put(store, "a", "1");
	stores_put(store, "a", "2");
	CHECK_EQ(dw_compact(store, NULL), 0);
	CHECK_EQ(chosen(store, 1, UINT64_MAX, &run), 0);
	stores_close(store);
}

/* --- running --- */

static void test_prefix(void)
{
	static const int dead[] = {6, 0, 0};
	const struct dw_compact_options options = {.dead_percent = 50};
	struct dw_store *store = store_of(dead, 3);
	struct dw_compact_report report;
	struct dw_stats stats;

	CHECK_EQ(dw_compact_with(store, &options, &report), 0);
	CHECK_EQ(report.segments_before, 1);
	CHECK_EQ(report.segments_after, 1);
	CHECK_EQ(report.bytes_before, 1000);
	CHECK_EQ(report.bytes_after, 400);
	dw_get_stats(store, &stats);
	CHECK_EQ(stats.bytes, 2000 + 6 * 36 + 400);
	numbered_expect_keys(store, 0, 6, false);
	numbered_expect_keys(store, 6, 4, true);
	numbered_expect_keys(store, 100, 10, true);
	CHECK_EQ(dw_compact_with(store, &options, &report), 0);
	CHECK_EQ(report.segments_before, 0);
	CHECK_EQ(dw_compact_with(store, &(struct dw_compact_options){.dead_percent = 101}, NULL),
		 -EINVAL);
	/* the tombstones stand before the outputs now; the records that they hid are gone */
	CHECK_EQ(dw_compact(store, &report), 0);
	CHECK_EQ(report.bytes_after, 2400 + 36); /* the last one has the highest txid */
	numbered_expect_keys(store, 0, 6, false);
	numbered_expect_keys(store, 6, 4, true);
	stores_close(store);
}

static void put_large(struct dw_store *store, const char *key)
{
	uint8_t *noise = stores_noise(1, 2000);

	CHECK_EQ(dw_put(store, stores_bytes(key), (struct dw_bytes){noise, 2000}), 0);
	free(noise);
}

static size_t ids_of(struct dw_store *store, uint32_t ret[20])
{
	struct dw_segment_stat *stats = NULL;
	size_t count = 0;

	CHECK_EQ(dw_segment_stats(store, &stats, &count), 0);
	CHECK(count <= 20);
	for (size_t i = 0; i < count; i++)
		ret[i] = stats[i].id;
	free(stats);
	return count;
}

/* Outputs go behind all sealed segments and before the active one.  A gap that is left there
 * serves the next run; a run in which all is dead needs none. */
static void test_ids(void)
{
	const struct dw_compact_options options = {.dead_percent = 50};
	struct dw_store *store = stores_open(stores_dir(), 1 << 20);
	uint32_t ids[20];

	for (int i = 0; i < 4; i++)
		numbered_put(store, 100 * i, 10); /* 1 to 4; 5 is active, with a live put */
	put_large(store, "live");
	numbered_delete(store, 0, 6);
	CHECK_EQ(dw_compact_with(store, &options, NULL), 0);
	CHECK_EQ(ids_of(store, ids), 6);
	CHECK_EQ(ids[0], 2);
	CHECK_EQ(ids[3], 5);
	CHECK_EQ(ids[4], 6); /* the output; of two ids that were kept free one is left */
	CHECK_EQ(ids[5], 8);
	numbered_delete(store, 100, 10); /* 2 is dead: it goes, and no more */
	put_large(store, "live too");
	CHECK_EQ(dw_compact_with(store, &options, NULL), 0);
	CHECK_EQ(ids_of(store, ids), 5);
	CHECK_EQ(ids[0], 3);
	CHECK_EQ(ids[4], 8);
	numbered_expect_keys(store, 6, 4, true);
	numbered_expect_keys(store, 100, 10, false);
	numbered_expect_keys(store, 200, 10, true);
	stores_close(store);
}

/* A run in which nothing seems to live, but for a tombstone that must stay. */
static void test_last_tombstone(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, NUMBERED_SEGMENT_SIZE);
	const struct dw_compact_options options = {.dead_percent = 100};
	struct dw_stats stats;

	stores_put(store, "a", "1");
	stores_delete(store, "a");
	CHECK_EQ(dw_rotate(store), 0); /* the active one is empty */
	CHECK_EQ(dw_compact_with(store, &options, NULL), 0);
	stores_expect(store, "a", NULL);
	dw_get_stats(store, &stats);
	CHECK_EQ(stats.bytes, 29);
	CHECK_EQ(stats.next_txid, 3);
	stores_close(store);
	store = stores_open(dir, NUMBERED_SEGMENT_SIZE);
	dw_get_stats(store, &stats);
	CHECK_EQ(stats.next_txid, 3);
	stores_close(store);
}

/* --- cancelled, watched --- */

struct watched {
	struct spaceio space; /* first: it is also the io */
	struct dw_store *store;
	ssize_t (*pwritev)(struct io *io, int fd, const struct iovec *iov, int count, off_t offset);
	bool cancel;
	int copying; /* writes seen while it copied */
	struct dw_compact_progress last;
};

static ssize_t watch_write(struct io *io, int fd, const struct iovec *iov, int count, off_t offset)
{
	struct watched *w = (struct watched *)io;

	if (w->store) {
		dw_compact_progress(w->store, &w->last);
		w->copying += w->last.phase == DW_COMPACT_COPYING;
		if (w->cancel && w->copying)
			dw_compact_cancel(w->store);
	}
	return w->pwritev(io, fd, iov, count, offset);
}

static void test_cancel(void)
{
	static const int dead[] = {5, 5, 5};
	struct watched w = {.cancel = true};
	const char *dir = stores_dir();
	struct dw_compact_progress progress;
	struct dw_stats stats;
	struct dw_store *store = numbered_store(&w.space, dir, dead, 3);

	w.pwritev = w.space.io.pwritev;
	w.space.io.pwritev = watch_write;
	dw_compact_cancel(store); /* none runs: the next one does not mind */
	w.store = store;
	CHECK_EQ(dw_compact(store, NULL), -ECANCELED);
	CHECK(w.copying > 0);
	CHECK_EQ(w.last.bytes_total, 3000 + 15 * 36);
	CHECK_EQ(w.last.segments_total, 4);
	dw_compact_progress(store, &progress);
	CHECK_EQ(progress.phase, DW_COMPACT_IDLE);
	CHECK_EQ(files_count_suffixed(dir, ".compact"), 0);
	numbered_expect(store, dead, 3);
	dw_get_stats(store, &stats);
	CHECK_EQ(stats.bytes, 3000 + 15 * 36);
	CHECK_EQ(stats.compactions, 0);
	w.cancel = false;
	CHECK_EQ(dw_compact(store, NULL), 0);
	dw_compact_progress(store, &progress);
	CHECK_EQ(progress.bytes_done, progress.bytes_total);
	CHECK_EQ(progress.segments_done, progress.segments_total);
	numbered_expect(store, dead, 3);
	stores_close(store);
}

static void *compact_slowly(void *context)
{
	const struct dw_compact_options options = {.rate = 1};

	return (void *)(intptr_t)dw_compact_with(context, &options, NULL);
}

/* One that waits for its rate is cancelled at once, and another one is refused meanwhile. */
static void test_cancel_waiting(void)
{
	static const int dead[] = {5, 5, 5};
	struct spaceio space;
	struct dw_store *store = numbered_store(&space, stores_dir(), dead, 3);
	struct dw_compact_progress progress = {.phase = DW_COMPACT_IDLE};
	pthread_t thread;
	void *result;

	CHECK_EQ(pthread_create(&thread, NULL, compact_slowly, store), 0);
	while (progress.phase != DW_COMPACT_COPYING || !progress.bytes_done) /* then for an hour */
		dw_compact_progress(store, &progress);
	CHECK_EQ(progress.phase, DW_COMPACT_COPYING);
	CHECK_EQ(dw_compact(store, NULL), -EBUSY);
	dw_compact_cancel(store);
	CHECK_EQ(pthread_join(thread, &result), 0);
	CHECK_EQ((intptr_t)result, -ECANCELED);
	CHECK_EQ(dw_compact(store, NULL), 0);
	numbered_expect(store, dead, 3);
	stores_close(store);
}

/* Bytes read and written take their time. */
static void test_rate(void)
{
	static const int dead[] = {5, 5, 5};
	const struct dw_compact_options options = {.rate = 10000};
	struct spaceio space;
	struct dw_store *store = numbered_store(&space, stores_dir(), dead, 3);
	int64_t begun = clock_monotonic_ns();

	/* reads 3540, writes 1500, and a tenth of a second's worth is free */
	CHECK_EQ(dw_compact_with(store, &options, NULL), 0);
	CHECK(clock_monotonic_ns() - begun > 350000000);
	numbered_expect(store, dead, 3);
	stores_close(store);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"compact_run_choice", test_choice},
		{"compact_run_raw_counts", test_raw_counts},
		{"compact_run_prefix", test_prefix},
		{"compact_run_ids", test_ids},
		{"compact_run_last_tombstone", test_last_tombstone},
		{"compact_run_cancel", test_cancel},
		{"compact_run_cancel_waiting", test_cancel_waiting},
		{"compact_run_rate", test_rate},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
