/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_tail_wait.c - following a log: waiting, what is on disk, and followers of a store at random.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/store.h"
#include "tests/support/follower.h"
#include "whole/tail.h"

static void *put_soon(void *store)
{
	(void)usleep(20000);
	stores_put(store, "a", "1");
	return NULL;
}

static void test_waits(void)
{
	static const struct dw_tail_options options = {.interval_ms = 60000};
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct dw_tail *tail;
	pthread_t thread;

	CHECK_EQ(dw_tail_open(dir, NULL, &options, &tail), 0);
	tails_expect_end(tail);
	CHECK_EQ(dw_tail_wait(tail, 0), 0);
	CHECK_EQ(dw_tail_wait(tail, 10), 0);
	if (tail->wait.events < 0) {
		check_skip("no inotify here");
	} else {
		CHECK_EQ(pthread_create(&thread, NULL, put_soon, store), 0);
		CHECK_EQ(dw_tail_wait(tail, 30000), 1);
		CHECK_EQ(pthread_join(thread, NULL), 0);
		tails_expect(tail, 1, "a", "1");
	}
	dw_tail_cancel(tail);
	CHECK_EQ(dw_tail_wait(tail, -1), -ECANCELED);
	CHECK_EQ(dw_tail_wait(tail, -1), -ECANCELED);
	dw_tail_free(tail);
	stores_close(store);
}

static int syncs, sync_error;

static int count_fdatasync(struct io *io, int fd)
{
	(void)io;
	(void)fd;
	syncs++;
	return sync_error;
}

static void test_durable(void)
{
	static const struct dw_tail_options options = {.durable = true};
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct dw_change change;
	struct dw_tail *tail;
	struct io io = io_posix;

	io.fdatasync = count_fdatasync;
	syncs = sync_error = 0;
	CHECK_EQ(tail_open(&io, open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), NULL, &options,
			   &tail),
		 0);
	stores_put(store, "a", "1");
	stores_put(store, "b", "1");
	stores_put(store, "c", "1");
	sync_error = -EIO;
	CHECK_EQ(dw_tail_next(tail, &change), -EIO);
	CHECK_EQ(dw_tail_next(tail, &change), -EIO);
	CHECK_EQ(syncs, 2);
	sync_error = 0;
	tails_expect(tail, 1, "a", "1");
	tails_expect(tail, 2, "b", "1");
	tails_expect(tail, 3, "c", "1");
	CHECK_EQ(syncs, 3); /* one for what was read at once */
	tails_expect_end(tail);
	CHECK_EQ(syncs, 3);
	stores_put(store, "d", "1");
	tails_expect(tail, 4, "d", "1");
	CHECK_EQ(syncs, 4);
	/* what was read of the zeros ahead when there was no record is not what is there now */
	for (unsigned i = 5; i < 40; i++) {
		stores_put(store, "d", "1");
		CHECK_EQ(dw_sync(store), 0);
		tails_expect(tail, i, "d", "1");
		CHECK_EQ(syncs, (int)i);
		tails_expect_end(tail);
	}
	CHECK(store->core->log.prealloc.on);
	dw_tail_free(tail);
	stores_close(store);
}

/* Whatever happens to the store: a follower that has come to the end has its view. */
static void test_random(void)
{
	enum { FOLLOWERS = 4, STEPS = 3000, KEYS = 12 };
	struct rng rng = check_rng();
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 4096);
	struct follower followers[FOLLOWERS];
	char key[20], value[300];

	for (int i = 0; i < FOLLOWERS; i++)
		follower_init(&followers[i], dir);
	memset(value, 'v', sizeof value);
	for (int step = 0; step < STEPS; step++) {
		const struct dw_compact_options options = {.dead_percent =
								   (unsigned)rng_below(&rng, 60)};
		(void)snprintf(key, sizeof key, "k%d", (int)rng_below(&rng, KEYS));
		(void)snprintf(value, sizeof value, "%d", step);
		struct dw_bytes bytes = {value, rng_below(&rng, sizeof value)};
		uint64_t what = rng_below(&rng, 100);
		if (what < 60)
			CHECK_EQ(dw_put(store, stores_bytes(key), bytes), 0);
		else if (what < 80)
			stores_delete(store, key);
		else if (what < 85)
			CHECK_EQ(dw_rotate(store), 0);
		else if (what < 90)
			CHECK_EQ(dw_compact_with(store, &options, NULL), 0);
		else if (what < 95)
			CHECK_EQ(dw_sync(store), 0);
		else {
			if (what < 98)
				stores_kill(store);
			else
				stores_close(store);
			store = stores_open(dir, 4096);
		}
		for (int i = 0; i < FOLLOWERS; i++) {
			/* the first one is always there, others fall behind, are closed, come back
			 */
			if (i && rng_below(&rng, 20) == 0)
				follower_restart(&followers[i], i == 1);
			if (!i || rng_below(&rng, (uint64_t)(5 * i)) == 0)
				follower_follow(&followers[i],
						i ? rng_below(&rng, 30) : UINT64_MAX);
			if (followers[i].at_end)
				model_check(&followers[i].model, store);
			followers[i].at_end = false;
		}
	}
	CHECK_EQ(followers[0].resets, 0);
	CHECK(followers[FOLLOWERS - 1].resets > 0);
	for (int i = 0; i < FOLLOWERS; i++) {
		follower_follow(&followers[i], UINT64_MAX);
		model_check(&followers[i].model, store);
		follower_release(&followers[i]);
	}
	stores_close(store);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"tail_waits", test_waits},
		{"tail_durable", test_durable},
		{"tail_random", test_random},
		{NULL, NULL},
	};

	return check_main(argc, argv, tests);
}
