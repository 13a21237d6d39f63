/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_tree.c - the tree against an array that says which nodes there are, with random names,
 * moves and counts; and nodes that come and go in several threads.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "fs/base/seed.h"
#include "fs/tree/tree.h"
#include "tests/support/check.h"

static const struct name_rules rules = {false, ""};
static const uint8_t secret[INO_SECRET_SIZE] = {7};

static void init(struct tree *tree)
{
	CHECK_EQ(tree_init(tree, &rules, secret), 0);
}

static struct node *add(struct tree *tree, struct node *parent, const char *name, bool is_dir)
{
	struct node *node = node_new(name, strlen(name), NULL, is_dir);

	CHECK(node != NULL);
	CHECK_EQ(tree_link(tree, parent, node), 0);
	return node;
}

/* As volume_unref() does it. */
static void unref(struct tree *tree, struct node *node)
{
	struct node *parent = NULL;

	while (node && tree_unref(tree, node, 1, &parent)) {
		node_free(node);
		node = parent;
	}
}

static bool is_found(struct tree *tree, struct node *parent, const char *name, struct node *wanted)
{
	struct node *node = tree_find(tree, parent, name, strlen(name));

	if (node)
		unref(tree, node);
	return node == wanted;
}

static void expect_key(const struct node *node, const char *key)
{
	char got[256];

	CHECK_EQ(node_key_size(node), strlen(key));
	node_key_write(node, got);
	CHECK(!memcmp(got, key, strlen(key)));
}

/* The last count takes a node away, and those above it that nothing else counts on. */
static void test_counts(void)
{
	struct tree tree;

	init(&tree);
	struct node *d = add(&tree, tree.root, "d", true), *e = add(&tree, d, "e", true);
	struct node *f = add(&tree, e, "f", false);
	CHECK_EQ(tree_count(&tree), 3);
	expect_key(f, "d/e/f");
	expect_key(e, "d/e/");
	unref(&tree, d);
	unref(&tree, e);
	CHECK_EQ(tree_count(&tree), 3); /* the nodes below hold references */
	CHECK(is_found(&tree, d, "e", e) && is_found(&tree, e, "f", f));
	unref(&tree, f);
	CHECK_EQ(tree_count(&tree), 0);
	CHECK(is_found(&tree, tree.root, "d", NULL));
	CHECK_EQ(atomic_load(&tree.root->refs), 1);
	tree_release(&tree);
}

/* A node without a name lives on, and its name may be another's. */
static void test_unlink(void)
{
	struct tree tree;

	init(&tree);
	struct node *f = add(&tree, tree.root, "f", false);
	uint64_t ino = f->ino;
	unref(&tree, tree_unlink(&tree, f));
	CHECK(is_found(&tree, tree.root, "f", NULL));
	tree_forget_ino(&tree, f);
	CHECK(f->ino != ino);
	struct node *again = add(&tree, tree.root, "f", false);
	CHECK_EQ(again->ino, ino);
	CHECK(again->generation != f->generation);
	unref(&tree, f);
	CHECK(is_found(&tree, tree.root, "f", again));
	unref(&tree, again);
	tree_release(&tree);
}

/* Numbers follow from the key, wherever a node came from. */
static void test_move(void)
{
	const struct dw_bytes component = {"raw", 3};
	const struct name shown = {.size = 5, .text = "shown"};
	struct tree tree;

	init(&tree);
	struct node *d = add(&tree, tree.root, "d", true), *e = add(&tree, tree.root, "e", true);
	struct node *f = add(&tree, d, "f", true), *below = add(&tree, f, "below", false);
	CHECK_EQ(tree_move(&tree, f, e, &shown, &component), 0);
	unref(&tree, d); /* f's reference */
	tree_update_inos(&tree, f);
	expect_key(below, "e/raw/below");
	CHECK(is_found(&tree, d, "f", NULL) && is_found(&tree, e, "shown", f));
	CHECK_EQ(f->ino, tree_ino(&tree, e, component, true));
	CHECK_EQ(below->ino, tree_ino(&tree, f, node_component(below), false));
	/* exchanged: places and names, whatever is stored beside them */
	struct node *a = add(&tree, d, "a", false), *b = add(&tree, e, "b", false);
	CHECK_EQ(tree_exchange_reserve(&tree, a, b), 0);
	tree_exchange(&tree, a, b);
	expect_key(a, "e/b");
	expect_key(b, "d/a");
	CHECK(is_found(&tree, e, "b", a) && is_found(&tree, d, "a", b));
	CHECK_EQ(a->ino, tree_ino(&tree, e, node_component(a), false));
	struct node *all[] = {a, b, below, f, e, d};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		unref(&tree, all[i]);
	CHECK_EQ(tree_count(&tree), 0);
	tree_release(&tree);
}

/* All that is below, parents first; the oldest, each once until it was forgotten. */
static void test_walks(void)
{
	struct node **nodes = NULL, *oldest[8];
	struct tree tree;
	size_t count = 0;

	init(&tree);
	struct node *d = add(&tree, tree.root, "d", true), *e = add(&tree, d, "e", true);
	struct node *f = add(&tree, e, "f", false), *g = add(&tree, tree.root, "g", false);
	CHECK_EQ(tree_below(&tree, d, &nodes, &count), 0);
	CHECK(count == 2 && nodes[0] == e && nodes[1] == f);
	unref(&tree, e);
	unref(&tree, f);
	free(nodes);
	CHECK_EQ(tree_below(&tree, NULL, &nodes, &count), 0);
	CHECK_EQ(count, 4);
	for (size_t i = 0; i < count; i++)
		unref(&tree, nodes[i]);
	free(nodes);
	/* a directory takes its files along; one with directories below it goes after these */
	CHECK_EQ(tree_take_oldest(&tree, oldest, 1, &count), 1);
	CHECK(oldest[0] == e && count == 2);
	CHECK_EQ(tree_take_oldest(&tree, oldest + 1, 7, &count), 1);
	CHECK(oldest[1] == g && count == 1);
	CHECK_EQ(tree_take_oldest(&tree, oldest, 8, &count), 0);
	unref(&tree, e);
	unref(&tree, g);
	CHECK_EQ(tree_unlogged(&tree, e, &nodes, &count), 0);
	CHECK(count == 1 && nodes[0] == f && tree_has_unlogged(&tree, e));
	unref(&tree, f);
	free(nodes);
	atomic_store(&f->logged, true);
	CHECK(!tree_has_unlogged(&tree, e));
	tree_release(&tree);
}

/* A user who chooses names cannot know their hashes: each table is seeded at random. */
static void test_seeded(void)
{
	struct tree tree;

	init(&tree);
	struct node *f = add(&tree, tree.root, "f", false);
	CHECK(seed_get() != 0);
	CHECK_EQ(f->hh.hashv,
		 (unsigned)XXH3_64bits_withSeed(f->key, sizeof *f->key + 1, seed_get()));
	unref(&tree, f);
	tree_release(&tree);
}

/* --- against an array --- */

enum { NAMES = 40, DIRS = 4, STEPS = 20000 };

static void test_model(void)
{
	static struct node *there[DIRS][NAMES];
	struct rng rng = check_rng();
	struct tree tree;
	struct node *dirs[DIRS];
	char name[16], other[16];

	init(&tree);
	memset(there, 0, sizeof there);
	for (int d = 0; d < DIRS; d++) {
		(void)snprintf(name, sizeof name, "d%d", d);
		dirs[d] = add(&tree, tree.root, name, true);
	}
	for (int i = 0; i < STEPS; i++) {
		unsigned d = (unsigned)rng_below(&rng, DIRS), n = (unsigned)rng_below(&rng, NAMES);
		unsigned to_d = (unsigned)rng_below(&rng, DIRS),
			 to_n = (unsigned)rng_below(&rng, NAMES);
		struct node **at = &there[d][n], **to = &there[to_d][to_n];
		(void)snprintf(name, sizeof name, "%u", n);
		(void)snprintf(other, sizeof other, "%u", to_n);
		CHECK(is_found(&tree, dirs[d], name, *at));
		if (!*at) {
			*at = add(&tree, dirs[d], name, false);
		} else if (rng_below(&rng, 2)) {
			unref(&tree, *at);
			*at = NULL;
		} else if (!*to) {
			struct name moved = {.size = strlen(other)};
			memcpy(moved.text, other, moved.size);
			CHECK_EQ(tree_move(&tree, *at, dirs[to_d], &moved, NULL), 0);
			unref(&tree, dirs[d]);
			*to = *at;
			*at = NULL;
		} else if (at != to) {
			CHECK_EQ(tree_exchange_reserve(&tree, *at, *to), 0);
			tree_exchange(&tree, *at, *to);
			struct node *swapped = *at;
			*at = *to;
			*to = swapped;
		}
	}
	for (int d = 0; d < DIRS; d++) {
		for (int n = 0; n < NAMES; n++)
			unref(&tree, there[d][n]);
		unref(&tree, dirs[d]);
	}
	CHECK_EQ(tree_count(&tree), 0);
	tree_release(&tree);
}

/* --- threads --- */

enum { THREADS = 4, ROUNDS = 20000 };

static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

/* Find a node or make it, and let it go: as lookups and forgets do. */
static void *come_and_go(void *context)
{
	struct tree *tree = context;

	for (int i = 0; i < ROUNDS; i++) {
		char name[2] = {(char)('a' + i % 3), '\0'};
		(void)pthread_mutex_lock(&making);
		struct node *node = tree_find(tree, tree->root, name, 1);
		if (!node)
			node = add(tree, tree->root, name, false);
		(void)pthread_mutex_unlock(&making);
		CHECK(node_is_linked(node) && node->key->name[0] == name[0]);
		unref(tree, node);
	}
	return NULL;
}

static void test_threads(void)
{
	pthread_t threads[THREADS];
	struct tree tree;

	init(&tree);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, come_and_go, &tree), 0);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(tree_count(&tree), 0);
	CHECK_EQ(atomic_load(&tree.root->refs), 1);
	tree_release(&tree);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"tree_counts", test_counts},   {"tree_unlink", test_unlink},
		{"tree_move", test_move},       {"tree_walks", test_walks},
		{"tree_seeded", test_seeded},   {"tree_model", test_model},
		{"tree_threads", test_threads}, {NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
