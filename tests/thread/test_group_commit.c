/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_group_commit.c - callers of dw_sync() that come while one is in fdatasync(2) share the
 * next one, and the figures tell how many did.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "disk/io.h"
#include "store/store.h"
#include "tests/support/stores.h"

enum { THREADS = 6 };

/* io_posix, but for a sync that can be held up. */
struct gate {
	struct io io;
	atomic_bool closed, fails;
	atomic_int inside;
};

static int gate_sync(struct io *io, int fd)
{
	struct gate *gate = (struct gate *)io;

	(void)fd; /* nothing here is about the disk */
	atomic_fetch_add(&gate->inside, 1);
	while (atomic_load(&gate->closed))
		(void)sched_yield();
	atomic_fetch_sub(&gate->inside, 1);
	return atomic_load(&gate->fails) ? -EIO : 0;
}

static struct dw_store *open_store(struct gate *gate)
{
	struct dw_store *store = NULL;

	*gate = (struct gate){.io = io_posix};
	gate->io.fdatasync = gate_sync;
	CHECK_EQ(store_open(&gate->io, stores_dir(), &(struct dw_options){.create = true}, NULL,
			    &store),
		 0);
	return store;
}

static void *put_and_sync(void *arg)
{
	struct dw_store *store = arg;
	int rc = dw_put(store, stores_bytes("k"), stores_bytes("v"));

	return (void *)(intptr_t)(rc ? rc : dw_sync(store));
}

static struct dw_stats stats_of(struct dw_store *store)
{
	struct dw_stats stats;

	dw_get_stats(store, &stats);
	return stats;
}

/* One of them is in the sync, with its gate closed; all others wait. */
static void gather(struct gate *gate, struct dw_store *store, pthread_t threads[THREADS])
{
	const uint64_t asked = stats_of(store).syncs_asked;

	atomic_store(&gate->closed, true);
	for (int i = 0; i < THREADS; i++) {
		CHECK_EQ(pthread_create(&threads[i], NULL, put_and_sync, store), 0);
		while (stats_of(store).syncs_asked < asked + (uint64_t)i + 1 ||
		       !atomic_load(&gate->inside))
			(void)sched_yield();
	}
	atomic_store(&gate->closed, false);
}

static void join(pthread_t threads[THREADS], int want)
{
	for (int i = 0; i < THREADS; i++) {
		void *rc;
		CHECK_EQ(pthread_join(threads[i], &rc), 0);
		CHECK_EQ((intptr_t)rc, want);
	}
}

static void test_shares(void)
{
	struct gate gate;
	struct dw_store *store = open_store(&gate);
	pthread_t threads[THREADS];

	gather(&gate, store, threads);
	join(threads, 0);
	struct dw_stats stats = stats_of(store);
	CHECK_EQ(stats.syncs_asked, THREADS);
	CHECK_EQ(stats.syncs_done, 2);
	CHECK_EQ(stats.syncs_served[0], 1); /* the first, for itself */
	CHECK_EQ(stats.syncs_served[3], 1); /* and one for the five others */
	CHECK_EQ(stats.calls_served, THREADS);
	CHECK_EQ(dw_sync(store), 0); /* nothing to do */
	stats = stats_of(store);
	CHECK_EQ(stats.syncs_asked, THREADS + 1);
	CHECK_EQ(stats.syncs_done, 2);
	CHECK_EQ(stats.calls_served, THREADS);
	CHECK_EQ(dw_close(store), 0);
}

/* A sync that fails serves no caller: each one gets the error. */
static void test_failure(void)
{
	struct gate gate;
	struct dw_store *store = open_store(&gate);
	pthread_t threads[THREADS];

	atomic_store(&gate.fails, true);
	gather(&gate, store, threads);
	join(threads, -EIO);
	struct dw_stats stats = stats_of(store);
	CHECK_EQ(stats.syncs_done, 1);
	CHECK_EQ(stats.calls_served, 0);
	for (int i = 0; i < DW_SYNC_SHARES; i++)
		CHECK_EQ(stats.syncs_served[i], 0);
	CHECK_EQ(dw_sync(store), -EIO);
	atomic_store(&gate.fails, false);
	CHECK_EQ(dw_close(store), -EIO);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"group_commit_shares", test_shares},
		{"group_commit_failure", test_failure},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
