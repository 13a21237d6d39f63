/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_index_model.c - the index against an array: keys put, removed and moved, moments taken
 * and closed, all of it looked up and walked through.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "disk/io.h"
#include "index/index.h"
#include "tests/support/check.h"

enum { KEYS = 300, SEGMENTS = 4, MOMENTS = 5, ROUNDS = 40000 };

/* What is so at one moment. */
struct truth {
	struct keydir_place places[KEYS]; /* segment NULL: not there */
	uint64_t count;
};

struct world {
	struct index index;
	struct fdpool pool;
	struct segset segments;
	struct truth now;
	uint64_t next_offset;
	struct index_moment *moments[MOMENTS];
	struct truth then[MOMENTS];
};

/* In byte order by number; some are prefixes of others, one is empty. */
static struct dw_bytes key_of(char ret[32], size_t i)
{
	int n = i ? snprintf(ret, 32, "%c/%02zu%s", (int)('a' + i / 60), i % 60 / 2,
			     i % 2 ? "/x" : "")
		  : 0;

	return (struct dw_bytes){ret, (size_t)n};
}

static uint64_t bytes_of(size_t i, const struct keydir_place *place)
{
	char key[32];

	return RECORD_OVERHEAD + key_of(key, i).size + place->value_size;
}

static void world_init(struct world *w)
{
	memset(w, 0, sizeof *w);
	CHECK_EQ(index_init(&w->index, &io_posix, -1), 0);
	CHECK_EQ(segset_reserve(&w->segments, SEGMENTS), 0);
	for (uint32_t id = 1; id <= SEGMENTS; id++)
		segset_add(&w->segments, segment_new(&w->pool, id * 3));
	w->next_offset = 100;
}

static void world_release(struct world *w)
{
	for (int i = 0; i < MOMENTS; i++)
		index_moment_close(w->moments[i]);
	index_release(&w->index);
	segset_release(&w->segments);
}

static struct keydir_place new_place(struct world *w, struct rng *rng)
{
	struct dw_segment *segment = w->segments.items[rng_below(rng, w->segments.count)];

	return (struct keydir_place){.segment = segment,
				     .offset = w->next_offset += 7,
				     .mtime_ns = (int64_t)w->next_offset * 3,
				     .value_size = (uint32_t)rng_below(rng, 1000)};
}

static void expect_place(const struct keydir_place *a, const struct keydir_place *b)
{
	CHECK_EQ(a->segment, b->segment);
	if (!a->segment || !b->segment)
		return;
	CHECK_EQ(a->offset, b->offset);
	CHECK_EQ(a->mtime_ns, b->mtime_ns);
	CHECK_EQ(a->value_size, b->value_size);
}

/* A batch of a few keys, at times of the same one. */
static void change(struct world *w, struct rng *rng)
{
	enum { BATCH = 4 };
	struct index_prepared prepared[BATCH];
	size_t keys[BATCH], count = 1 + rng_below(rng, BATCH);
	struct keydir_place old;
	char name[32];

	for (size_t i = 0; i < count; i++) {
		keys[i] = rng_below(rng, KEYS) % (i && rng_below(rng, 3) == 0 ? 5 : KEYS);
		CHECK_EQ(index_prepare(&w->index, key_of(name, keys[i]), &prepared[i]), 0);
	}
	for (size_t i = 0; i < count; i++) {
		struct keydir_place *known = &w->now.places[keys[i]];
		unsigned what = (unsigned)rng_below(rng, 10);
		if (what == 0) {
			index_drop(&w->index, &prepared[i]);
			continue;
		}
		if (what < 6) {
			const struct keydir_place place = new_place(w, rng);
			index_set(&w->index, &prepared[i], &place, &old);
			expect_place(&old, known);
			w->now.count += !known->segment;
			*known = place;
		} else {
			index_remove(&w->index, &prepared[i], (int64_t)w->next_offset, &old);
			expect_place(&old, known);
			w->now.count -= known->segment != NULL;
			known->segment = NULL;
		}
	}
}

/* Where it is it goes; from elsewhere it does not. */
static void move(struct world *w, struct rng *rng)
{
	size_t i = rng_below(rng, KEYS);
	struct keydir_place *known = &w->now.places[i], to = new_place(w, rng);
	bool right = rng_below(rng, 2);
	char name[32];

	if (!known->segment)
		return;
	CHECK_EQ(index_move(&w->index, key_of(name, i), known->segment, known->offset + !right,
			    to.segment, to.offset, right && i % 2 ? &to.mtime_ns : NULL),
		 right);
	if (!right)
		return;
	known->segment = to.segment;
	known->offset = to.offset;
	if (i % 2)
		known->mtime_ns = to.mtime_ns;
}

static void take_or_close(struct world *w, struct rng *rng)
{
	size_t i = rng_below(rng, MOMENTS);

	if (w->moments[i]) {
		index_moment_close(w->moments[i]);
		w->moments[i] = NULL;
		index_tidy(&w->index);
		return;
	}
	CHECK_EQ(index_seal(&w->index, &w->segments, &w->moments[i]), 0);
	w->then[i] = w->now;
}

static void expect_get(struct world *w, struct index_moment *moment, const struct truth *truth,
		       size_t i)
{
	struct keydir_place place = {0};
	char name[32];
	struct dw_bytes key = key_of(name, i);
	int rc = moment ? index_moment_get(moment, key, true, &place)
			: index_get(&w->index, key, true, &place);

	CHECK_EQ(rc, truth->places[i].segment ? 0 : -ENOENT);
	expect_place(&place, &truth->places[i]);
	segment_unref(place.segment);
}

static void expect_all(struct world *w, struct index_moment *moment, const struct truth *truth,
		       struct dw_bytes prefix, size_t from)
{
	struct index_cursor *cursor;
	struct keydir_place place;
	struct dw_bytes key;
	char name[32];

	CHECK_EQ(index_cursor_open(&w->index, &w->segments, moment, prefix, &cursor), 0);
	if (from)
		CHECK_EQ(index_cursor_seek(cursor, key_of(name, from)), 0);
	for (size_t i = from; i < KEYS; i++) {
		struct dw_bytes want = key_of(name, i);
		if (!truth->places[i].segment || want.size < prefix.size ||
		    memcmp(want.data, prefix.data, prefix.size))
			continue;
		CHECK_EQ(index_cursor_next(cursor, &key, &place), 1);
		CHECK(key.size == want.size && !memcmp(key.data, want.data, key.size));
		expect_place(&place, &truth->places[i]);
	}
	CHECK_EQ(index_cursor_next(cursor, &key, &place), 0);
	index_cursor_close(cursor);
}

static void expect_below(struct world *w, const char *prefix)
{
	struct index_below below;
	uint64_t count = 0;
	size_t size = strlen(prefix);
	char name[32];

	CHECK_EQ(index_below(&w->index, (struct dw_bytes){prefix, size}, &below), 0);
	for (size_t i = 0; i < KEYS; i++) {
		struct dw_bytes key = key_of(name, i);
		count += w->now.places[i].segment && key.size >= size &&
			 !memcmp(key.data, prefix, size);
	}
	CHECK_EQ(below.keys, count);
}

static void expect_live(struct world *w)
{
	for (size_t s = 0; s < w->segments.count; s++) {
		uint64_t live = 0;
		for (size_t i = 0; i < KEYS; i++)
			if (w->now.places[i].segment == w->segments.items[s])
				live += bytes_of(i, &w->now.places[i]);
		CHECK_EQ(w->segments.items[s]->live_bytes, live);
	}
}

static void look(struct world *w, struct rng *rng)
{
	static const char *const prefixes[] = {"", "a", "a/", "b/", "b/1", "c/05/", "e/29/x", "z"};
	const char *prefix = prefixes[rng_below(rng, sizeof prefixes / sizeof *prefixes)];
	size_t from = rng_below(rng, 2) ? rng_below(rng, KEYS) : 0;

	for (size_t m = 0; m <= MOMENTS; m++) {
		struct index_moment *moment = m < MOMENTS ? w->moments[m] : NULL;
		const struct truth *truth = m < MOMENTS ? &w->then[m] : &w->now;
		if (m < MOMENTS && !moment)
			continue;
		for (size_t i = 0; i < KEYS; i++)
			expect_get(w, moment, truth, i);
		expect_all(w, moment, truth, (struct dw_bytes){prefix, strlen(prefix)}, from);
		if (moment)
			CHECK_EQ(index_moment_count(moment), truth->count);
	}
	CHECK_EQ(index_count(&w->index), w->now.count);
	expect_live(w);
	expect_below(w, "");
	expect_below(w, "b/");
	index_check(&w->index);
}

static void test_model(void)
{
	struct world *w = malloc(sizeof *w);
	struct rng rng = check_rng();

	world_init(w);
	for (int round = 0; round < ROUNDS; round++) {
		switch (rng_below(&rng, 40)) {
		case 0: take_or_close(w, &rng); break;
		case 1: CHECK_EQ(index_set_segments(&w->index, &w->segments), 0); break;
		case 2:
		case 3: move(w, &rng); break;
		case 4:
			if (round % 10 == 0)
				look(w, &rng);
			break;
		default: change(w, &rng);
		}
	}
	look(w, &rng);
	world_release(w);
	free(w);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {{"index_model", test_model}, {NULL, NULL}};

	return check_main(argc, argv, tests);
}
