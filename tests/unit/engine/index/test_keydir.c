/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_keydir.c - the key directory against a naive one, and the arena under it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/limits.h"
#include "index/keydir.h"
#include "tests/support/check.h"
#include "tests/support/crafted.h"
#include "tests/support/stores.h"

/* MANY: so that all slots of one size stand side by side, and that size changes again */
enum { KEYS = 3000, ROUNDS = 60000, MANY = 450000 };

static struct dw_bytes name_key(char ret[32], uint64_t i)
{
	/* lengths differ, so that entries come from several lists of the arena */
	int n = snprintf(ret, 32, "%.*s%llu", (int)(i % 20), "aaaaaaaaaaaaaaaaaaaa",
			 (unsigned long long)i);

	return (struct dw_bytes){ret, (size_t)n};
}

/* The expected offset of each key, 0 when it is not there. */
struct expected {
	uint64_t keys; /* that there may be */
	uint64_t count;
	uint64_t offsets[MANY];
};

static void expect_same(struct keydir *keydir, const struct expected *model)
{
	struct keydir_cursor cursor = {0};
	struct keydir_place place;
	struct dw_bytes key;
	uint64_t seen = 0;
	char name[32];

	CHECK_EQ(keydir_count(keydir), model->count);
	for (uint64_t i = 0; i < model->keys; i++) {
		bool there = keydir_get(keydir, name_key(name, i), false, &place);
		CHECK_EQ(there, model->offsets[i] != 0);
		if (there)
			CHECK_EQ(place.offset, model->offsets[i]);
	}
	while (keydir_next(keydir, &cursor, &key, &place))
		seen++;
	CHECK_EQ(seen, model->count);
}

/* 0: there was none. */
static void expect_old(const struct keydir_place *old, uint64_t offset)
{
	CHECK_EQ(old->segment != NULL, offset != 0);
	CHECK(!old->segment || (old->offset == offset && old->value_size == 7));
}

static void set(struct keydir *keydir, struct expected *model, struct dw_segment *segment,
		uint64_t i, uint64_t offset)
{
	struct keydir_prepared prepared;
	const struct keydir_place place = {.segment = segment, .offset = offset, .value_size = 7};
	struct keydir_place old;
	char name[32];
	struct dw_bytes key = name_key(name, i);

	CHECK_EQ(keydir_prepare(keydir, key, &prepared), 0);
	keydir_set(keydir, &prepared, &place, &old);
	CHECK_EQ(prepared.entry, 0);
	expect_old(&old, model->offsets[i]);
	model->count += !model->offsets[i];
	model->offsets[i] = offset;
}

static void unset(struct keydir *keydir, struct expected *model, uint64_t i)
{
	struct keydir_place old;
	char name[32];
	struct dw_bytes key = name_key(name, i);

	keydir_remove(keydir, key, &old);
	expect_old(&old, model->offsets[i]);
	model->count -= model->offsets[i] != 0;
	model->offsets[i] = 0;
}

static void test_against_model(void)
{
	static struct keydir keydir;
	struct dw_segment segment = {.id = 1};
	struct expected *model = calloc(1, sizeof *model);
	struct rng rng = check_rng();
	char name[32];

	model->keys = KEYS;
	CHECK_EQ(keydir_init(&keydir, NULL), 0);
	for (uint64_t round = 1; round <= ROUNDS; round++) {
		uint64_t i = rng_below(&rng, KEYS);
		switch (rng_below(&rng, 4)) {
		case 0:
		case 1: set(&keydir, model, &segment, i, round); break;
		case 2: unset(&keydir, model, i); break;
		default:
			/* only from where it is */
			keydir_move(&keydir, name_key(name, i), &segment,
				    model->offsets[i] + (round & 1), &segment, ROUNDS + round);
			if (model->offsets[i] && !(round & 1))
				model->offsets[i] = ROUNDS + round;
		}
		if (round % 5000 == 0)
			expect_same(&keydir, model);
	}
	keydir_release(&keydir);
	free(model);
}

static void test_many(void)
{
	static struct keydir keydir;
	struct dw_segment segment = {.id = 1};
	struct expected *model = calloc(1, sizeof *model);

	model->keys = MANY;
	CHECK_EQ(keydir_init(&keydir, NULL), 0);
	for (uint64_t i = 0; i < MANY; i++)
		set(&keydir, model, &segment, i, i + 1);
	expect_same(&keydir, model);
	for (uint64_t i = 0; i < MANY; i += 2)
		unset(&keydir, model, i);
	expect_same(&keydir, model);
	keydir_release(&keydir);
	free(model);
}

/* An entry that was prepared and dropped leaves nothing, whatever the key. */
static void test_dropped(void)
{
	static struct keydir keydir;
	struct keydir_prepared prepared = {0};
	struct keydir_place place;
	uint8_t *large = stores_noise(1, DW_KEY_SIZE_MAX);
	const struct dw_bytes keys[] = {{large, DW_KEY_SIZE_MAX}, {"", 0}, {"a", 1}};

	CHECK_EQ(keydir_init(&keydir, NULL), 0);
	for (int round = 0; round < 100; round++)
		for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
			CHECK_EQ(keydir_prepare(&keydir, keys[i], &prepared), 0);
			keydir_drop(&keydir, &prepared);
			CHECK(!keydir_get(&keydir, keys[i], false, &place));
		}
	keydir_drop(&keydir, &prepared); /* used up: nothing happens */
	CHECK_EQ(keydir_count(&keydir), 0);
	CHECK(keydir.entries.chunk_count <= 2); /* a dropped block is used again */
	keydir_release(&keydir);
	free(large);
}

/* Blocks do not overlap, and come back when they were freed. */
static void test_arena(void)
{
	enum { BLOCKS = 2000 };
	struct arena arena;
	uint32_t names[BLOCKS], chunks = 0;

	CHECK_EQ(arena_init(&arena), 0);
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < BLOCKS; i++) {
			names[i] = arena_get(&arena, 1 + i % 700);
			CHECK(names[i]);
			memset(arena_at(&arena, names[i]), (int)(i & 0xff), 1 + i % 700);
		}
		for (uint32_t i = 0; i < BLOCKS; i++)
			for (uint32_t at = 0; at < 1 + i % 700; at += 99)
				CHECK_EQ(((uint8_t *)arena_at(&arena, names[i]))[at], i & 0xff);
		if (round)
			CHECK_EQ(arena.chunk_count, chunks);
		chunks = arena.chunk_count;
		for (uint32_t i = 0; i < BLOCKS; i++)
			arena_put(&arena, names[i], 1 + i % 700);
	}
	CHECK(arena_get(&arena, ARENA_BLOCK_MAX));
	arena_release(&arena);
	arena_release(&arena);
}

/* --- keys made to collide --- */

enum { CRAFTED = 20000 };

/* How many slots in a row are taken at most. */
static uint32_t longest_run(const struct keydir *keydir)
{
	uint32_t longest = 0;

	for (int i = 0; i < KEYDIR_TABLES; i++) {
		const struct keydir_table *table = &keydir->tables[i];
		uint32_t run = 0;
		for (uint32_t at = 0; table->slots && at <= table->mask; at++) {
			run = table->slots[at].entry ? run + 1 : 0;
			longest = run > longest ? run : longest;
		}
	}
	return longest;
}

static void test_crafted(void)
{
	struct dw_segment segment = {.id = 1};
	const struct keydir_place place = {.segment = &segment, .value_size = 7};
	struct keydir_place old;
	struct keydir keydir;

	CHECK_EQ(keydir_init(&keydir, NULL), 0);
	for (uint64_t i = 0; i < CRAFTED; i++) {
		struct keydir_prepared prepared;
		/* all in one table, and with one tag */
		uint64_t hash = UINT64_C(3) << 58 | i << 32 | 12345;
		uint8_t name[8];
		crafted_name(hash, 0, name);
		CHECK_EQ(XXH3_64bits(name, sizeof name), hash);
		const struct dw_bytes key = {name, sizeof name};
		CHECK_EQ(keydir_prepare(&keydir, key, &prepared), 0);
		keydir_set(&keydir, &prepared, &place, &old);
	}
	uint32_t longest = longest_run(&keydir);
	printf("  %u slots in a row\n", longest);
	CHECK(longest < 300);
	keydir_release(&keydir);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"keydir_model", test_against_model}, {"keydir_many", test_many},
		{"keydir_dropped", test_dropped},     {"keydir_arena", test_arena},
		{"keydir_crafted", test_crafted},     {NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
