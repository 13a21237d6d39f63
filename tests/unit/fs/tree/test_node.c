/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_node.c - the tree of names: finding, moving, keys, and listings that go on at
 * the right place, against a plain array.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/tree/children.h"
#include "fs/tree/node.h"
#include "tests/support/check.h"

static struct tree new_tree(void)
{
	const struct name_rules rules = {.reserved = ""};
	struct tree tree;

	CHECK_EQ(tree_init(&tree, &rules, (const uint8_t[INO_SECRET_SIZE]){1}), 0);
	return tree;
}

/* A linked node that only the tree counts on. */
static struct node *link_at(struct tree *tree, struct node *parent, const char *name,
			    const struct dw_bytes *component, bool is_dir, uint64_t cookie)
{
	struct node *node = node_new(name, strlen(name), component, is_dir);

	CHECK(node != NULL);
	CHECK_EQ(tree_link(tree, parent, node, cookie), 0);
	node_unref(node, 1);
	return node;
}

static struct node *link_file(struct tree *tree, struct node *parent, const char *name)
{
	return link_at(tree, parent, name, NULL, false, 0);
}

static struct node *link_dir(struct tree *tree, struct node *parent, const char *name)
{
	return link_at(tree, parent, name, NULL, true, 0);
}

static struct node *find(const struct tree *tree, const struct node *parent, const char *name)
{
	return tree_find(tree, parent, name, strlen(name));
}

static int move(struct tree *tree, struct node *node, struct node *parent, const char *name)
{
	return tree_move(tree, node, parent, name, strlen(name), NULL, 0);
}

static void check_key(const struct node *node, const void *want, size_t size)
{
	char *key = malloc(size + 1);

	CHECK(key != NULL);
	CHECK_EQ(node_key_size(node), size);
	node_key_write(node, key);
	CHECK(!memcmp(key, want, size));
	free(key);
}

static void check_key_text(const struct node *node, const char *want)
{
	check_key(node, want, strlen(want));
}

/* --- names and places --- */

static void test_find(void)
{
	struct tree tree = new_tree();
	struct node *d = link_dir(&tree, tree.root, "d"), *e = link_dir(&tree, d, "d");
	struct node *a = link_file(&tree, tree.root, "a"), *da = link_file(&tree, d, "a");
	char longest[NAME_SIZE_MAX + 2];

	CHECK(find(&tree, tree.root, "a") == a && find(&tree, d, "a") == da);
	CHECK(find(&tree, tree.root, "d") == d && find(&tree, d, "d") == e);
	CHECK(!find(&tree, e, "a"));
	CHECK(!find(&tree, tree.root, "") && !find(&tree, tree.root, "aa"));
	CHECK(!find(&tree, a, "a"));
	memset(longest, 'n', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	CHECK(!find(&tree, tree.root, longest)); /* one byte too long */
	longest[NAME_SIZE_MAX] = '\0';
	struct node *n = link_file(&tree, tree.root, longest);
	CHECK(find(&tree, tree.root, longest) == n);
	CHECK_EQ(tree.count, 6);
	tree_unlink(&tree, da);
	CHECK(!find(&tree, d, "a"));
	CHECK(find(&tree, tree.root, "a") == a);
	CHECK_EQ(tree.count, 5);
	tree_release(&tree);
}

static void test_move(void)
{
	struct tree tree = new_tree();
	struct node *d = link_dir(&tree, tree.root, "d"), *e = link_dir(&tree, tree.root, "e");
	struct node *f = link_file(&tree, d, "f");
	uint64_t ino = f->ino;

	CHECK_EQ(move(&tree, f, e, "a name that needs more room than before"), 0);
	CHECK(!find(&tree, d, "f"));
	CHECK(find(&tree, e, "a name that needs more room than before") == f);
	check_key_text(f, "e/a name that needs more room than before");
	CHECK(f->ino != ino);
	CHECK_EQ(node_child_count(d), 0);
	CHECK_EQ(node_child_count(e), 1);
	CHECK_EQ(move(&tree, f, d, "f"), 0);
	CHECK_EQ(f->ino, ino); /* the same key, the same number */
	CHECK_EQ(move(&tree, d, e, "g"), 0);
	check_key_text(f, "e/g/f");
	check_key_text(d, "e/g/");
	CHECK(find(&tree, d, "f") == f);
	CHECK_EQ(tree.count, 4);
	tree_release(&tree);
}

static void test_refs(void)
{
	struct tree tree = new_tree();
	struct node *node = node_new("n", 1, NULL, false);

	CHECK_EQ(atomic_load(&node->refs), 1);
	CHECK_EQ(tree_link(&tree, tree.root, node, 0), 0);
	CHECK_EQ(atomic_load(&node->refs), 2);
	CHECK(node_ref(node) == node);
	node_unref(node, 2);
	CHECK_EQ(atomic_load(&node->refs), 1); /* the tree's */
	CHECK_EQ(move(&tree, node, tree.root, "m"), 0);
	CHECK_EQ(atomic_load(&node->refs), 1);
	(void)node_ref(node);
	tree_unlink(&tree, node);
	CHECK_EQ(atomic_load(&node->refs), 1);
	CHECK(!node_is_linked(node));
	CHECK_EQ(tree_link(&tree, tree.root, node, 0), 0); /* and back */
	tree_unlink(&tree, node);
	node_unref(node, 1);                                 /* frees: the sanitizer would tell */
	tree_unlink(&tree, link_dir(&tree, tree.root, "d")); /* frees as well */
	tree_release(&tree);
}

static void test_logged(void)
{
	struct tree tree = new_tree();
	struct node *d = link_dir(&tree, tree.root, "d"), *e = link_dir(&tree, d, "e");
	struct node *f = link_file(&tree, d, "f");

	CHECK_EQ(node_logged_count(e), 0);
	CHECK_EQ(node_logged_count(d), 1); /* e */
	node_set_logged(f, true);
	node_set_logged(f, true);
	CHECK_EQ(node_logged_count(d), 2);
	CHECK_EQ(move(&tree, f, e, "f"), 0);
	CHECK_EQ(node_logged_count(d), 1);
	CHECK_EQ(node_logged_count(e), 1);
	node_set_logged(f, false);
	CHECK_EQ(node_logged_count(e), 0);
	node_set_logged(f, true);
	tree_unlink(&tree, f);
	CHECK_EQ(node_logged_count(e), 0);
	CHECK_EQ(move(&tree, e, tree.root, "e"), 0);
	CHECK_EQ(node_logged_count(d), 0);
	CHECK_EQ(node_logged_count(tree.root), 2);
	tree_release(&tree);
}

/* --- keys --- */

/* Built from the bottom: what moves knows only the one name above it. */
static void check_depth(unsigned depth)
{
	struct tree tree = new_tree();
	size_t size = (size_t)2 * depth + 1;
	char *key = malloc(size), name[2] = "f";
	struct node *top = link_file(&tree, tree.root, "f"), *file = top, *above = NULL;

	CHECK(key != NULL);
	key[size - 1] = 'f';
	for (unsigned i = depth; i; i--) {
		name[0] = (char)('a' + i % 5);
		key[2 * i - 2] = name[0];
		key[2 * i - 1] = '/';
		above = link_dir(&tree, tree.root, name);
		memcpy(name, top->key->name, 1);
		CHECK_EQ(move(&tree, top, above, name), 0);
		top = above;
	}
	check_key(file, key, size);
	check_key(file->key->parent, key, size - 1);
	check_key(top, key, 2);
	CHECK_EQ(node_key_size(tree.root), 0);
	CHECK_EQ(tree.count, depth + 2);
	free(key);
	tree_release(&tree);
}

static void test_deep(void)
{
	check_depth(1);
	check_depth(64);
	check_depth(20000);
}

static void test_stored(void)
{
	struct tree tree = new_tree();
	struct node *d = link_at(&tree, tree.root, "%~", &(struct dw_bytes){NULL, 0}, true, 0);
	char *big = malloc(65536);

	CHECK(big != NULL);
	memset(big, 'x', 65536);
	const struct dw_bytes big_bytes = {big, 65536}, zero = {"a\0b", 3};
	check_key_text(d, "/");
	struct node *f = link_at(&tree, d, "long%~", &big_bytes, false, 0);
	CHECK(f->flags & NODE_EXTERNAL);
	CHECK_EQ(node_key_size(f), 65537);
	CHECK_EQ(node_component(f).size, 65536);
	CHECK(!memcmp(node_component(f).data, big, 65536));
	CHECK(find(&tree, d, "long%~") == f); /* by its name, not by what stands behind */
	CHECK_EQ(tree_move(&tree, f, tree.root, "a%00b", 5, &zero, 0), 0);
	check_key(f, "a\0b", 3);
	CHECK_EQ(move(&tree, f, d, "plain"), 0);
	CHECK(!(f->flags & NODE_STORED));
	check_key_text(f, "/plain");
	CHECK_EQ(tree_move(&tree, f, d, "long", 4, &big_bytes, 0), 0);
	CHECK_EQ(node_key_size(f), 65537);
	/* a component that reads as the name takes no room of its own */
	const struct dw_bytes same = {"s", 1};
	struct node *s = link_at(&tree, d, "s", &same, false, 0);
	CHECK(!(s->flags & NODE_STORED));
	check_key_text(s, "/s");
	free(big);
	tree_release(&tree);
}

/* --- listings --- */

static void test_holes(void)
{
	struct tree tree = new_tree();
	struct node *d = link_dir(&tree, tree.root, "d"), *nodes[1000];
	char name[16];

	for (int i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof name, "%d", i);
		nodes[i] = link_file(&tree, d, name);
	}
	uint64_t last = nodes[999]->cookie;
	for (int i = 0; i < 1000; i++)
		if (i % 100)
			tree_unlink(&tree, nodes[i]);
	CHECK_EQ(node_child_count(d), 10);
	CHECK(d->children->used <= 10 + 32 + 1);
	for (int i = 0; i < 1000; i += 100) {
		uint32_t at = node_child_seek(d, nodes[i]->cookie - 1);
		CHECK(node_child_at(d, &at) == nodes[i]);
	}
	struct node *f = link_file(&tree, d, "f");
	CHECK(f->cookie > last); /* a cookie does not come back */
	tree_release(&tree);
}

/* A node that replaces another one takes its place in the listing, also when that
 * place was closed meanwhile. */
static void test_take_over(void)
{
	struct tree tree = new_tree();
	struct node *d = link_dir(&tree, tree.root, "d"), *nodes[100];
	char name[16];

	for (int i = 0; i < 100; i++) {
		(void)snprintf(name, sizeof name, "%d", i);
		nodes[i] = link_file(&tree, d, name);
	}
	for (int i = 0; i < 98; i++) {
		struct node *target = nodes[i];
		uint64_t cookie = target->cookie;
		tree_unlink(&tree, target);
		CHECK_EQ(tree_move(&tree, nodes[99], d, "new", 3, NULL, cookie), 0);
		CHECK_EQ(nodes[99]->cookie, cookie);
		uint32_t at = node_child_seek(d, cookie - 1);
		CHECK(node_child_at(d, &at) == nodes[99]);
		at = node_child_seek(d, cookie);
		CHECK(node_child_at(d, &at) == nodes[i + 1]);
		CHECK_EQ(node_child_count(d), 99 - i);
	}
	tree_release(&tree);
}

enum { DIRS = 3, ENTRIES_MAX = 400, LISTERS = 4, STEPS = 30000 };

struct entry {
	struct node *node;
	int dir;
	uint64_t cookie;
	uint64_t serial; /* each link and each move is a new entry */
	char name[16];
};

struct lister {
	int dir; /* -1: not under way */
	uint64_t cookie;
	uint64_t since; /* serial at its start */
	bool *seen;     /* by serial */
};

struct world {
	struct rng rng;
	struct tree tree;
	struct node *dirs[DIRS];
	uint64_t highest[DIRS]; /* cookies */
	struct entry entries[ENTRIES_MAX];
	size_t count;
	uint64_t serial;
	struct lister listers[LISTERS];
};

static void place_entry(struct world *w, struct entry *e, int dir, uint64_t cookie)
{
	e->dir = dir;
	e->serial = ++w->serial;
	e->cookie = e->node->cookie;
	if (cookie) {
		CHECK_EQ(e->cookie, cookie);
	} else {
		CHECK(e->cookie > w->highest[dir]);
		w->highest[dir] = e->cookie;
	}
}

static void add_entry(struct world *w)
{
	struct entry *e = &w->entries[w->count];
	int dir = (int)rng_below(&w->rng, DIRS);

	if (w->count == ENTRIES_MAX)
		return;
	(void)snprintf(e->name, sizeof e->name, "%llu", (unsigned long long)w->serial);
	e->node = link_file(&w->tree, w->dirs[dir], e->name);
	w->count++;
	place_entry(w, e, dir, 0);
}

static void remove_entry(struct world *w, size_t i)
{
	tree_unlink(&w->tree, w->entries[i].node);
	w->entries[i] = w->entries[--w->count];
}

/* To a new name, or to that of another entry, which it replaces. */
static void move_entry(struct world *w)
{
	size_t i = (size_t)rng_below(&w->rng, w->count), k = (size_t)rng_below(&w->rng, w->count);
	struct entry *e = &w->entries[i], target = w->entries[k];

	if (i == k || rng_below(&w->rng, 2)) {
		int dir = (int)rng_below(&w->rng, DIRS);
		(void)snprintf(e->name, sizeof e->name, "%llu", (unsigned long long)w->serial);
		CHECK_EQ(move(&w->tree, e->node, w->dirs[dir], e->name), 0);
		place_entry(w, e, dir, 0);
		return;
	}
	tree_unlink(&w->tree, target.node);
	CHECK_EQ(tree_move(&w->tree, e->node, w->dirs[target.dir], target.name, strlen(target.name),
			   NULL, target.cookie),
		 0);
	memcpy(e->name, target.name, sizeof e->name);
	place_entry(w, e, target.dir, target.cookie);
	w->entries[k] = w->entries[--w->count];
}

static const struct entry *entry_of(const struct world *w, const struct node *node)
{
	for (size_t i = 0; i < w->count; i++)
		if (w->entries[i].node == node)
			return &w->entries[i];
	CHECK(false && "an entry of the model");
	return NULL;
}

static void start_listing(struct world *w, struct lister *l)
{
	l->dir = (int)rng_below(&w->rng, DIRS);
	l->cookie = 0;
	l->since = w->serial;
	l->seen = calloc(STEPS + 2, sizeof *l->seen);
	CHECK(l->seen != NULL);
}

static void end_listing(const struct world *w, struct lister *l)
{
	for (size_t i = 0; i < w->count; i++) {
		const struct entry *e = &w->entries[i];
		if (e->dir == l->dir && e->serial <= l->since)
			CHECK(l->seen[e->serial]); /* it stayed all the time */
	}
	free(l->seen);
	l->seen = NULL;
	l->dir = -1;
}

static void go_on_listing(struct world *w, struct lister *l)
{
	struct node *dir, *node;

	if (l->dir < 0)
		start_listing(w, l);
	dir = w->dirs[l->dir];
	uint32_t at = node_child_seek(dir, l->cookie);
	for (uint64_t n = rng_below(&w->rng, 30); n; n--, at++) {
		node = node_child_at(dir, &at);
		if (!node) {
			end_listing(w, l);
			return;
		}
		const struct entry *e = entry_of(w, node);
		CHECK_EQ(e->dir, l->dir);
		CHECK(node->cookie > l->cookie);
		CHECK(!l->seen[e->serial]);
		l->seen[e->serial] = true;
		l->cookie = node->cookie;
	}
}

/* Each directory lists what the model has there, and nothing else. */
static void check_world(const struct world *w)
{
	size_t listed = 0;

	for (size_t i = 0; i < w->count; i++) {
		const struct entry *e = &w->entries[i];
		CHECK(find(&w->tree, w->dirs[e->dir], e->name) == e->node);
		CHECK_EQ(e->node->cookie, e->cookie);
	}
	for (int d = 0; d < DIRS; d++) {
		uint32_t at = node_child_seek(w->dirs[d], 0), live = 0;
		for (; node_child_at(w->dirs[d], &at); at++)
			live++;
		CHECK_EQ(node_child_count(w->dirs[d]), live);
		listed += live;
	}
	CHECK_EQ(listed, w->count);
	CHECK_EQ(w->tree.count, w->count + DIRS + 1);
}

static void step(struct world *w, bool grows)
{
	uint64_t kind = rng_below(&w->rng, 10);

	if (kind < (grows ? 5 : 2) || !w->count)
		add_entry(w);
	else if (kind < 7)
		remove_entry(w, (size_t)rng_below(&w->rng, w->count));
	else
		move_entry(w);
	if (!rng_below(&w->rng, 4))
		go_on_listing(w, &w->listers[rng_below(&w->rng, LISTERS)]);
}

static void test_random_listing(void)
{
	struct world *w = calloc(1, sizeof *w);
	char name[2] = "a";

	CHECK(w != NULL);
	w->rng = check_rng();
	w->tree = new_tree();
	for (int d = 0; d < DIRS; d++, name[0]++)
		w->dirs[d] = link_dir(&w->tree, w->tree.root, name);
	for (int i = 0; i < LISTERS; i++)
		w->listers[i].dir = -1;
	for (int i = 0; i < STEPS; i++) {
		step(w, i / 1000 % 2 == 0);
		if (i % 100 == 0)
			check_world(w);
	}
	check_world(w);
	for (int i = 0; i < LISTERS; i++)
		free(w->listers[i].seen);
	tree_release(&w->tree);
	free(w);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"node_find", test_find},
		{"node_move", test_move},
		{"node_refs", test_refs},
		{"node_logged", test_logged},
		{"node_deep", test_deep},
		{"node_stored", test_stored},
		{"node_holes", test_holes},
		{"node_take_over", test_take_over},
		{"node_random_listing", test_random_listing},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
