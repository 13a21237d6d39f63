/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_index_parts.c - what the parts of an index know, one after the other: deltas and runs.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/indexworld.h"
#include "tests/support/runs.h"
#include "tests/support/stores.h"

/* A key that was below when it was asked for in memory, and is in the active delta when it is asked
 * for below: it is live throughout. */
static void test_probe(void)
{
	struct indexworld *w = malloc(sizeof *w);
	struct index *index = &w->index;
	struct index_moment *moment;
	char name[32];
	int dirfd = open(stores_dir(), O_RDONLY | O_DIRECTORY);

	world_init(w, &io_posix, dirfd);
	world_set(w, 2, true);
	world_set(w, 1, true);
	const struct dw_segment *segment = segset_last(&w->segments);
	uint64_t offset = segment->size - 100;
	struct index_probe probes[] = {
		{.key = world_key(name, 1), .offset = offset},
		{.key = world_key(name, 1), .offset = offset - 1},
		{.key = world_key(name, 1), .offset = offset + 1},
	};
	CHECK_EQ(index_seal(index, &w->segments, &moment), 0);
	CHECK(index_probe_active(index, segment, probes, 3));
	CHECK(!probes[0].live);
	index_moment_close(moment);
	index_tidy(index);
	CHECK_EQ(index_probe(index, segment, probes, 3), 0);
	CHECK(probes[0].live && !probes[0].unknown);
	CHECK(!probes[1].live && !probes[1].unknown);
	CHECK(!probes[2].live && probes[2].unknown); /* a record that the index has not heard of */
	CHECK(!index_probe_active(index, segment, probes, 3));
	CHECK(probes[0].live && !probes[1].live && !probes[2].live);
	world_release(w);
	CHECK_EQ(close(dirfd), 0);
	free(w);
}

static void expect_runs(struct indexworld *w, size_t count, uint64_t keys, uint64_t tombstones)
{
	const struct parts *parts = &w->index.version->parts;

	CHECK_EQ(parts->run_count, count);
	if (!count)
		return;
	CHECK_EQ(run_figures(parts->runs[0])->keys, keys);
	CHECK_EQ(run_figures(parts->runs[0])->tombstones, tombstones);
}

/* A tombstone is in a run only if it hides something, and not longer than that is there. */
static void test_tombstones(void)
{
	struct indexworld *w = malloc(sizeof *w);
	int dirfd = open(stores_dir(), O_RDONLY | O_DIRECTORY);

	world_init(w, &io_posix, dirfd);
	CHECK_EQ(index_list(&w->index), 0);
	world_set(w, 1, true);
	world_set(w, 2, true);
	world_set(w, 2, false);
	CHECK_EQ(world_checkpoint(w), 0);
	expect_runs(w, 1, 1, 0);
	world_set(w, 1, false);
	CHECK_EQ(world_checkpoint(w), 0);
	expect_runs(w, 2, 1, 1);
	CHECK_EQ(index_join(&w->index, NULL), 1);
	expect_runs(w, 0, 0, 0);
	CHECK_EQ(index_count(&w->index), 0);
	world_release(w);
	CHECK_EQ(close(dirfd), 0);
	free(w);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"index_tombstones", test_tombstones},
		{"index_probe", test_probe},
		{NULL, NULL},
	};

	return check_main(argc, argv, tests);
}
