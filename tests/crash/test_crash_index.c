/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_crash_index.c - an index that a crash or an error left.
 *
 * A scenario of checkpoints and joins is recorded call by call, and its directory is rebuilt as a
 * crash would leave it after each one.  From the first checkpoint on there is always one to go by:
 * the last that was done, or the one under way.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/crashio.h"
#include "tests/support/faultio.h"
#include "tests/support/indexworld.h"
#include "tests/support/stores.h"

enum { STEPS = 14, CHANGES = 60 };

/* The operations, and the event at which each was done. */
struct done {
	size_t event;
	struct truth truth;
};

struct history {
	struct done checkpoints[STEPS + 1];
	size_t count;
};

static void change_some(struct indexworld *w, struct rng *rng)
{
	for (int i = 0; i < CHANGES; i++) {
		if (rng_below(rng, 8))
			world_change(w, rng);
		else
			world_move(w, rng);
	}
}

static void record(struct indexworld *w, struct crashio *crash, struct rng *rng,
		   struct history *history)
{
	for (int step = 0; step < STEPS; step++) {
		change_some(w, rng);
		if (step % 5 == 4)
			world_rotate(w);
		CHECK_EQ(world_checkpoint(w), 0);
		history->checkpoints[history->count++] = (struct done){crash->count, w->saved};
		while (step % 4 == 3 && index_join(&w->index, NULL) > 0)
			;
	}
}

static int open_copy(const struct indexworld *w, const struct files *files,
		     const struct truth *truth)
{
	const char *dir = stores_dir();

	files_restore(files, dir);
	return world_is_saved(w, dir, truth);
}

/* At `point` the directory holds the last checkpoint that was done, or the next one. */
static void expect_state(const struct indexworld *w, const struct crashio *crash,
			 const struct history *history, size_t point, enum crash_policy policy,
			 struct rng *rng)
{
	const struct crash_event *write = crashio_last_write(crash, point);
	size_t done = 0, cut = write ? rng_below(rng, write->data.size) : 0;
	struct files files;

	if (policy == CRASH_TORN && !write)
		return;
	crashio_rebuild(crash, point, policy, cut, rng, &files);
	while (done < history->count && history->checkpoints[done].event <= point)
		done++;
	int rc = -1;
	if (done)
		rc = open_copy(w, &files, &history->checkpoints[done - 1].truth);
	if (rc != 1 && done < history->count)
		rc = open_copy(w, &files, &history->checkpoints[done].truth);
	CHECK(rc == 1 || (rc == -1 && !done));
	files_release(&files);
}

static void test_crashes(void)
{
	struct indexworld *w = malloc(sizeof *w);
	struct history *history = calloc(1, sizeof *history);
	struct crashio *crash = calloc(1, sizeof *crash);
	struct rng rng = check_rng();
	const char *dir = stores_dir();

	crashio_init(crash, dir);
	int dirfd = crash->io.open(&crash->io, AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, 0);
	CHECK(dirfd >= 0);
	world_init(w, &crash->io, dirfd);
	record(w, crash, &rng, history);
	for (size_t point = 0; point <= crash->count; point++)
		for (int policy = CRASH_KEEP_ALL; policy <= CRASH_SECTORS; policy++)
			expect_state(w, crash, history, point, (enum crash_policy)policy, &rng);
	printf("  %zu events, %zu checkpoints\n", crash->count, history->count);
	world_release(w);
	CHECK_EQ(crash->io.close(&crash->io, dirfd), 0);
	crashio_release(crash);
	free(crash);
	free(history);
	free(w);
}

/* --- errors --- */

static bool is_one_of(struct indexworld *w, const char *dir, const struct truth *a,
		      const struct truth *b)
{
	const char *copies[] = {stores_dir(), stores_dir()};

	files_copy(dir, copies[0]);
	files_copy(dir, copies[1]);
	return world_is_saved(w, copies[0], a) == 1 || world_is_saved(w, copies[1], b) == 1;
}

/* Whatever call fails: the index in memory stays right, and on disk is the checkpoint before or the
 * one that failed.  Then things go on. */
static bool fail_once(struct faultio *fault, struct indexworld *w, const char *dir,
		      enum faultio_kind kind, int error, uint64_t at, struct rng *rng)
{
	struct truth *before = malloc(sizeof *before);

	change_some(w, rng);
	*before = w->saved;
	faultio_arm(fault, kind, error, at);
	int rc = world_checkpoint(w);
	if (!rc)
		rc = index_join(&w->index, NULL);
	bool hit = fault->hit;
	faultio_arm(fault, kind, error, 0);
	CHECK(hit || rc >= 0);
	CHECK(is_one_of(w, dir, before, &w->now));
	world_look(w, rng);
	CHECK_EQ(world_checkpoint(w), 0);
	CHECK(is_one_of(w, dir, &w->now, &w->now));
	world_look(w, rng);
	free(before);
	return hit;
}

static void fail_each(enum faultio_kind kind, int error)
{
	struct indexworld *w = malloc(sizeof *w);
	struct faultio fault;
	struct rng rng = check_rng();
	char *dir = strdup(stores_dir()); /* that forgets its oldest ones */
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY);
	uint64_t at = 1;

	faultio_init(&fault);
	world_init(w, &fault.io, dirfd);
	change_some(w, &rng);
	CHECK_EQ(world_checkpoint(w), 0);
	for (int quiet = 0; quiet < 3; at++)
		quiet = fail_once(&fault, w, dir, kind, error, at, &rng) ? 0 : quiet + 1;
	CHECK(at > 20);
	CHECK(world_reopen(w));
	world_look(w, &rng);
	world_release(w);
	CHECK_EQ(close(dirfd), 0);
	free(dir);
	free(w);
}

static void test_errors(void)
{
	fail_each(FAULTIO_ERROR, EIO);
}

static void test_full(void)
{
	fail_each(FAULTIO_SHORT, ENOSPC);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {{"crash_index", test_crashes},
						  {"crash_index_errors", test_errors},
						  {"crash_index_full", test_full},
						  {NULL, NULL}};

	return check_main(argc, argv, tests);
}
