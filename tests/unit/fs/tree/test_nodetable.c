/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_nodetable.c - the table of nodes against an array that says which are in it.
 */
#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "fs/tree/node.h"
#include "tests/support/check.h"
#include "tests/support/crafted.h"

enum { NODES = 3000, ROUNDS = 60000 };

static struct node *parents[3];

static size_t name_of(char ret[32], size_t i)
{
	return (size_t)snprintf(ret, 32, "%.*s%zu", (int)(i % 15), "aaaaaaaaaaaaaaa", i / 3);
}

/* The same names stand below each parent. */
static struct node *new_node(size_t i)
{
	char name[32];
	size_t size = name_of(name, i);
	struct node *node = node_new(name, size, NULL, false);

	CHECK(node != NULL);
	node->key->parent = parents[i % 3];
	return node;
}

static void expect_same(const struct nodetable *table, struct node *const *nodes, const bool *in)
{
	size_t at = 0, seen = 0, count = 0;
	char name[32];

	for (size_t i = 0; i < NODES; i++) {
		size_t size = name_of(name, i);
		struct node *found = nodetable_find(table, parents[i % 3], name, size);
		CHECK(found == (in[i] ? nodes[i] : NULL));
		count += in[i];
	}
	while (nodetable_next(table, &at))
		seen++;
	CHECK_EQ(seen, count);
	CHECK_EQ(table->count, count);
}

static void test_against_array(void)
{
	struct node **nodes = calloc(NODES, sizeof(struct node *));
	bool *in = calloc(NODES, sizeof *in);
	struct nodetable table = {0};
	struct rng rng = check_rng();

	for (size_t i = 0; i < 3; i++)
		parents[i] = node_new("p", 1, NULL, true);
	for (size_t i = 0; i < NODES; i++)
		nodes[i] = new_node(i);
	expect_same(&table, nodes, in);
	for (size_t round = 0; round < ROUNDS; round++) {
		size_t i = (size_t)rng_below(&rng, NODES);
		if (in[i])
			nodetable_remove(&table, nodes[i]);
		else
			CHECK_EQ(nodetable_add(&table, nodes[i]), 0);
		in[i] = !in[i];
		if (round % 5000 == 0)
			expect_same(&table, nodes, in);
	}
	CHECK_EQ(nodetable_reserve(&table, 300000), 0); /* in large pages from there on */
	expect_same(&table, nodes, in);
	nodetable_release(&table);
	nodetable_release(&table);
	for (size_t i = 0; i < NODES; i++) {
		nodes[i]->key->parent = NULL;
		node_unref(nodes[i], 1);
	}
	for (size_t i = 0; i < 3; i++)
		node_unref(parents[i], 1);
	free(nodes);
	free(in);
}

/* Names that somebody who knows where their directory lies made for one slot. */
static void test_crafted(void)
{
	enum { CRAFTED = 20000 };
	struct node **nodes = calloc(CRAFTED, sizeof(struct node *));
	struct node *parent = node_new("p", 1, NULL, true);
	struct nodetable table = {0};
	size_t run = 0, longest = 0;

	for (size_t i = 0; i < CRAFTED; i++) {
		uint64_t hash = (uint64_t)i << 24 | 4711;
		uint8_t name[8];
		crafted_name(hash, (uintptr_t)parent, name);
		CHECK_EQ(XXH3_64bits_withSeed(name, sizeof name, (uintptr_t)parent), hash);
		nodes[i] = node_new((const char *)name, sizeof name, NULL, false);
		nodes[i]->key->parent = parent;
		CHECK_EQ(nodetable_add(&table, nodes[i]), 0);
	}
	for (size_t at = 0; at < table.size; at++) {
		run = table.slots[at] ? run + 1 : 0;
		longest = run > longest ? run : longest;
	}
	printf("  %zu slots in a row\n", longest);
	CHECK(longest < 500);
	nodetable_release(&table);
	for (size_t i = 0; i < CRAFTED; i++) {
		nodes[i]->key->parent = NULL;
		node_unref(nodes[i], 1);
	}
	node_unref(parent, 1);
	free(nodes);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"nodetable_model", test_against_array},
		{"nodetable_crafted", test_crafted},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
