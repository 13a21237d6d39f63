/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * runs.c - see runs.h.
 */
#include "tests/support/runs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_ROOM = 70000 };

/* --- making them --- */

static size_t flat_key(struct rng *rng, char *ret)
{
	return (size_t)snprintf(ret, KEY_ROOM, "%016llx", (unsigned long long)rng_next(rng));
}

static size_t tree_key(struct rng *rng, char *ret)
{
	unsigned a = (unsigned)rng_below(rng, 30), b = (unsigned)rng_below(rng, 9);
	unsigned file = (unsigned)rng_below(rng, 1000);

	switch (rng_below(rng, 5)) {
	case 0: return (size_t)snprintf(ret, KEY_ROOM, "d%05u/", a);
	case 1: return (size_t)snprintf(ret, KEY_ROOM, "d%05u/sub%u/x/file-%u", a, b, file);
	case 2: return (size_t)snprintf(ret, KEY_ROOM, "file-%u", file);
	default: return (size_t)snprintf(ret, KEY_ROOM, "d%05u/file-%04u.txt", a, file);
	}
}

static size_t mixed_key(struct rng *rng, char *ret)
{
	static const char letters[] = {'/', 'a', 'b', '/', '\0', (char)0xff};
	size_t size = (size_t)rng_below(rng, rng_below(rng, 4) ? 8 : 300);
	size_t kinds = 1 + rng_below(rng, sizeof letters);

	for (size_t i = 0; i < size; i++)
		ret[i] = letters[rng_below(rng, kinds)];
	return size;
}

static size_t long_key(struct rng *rng, char *ret)
{
	static const size_t sizes[] = {1,    253,  254,  255,  1000, 1023,  1024,
				       1025, 4000, 4088, 4089, 8176, 65535, 65536};
	size_t size = sizes[rng_below(rng, sizeof sizes / sizeof *sizes)];

	if (!rng_below(rng, 3))
		size = (size_t)rng_below(rng, 2000);
	memset(ret, rng_below(rng, 4) ? 'k' : '/', size);
	for (uint64_t n = rng_below(rng, 3); n && size; n--)
		ret[rng_below(rng, size)] = (char)('j' + rng_below(rng, 3));
	return size;
}

static size_t make_key(struct rng *rng, enum runs_flavor flavor, char *ret)
{
	switch (flavor) {
	case RUNS_FLAT: return flat_key(rng, ret);
	case RUNS_TREE: return tree_key(rng, ret);
	case RUNS_MIXED: return mixed_key(rng, ret);
	default: return long_key(rng, ret);
	}
}

static struct run_place make_place(struct rng *rng)
{
	bool odd = !rng_below(rng, 20), tombstone = !rng_below(rng, 8);
	struct run_place place = {
		.segment = odd ? (uint32_t)rng_next(rng) : 1 + (uint32_t)rng_below(rng, 3),
		.value_size = odd ? (uint32_t)rng_next(rng) : 100,
		.offset = odd ? rng_next(rng) : rng_below(rng, 256u << 20),
		.mtime_ns = odd ? (int64_t)rng_next(rng)
				: 1700000000000000000 + (int64_t)rng_below(rng, 1000000000),
		.tombstone = tombstone,
	};

	if (rng_below(rng, 3))
		place.change = tombstone ? -1 : 1;
	return place;
}

static int compare_keys(struct dw_bytes a, struct dw_bytes b)
{
	size_t size = a.size < b.size ? a.size : b.size;
	int order = size ? memcmp(a.data, b.data, size) : 0;

	return order ? order : a.size < b.size ? -1 : a.size > b.size;
}

static int compare_items(const void *a, const void *b)
{
	const struct runs_item *p = a, *q = b;

	return compare_keys((struct dw_bytes){p->key, p->size}, (struct dw_bytes){q->key, q->size});
}

struct runs_array runs_make(struct rng *rng, enum runs_flavor flavor, size_t count)
{
	struct runs_array array = {calloc(count + 1, sizeof *array.items), 0};
	char *key = malloc(KEY_ROOM);
	size_t kept = 0;

	CHECK(array.items && key);
	for (size_t i = 0; i < count; i++) {
		struct runs_item *item = &array.items[i];
		item->size = make_key(rng, flavor, key);
		item->key = malloc(item->size + 1);
		CHECK(item->key != NULL);
		memcpy(item->key, key, item->size);
		item->place = make_place(rng);
	}
	free(key);
	qsort(array.items, count, sizeof *array.items, compare_items);
	for (size_t i = 0; i < count; i++) {
		if (kept && !compare_items(&array.items[kept - 1], &array.items[i]))
			free(array.items[i].key);
		else
			array.items[kept++] = array.items[i];
	}
	array.count = kept;
	return array;
}

void runs_release(struct runs_array *array)
{
	for (size_t i = 0; i < array->count; i++)
		free(array->items[i].key);
	free(array->items);
	*array = (struct runs_array){0};
}

int runs_write(struct io *io, int dirfd, uint32_t id, uint32_t chunk_keys,
	       const struct runs_array *array)
{
	const struct runwriter_options options = {
		.id = id, .seed = RUNS_SEED, .chunk_keys = chunk_keys};
	struct runwriter *writer = NULL;
	int rc = runwriter_open(io, dirfd, &options, &writer);

	for (size_t i = 0; i < array->count && !rc; i++)
		rc = runwriter_add(writer, runs_key(array, i), &array->items[i].place);
	if (!rc)
		rc = runwriter_finish(writer, true);
	runwriter_free(writer);
	return rc;
}

/* --- comparing --- */

struct checking {
	struct run *run;
	const struct runs_array *array;
	struct rng *rng;
	bool damaged;
	size_t bad; /* answers that were -EBADMSG */
};

/* Whether the answer is -EBADMSG, which must be allowed. */
static bool is_bad(struct checking *c, int rc)
{
	if (rc != -EBADMSG)
		return false;
	CHECK(c->damaged);
	CHECK(run_is_damaged(c->run));
	c->bad++;
	return true;
}

static bool same_place(const struct run_place *a, const struct run_place *b)
{
	return a->segment == b->segment && a->value_size == b->value_size &&
	       a->offset == b->offset && a->mtime_ns == b->mtime_ns &&
	       a->tombstone == b->tombstone && a->change == b->change;
}

/* The first item that is `key` or greater. */
static size_t lower_bound(const struct runs_array *array, struct dw_bytes key)
{
	size_t from = 0, to = array->count;

	while (from < to) {
		size_t middle = (from + to) / 2;
		if (compare_keys(runs_key(array, middle), key) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static void check_answer(struct checking *c, struct dw_bytes key, int rc,
			 const struct run_place *place)
{
	size_t at = lower_bound(c->array, key);
	bool there = at < c->array->count && !compare_keys(runs_key(c->array, at), key);

	if (is_bad(c, rc))
		return;
	CHECK_EQ(rc, there);
	if (there)
		CHECK(same_place(place, &c->array->items[at].place));
}

static void check_get(struct checking *c, struct dw_bytes key)
{
	uint64_t hash = run_hash(RUNS_SEED, key);
	struct run_place place;

	run_prefetch(c->run, key, hash);
	check_answer(c, key, run_get(c->run, key, hash, &place), &place);
}

/* A key that is mostly not there, but near one that is. */
static struct dw_bytes near_key(struct checking *c, struct dw_bytes key, uint8_t *ret)
{
	size_t size = key.size;

	if (size)
		memcpy(ret, key.data, size);
	switch (rng_below(c->rng, 4)) {
	case 0: size = rng_below(c->rng, size + 1); break;
	case 1:
		if (size)
			ret[rng_below(c->rng, size)] ^= (uint8_t)(1u << rng_below(c->rng, 8));
		break;
	case 2:
		if (size < DW_KEY_SIZE_MAX)
			ret[size++] = (uint8_t)(rng_below(c->rng, 2) ? 0 : '/');
		break;
	default:
		if (size)
			ret[size - 1]++;
	}
	return (struct dw_bytes){ret, size};
}

/* Keys from `at` on, and as many that are mostly not there, at once. */
static void check_many(struct checking *c, size_t at)
{
	enum { MANY = 70 };
	struct run_probe probes[MANY];
	uint8_t *others = malloc((size_t)MANY * KEY_ROOM);
	size_t count = 0;

	CHECK(others != NULL);
	for (; at < c->array->count && count + 2 <= MANY; at++) {
		struct dw_bytes key = runs_key(c->array, at);
		probes[count++].key = key;
		probes[count].key = near_key(c, key, others + count * KEY_ROOM);
		count++;
	}
	for (size_t i = 0; i < count; i++)
		probes[i].hash = run_hash(RUNS_SEED, probes[i].key);
	run_get_many(c->run, probes, count);
	for (size_t i = 0; i < count; i++)
		check_answer(c, probes[i].key, probes[i].rc, &probes[i].place);
	free(others);
}

static void check_walk(struct checking *c, struct run_cursor *cursor, size_t at, size_t count)
{
	for (; count; at++, count--) {
		struct dw_bytes key;
		struct run_place place;
		int rc = run_cursor_next(cursor, &key, &place);
		if (is_bad(c, rc))
			return;
		CHECK_EQ(rc, at < c->array->count);
		if (!rc) {
			CHECK_EQ(run_cursor_next(cursor, &key, &place), 0);
			return;
		}
		CHECK(!compare_keys(key, runs_key(c->array, at)));
		CHECK(same_place(&place, &c->array->items[at].place));
	}
}

static void check_seek(struct checking *c, struct run_cursor *cursor, struct dw_bytes key)
{
	if (!is_bad(c, run_cursor_seek(cursor, key)))
		check_walk(c, cursor, lower_bound(c->array, key), 1 + rng_below(c->rng, 12));
}

static void check_below(struct checking *c, struct dw_bytes prefix)
{
	int64_t change = 0, newest = INT64_MIN, change_got = 7, newest_got = 7;

	for (size_t i = lower_bound(c->array, prefix); i < c->array->count; i++) {
		const struct runs_item *item = &c->array->items[i];
		if (item->size < prefix.size || memcmp(item->key, prefix.data, prefix.size) != 0)
			break;
		if (item->size == prefix.size)
			continue;
		change += item->place.change;
		if (!item->place.tombstone && newest < item->place.mtime_ns)
			newest = item->place.mtime_ns;
	}
	int rc = run_below(c->run, prefix, &change_got, &newest_got);
	if (is_bad(c, rc))
		return;
	CHECK_EQ(rc, 0);
	CHECK_EQ(change_got, change);
	CHECK_EQ(newest_got, newest);
}

/* Directories of a key: all, or of very deep ones some. */
static void check_directories(struct checking *c, struct dw_bytes key)
{
	const uint8_t *p = key.data;
	uint64_t depth = 0;

	for (size_t i = 0; i < key.size; i++)
		if (p[i] == '/' && (++depth < 6 || !rng_below(c->rng, 500)))
			check_below(c, (struct dw_bytes){p, i + 1});
}

static void check_near(struct checking *c, struct run_cursor *cursor, struct dw_bytes key)
{
	uint8_t *other = malloc(KEY_ROOM);

	CHECK(other != NULL);
	struct dw_bytes near = near_key(c, key, other);
	check_get(c, near);
	check_seek(c, cursor, near);
	if (near.size && other[near.size - 1] == '/')
		check_below(c, near);
	free(other);
}

size_t runs_check(struct run *run, const struct runs_array *array, struct rng *rng, bool damaged)
{
	struct checking c = {run, array, rng, damaged, 0};
	struct run_cursor cursor;

	CHECK_EQ(run_figures(run)->keys, array->count);
	CHECK_EQ(run_cursor_init(&cursor, run), 0);
	check_walk(&c, &cursor, 0, array->count + 1);
	for (size_t i = 0; i < array->count; i++) {
		struct dw_bytes key = runs_key(array, i);
		if (i % 100 == 0)
			check_many(&c, i);
		check_get(&c, key);
		check_directories(&c, key);
		if (!damaged || i % 4 == 0) {
			check_seek(&c, &cursor, key);
			check_near(&c, &cursor, key);
		}
	}
	check_below(&c, (struct dw_bytes){"", 0});
	check_seek(&c, &cursor, (struct dw_bytes){"", 0});
	check_get(&c, (struct dw_bytes){"", 0});
	run_cursor_release(&cursor);
	return c.bad;
}
