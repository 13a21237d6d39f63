/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * below.h - walking through all that is below a directory.
 *
 * With the keys of the nodes: each differs from the one before by a component, which is all that
 * is written.  Were each key put together from the root, a key of many components would take
 * time by the square.  The namespace lock covers the tree throughout.
 */
#ifndef FS_TREE_BELOW_H
#define FS_TREE_BELOW_H

#include "fs/tree/node.h"

/* The node that follows `node` below `top`, parents first; NULL: no more. */
struct node *below_next(const struct node *top, struct node *node);

/* The same with keys: the one that a node has, and the one that it has where the key of `top`
 * is another one. */
struct below {
	const struct node *top;
	struct node *node; /* where the walk is: `top` first; NULL: behind the last */
	size_t size, moved_size;
	char *key, *moved; /* owned; `moved` counts only up to DW_KEY_SIZE_MAX bytes */
};

/* `moved`: the other key of `top`, a directory, with its slash.  0 or -ENOMEM; below_release()
 * in any case. */
int below_init(struct below *below, struct node *top, struct dw_bytes moved);
void below_release(struct below *below);
void below_go_on(struct below *below);

static inline struct dw_bytes below_key(const struct below *below)
{
	return (struct dw_bytes){below->key, below->size};
}

static inline struct dw_bytes below_moved(const struct below *below)
{
	return (struct dw_bytes){below->moved, below->moved_size};
}

#endif
