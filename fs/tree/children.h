/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * children.h - a directory's nodes in the order of their cookies.
 *
 * An array, ascending; what leaves its place leaves a hole that still tells its
 * cookie, so that any cookie is found by bisection.  Holes go when they are the
 * majority.  Eight bytes a child, and listing from any place costs O(log n).
 * The namespace lock covers it, but for `logged`.
 */
#ifndef FS_TREE_CHILDREN_H
#define FS_TREE_CHILDREN_H

#include "fs/tree/node.h"

struct children {
	uint64_t next_cookie;
	uint32_t used, capacity; /* slots */
	uint32_t live;           /* slots that are no holes */
	atomic_uint logged;      /* children in the log */
	uintptr_t slots[];       /* a node's address; or cookie * 2 + 1: a hole */
};

/* Make room for one more.  0 or -ENOMEM. */
int children_reserve(struct children **children);

/* Add at `cookie`, whose slot is a hole or was never used; 0: behind all others. */
int children_add(struct children **children, struct node *node, uint64_t cookie);
void children_remove(struct children *children, struct node *node);
/* `a` of `c` and `b` of `d`, each to where the other is. */
void children_exchange(struct children *c, struct node *a, struct children *d, struct node *b);
/* The first slot with a cookie of at least `cookie`. */
uint32_t children_seek(const struct children *children, uint64_t cookie);
/* The node at or behind slot `*at`, which becomes its slot; NULL: none. */
struct node *children_at(const struct children *children, uint32_t *at);

static inline void children_count_logged(struct children *children, int delta)
{
	atomic_fetch_add(&children->logged, (unsigned)delta);
}

#endif
