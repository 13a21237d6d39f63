/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_below.c - a store inside another one (dw_open_in): whatever brings records of the one
 * above to disk finds on disk what was appended below before them.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/store.h"
#include "tests/support/files.h"
#include "tests/support/stores.h"

static const char below_name[] = DW_ATTR_DIRECTORY;

/* System calls that know what of the store below is not on disk. */
struct orderio {
	struct io io; /* first: the engine hands it back to us */
	atomic_bool dirty;
	atomic_int below_syncs, above_syncs;
	int fail_below;  /* the errno of each sync below; 0: none */
	bool fail_write; /* of the next write above, with -ENOSPC */
	/* while a segment is synced, once; may be NULL */
	void (*in_sync)(struct orderio *order), (*in_below_sync)(struct orderio *order);
	struct dw_store *above, *below;
};

enum place { BELOW, ABOVE, ELSEWHERE };

static enum place place_of(int fd)
{
	char link[64], path[300] = "";

	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	CHECK(readlink(link, path, sizeof path - 1) > 0);
	/* copies are of records that were on disk */
	if (!strstr(path, ".dwal") || strstr(path, ".dwal.compact"))
		return ELSEWHERE;
	return strstr(path, below_name) ? BELOW : ABOVE;
}

static ssize_t order_pwritev(struct io *io, int fd, const struct iovec *iov, int count,
			     off_t offset)
{
	struct orderio *order = (struct orderio *)io;
	enum place place = place_of(fd);

	if (place == BELOW)
		atomic_store(&order->dirty, true);
	if (place == ABOVE && order->fail_write) {
		order->fail_write = false;
		return -ENOSPC;
	}
	return io_posix.pwritev(&io_posix, fd, iov, count, offset);
}

static int order_sync(struct io *io, int fd)
{
	struct orderio *order = (struct orderio *)io;
	enum place place = place_of(fd);

	if (place == BELOW) {
		if (order->fail_below)
			return -order->fail_below;
		atomic_fetch_add(&order->below_syncs, 1);
		atomic_store(&order->dirty, false);
		if (order->in_below_sync)
			order->in_below_sync(order);
	}
	if (place == ABOVE) {
		CHECK(!atomic_load(&order->dirty));
		atomic_fetch_add(&order->above_syncs, 1);
		if (order->in_sync)
			order->in_sync(order);
	}
	return 0;
}

static void order_init(struct orderio *order)
{
	*order = (struct orderio){.io = io_posix};
	order->io.pwritev = order_pwritev;
	order->io.fdatasync = order->io.fsync = order_sync;
}

static void order_open(struct orderio *order, const char *dir, uint64_t segment_size)
{
	const struct dw_options options = {.segment_size = segment_size}, inside = {.create = true};

	CHECK_EQ(store_open(&order->io, dir, &options, NULL, &order->above), 0);
	CHECK_EQ(dw_open_in(order->above, below_name, &inside, NULL, &order->below), 0);
}

static void order_close(struct orderio *order)
{
	CHECK_EQ(dw_close(order->below), 0);
	CHECK_EQ(dw_close(order->above), 0);
}

/* Every way by which a store syncs: asked for, preallocated zeros entered, grown and left, records
 * that are written in two phases, rotation, compaction, close. */
static void test_order(void)
{
	struct orderio order;
	char value[300] = "";
	char key[8];

	order_init(&order);
	order_open(&order, stores_dir(), 100000);
	for (int i = 0; i < 4000; i++) {
		/* a value with many zeros is hard to tell from the zeros below it */
		struct dw_bytes zeros = {value, (size_t)(i * 7919 % 300)};
		(void)snprintf(key, sizeof key, "%d", i % 50);
		stores_put(order.below, key, "first");
		CHECK_EQ(dw_put(order.above, stores_bytes(key), zeros), 0);
		if (i % 100 < 60)
			CHECK_EQ(dw_sync(order.above), 0);
		if (i % 1000 == 999) {
			stores_put(order.below, key, "first");
			CHECK_EQ(dw_compact(order.above, NULL), 0);
		}
	}
	CHECK(atomic_load(&order.above_syncs) > 2400);
	stores_put(order.below, key, "first");
	order_close(&order);
}

static void test_nothing_new(void)
{
	struct orderio order;

	order_init(&order);
	order_open(&order, stores_dir(), 0);
	stores_put(order.above, "k", "v");
	CHECK_EQ(dw_sync(order.above), 0);
	stores_put(order.below, "k", "v");
	int syncs = atomic_load(&order.below_syncs);
	CHECK_EQ(dw_sync(order.above), 0);
	CHECK_EQ(atomic_load(&order.below_syncs), syncs + 1);
	CHECK_EQ(dw_sync(order.above), 0);
	CHECK_EQ(atomic_load(&order.below_syncs), syncs + 1);
	const struct dw_options options = {.create = true};
	struct dw_store *second;
	CHECK_EQ(dw_open_in(order.above, below_name, &options, NULL, &second), -EBUSY);
	order_close(&order);
}

/* A failure below keeps the store above from its disk, and from nothing else. */
static void test_failure(void)
{
	struct orderio order;

	order_init(&order);
	order_open(&order, stores_dir(), 0);
	stores_put(order.below, "k", "v");
	stores_put(order.above, "k", "v");
	int syncs = atomic_load(&order.above_syncs);
	order.fail_below = EIO;
	CHECK_EQ(dw_rotate(order.above), -EIO);
	CHECK_EQ(dw_sync(order.above), -EIO);
	order.fail_below = 0; /* it may say yes to pages that are gone */
	CHECK_EQ(dw_sync(order.above), -EIO);
	stores_put(order.above, "k", "w");
	stores_expect(order.above, "k", "w");
	CHECK_EQ(dw_close(order.below), -EIO);
	CHECK_EQ(dw_close(order.above), -EIO);
	CHECK_EQ(atomic_load(&order.above_syncs), syncs);
}

/* --- an append while the store above is being synced --- */

static void *put_both(void *context)
{
	struct orderio *order = context;

	stores_put(order->below, "late", "first");
	stores_put(order->above, "late", "second");
	return NULL;
}

static void append_in_sync(struct orderio *order)
{
	pthread_t thread;

	order->in_sync = NULL;
	CHECK_EQ(pthread_create(&thread, NULL, put_both, order), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	/* this sync may take the late record with it */
	CHECK(!atomic_load(&order->dirty));
}

static void test_append_in_sync(void)
{
	struct orderio order;

	order_init(&order);
	order_open(&order, stores_dir(), 0);
	stores_put(order.above, "k", "v");
	order.in_sync = append_in_sync;
	CHECK_EQ(dw_sync(order.above), 0);
	CHECK(!order.in_sync);
	order_close(&order);
}

static void append_before_sync(struct orderio *order)
{
	order->in_below_sync = NULL;
	(void)put_both(order);
	CHECK(atomic_load(&order->dirty));
}

/* The one above is not being synced yet, so its late record waits for nothing: the sync must. */
static void test_append_before_sync(void)
{
	struct orderio order;

	order_init(&order);
	order_open(&order, stores_dir(), 0);
	(void)put_both(&order);
	order.in_below_sync = append_before_sync;
	CHECK_EQ(dw_sync(order.above), 0);
	CHECK(!order.in_below_sync);
	order_close(&order);
}

/* The bytes that a failed append left after the records are removed durably, and that brings the
 * records before them to disk. */
static void test_undo(void)
{
	struct orderio order;
	char large[9000] = "";

	order_init(&order);
	order_open(&order, stores_dir(), 0);
	for (int i = 0; i < 40; i++) {
		stores_put(order.above, "k", "v");
		CHECK_EQ(dw_sync(order.above), 0);
	}
	(void)put_both(&order);
	order.fail_write = true;
	const struct dw_bytes value = {large, sizeof large};
	CHECK_EQ(dw_put(order.above, stores_bytes("k"), value), -ENOSPC);
	CHECK(!order.fail_write);
	order_close(&order);
}

/* --- many at once: real syncs, while others append --- */

enum { WRITERS = 3, RECORDS = 300 };

static struct {
	struct io io; /* first: the engine hands it back to us */
	struct dw_store *above, *below;
	/* of each writer, how many records it began to put below, has on disk there, and put above
	 */
	atomic_int put_below[WRITERS], on_disk[WRITERS], put_above[WRITERS];
	atomic_int writing, syncs, early;
} busy;

static int busy_sync(struct io *io, int fd)
{
	enum place place = place_of(fd);
	int before[WRITERS];

	(void)io;
	for (int i = 0; i < WRITERS; i++)
		before[i] = atomic_load(&busy.put_below[i]);
	int rc = io_posix.fdatasync(&io_posix, fd);
	for (int i = 0; place == BELOW && i < WRITERS; i++) {
		int known = atomic_load(&busy.on_disk[i]);
		while (known < before[i] &&
		       !atomic_compare_exchange_weak(&busy.on_disk[i], &known, before[i]))
			; /* another one was faster; `known` is what it said */
	}
	/* values put above until now may be on disk, too */
	for (int i = 0; place == ABOVE && i < WRITERS; i++) {
		int above = atomic_load(&busy.put_above[i]);
		atomic_fetch_add(&busy.early, above > atomic_load(&busy.on_disk[i]));
	}
	atomic_fetch_add(&busy.syncs, place == ABOVE);
	return rc;
}

static void *write_both(void *context)
{
	int i = *(const int *)context;
	char key[16];

	for (int n = 1; n <= RECORDS; n++) {
		(void)snprintf(key, sizeof key, "%d-%d", i, n % 20);
		atomic_store(&busy.put_below[i],
			     n); /* a sync may have it before this thread goes on */
		stores_put(busy.below, key, "first");
		stores_put(busy.above, key, "second");
		atomic_store(&busy.put_above[i], n);
	}
	atomic_fetch_sub(&busy.writing, 1);
	return NULL;
}

static void *sync_all(void *context)
{
	(void)context;
	while (atomic_load(&busy.writing))
		CHECK_EQ(dw_sync(busy.above), 0);
	return NULL;
}

static void test_many(void)
{
	const struct dw_options options = {.segment_size = 4000}, inside = {.create = true};
	const struct dw_maintain_options compacting = {
		.compact = true, .dead_percent = 30, .dead_bytes_min = 1, .look_ms = 1};
	static int numbers[WRITERS];
	pthread_t writers[WRITERS], syncers[2];

	busy.io = io_posix;
	busy.io.fdatasync = busy_sync;
	busy.writing = WRITERS;
	CHECK_EQ(store_open(&busy.io, stores_dir(), &options, NULL, &busy.above), 0);
	CHECK_EQ(dw_open_in(busy.above, below_name, &inside, NULL, &busy.below), 0);
	CHECK_EQ(dw_maintain(busy.above, &compacting), 0);
	for (int i = 0; i < WRITERS; i++) {
		numbers[i] = i;
		CHECK_EQ(pthread_create(&writers[i], NULL, write_both, &numbers[i]), 0);
	}
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_create(&syncers[i], NULL, sync_all, NULL), 0);
	for (int i = 0; i < WRITERS; i++)
		CHECK_EQ(pthread_join(writers[i], NULL), 0);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_join(syncers[i], NULL), 0);
	CHECK_EQ(dw_close(busy.below), 0);
	CHECK_EQ(dw_close(busy.above), 0);
	printf("  %d syncs\n", atomic_load(&busy.syncs));
	CHECK_EQ(atomic_load(&busy.early), 0);
}

/* --- what a writer that was killed left --- */

static void test_left(bool torn)
{
	const char *dir = stores_dir();
	const struct dw_options options = {.segment_size = 0};
	struct orderio order;
	char path[300];

	order_init(&order);
	order_open(&order, dir, 0);
	stores_put(order.below, "k", "v");
	stores_put(order.above, "k", "v");
	stores_kill(order.below);
	stores_kill(order.above);
	if (torn) {
		(void)snprintf(path, sizeof path, "%s/00000001.dwal", dir);
		FILE *segment = fopen(path, "a");
		CHECK(segment && fputs("DWAL", segment) > 0 && !fclose(segment));
	}
	/* by one that does not look into the store below */
	CHECK_EQ(store_open(&order.io, dir, &options, NULL, &order.above), 0);
	CHECK_EQ(dw_sync(order.above), 0);
	CHECK(atomic_load(&order.below_syncs) > 0);
	CHECK_EQ(dw_close(order.above), 0);
}

static void test_left_behind(void)
{
	test_left(false);
	test_left(true);
}

/* No store of attributes, but something of its name. */
static void test_no_store(void)
{
	const char *dir = stores_dir();
	char path[300];

	stores_close(stores_open(dir, 0));
	(void)snprintf(path, sizeof path, "%s/%s", dir, below_name);
	CHECK_EQ(symlink("/", path), 0);
	stores_close(stores_open(dir, 0));
	CHECK_EQ(unlink(path), 0);
	files_write(AT_FDCWD, path, "x", 1);
	stores_close(stores_open(dir, 0));
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"below_order", test_order},
		{"below_nothing_new", test_nothing_new},
		{"below_failure", test_failure},
		{"below_append_in_sync", test_append_in_sync},
		{"below_append_before_sync", test_append_before_sync},
		{"below_undo", test_undo},
		{"below_many", test_many},
		{"below_left_behind", test_left_behind},
		{"below_no_store", test_no_store},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
