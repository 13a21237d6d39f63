/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * nodetable.h - nodes by parent and name.
 *
 * Slots of 8 bytes with linear probing: a node's address, and above it 16 bits of the hash
 * (XXH3, with a seed of the process), so that hardly a wrong node is looked at.  Locking is the
 * tree's.
 */
#ifndef FS_TREE_NODETABLE_H
#define FS_TREE_NODETABLE_H

#include <stddef.h>
#include <stdint.h>

struct node;

struct nodetable {
	uint64_t *slots; /* 0: empty; owned */
	size_t size;     /* slots: 0 or a power of two */
	size_t count;
	uint64_t seed; /* of hashes, once there are slots: the process's */
};

/* Have room for so many nodes.  0 or -ENOMEM.  `{0}` is an empty table. */
int nodetable_reserve(struct nodetable *table, size_t count);
/* All nodes stay what they are. */
void nodetable_release(struct nodetable *table);

struct node *nodetable_find(const struct nodetable *table, const struct node *parent,
			    const char *name, size_t size);
/* Have the processor fetch what nodetable_find() will look at first. */
void nodetable_prefetch(const struct nodetable *table, const struct node *parent, const char *name,
			size_t size);

/* Under the parent and name that it has; there is no other node of these.  0, or -ENOMEM,
 * but never right after one was removed. */
int nodetable_add(struct nodetable *table, struct node *node);
/* A node that is there. */
void nodetable_remove(struct nodetable *table, const struct node *node);

/* The nodes in no particular order: start with 0.  NULL at the end. */
struct node *nodetable_next(const struct nodetable *table, size_t *at);

#endif
