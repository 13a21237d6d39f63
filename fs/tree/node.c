/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * node.c - see node.h.
 */
#include "fs/tree/node.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/seed.h"
#include "fs/tree/children.h"

/* --- nodes --- */

struct node *node_ref(struct node *node)
{
	atomic_fetch_add_explicit(&node->refs, 1, memory_order_relaxed);
	return node;
}

struct node *node_ref_if_used(struct node *node)
{
	uint64_t refs = atomic_load(&node->refs);

	while (refs && !atomic_compare_exchange_weak(&node->refs, &refs, refs + 1))
		; /* `refs` is what it is by now */
	return refs ? node : NULL;
}

void node_free(struct node *node)
{
	assert(!node_is_linked(node));
	assert(node_is_dir(node) || !node->cached);
	if (node_is_dir(node))
		free(node->children);
	if (node->flags & NODE_EXTERNAL)
		free(node->key);
	attrs_free(node->attrs);
	free(node);
}

bool node_release(struct node *node, uint64_t count)
{
	uint64_t before = atomic_fetch_sub_explicit(&node->refs, count, memory_order_acq_rel);

	assert(before >= count);
	return before == count;
}

void node_unref(struct node *node, uint64_t count)
{
	if (node_release(node, count))
		node_free(node);
}

static void set_name(struct node *node, const char *name, size_t name_size,
		     const struct dw_bytes *component)
{
	memmove(node->key->name, name, name_size);
	node->name_size = (uint8_t)name_size;
	node->flags &= (uint8_t)~NODE_STORED;
	node->component_size = 0;
	if (!component)
		return;
	node->flags |= NODE_STORED;
	node->component_size = (uint32_t)component->size;
	if (component->size)
		memcpy(node->key->name + name_size, component->data, component->size);
}

/* A component that reads as the name needs no place of its own. */
static const struct dw_bytes *unless_same(const struct dw_bytes *component, const char *name,
					  size_t size)
{
	bool same = component && component->size == size && !memcmp(component->data, name, size);

	return same ? NULL : component;
}

static size_t key_struct_size(size_t name_size, const struct dw_bytes *component)
{
	return sizeof(struct node_key) + name_size + (component ? component->size : 0);
}

/* Nodes so far.  From a number at random on, so that a handle of a file of the last mount, whose
 * ids were addresses as well, opens none of this one. */
static atomic_uint nodes_made;

struct node *node_new(const char *name, size_t name_size, const struct dw_bytes *component,
		      bool is_dir)
{
	component = unless_same(component, name, name_size);
	size_t key_size = key_struct_size(name_size, component);
	bool external = key_size > UINT16_MAX;
	struct node *node = malloc(sizeof *node + (external ? 0 : key_size));

	assert(name_size <= NAME_SIZE_MAX);
	if (!node)
		return NULL;
	memset(node, 0, sizeof *node);
	atomic_init(&node->refs, 1);
	node->generation = (uint32_t)seed_get() +
			   atomic_fetch_add_explicit(&nodes_made, 1, memory_order_relaxed);
	node->is_dir = is_dir;
	if (external) {
		node->flags |= NODE_EXTERNAL;
		node->key = malloc(key_size);
		if (!node->key) {
			free(node);
			return NULL;
		}
	} else {
		node->inline_size = (uint16_t)key_size;
		node->key = (struct node_key *)(node + 1);
	}
	node->key->parent = NULL;
	set_name(node, name, name_size, component);
	return node;
}

struct dw_bytes node_component(const struct node *node)
{
	if (node->flags & NODE_STORED)
		return (struct dw_bytes){node->key->name + node->name_size, node->component_size};
	return (struct dw_bytes){node->key->name, node->name_size};
}

size_t node_key_size(const struct node *node)
{
	size_t size = 0;

	for (const struct node *n = node; n->key->parent; n = n->key->parent)
		size += node_component(n).size + 1; /* the slash behind */
	return size - (size && !node_is_dir(node));
}

void node_key_write(const struct node *node, char *ret)
{
	char *at = ret + node_key_size(node);

	for (const struct node *n = node; n->key->parent; n = n->key->parent) {
		struct dw_bytes component = node_component(n);
		if (n != node || node_is_dir(n))
			*--at = '/';
		at -= component.size;
		if (component.size)
			memcpy(at, component.data, component.size);
	}
	assert(at == ret);
}

/* Hashed component by component, so that it costs the same at any depth. */
void tree_update_ino(struct tree *tree, struct node *node)
{
	enum ino_kind kind = node_is_dir(node) ? INO_DIRECTORY : INO_FILE;

	node->ino = ino_hash_get(tree->inos, node->key->parent->ino, kind, node_component(node));
}

void tree_set_ino(struct tree *tree, const char *name)
{
	const struct dw_bytes bytes = {name, strlen(name)};

	assert(tree->count == 1);
	tree->root->ino = ino_hash_get(tree->inos, tree->root->ino, INO_SNAPSHOT, bytes);
}

void tree_forget_ino(struct tree *tree, struct node *node)
{
	static atomic_uint_fast64_t count;
	uint64_t n = atomic_fetch_add(&count, 1);
	const struct dw_bytes bytes = {&n, sizeof n};

	node->ino = ino_hash_get(tree->inos, node->ino, INO_REMOVED, bytes);
}

/* --- the tree --- */

int tree_init(struct tree *tree, const struct name_rules *rules,
	      const uint8_t secret[INO_SECRET_SIZE])
{
	*tree = (struct tree){.rules = *rules, .count = 1};
	tree->root = node_new("", 0, NULL, true);
	if (!tree->root)
		return -ENOMEM;
	tree->root->flags |= NODE_LINKED | NODE_MARKER; /* needs none */
	tree->root->ino = 1;
	return ino_hash_new(secret, &tree->inos);
}

void tree_clear(struct tree *tree)
{
	struct node *node;
	size_t at = 0;

	while ((node = nodetable_next(&tree->table, &at))) {
		node->flags &= (uint8_t)~NODE_LINKED;
		node_free(node);
	}
	nodetable_release(&tree->table);
	if (tree->root) {
		free(tree->root->children);
		tree->root->children = NULL;
	}
	tree->count = 1;
}

void tree_release(struct tree *tree)
{
	tree_clear(tree);
	if (tree->root) {
		tree->root->flags &= (uint8_t)~NODE_LINKED;
		node_free(tree->root);
	}
	ino_hash_free(tree->inos);
	*tree = (struct tree){0};
}

struct node *tree_find(const struct tree *tree, const struct node *parent, const char *name,
		       size_t size)
{
	return size > NAME_SIZE_MAX ? NULL : nodetable_find(&tree->table, parent, name, size);
}

static void count_logged(struct node *parent, const struct node *node, int delta)
{
	if (node_is_dir(node) || atomic_load(&node->logged))
		children_count_logged(parent->children, delta);
}

int tree_link(struct tree *tree, struct node *parent, struct node *node, uint64_t cookie)
{
	assert(!node_is_linked(node));
	int rc = children_add(&parent->children, node, cookie);
	if (rc < 0)
		return rc;
	node->key->parent = parent;
	node->in_snapshot = parent->in_snapshot;
	rc = nodetable_add(&tree->table, node);
	if (rc < 0) {
		children_remove(parent->children, node);
		node->key->parent = NULL;
		return rc;
	}
	node->flags |= NODE_LINKED;
	count_logged(parent, node, 1);
	tree_update_ino(tree, node);
	node_ref(node);
	tree->count++;
	return 0;
}

void tree_unlink(struct tree *tree, struct node *node)
{
	struct node *parent = node->key->parent;

	assert(node_is_linked(node) && parent);
	count_logged(parent, node, -1);
	nodetable_remove(&tree->table, node);
	children_remove(parent->children, node);
	node->flags &= (uint8_t)~NODE_LINKED;
	node->key->parent = NULL;
	tree->count--;
	node_unref(node, 1);
}

/* A place for a new name: the node's own, or the heap. */
static struct node_key *key_for(struct node *node, size_t size)
{
	if (size <= node->inline_size)
		return (struct node_key *)(node + 1);
	return malloc(size);
}

static void replace_key(struct node *node, struct node_key *key)
{
	struct node_key *own = (struct node_key *)(node + 1);

	if (node->flags & NODE_EXTERNAL)
		free(node->key);
	node->flags &= (uint8_t)~NODE_EXTERNAL;
	if (key != own)
		node->flags |= NODE_EXTERNAL;
	node->key = key;
}

int node_set_name(struct node *node, const char *name, size_t name_size,
		  const struct dw_bytes *component)
{
	assert(!node_is_linked(node));
	component = unless_same(component, name, name_size);
	struct node_key *key = key_for(node, key_struct_size(name_size, component));
	if (!key)
		return -ENOMEM;
	replace_key(node, key);
	node->key->parent = NULL;
	set_name(node, name, name_size, component);
	return 0;
}

int tree_move(struct tree *tree, struct node *node, struct node *parent, const char *name,
	      size_t name_size, const struct dw_bytes *component, uint64_t cookie)
{
	struct node *old_parent = node->key->parent;

	component = unless_same(component, name, name_size);
	struct node_key *key = key_for(node, key_struct_size(name_size, component));
	int rc = key ? children_reserve(&parent->children) : -ENOMEM;
	if (rc < 0) {
		if (key && key != (struct node_key *)(node + 1))
			free(key);
		return rc;
	}
	count_logged(old_parent, node, -1);
	nodetable_remove(&tree->table, node);
	children_remove(old_parent->children, node);
	replace_key(node, key);
	set_name(node, name, name_size, component);
	node->key->parent = parent;
	rc = children_add(&parent->children, node, cookie);
	assert(!rc); /* reserved */
	rc = nodetable_add(&tree->table, node);
	assert(!rc); /* one left the table just before */
	(void)rc;
	count_logged(parent, node, 1);
	tree_update_ino(tree, node);
	return 0;
}

/* Have the key on the heap, so that it can be handed over. */
static int key_to_heap(struct node *node)
{
	size_t size = sizeof *node->key + node->name_size + node->component_size;

	if (node->flags & NODE_EXTERNAL)
		return 0;
	struct node_key *key = malloc(size);
	if (!key)
		return -ENOMEM;
	memcpy(key, node->key, size);
	replace_key(node, key);
	return 0;
}

int tree_exchange_reserve(struct node *a, struct node *b)
{
	int rc = key_to_heap(a);

	return rc ? rc : key_to_heap(b);
}

static void swap_keys(struct node *a, struct node *b)
{
	const uint8_t of_place = NODE_STORED | NODE_BESIDE;
	uint8_t differing = (a->flags ^ b->flags) & of_place;
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
	assert(atomic_load(&a->logged) && atomic_load(&b->logged)); /* so no count changes */
	children_exchange(a->key->parent->children, a, b->key->parent->children, b);
	nodetable_remove(&tree->table, a);
	nodetable_remove(&tree->table, b);
	swap_keys(a, b);
	int rc = nodetable_add(&tree->table, a);
	rc |= nodetable_add(&tree->table, b);
	assert(!rc); /* two left the table just before */
	(void)rc;
	tree_update_ino(tree, a);
	tree_update_ino(tree, b);
}

uint32_t node_child_count(const struct node *dir)
{
	return dir->children ? dir->children->live : 0;
}

uint32_t node_logged_count(const struct node *dir)
{
	return dir->children ? atomic_load(&dir->children->logged) : 0;
}

void node_set_logged(struct node *node, bool logged)
{
	if (atomic_exchange(&node->logged, logged) != logged && node_is_linked(node))
		children_count_logged(node->key->parent->children, logged ? 1 : -1);
}

uint32_t node_child_seek(const struct node *dir, uint64_t cookie)
{
	return dir->children ? children_seek(dir->children, cookie + 1) : 0;
}

uint64_t node_last_cookie(const struct node *dir)
{
	return dir->children ? dir->children->next_cookie - 1 : COOKIE_PARENT;
}

struct node *node_child_at(const struct node *dir, uint32_t *at)
{
	return dir->children ? children_at(dir->children, at) : NULL;
}
