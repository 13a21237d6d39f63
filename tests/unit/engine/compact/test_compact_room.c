/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_compact_room.c - compaction on a full disk: with any amount of room the view stays, no file
 * is left over, and as much is freed as the room allows.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "store/store.h"
#include "tests/support/files.h"
#include "tests/support/numbered.h"
#include "tests/support/spaceio.h"
#include "tests/support/stores.h"

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
			struct dw_store *store = numbered_store(&space, dir, cases[i], 6);
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
			numbered_expect(store, cases[i], 6);
			CHECK_EQ(files_count_suffixed(dir, ".compact"), 0);
			space.room = INT64_MAX / 2;
			stores_put(store, "goes", "on");
			CHECK_EQ(dw_compact(store, NULL), 0);
			stores_close(store);
			store = stores_open(dir, NUMBERED_SEGMENT_SIZE);
			numbered_expect(store, cases[i], 6);
			stores_expect(store, "goes", "on");
			stores_close(store);
		}
	}
	printf("  all freed %zu times, some %zu, nothing %zu\n", freed_all, freed_some, freed_none);
	CHECK(freed_all && freed_some && freed_none);
}

/* No room at all, not for the name of a file: dead segments go, and make room for the rest, step by
 * step. */
static void test_no_room(void)
{
	static const int dead[] = {10, 5, 5, 5, 5, 5};
	struct spaceio space;
	const char *dir = stores_dir();
	struct dw_store *store = numbered_store(&space, dir, dead, 6);
	struct dw_compact_report report;

	space.file_cost = 50;
	space.room = 0;
	CHECK_EQ(dw_put(store, stores_bytes("no"), stores_bytes("room")), -ENOSPC);
	CHECK_EQ(dw_compact(store, &report), 0);
	CHECK_EQ(dead_bytes(store), 36);
	CHECK_EQ(report.bytes_before - report.bytes_after, 3500 + 34 * 36);
	CHECK(space.refused > 0);
	stores_put(store, "now there is", "room");
	numbered_expect(store, dead, 6);
	stores_close(store);
}

/* A full disk, or quota, and then every key is deleted: a compaction always frees it, wherever
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
	numbered_delete(store, 0, keys);
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
		struct dw_store *store = numbered_open(&space.io, dir, segment_size);
		fill_and_delete(store, &rng);
		if (round % 5 == 4) {
			CHECK_EQ(dw_close(store), 0);
			store = numbered_open(&space.io, dir, segment_size);
		}
		/* at most the rest of the reserve, and none elsewhere */
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
	CHECK_EQ(lent, 0); /* lent room is taken back */
}

/* Something lives: how much room would do is told, and with that it does. */
static void test_room_needed(void)
{
	static const int dead[] = {0, 3, 5};
	const struct dw_options options = {.segment_size = NUMBERED_SEGMENT_SIZE};
	struct dw_compact_report report = {0};
	struct spaceio space;
	const char *dir = stores_dir();
	struct dw_store *store = numbered_store(&space, dir, dead, 3);

	space.room = 10;
	CHECK_EQ(dw_compact(store, &report), -ENOSPC);
	CHECK_EQ(report.segments_before, 0);
	CHECK_EQ(report.room_needed, 1000 + 700 + (1 << 20));
	space.error = EDQUOT;
	CHECK_EQ(dw_compact(store, &report), -EDQUOT);
	space.room = (int64_t)report.room_needed;
	CHECK_EQ(dw_compact(store, &report), 0);
	CHECK_EQ(report.room_needed, 0);
	numbered_expect(store, dead, 3);
	stores_close(store);
	CHECK_EQ(store_open(&space.io, dir, &options, NULL, &store), 0);
	numbered_expect(store, dead, 3);
	stores_close(store);
}

/* A part of a copy would pass for a whole store. */
static void test_copy_fails(void)
{
	static const int dead[] = {1, 1, 1};
	struct spaceio space;
	const char *target = stores_dir();
	struct dw_store *store = numbered_store(&space, stores_dir(), dead, 3);

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
	store = numbered_open(&io, stores_dir(), NUMBERED_SEGMENT_SIZE);
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

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"compact_run_full_disk", test_full_disk},
		{"compact_run_no_room", test_no_room},
		{"compact_run_all_deleted", test_all_deleted},
		{"compact_run_room_needed", test_room_needed},
		{"compact_run_copy_fails", test_copy_fails},
		{"compact_run_copy_fails_elsewhere", test_copy_fails_elsewhere},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
