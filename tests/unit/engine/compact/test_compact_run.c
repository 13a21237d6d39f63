/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_compact_run.c - compaction of a run of the oldest segments: which, that it leaves
 * the view alone, with little room, cancelled.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "compact/compact.h"
#include "store/store.h"
#include "tests/support/files.h"
#include "tests/support/spaceio.h"
#include "tests/support/stores.h"

enum { SEGMENT_SIZE = 1000 };

static struct dw_store *open_with(struct io *io, const char *dir, uint64_t segment_size)
{
	const struct dw_options options = {.create = true, .segment_size = segment_size};
	struct dw_store *store = NULL;

	CHECK_EQ(store_open(io, dir, &options, NULL, &store), 0);
	return store;
}

/* A segment of `count` puts of 100 bytes each, "FIRST" and so on, sealed. */
static void put_segment(struct dw_store *store, int first, int count)
{
	char key[16], value[64];

	memset(value, 'v', sizeof value);
	for (int i = first; i < first + count; i++) {
		(void)snprintf(key, sizeof key, "%08d", i);
		const struct dw_bytes bytes = {value, 100 - 28 - 8};
		CHECK_EQ(dw_put(store, stores_bytes(key), bytes), 0);
	}
	CHECK_EQ(dw_rotate(store), 0);
}

static void delete_keys(struct dw_store *store, int first, int count)
{
	char key[16];

	for (int i = first; i < first + count; i++) {
		(void)snprintf(key, sizeof key, "%08d", i);
		stores_delete(store, key);
	}
}

static void expect_keys(struct dw_store *store, int first, int count, bool there)
{
	char key[16];

	for (int i = first; i < first + count; i++) {
		(void)snprintf(key, sizeof key, "%08d", i);
		struct dw_value value;
		int rc = dw_get(store, stores_bytes(key), &value);
		CHECK_EQ(rc, there ? 0 : -ENOENT);
		if (!rc)
			free(value.data);
	}
}

/* --- choosing --- */

/* Segments of 1000 bytes of which so many records of ten are dead; the tombstones lie in a
 * segment of their own, a large live put seals them and makes that one count for little. */
static struct dw_store *store_of(const int *dead, int count)
{
	struct dw_store *store = stores_open(stores_dir(), 1 << 20);

	for (int i = 0; i < count; i++)
		put_segment(store, 100 * i, 10);
	for (int i = 0; i < count; i++)
		delete_keys(store, 100 * i, dead[i]);
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
	expect_keys(store, 0, 6, false);
	expect_keys(store, 6, 4, true);
	expect_keys(store, 100, 10, true);
	CHECK_EQ(dw_compact_with(store, &options, &report), 0);
	CHECK_EQ(report.segments_before, 0);
	CHECK_EQ(dw_compact_with(store, &(struct dw_compact_options){.dead_percent = 101}, NULL),
		 -EINVAL);
	/* the tombstones stand before the outputs now; what they hid is gone */
	CHECK_EQ(dw_compact(store, &report), 0);
	CHECK_EQ(report.bytes_after, 2400 + 36); /* the last one has the highest txid */
	expect_keys(store, 0, 6, false);
	expect_keys(store, 6, 4, true);
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
		put_segment(store, 100 * i, 10); /* 1 to 4; 5 is active, with a live put */
	put_large(store, "live");
	delete_keys(store, 0, 6);
	CHECK_EQ(dw_compact_with(store, &options, NULL), 0);
	CHECK_EQ(ids_of(store, ids), 6);
	CHECK_EQ(ids[0], 2);
	CHECK_EQ(ids[3], 5);
	CHECK_EQ(ids[4], 6); /* the output; of two ids that were kept free one is left */
	CHECK_EQ(ids[5], 8);
	delete_keys(store, 100, 10); /* 2 is dead: it goes, and no more */
	put_large(store, "live too");
	CHECK_EQ(dw_compact_with(store, &options, NULL), 0);
	CHECK_EQ(ids_of(store, ids), 5);
	CHECK_EQ(ids[0], 3);
	CHECK_EQ(ids[4], 8);
	expect_keys(store, 6, 4, true);
	expect_keys(store, 100, 10, false);
	expect_keys(store, 200, 10, true);
	stores_close(store);
}

/* --- a full disk --- */

/* `n` segments of ten keys each, of which `dead[i]` are deleted. */
static struct dw_store *full_store(struct spaceio *space, const char *dir, const int *dead, int n)
{
	spaceio_init(space);
	struct dw_store *store = open_with(&space->io, dir, SEGMENT_SIZE);
	for (int i = 0; i < n; i++)
		put_segment(store, 100 * i, 10);
	for (int i = 0; i < n; i++)
		delete_keys(store, 100 * i, dead[i]);
	return store;
}

static void expect_full(struct dw_store *store, const int *dead, int n)
{
	for (int i = 0; i < n; i++) {
		expect_keys(store, 100 * i, dead[i], false);
		expect_keys(store, 100 * i + dead[i], 10 - dead[i], true);
	}
}

static uint64_t dead_bytes(struct dw_store *store)
{
	struct dw_stats stats;

	dw_get_stats(store, &stats);
	return stats.bytes - stats.live_bytes;
}

/* With whatever room there is: the view stays, no file is left over, and either all that
 * is dead goes, or nothing more could. */
static void test_full_disk(void)
{
	static const int cases[][6] = {
		{10, 5, 5, 5, 5, 5}, {2, 5, 0, 9, 10, 1}, {5, 5, 5, 5, 5, 5}, {1, 0, 0, 0, 0, 10}};
	size_t freed_all = 0, freed_some = 0, freed_none = 0;

	for (size_t i = 0; i < 4; i++) {
		for (int64_t room = 0; room < 4500; room += 150) {
			const char *dir = check_dir();
			struct spaceio space;
			struct dw_store *store = full_store(&space, dir, cases[i], 6);
			struct dw_compact_report report;
			uint64_t dead = dead_bytes(store);
			space.file_cost = 50;
			space.room = room;
			int rc = dw_compact(store, &report);
			CHECK(rc == 0 || rc == -ENOSPC);
			if (rc)
				CHECK_EQ(dead_bytes(store), dead);
			else
				CHECK_EQ(dead - dead_bytes(store),
					 report.bytes_before - report.bytes_after);
			/* one tombstone keeps the highest txid */
			CHECK_EQ(report.room_needed > 0, dead_bytes(store) > 36);
			freed_all += dead_bytes(store) <= 36;
			freed_some += !rc && dead_bytes(store) > 36;
			freed_none += rc != 0;
			expect_full(store, cases[i], 6);
			CHECK_EQ(files_count_suffixed(dir, ".compact"), 0);
			space.room = INT64_MAX / 2;
			stores_put(store, "goes", "on");
			CHECK_EQ(dw_compact(store, NULL), 0);
			stores_close(store);
			store = stores_open(dir, SEGMENT_SIZE);
			expect_full(store, cases[i], 6);
			stores_expect(store, "goes", "on");
			stores_close(store);
		}
	}
	printf("  all freed %zu times, some %zu, nothing %zu\n", freed_all, freed_some, freed_none);
	CHECK(freed_all && freed_some && freed_none);
}

/* No room at all, not for the name of a file: what is wholly dead goes, and makes room for
 * the rest, step by step. */
static void test_no_room(void)
{
	static const int dead[] = {10, 5, 5, 5, 5, 5};
	struct spaceio space;
	const char *dir = stores_dir();
	struct dw_store *store = full_store(&space, dir, dead, 6);
	struct dw_compact_report report;

	space.file_cost = 50;
	space.room = 0;
	CHECK_EQ(dw_put(store, stores_bytes("no"), stores_bytes("room")), -ENOSPC);
	CHECK_EQ(dw_compact(store, &report), 0);
	CHECK_EQ(dead_bytes(store), 36);
	CHECK_EQ(report.bytes_before - report.bytes_after, 3500 + 34 * 36);
	CHECK(space.refused > 0);
	stores_put(store, "now there is", "room");
	expect_full(store, dead, 6);
	stores_close(store);
}

/* A full disk, or quota, whose every key is then deleted: a compaction always frees it, wherever
 * the last blocks went: in one segment or many, as the process goes on or in the next one. */
static void fill_and_delete(struct dw_store *store, struct rng *rng)
{
	static const uint8_t bytes[5000];
	char key[16];
	int keys = 0, rc = 0;

	for (uint64_t most = sizeof bytes; most > 3; most /= 4)
		for (rc = 0; !rc && keys < 60; keys += !rc) {
			const struct dw_bytes value = {bytes, 1 + rng_below(rng, most)};
			(void)snprintf(key, sizeof key, "%08d", keys);
			rc = dw_put(store, stores_bytes(key), value);
		}
	delete_keys(store, 0, keys);
	CHECK_EQ(dw_count(store), 0);
}

static void test_all_deleted(void)
{
	struct rng rng = check_rng();
	size_t lent = 0, full = 0;

	for (int round = 0; round < 300; round++) {
		const char *dir = check_dir();
		uint64_t segment_size = round % 3 ? 65536 : 1 << 20;
		struct dw_compact_report report;
		struct spaceio space;
		spaceio_init(&space);
		spaceio_allocates(&space);
		space.error = round % 2 ? EDQUOT : 0;
		space.room = 100000 + (int64_t)rng_below(&rng, 200000);
		space.file_cost = (int64_t)rng_below(&rng, 100);
		struct dw_store *store = open_with(&space.io, dir, segment_size);
		fill_and_delete(store, &rng);
		if (round % 5 == 4) {
			CHECK_EQ(dw_close(store), 0);
			store = open_with(&space.io, dir, segment_size);
		}
		/* what the reserve has left, at most, and none elsewhere */
		space.room = (int64_t)rng_below(&rng, 40);
		uint64_t refused = space.refused;
		int rc = dw_compact(store, &report);
		if (rc)
			printf("  round %d\n", round);
		CHECK_EQ(rc, 0);
		CHECK_EQ(dead_bytes(store), 36);
		full += space.refused > refused;
		lent += store->core->log.prealloc.lent;
		/* the reserve of a segment may be all that so small a disk has */
		bool roomy = report.bytes_before - report.bytes_after > segment_size / 16;
		if (roomy)
			stores_put(store, "now there is", "room");
		CHECK_EQ(files_count_suffixed(dir, ".compact"), 0);
		CHECK_EQ(dw_close(store), 0);
		store = stores_open(dir, segment_size);
		CHECK_EQ(dw_count(store), roomy);
		stores_close(store);
	}
	printf("  %zu of 300 met a full disk\n", full);
	CHECK(full > 100);
	CHECK_EQ(lent, 0); /* what was lent is taken back */
}

/* Something lives: how much room would do is told, and with that it does. */
static void test_room_needed(void)
{
	static const int dead[] = {0, 3, 5};
	const struct dw_options options = {.segment_size = SEGMENT_SIZE};
	struct dw_compact_report report = {0};
	struct spaceio space;
	const char *dir = stores_dir();
	struct dw_store *store = full_store(&space, dir, dead, 3);

	space.room = 10;
	CHECK_EQ(dw_compact(store, &report), -ENOSPC);
	CHECK_EQ(report.segments_before, 0);
	CHECK_EQ(report.room_needed, 1000 + 700 + (1 << 20));
	space.error = EDQUOT;
	CHECK_EQ(dw_compact(store, &report), -EDQUOT);
	space.room = (int64_t)report.room_needed;
	CHECK_EQ(dw_compact(store, &report), 0);
	CHECK_EQ(report.room_needed, 0);
	expect_full(store, dead, 3);
	stores_close(store);
	CHECK_EQ(store_open(&space.io, dir, &options, NULL, &store), 0);
	expect_full(store, dead, 3);
	stores_close(store);
}

/* A part of a copy would pass for a whole store. */
static void test_copy_fails(void)
{
	static const int dead[] = {1, 1, 1};
	struct spaceio space;
	const char *target = stores_dir();
	struct dw_store *store = full_store(&space, stores_dir(), dead, 3);

	space.room = 1500;
	CHECK_EQ(dw_compact_to(store, target), -ENOSPC);
	struct files left = files_snapshot(target);
	CHECK_EQ(left.count, 0);
	files_release(&left);
	space.room = 1 << 20;
	CHECK_EQ(dw_compact_to(store, target), 0);
	stores_close(store);
	store = stores_open_reader(target);
	CHECK_EQ(dw_count(store), 27);
	stores_close(store);
}

/* The target's name leads elsewhere from the first record on. */
static char moved_from[600], moved_to[600], moved_in[600];

static ssize_t move_target(struct io *io, int fd, const struct iovec *iov, int count, off_t offset)
{
	struct stat st, own;
	char first[700];

	(void)io;
	(void)snprintf(first, sizeof first, "%s/00000001.dwal", moved_from);
	CHECK_EQ(fstat(fd, &own), 0);
	if (stat(first, &st) < 0 || st.st_ino != own.st_ino)
		return io_posix.pwritev(&io_posix, fd, iov, count, offset);
	CHECK_EQ(rename(moved_from, moved_to), 0);
	CHECK_EQ(rename(moved_in, moved_from), 0);
	return -EIO;
}

/* A failed copy takes away what it made, wherever that is by now, and nothing else. */
static void test_copy_fails_elsewhere(void)
{
	const char *root = stores_dir();
	struct dw_store *store = NULL, *other;
	struct io io = io_posix;

	io.pwritev = move_target;
	(void)snprintf(moved_from, sizeof moved_from, "%s/target", root);
	(void)snprintf(moved_to, sizeof moved_to, "%s/moved", root);
	(void)snprintf(moved_in, sizeof moved_in, "%s/other", root);
	other = stores_open(moved_in, 0);
	stores_put(other, "precious", "1");
	stores_close(other);
	store = open_with(&io, stores_dir(), SEGMENT_SIZE);
	stores_put(store, "a", "1");
	CHECK_EQ(dw_compact_to(store, moved_from), -EIO);
	stores_close(store);
	struct files left = files_snapshot(moved_to);
	CHECK_EQ(left.count, 0);
	files_release(&left);
	other = stores_open_reader(moved_from);
	stores_expect(other, "precious", "1");
	stores_close(other);
}

/* A run in which nothing seems to live, but for a tombstone that must stay. */
static void test_last_tombstone(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, SEGMENT_SIZE);
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
	store = stores_open(dir, SEGMENT_SIZE);
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
	struct dw_store *store = full_store(&w.space, dir, dead, 3);

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
	expect_full(store, dead, 3);
	dw_get_stats(store, &stats);
	CHECK_EQ(stats.bytes, 3000 + 15 * 36);
	CHECK_EQ(stats.compactions, 0);
	w.cancel = false;
	CHECK_EQ(dw_compact(store, NULL), 0);
	dw_compact_progress(store, &progress);
	CHECK_EQ(progress.bytes_done, progress.bytes_total);
	CHECK_EQ(progress.segments_done, progress.segments_total);
	expect_full(store, dead, 3);
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
	struct dw_store *store = full_store(&space, stores_dir(), dead, 3);
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
	expect_full(store, dead, 3);
	stores_close(store);
}

/* Bytes read and written take their time. */
static void test_rate(void)
{
	static const int dead[] = {5, 5, 5};
	const struct dw_compact_options options = {.rate = 10000};
	struct spaceio space;
	struct dw_store *store = full_store(&space, stores_dir(), dead, 3);
	int64_t begun = clock_monotonic_ns();

	/* reads 3540, writes 1500, and a tenth of a second's worth is free */
	CHECK_EQ(dw_compact_with(store, &options, NULL), 0);
	CHECK(clock_monotonic_ns() - begun > 350000000);
	expect_full(store, dead, 3);
	stores_close(store);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"compact_run_choice", test_choice},
		{"compact_run_raw_counts", test_raw_counts},
		{"compact_run_prefix", test_prefix},
		{"compact_run_ids", test_ids},
		{"compact_run_full_disk", test_full_disk},
		{"compact_run_no_room", test_no_room},
		{"compact_run_all_deleted", test_all_deleted},
		{"compact_run_room_needed", test_room_needed},
		{"compact_run_copy_fails", test_copy_fails},
		{"compact_run_copy_fails_elsewhere", test_copy_fails_elsewhere},
		{"compact_run_last_tombstone", test_last_tombstone},
		{"compact_run_cancel", test_cancel},
		{"compact_run_cancel_waiting", test_cancel_waiting},
		{"compact_run_rate", test_rate},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
