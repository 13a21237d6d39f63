/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * tree.c - see tree.h.
 */
#include "fs/tree/tree.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "fs/base/seed.h"

enum { ROOT_INO = 1 };

static void lock(struct tree *tree)
{
	(void)pthread_mutex_lock(&tree->lock);
}

static void unlock(struct tree *tree)
{
	(void)pthread_mutex_unlock(&tree->lock);
}

/* --- the table; tree.lock is held --- */

static unsigned hash_of(const struct tree *tree, const struct node_key *key, size_t name_size)
{
	return (unsigned)XXH3_64bits_withSeed(key, sizeof *key + name_size, tree->seed);
}

static void table_add(struct tree *tree, struct node *node)
{
	const size_t size = sizeof *node->key + node->name_size;
	const unsigned hash = hash_of(tree, node->key, node->name_size);
	const struct node *same;

	HASH_FIND_BYHASHVALUE(hh, tree->nodes, node->key, (unsigned)size, hash, same);
	assert(!same); /* else one of the two would go on showing what the file was */
	(void)same;

	HASH_ADD_KEYPTR_BYHASHVALUE(hh, tree->nodes, node->key, (unsigned)size, hash, node);
	if (tree->nodes)
		atomic_store(&tree->count, HASH_COUNT(tree->nodes) - 1);
}

/* One that left just before comes back, so nothing is allocated. */
static void table_add_back(struct tree *tree, struct node *node)
{
	assert(tree->nodes); /* the root is always there */
	const unsigned noexpand = tree->nodes->hh.tbl->noexpand;

	tree->nodes->hh.tbl->noexpand = 1;
	table_add(tree, node);
	tree->nodes->hh.tbl->noexpand = noexpand;
	assert(node->hh.tbl);
}

static void add_child(struct node *parent, struct node *node)
{
	DL_APPEND(parent->children, node);
	parent->child_count++;
	parent->subdirs += node_is_dir(node);
	parent->asked = false; /* there is something to forget again */
}

static void remove_child(struct node *parent, struct node *node)
{
	assert(parent->child_count && parent->subdirs >= node_is_dir(node));
	DL_DELETE(parent->children, node);
	parent->child_count--;
	parent->subdirs -= node_is_dir(node);
}

/* Out of the table and of the parent's children; its reference to the parent stays. */
static void take_out(struct tree *tree, struct node *node)
{
	assert(node_is_linked(node) && node != tree->root);
	HASH_DELETE(hh, tree->nodes, node);
	atomic_store(&tree->count, HASH_COUNT(tree->nodes) - 1);
	remove_child(node->key->parent, node);
}

static uint64_t ino_of(struct tree *tree, const struct node *node)
{
	enum ino_kind kind = node_is_dir(node) ? INO_DIRECTORY : INO_FILE;

	return ino_hash_get(tree->inos, node->key->parent->ino, kind, node_component(node));
}

bool tree_unref(struct tree *tree, struct node *node, uint64_t count, struct node **parent_ret)
{
	uint64_t refs = atomic_load(&node->refs);
	bool last;

	*parent_ret = NULL;
	while (refs > count)
		if (atomic_compare_exchange_weak(&node->refs, &refs, refs - count))
			return false;
	/* with the lock no thread finds it in the table meanwhile */
	lock(tree);
	refs = atomic_fetch_sub(&node->refs, count);
	assert(refs >= count);
	last = refs == count;
	if (last && node_is_linked(node)) {
		take_out(tree, node);
		*parent_ret = node->key->parent;
		node->key->parent = NULL;
		node->flags &= (uint8_t)~NODE_LINKED;
	}
	unlock(tree);
	return last;
}

struct node *tree_find(struct tree *tree, struct node *parent, const char *name, size_t size)
{
	union {
		struct node_key key;
		char bytes[sizeof(struct node_key) + NAME_SIZE_MAX];
	} wanted;
	struct node *node = NULL;

	if (size > NAME_SIZE_MAX || !node_is_linked(parent))
		return NULL;
	wanted.key.parent = parent;
	memcpy(wanted.bytes + sizeof wanted.key, name, size);
	const unsigned hash = hash_of(tree, &wanted.key, size);
	lock(tree);
	HASH_FIND_BYHASHVALUE(hh, tree->nodes, &wanted, (unsigned)(sizeof wanted.key + size), hash,
			      node);
	if (node)
		node_ref(node);
	unlock(tree);
	return node;
}

int tree_link(struct tree *tree, struct node *parent, struct node *node)
{
	assert(!node_is_linked(node) && node_is_linked(parent));
	assert(atomic_load(&node->refs));
	node->key->parent = parent;
	node->in_snapshot = parent->in_snapshot;
	lock(tree);
	table_add(tree, node);
	bool added = node->hh.tbl;
	if (added) {
		node->flags |= NODE_LINKED;
		add_child(parent, node);
		node->ino = ino_of(tree, node);
		node_ref(parent);
	} else {
		node->key->parent = NULL;
	}
	unlock(tree);
	return added ? 0 : -ENOMEM;
}

struct node *tree_unlink(struct tree *tree, struct node *node)
{
	struct node *parent = node->key->parent;

	lock(tree);
	take_out(tree, node);
	node->flags &= (uint8_t)~NODE_LINKED;
	node->key->parent = NULL;
	unlock(tree);
	return parent;
}

int tree_move(struct tree *tree, struct node *node, struct node *parent, const struct name *name,
	      const struct dw_bytes *component)
{
	component = node_stored_component(component, name->text, name->size);
	struct node_key *key = node_key_for(node, node_key_struct_size(name->size, component));

	if (!key)
		return -ENOMEM;
	node_ref(parent);
	lock(tree);
	take_out(tree, node);
	node_replace_key(node, key);
	node_write_name(node, name->text, name->size, component);
	node->key->parent = parent;
	table_add_back(tree, node);
	add_child(parent, node);
	node->ino = ino_of(tree, node);
	unlock(tree);
	return 0;
}

/* Have the key on the heap, so that it can be handed over. */
static int key_to_heap(struct tree *tree, struct node *node)
{
	size_t size = sizeof *node->key + node->name_size + node->component_size;

	if (node->flags & NODE_EXTERNAL)
		return 0;
	struct node_key *key = malloc(size);
	if (!key)
		return -ENOMEM;
	memcpy(key, node->key, size);
	lock(tree);
	HASH_DELETE(hh, tree->nodes, node); /* it points to the key */
	node_replace_key(node, key);
	table_add_back(tree, node);
	unlock(tree);
	return 0;
}

int tree_exchange_reserve(struct tree *tree, struct node *a, struct node *b)
{
	int rc = key_to_heap(tree, a);

	return rc ? rc : key_to_heap(tree, b);
}

static void swap_keys(struct node *a, struct node *b)
{
	uint8_t differing = (a->flags ^ b->flags) & NODE_STORED;
	struct node_key *key = a->key;
	uint32_t component_size = a->component_size;
	uint8_t name_size = a->name_size;

	a->key = b->key;
	a->component_size = b->component_size;
	a->name_size = b->name_size;
	b->key = key;
	b->component_size = component_size;
	b->name_size = name_size;
	a->flags ^= differing;
	b->flags ^= differing;
}

void tree_exchange(struct tree *tree, struct node *a, struct node *b)
{
	assert(a->flags & b->flags & NODE_EXTERNAL && a != b);
	lock(tree);
	take_out(tree, a);
	take_out(tree, b);
	swap_keys(a, b); /* and what each counts on its parent */
	table_add_back(tree, a);
	table_add_back(tree, b);
	add_child(a->key->parent, a);
	add_child(b->key->parent, b);
	a->ino = ino_of(tree, a);
	b->ino = ino_of(tree, b);
	unlock(tree);
}

/* --- all that is below --- */

/* The one after `node` below `top`, parents first; NULL: no more.  tree.lock is held. */
static struct node *next_below(const struct node *top, struct node *node)
{
	if (node->children)
		return node->children;
	while (node != top && !node->next)
		node = node->key->parent;
	return node == top ? NULL : node->next;
}

void tree_update_inos(struct tree *tree, struct node *top)
{
	lock(tree);
	for (struct node *node = next_below(top, top); node; node = next_below(top, node))
		node->ino = ino_of(tree, node);
	unlock(tree);
}

int tree_below(struct tree *tree, struct node *top, struct node ***ret, size_t *count_ret)
{
	size_t count = 0;
	int rc = 0;

	top = top ? top : tree->root;
	lock(tree);
	struct node **nodes = malloc((HASH_COUNT(tree->nodes) + 1) * sizeof(struct node *));
	struct node *node = nodes ? next_below(top, top) : NULL;
	for (; node; node = next_below(top, node))
		if (node_ref_if_used(node)) /* else it waits for the lock, to be freed */
			nodes[count++] = node;
	unlock(tree);
	if (!nodes)
		rc = -ENOMEM;
	else
		*ret = nodes;
	*count_ret = count;
	return rc;
}

int tree_unlogged(struct tree *tree, const struct node *dir, struct node ***ret, size_t *count_ret)
{
	struct node **nodes = NULL;
	size_t count = 0, capacity = 0;

	int rc = 0;
	lock(tree);
	for (struct node *node = dir->children; node && !rc; node = node->next) {
		if (count == capacity) {
			capacity = capacity ? 2 * capacity : 16;
			struct node **grown = reallocarray(nodes, capacity, sizeof(struct node *));
			rc = grown ? 0 : -ENOMEM;
			nodes = grown ? grown : nodes;
		}
		if (!rc && !node_is_dir(node) && !atomic_load(&node->logged) &&
		    node_ref_if_used(node))
			nodes[count++] = node;
	}
	unlock(tree);
	*ret = nodes;
	*count_ret = count;
	return rc;
}

/* Whether the name of a node is one to be forgotten: that of a directory without directories known
 * below it takes all its files along, and costs as much as that of one of them. */
static bool is_to_forget(const struct tree *tree, const struct node *node)
{
	const struct node *parent = node->key->parent;

	if (node == tree->root || node->asked)
		return false;
	if (node_is_dir(node))
		return !node->subdirs;
	return !node->opens && (parent == tree->root || parent->subdirs);
}

size_t tree_take_oldest(struct tree *tree, struct node **ret, size_t size, size_t *nodes_ret)
{
	size_t count = 0, nodes = 0;

	lock(tree);
	for (struct node *node = tree->nodes; node && count < size; node = node->hh.next) {
		if (!is_to_forget(tree, node) || !node_ref_if_used(node))
			continue;
		node->asked = true;
		nodes += 1 + node->child_count;
		ret[count++] = node;
	}
	unlock(tree);
	*nodes_ret = nodes;
	return count;
}

bool tree_has_unlogged(struct tree *tree, const struct node *dir)
{
	const struct node *node;

	lock(tree);
	DL_FOREACH(dir->children, node)
	if (!node_is_dir(node) && !atomic_load(&node->logged))
		break;
	unlock(tree);
	return node != NULL;
}

size_t tree_count(const struct tree *tree)
{
	return atomic_load_explicit(&tree->count, memory_order_relaxed);
}

/* --- numbers --- */

uint64_t tree_ino(struct tree *tree, const struct node *parent, struct dw_bytes component,
		  bool is_dir)
{
	lock(tree);
	uint64_t ino =
		ino_hash_get(tree->inos, parent->ino, is_dir ? INO_DIRECTORY : INO_FILE, component);
	unlock(tree);
	return ino;
}

uint64_t tree_snapshot_ino(struct tree *tree, const char *name)
{
	const struct dw_bytes bytes = {name, strlen(name)};

	lock(tree);
	uint64_t ino = ino_hash_get(tree->inos, ROOT_INO, INO_SNAPSHOT, bytes);
	unlock(tree);
	return ino;
}

void tree_forget_ino(struct tree *tree, struct node *node)
{
	static atomic_uint_fast64_t count;
	uint64_t n = atomic_fetch_add(&count, 1);
	const struct dw_bytes bytes = {&n, sizeof n};

	lock(tree);
	node->ino = ino_hash_get(tree->inos, node->ino, INO_REMOVED, bytes);
	unlock(tree);
}

/* --- life --- */

int tree_init(struct tree *tree, const struct name_rules *rules,
	      const uint8_t secret[INO_SECRET_SIZE])
{
	*tree = (struct tree){.rules = *rules, .seed = seed_get()};
	int rc = -pthread_mutex_init(&tree->lock, NULL);

	if (rc < 0)
		return rc;
	tree->root = node_new("", 0, NULL, true);
	if (!tree->root)
		return -ENOMEM;
	table_add(tree, tree->root);
	if (!tree->root->hh.tbl)
		return -ENOMEM;
	tree->root->flags |= NODE_LINKED;
	tree->root->ino = ROOT_INO;
	return ino_hash_new(secret, &tree->inos);
}

void tree_release(struct tree *tree)
{
	struct node *node = tree->nodes;

	if (node)
		HASH_CLEAR(hh, tree->nodes);
	while (node) {
		struct node *next = node->hh.next;
		node->flags &= (uint8_t)~NODE_LINKED;
		node->children = NULL;
		node->listings = NULL; /* after a signal the kernel releases nothing */
		node_free(node);
		if (node == tree->root)
			tree->root = NULL;
		node = next;
	}
	if (tree->root) { /* half made */
		tree->root->flags = 0;
		node_free(tree->root);
	}
	ino_hash_free(tree->inos);
	*tree = (struct tree){.root = NULL};
}
