/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_index_model.c - the index against an array: keys put, removed and moved, moments taken
 * and closed, checkpoints, joins, segments that come and go, and all of it opened anew; looked up
 * and walked through.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk/io.h"
#include "tests/support/indexworld.h"

enum { ROUNDS = 30000 };

/* A cursor of the index while it changes: keys that are there throughout are returned once, in
 * order, and with their place at that time. */
static void walk_while_changing(struct indexworld *w, struct rng *rng)
{
	struct index_cursor *cursor;
	struct truth *throughout = malloc(sizeof *throughout);
	bool *seen = calloc(WORLD_KEYS, sizeof *seen);
	struct keydir_place place;
	struct dw_bytes key;
	char name[32];
	size_t at = 0;

	*throughout = w->now;
	CHECK_EQ(index_cursor_open(&w->index, NULL, NULL, (struct dw_bytes){"", 0}, &cursor), 0);
	while (index_cursor_next(cursor, &key, &place) == 1) {
		size_t i = at;
		while (i < WORLD_KEYS && keydir_compare(world_key(name, i), key) < 0)
			i++;
		CHECK(i < WORLD_KEYS && !keydir_compare(world_key(name, i), key));
		CHECK(!at || i >= at);
		CHECK(truth_is_at(&w->now.places[i], &place));
		seen[i] = true;
		at = i + 1;
		unsigned what = (unsigned)rng_below(rng, 30);
		if (what < 3)
			world_change(w, rng);
		else if (what == 3)
			world_take_or_close(w, rng);
		else if (what == 4)
			CHECK_EQ(world_checkpoint(w), 0);
		else if (what == 5)
			CHECK(index_join(&w->index, NULL) >= 0);
		for (size_t k = 0; what < 3 && k < WORLD_KEYS; k++)
			if (!w->now.places[k].segment)
				throughout->places[k].segment = 0;
	}
	for (size_t k = 0; k < WORLD_KEYS; k++)
		CHECK(seen[k] || !throughout->places[k].segment);
	index_cursor_close(cursor);
	free(throughout);
	free(seen);
}

static void one_round(struct indexworld *w, struct rng *rng)
{
	switch (rng_below(rng, 100)) {
	case 0: world_take_or_close(w, rng); break;
	case 1: CHECK_EQ(index_set_segments(&w->index, &w->segments), 0); break;
	case 2:
	case 3:
	case 4: world_move(w, rng); break;
	case 5: CHECK_EQ(world_checkpoint(w), 0); break;
	case 6: CHECK(index_join(&w->index, NULL) >= 0); break;
	case 7: index_tidy(&w->index); break;
	case 8:
		if (!rng_below(rng, 4))
			world_compact(w);
		break;
	case 9:
		if (!rng_below(rng, 4))
			CHECK_EQ(world_reopen(w), w->is_saved);
		break;
	case 10:
		if (!rng_below(rng, 10)) {
			CHECK_EQ(index_disown(&w->index), 0);
			w->is_saved = false;
		}
		break;
	case 11:
		if (!rng_below(rng, 10))
			walk_while_changing(w, rng);
		break;
	case 12:
		if (!rng_below(rng, 3))
			world_look(w, rng);
		break;
	default: world_change(w, rng);
	}
}

static void test_model(void)
{
	struct indexworld *w = malloc(sizeof *w);
	struct rng rng = check_rng();
	int dirfd = open(check_dir(), O_RDONLY | O_DIRECTORY);

	world_init(w, &io_posix, dirfd);
	for (int round = 0; round < ROUNDS; round++)
		one_round(w, &rng);
	world_look(w, &rng);
	world_release(w);
	CHECK_EQ(close(dirfd), 0);
	free(w);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {{"index_model", test_model}, {NULL, NULL}};

	return check_main(argc, argv, tests);
}
