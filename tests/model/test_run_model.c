/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_run_model.c - runs of random keys beside sorted arrays: whatever the keys, and however a
 * run is read, the two say the same.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/support/runs.h"

enum { ROUNDS = 6 };

/* Read as a mapping, from large pages, and where nothing can be mapped. */
static void check_file(struct rng *rng, int dirfd, const struct runs_array *array)
{
	struct io unmapped = io_posix;
	struct run *run;

	unmapped.map = NULL;
	CHECK_EQ(run_open(&io_posix, dirfd, 1, &run), 0);
	CHECK(!run_is_resident(run));
	CHECK_EQ(runs_check(run, array, rng, false), 0);
	CHECK_EQ(run_make_resident(run), 0);
	CHECK(run_is_resident(run));
	CHECK_EQ(runs_check(run, array, rng, false), 0);
	CHECK_EQ(run_verify(run), 0);
	CHECK(!run_is_damaged(run));
	run_unref(run);
	CHECK_EQ(run_open(&unmapped, dirfd, 1, &run), 0);
	CHECK(run_is_resident(run));
	CHECK_EQ(runs_check(run, array, rng, false), 0);
	run_unref(run);
}

static void check_random(enum runs_flavor flavor, size_t count)
{
	struct rng rng = check_rng();
	int dirfd = open(check_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	CHECK(dirfd >= 0);
	for (int round = 0; round < ROUNDS; round++) {
		struct runs_array array =
			runs_make(&rng, flavor, round ? rng_below(&rng, count) : count);
		/* many small chunks, some, one */
		uint32_t chunk_keys = round % 3 == 0   ? 0
				      : round % 3 == 1 ? 1 + (uint32_t)rng_below(&rng, 9)
						       : 300;
		CHECK_EQ(runs_write(&io_posix, dirfd, 1, chunk_keys, &array), 0);
		check_file(&rng, dirfd, &array);
		runs_release(&array);
	}
	(void)close(dirfd);
}

static void test_flat(void)
{
	check_random(RUNS_FLAT, 20000);
}

static void test_tree(void)
{
	check_random(RUNS_TREE, 5000);
}

static void test_mixed(void)
{
	check_random(RUNS_MIXED, 5000);
}

static void test_long(void)
{
	check_random(RUNS_LONG, 300);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"run_model_flat", test_flat},
		{"run_model_tree", test_tree},
		{"run_model_mixed", test_mixed},
		{"run_model_long", test_long},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
