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

/* --- nodes --- */

void node_write_name(struct node *node, const char *name, size_t name_size,
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
const struct dw_bytes *node_stored_component(const struct dw_bytes *component, const char *name,
					     size_t size)
{
	bool same = component && component->size == size && !memcmp(component->data, name, size);

	return same ? NULL : component;
}

size_t node_key_struct_size(size_t name_size, const struct dw_bytes *component)
{
	return sizeof(struct node_key) + name_size + (component ? component->size : 0);
}

/* Nodes so far.  Starts at a random number, so that a file handle of the last mount, where ids were
 * addresses as well, opens no file of this one. */
static atomic_uint nodes_made;

struct node *node_new(const char *name, size_t name_size, const struct dw_bytes *component,
		      bool is_dir)
{
	component = node_stored_component(component, name, name_size);
	size_t key_size = node_key_struct_size(name_size, component);
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
	node_write_name(node, name, name_size, component);
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

/* --- counting --- */

struct node *node_ref(struct node *node)
{
	uint64_t before = atomic_fetch_add_explicit(&node->refs, 1, memory_order_relaxed);

	assert(before);
	(void)before;
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
	assert(!node->cached && !node->children && !node->listings);
	if (node->flags & NODE_EXTERNAL)
		free(node->key);
	attrs_free(node->attrs);
	free(node);
}

/* --- other names --- */

struct node_key *node_key_for(struct node *node, size_t size)
{
	if (size <= node->inline_size)
		return (struct node_key *)(node + 1);
	return malloc(size);
}

void node_replace_key(struct node *node, struct node_key *key)
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
	component = node_stored_component(component, name, name_size);
	struct node_key *key = node_key_for(node, node_key_struct_size(name_size, component));
	if (!key)
		return -ENOMEM;
	node_replace_key(node, key);
	node->key->parent = NULL;
	node_write_name(node, name, name_size, component);
	return 0;
}
