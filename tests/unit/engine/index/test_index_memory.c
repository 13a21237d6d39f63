/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_index_memory.c - no memory for a version of the index, wherever one is made: the store goes
 * on with the one before, and a kill later loses nothing that was acknowledged.
 *
 * The program's own aligned_alloc() fails once, at each call in turn.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/files.h"
#include "tests/support/indexworld.h"
#include "tests/support/stores.h"

enum { KEYS = 24, ROUNDS = 12, INDEX_KEYS = 8, SEGMENT = 4096 };

static atomic_int fail_at; /* counts down; 0: nothing fails */

void *aligned_alloc(size_t align, size_t size)
{
	void *ret = NULL;

	if (atomic_load(&fail_at) && atomic_fetch_sub(&fail_at, 1) == 1) {
		errno = ENOMEM;
		return NULL;
	}
	return posix_memalign(&ret, align < sizeof(void *) ? sizeof(void *) : align, size) ? NULL
											   : ret;
}

static struct dw_bytes text(char ret[32], const char *format, int a, int b)
{
	(void)snprintf(ret, 32, format, a, b);
	return stores_bytes(ret);
}

/* Overwrite all keys in each round; `acknowledged`: the last round of each key that was put. */
static void change(struct dw_store *store, int acknowledged[KEYS])
{
	char key[32], value[32];

	for (int round = 1; round <= ROUNDS; round++)
		for (int i = 0; i < KEYS; i++) {
			int rc = dw_put(store, text(key, "d%d/%02d", i % 3, i),
					text(value, "%d of %d", round, i));
			CHECK(!rc || rc == -ENOMEM);
			acknowledged[i] = rc ? acknowledged[i] : round;
		}
}

static void expect(struct dw_store *store, const int acknowledged[KEYS])
{
	char key[32], value[32];

	for (int i = 0; i < KEYS; i++) {
		(void)text(key, "d%d/%02d", i % 3, i);
		(void)text(value, "%d of %d", acknowledged[i], i);
		stores_expect(store, key, acknowledged[i] ? value : NULL);
	}
}

/* False: there are fewer than `at` calls. */
static bool fail_once(int at)
{
	const struct dw_options options = {.create = true,
					   .segment_size = SEGMENT,
					   .index_keys = INDEX_KEYS,
					   .index_budget = 1};
	int acknowledged[KEYS] = {0};
	const char *dir = stores_dir();
	struct dw_store *store;

	CHECK_EQ(dw_open(dir, &options, NULL, &store), 0);
	atomic_store(&fail_at, at);
	change(store, acknowledged);
	bool failed = !atomic_exchange(&fail_at, 0);
	CHECK_EQ(dw_sync(store), 0);
	expect(store, acknowledged);
	stores_kill(store);
	CHECK_EQ(dw_open(dir, &options, NULL, &store), 0);
	expect(store, acknowledged);
	stores_close(store);
	return failed;
}

static void test_versions(void)
{
	int at = 1;

	while (fail_once(at))
		at++;
	printf("  %d versions\n", at - 1);
	CHECK(at > ROUNDS);
}

/* The files on disk are the index of one moment: of the last checkpoint that succeeded, or of the
 * one that failed once it had been written. */
static void expect_on_disk(const struct indexworld *w, const char *dir)
{
	char copy[256];

	(void)snprintf(copy, sizeof copy, "%s", stores_dir());
	files_copy(dir, copy);
	int saved = world_is_saved(w, copy, &w->saved);
	if (saved != 1) {
		(void)snprintf(copy, sizeof copy, "%s", stores_dir());
		files_copy(dir, copy);
		saved = world_is_saved(w, copy, &w->now);
	}
	CHECK_EQ(saved, 1);
}

/* A checkpoint fails at that call, and runs are joined afterwards.  False: there are fewer calls.
 */
static bool fail_checkpoint(int at)
{
	struct rng rng = check_rng();
	struct indexworld w;
	char dir[256];

	(void)snprintf(dir, sizeof dir, "%s", stores_dir());
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY);
	world_init(&w, &io_posix, dirfd);
	for (int part = 0; part < 8; part++) {
		for (int i = 0; i < 200; i++)
			world_change(&w, &rng);
		atomic_store(&fail_at, part == 7 ? at : 0);
		int rc = world_checkpoint(&w);
		CHECK(!rc || part == 7);
	}
	bool failed = !atomic_exchange(&fail_at, 0);
	while (index_join(&w.index, NULL) == 1)
		;
	expect_on_disk(&w, dir);
	world_look(&w, &rng);
	world_release(&w);
	CHECK_EQ(close(dirfd), 0);
	return failed;
}

static void test_checkpoint(void)
{
	int at = 1;

	while (fail_checkpoint(at))
		at++;
	printf("  %d calls\n", at - 1);
	CHECK(at > 1);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {{"index_memory_versions", test_versions},
						  {"index_memory_checkpoint", test_checkpoint},
						  {NULL, NULL}};

	return check_main(argc, argv, tests);
}
