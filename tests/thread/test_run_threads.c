/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_run_threads.c - one run asked by many threads while its pages are checked for the first
 * time, and while it moves into large pages, for ThreadSanitizer.
 *
 * Work is counted, not timed.  Assertions end a test by a jump, which no thread may do: they count
 * failures.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/runs.h"

enum { THREADS = 4, ROUNDS = 6, KEYS = 4000 };

struct world {
	struct runs_array array;
	struct run *run;
	pthread_barrier_t start;
	atomic_int failures;
};

static void fail_unless(struct world *w, bool good)
{
	if (!good)
		atomic_fetch_add(&w->failures, 1);
}

static void get_all(struct world *w)
{
	for (size_t i = 0; i < w->array.count; i++) {
		struct dw_bytes key = runs_key(&w->array, i);
		struct run_place place;
		fail_unless(w, run_get(w->run, key, run_hash(RUNS_SEED, key), &place) == 1 &&
				       place.offset == w->array.items[i].place.offset);
	}
}

static void walk(struct world *w)
{
	struct run_cursor cursor;
	struct run_place place;
	struct dw_bytes key;
	size_t seen = 0;

	if (run_cursor_init(&cursor, w->run) < 0) {
		fail_unless(w, false);
		return;
	}
	while (run_cursor_next(&cursor, &key, &place) == 1)
		seen++;
	fail_unless(w, seen == w->array.count);
	run_cursor_release(&cursor);
}

static void *work(void *context)
{
	struct world *w = context;
	int64_t change, newest;

	/* each has a reference of its own: the last one frees the run */
	struct run *run = run_ref(w->run);
	(void)pthread_barrier_wait(&w->start);
	get_all(w);
	fail_unless(w, !run_make_resident(run));
	walk(w);
	fail_unless(w, !run_below(run, (struct dw_bytes){"d00001/", 7}, &change, &newest));
	fail_unless(w, !run_verify(run) && !run_is_damaged(run) && run_is_resident(run));
	get_all(w);
	run_unref(run);
	return NULL;
}

static void test_threads(void)
{
	struct rng rng = check_rng();
	struct world w = {.array = runs_make(&rng, RUNS_TREE, KEYS)};
	int dirfd = open(check_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	pthread_t threads[THREADS];

	CHECK_EQ(pthread_barrier_init(&w.start, NULL, THREADS + 1), 0);
	CHECK_EQ(runs_write(&io_posix, dirfd, 1, 500, &w.array), 0);
	for (int round = 0; round < ROUNDS; round++) {
		CHECK_EQ(run_open(&io_posix, dirfd, 1, &w.run), 0);
		for (int i = 0; i < THREADS; i++)
			CHECK_EQ(pthread_create(&threads[i], NULL, work, &w), 0);
		(void)pthread_barrier_wait(&w.start);
		run_unref(w.run);
		for (int i = 0; i < THREADS; i++)
			CHECK_EQ(pthread_join(threads[i], NULL), 0);
		CHECK_EQ(atomic_load(&w.failures), 0);
	}
	(void)pthread_barrier_destroy(&w.start);
	runs_release(&w.array);
	(void)close(dirfd);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"run_threads", test_threads},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
