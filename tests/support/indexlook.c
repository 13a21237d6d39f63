/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * indexlook.c - see indexworld.h: comparing everything.
 */
#include <string.h>

#include "tests/support/indexworld.h"

static void expect_get(struct indexworld *w, struct index_moment *moment, const struct truth *truth,
		       size_t i)
{
	struct keydir_place place = {.segment = NULL};
	char name[32];
	struct dw_bytes key = world_key(name, i);
	int rc = moment ? index_moment_get(moment, key, true, &place)
			: index_get(&w->index, key, true, &place);

	CHECK_EQ(rc, truth->places[i].segment ? 0 : -ENOENT);
	CHECK(truth_is_at(&truth->places[i], &place));
	segment_unref(place.segment);
}

static bool begins_with(struct dw_bytes key, struct dw_bytes prefix)
{
	return key.size >= prefix.size && !memcmp(key.data, prefix.data, prefix.size);
}

static void expect_rest(struct index_cursor *cursor, const struct truth *truth,
			struct dw_bytes prefix, size_t from)
{
	struct keydir_place place;
	struct dw_bytes key;
	char name[32];

	for (size_t i = from; i < WORLD_KEYS; i++) {
		struct dw_bytes want = world_key(name, i);
		if (!truth->places[i].segment || !begins_with(want, prefix))
			continue;
		CHECK_EQ(index_cursor_next(cursor, &key, &place), 1);
		CHECK(key.size == want.size && !memcmp(key.data, want.data, key.size));
		CHECK(truth_is_at(&truth->places[i], &place));
	}
	CHECK_EQ(index_cursor_next(cursor, &key, &place), 0);
	CHECK_EQ(index_cursor_next(cursor, &key, &place), 0);
}

static void expect_cursor(struct indexworld *w, struct index_moment *moment,
			  const struct truth *truth, struct dw_bytes prefix, struct rng *rng)
{
	struct index_cursor *cursor;
	char name[32];

	CHECK_EQ(index_cursor_open(&w->index, NULL, moment, prefix, &cursor), 0);
	expect_rest(cursor, truth, prefix, 0);
	size_t from = rng_below(rng, WORLD_KEYS);
	CHECK_EQ(index_cursor_seek(cursor, world_key(name, from)), 0);
	expect_rest(cursor, truth, prefix, from);
	index_cursor_close(cursor);
}

static void expect_below(struct indexworld *w, struct index_moment *moment,
			 const struct truth *truth, struct dw_bytes prefix)
{
	struct index_below below;
	uint64_t count = 0;
	int64_t newest = INT64_MIN;
	char name[32];
	int rc = moment ? index_moment_below(moment, prefix, &below)
			: index_below(&w->index, prefix, &below);

	CHECK_EQ(rc, 0);
	for (size_t i = 0; i < WORLD_KEYS; i++) {
		struct dw_bytes key = world_key(name, i);
		const struct truth_place *place = &truth->places[i];
		if (!place->segment || key.size == prefix.size || !begins_with(key, prefix))
			continue;
		count++;
		newest = place->mtime_ns > newest ? place->mtime_ns : newest;
	}
	CHECK_EQ(below.keys, count);
	CHECK(below.newest_ns >= newest);
	CHECK(!count || below.newest_ns <= w->clock_ns);
}

static void expect_live(struct indexworld *w)
{
	for (size_t s = 0; s < w->segments.count; s++) {
		uint64_t live = 0;
		for (size_t i = 0; i < WORLD_KEYS; i++)
			if (w->now.places[i].segment == w->segments.items[s]->id)
				live += world_record_size(i, w->now.places[i].value_size);
		CHECK_EQ(w->segments.items[s]->live_bytes, live);
	}
}

void world_look(struct indexworld *w, struct rng *rng)
{
	static const char *const prefixes[] = {"", "a", "a/", "b/", "b/1", "c/05/", "e/29/x", "z/"};

	for (size_t m = 0; m <= WORLD_MOMENTS; m++) {
		const char *text = prefixes[rng_below(rng, sizeof prefixes / sizeof *prefixes)];
		const struct dw_bytes prefix = {text, strlen(text)};
		struct index_moment *moment = m < WORLD_MOMENTS ? w->moments[m] : NULL;
		const struct truth *truth = m < WORLD_MOMENTS ? &w->then[m] : &w->now;
		if (m < WORLD_MOMENTS && !moment)
			continue;
		for (size_t i = 0; i < WORLD_KEYS; i++)
			expect_get(w, moment, truth, i);
		expect_cursor(w, moment, truth, prefix, rng);
		if (!prefix.size || text[prefix.size - 1] == '/')
			expect_below(w, moment, truth, prefix);
		if (moment)
			CHECK_EQ(index_moment_count(moment), truth->count);
	}
	CHECK_EQ(index_count(&w->index), w->now.count);
	expect_live(w);
	index_check(&w->index);
}
