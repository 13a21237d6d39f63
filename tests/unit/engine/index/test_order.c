/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_order.c - keys in order while more come: against a sorted array, with memory to sort those
 * that wait, and without.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bulk.h"
#include "index/order.h"
#include "tests/support/check.h"

enum { KEYS = 3000, KEY_SIZE = 24, ROUND_MAX = 200 };

static bool no_memory;

/* In place of base/bulk.c. */
void *bulk_alloc(size_t size)
{
	return no_memory ? NULL : calloc(1, size);
}

void bulk_free(void *data, size_t size)
{
	(void)size;
	free(data);
}

struct world {
	struct keydir keydir;
	struct order order;
	char (*keys)[KEY_SIZE]; /* sorted by expect() */
	size_t count;
};

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static struct dw_bytes bytes_of(const char *key)
{
	return (struct dw_bytes){key, strlen(key)};
}

static void add(struct world *w, const char *key)
{
	struct dw_segment segment = {.id = 1};
	const struct keydir_place place = {.segment = &segment};
	struct keydir_prepared prepared;
	struct keydir_place old;

	CHECK_EQ(keydir_prepare(&w->keydir, bytes_of(key), &prepared), 0);
	uint32_t node = order_prepare(&w->keydir, &prepared);
	CHECK(node != 0);
	CHECK(!keydir_set(&w->keydir, &prepared, &place, &old));
	order_add(&w->order, &w->keydir, node);
	memcpy(w->keys[w->count++], key, strlen(key) + 1);
}

/* Each key once; many begin alike, some are only longer than others. */
static void add_some(struct world *w, struct rng *rng)
{
	size_t count = 1 + rng_below(rng, ROUND_MAX);
	char key[KEY_SIZE];

	for (size_t i = 0; i < count && w->count < KEYS; i++) {
		size_t size = 2 + rng_below(rng, KEY_SIZE - 2), at = 0;
		for (; at + 1 < size; at++)
			key[at] = (char)(at < 9 ? 'a' : 'a' + rng_below(rng, 3));
		key[at] = '\0';
		struct keydir_place place;
		if (!keydir_get(&w->keydir, bytes_of(key), false, &place))
			add(w, key);
	}
}

static bool is(const struct world *w, uint32_t node, size_t i)
{
	struct dw_bytes wanted = bytes_of(w->keys[i]);

	return node && !keydir_compare(order_key(&w->keydir, node), wanted);
}

static void expect(struct world *w, struct rng *rng)
{
	uint32_t node = 0;

	qsort(w->keys, w->count, KEY_SIZE, compare);
	for (size_t i = 0; i < w->count; i++) {
		node = order_next(&w->order, &w->keydir, node);
		CHECK(is(w, node, i));
	}
	CHECK_EQ(order_next(&w->order, &w->keydir, node), 0);
	for (int i = 0; i < 20; i++) {
		size_t at = rng_below(rng, w->count);
		char above[KEY_SIZE + 1];
		CHECK(is(w, order_seek(&w->order, &w->keydir, bytes_of(w->keys[at])), at));
		/* the least key above */
		(void)memcpy(above, w->keys[at], KEY_SIZE);
		node = order_seek(&w->order, &w->keydir,
				  (struct dw_bytes){above, strlen(above) + 1});
		CHECK(at + 1 < w->count ? is(w, node, at + 1) : !node);
	}
}

static void test(struct rng *rng, bool memory)
{
	struct world w = {.keys = calloc(KEYS, KEY_SIZE)};

	CHECK(w.keys != NULL);
	CHECK_EQ(keydir_init(&w.keydir, NULL), 0);
	for (int round = 0; round < 60; round++) {
		size_t before = w.count;
		add_some(&w, rng);
		CHECK_EQ(order_is_behind(&w.order, &w.keydir), w.count > before);
		no_memory = !memory;
		order_catch_up(&w.order, &w.keydir);
		no_memory = false;
		CHECK(!order_is_behind(&w.order, &w.keydir));
		expect(&w, rng);
	}
	CHECK(w.count > 1000);
	keydir_release(&w.keydir);
	free(w.keys);
}

static void test_sorted(void)
{
	struct rng rng = check_rng();

	test(&rng, true);
}

static void test_without_memory(void)
{
	struct rng rng = check_rng();

	test(&rng, false);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {{"order_sorted", test_sorted},
						  {"order_without_memory", test_without_memory},
						  {NULL, NULL}};

	return check_main(argc, argv, tests);
}
