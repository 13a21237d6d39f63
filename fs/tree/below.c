/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * below.c - see below.h.
 */
#include "fs/tree/below.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct node *below_next(const struct node *top, struct node *node)
{
	uint32_t at = 0;
	struct node *next = node_is_dir(node) ? node_child_at(node, &at) : NULL;

	while (!next && node != top) {
		struct node *parent = node->key->parent;
		at = node_child_seek(parent, node->cookie);
		next = node_child_at(parent, &at);
		node = parent;
	}
	return next;
}

int below_init(struct below *below, struct node *top, struct dw_bytes moved)
{
	assert(node_is_dir(top) && moved.size <= DW_KEY_SIZE_MAX);
	*below = (struct below){
		.top = top,
		.node = top,
		.size = node_key_size(top),
		.moved_size = moved.size,
		.key = malloc(DW_KEY_SIZE_MAX),
		.moved = malloc(DW_KEY_SIZE_MAX),
	};
	if (!below->key || !below->moved)
		return -ENOMEM;
	node_key_write(top, below->key);
	memcpy(below->moved, moved.data, moved.size);
	return 0;
}

void below_release(struct below *below)
{
	free(below->key);
	free(below->moved);
}

/* What a node adds to its parent's key. */
static size_t part_size(const struct node *node)
{
	return node_component(node).size + node_is_dir(node);
}

static void write_part(const struct node *node, char *end)
{
	struct dw_bytes component = node_component(node);

	if (node_is_dir(node))
		*--end = '/';
	if (component.size)
		memcpy(end - component.size, component.data, component.size);
}

void below_go_on(struct below *below)
{
	struct node *next = below_next(below->top, below->node);

	/* a child of the node, or of one above it */
	for (const struct node *n = below->node; next && n != next->key->parent;
	     n = n->key->parent) {
		below->size -= part_size(n);
		below->moved_size -= part_size(n);
	}
	below->node = next;
	if (!next)
		return;
	below->size += part_size(next);
	below->moved_size += part_size(next);
	assert(below->size <= DW_KEY_SIZE_MAX);
	write_part(next, below->key + below->size);
	if (below->moved_size <= DW_KEY_SIZE_MAX)
		write_part(next, below->moved + below->moved_size);
}
