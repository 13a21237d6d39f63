/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_run_crash.c - writing a run, with a crash after every system call: what bears a run's name
 * is a whole one, the old or the new.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/crashio.h"
#include "tests/support/runs.h"
#include "tests/support/stores.h"

enum { TRIES = 6, KEYS = 12000 };

static const enum crash_policy policies[] = {CRASH_KEEP_ALL, CRASH_DROP,   CRASH_TORN,
					     CRASH_PREFIX,   CRASH_SUBSET, CRASH_SECTORS};

struct world {
	struct rng rng;
	struct crashio crash;
	struct runs_array old, new;
	int before, after; /* states with the old run, with the new one */
};

static void check_state(struct world *w, const struct files *files)
{
	const char *dir = stores_dir();
	struct run *run;

	files_restore(files, dir);
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK_EQ(run_open(&io_posix, dirfd, 1, &run), 0);
	bool is_new = run_figures(run)->keys == w->new.count;
	CHECK_EQ(runs_check(run, is_new ? &w->new : &w->old, &w->rng, false), 0);
	*(is_new ? &w->after : &w->before) += 1;
	run_unref(run);
	(void)close(dirfd);
}

static void check_point(struct world *w, size_t point, enum crash_policy policy)
{
	const struct crash_event *last = crashio_last_write(&w->crash, point);
	int tries = policy < CRASH_TORN ? 1 : TRIES;

	for (int i = 0; i < tries && (policy != CRASH_TORN || last); i++) {
		size_t cut = last && last->data.size ? rng_below(&w->rng, last->data.size) : 0;
		struct files files = {0};
		crashio_rebuild(&w->crash, point, policy, cut, &w->rng, &files);
		check_state(w, &files);
		files_release(&files);
	}
}

static void test_replaced(void)
{
	struct world w = {.rng = check_rng()};
	const char *dir = check_dir();
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	w.old = runs_make(&w.rng, RUNS_TREE, KEYS / 20);
	w.new = runs_make(&w.rng, RUNS_FLAT, KEYS);
	CHECK_EQ(runs_write(&io_posix, dirfd, 1, 0, &w.old), 0);
	(void)close(dirfd);
	crashio_init(&w.crash, dir);
	dirfd = w.crash.io.open(&w.crash.io, AT_FDCWD, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	CHECK(dirfd >= 0);
	CHECK_EQ(runs_write(&w.crash.io, dirfd, 1, 0, &w.new), 0);
	(void)w.crash.io.close(&w.crash.io, dirfd);
	for (size_t point = 0; point <= w.crash.count; point++)
		for (size_t i = 0; i < sizeof policies / sizeof *policies; i++)
			check_point(&w, point, policies[i]);
	CHECK(w.before > 10 && w.after > 0);
	crashio_release(&w.crash);
	runs_release(&w.old);
	runs_release(&w.new);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"run_crash_replaced", test_replaced},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
