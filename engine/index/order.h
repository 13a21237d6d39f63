/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * order.h - the entries of a key directory in byte order of their keys, while more come: a skip
 * list.
 *
 * A node that is added waits in a queue.  It gets its place when somebody seeks a key, so that a
 * writer that lists nothing does not pay for the order, and many nodes are sorted before they are
 * placed.
 *
 * Nodes lie in the directory's arena and are named as entries are.  A node is never taken out, nor
 * its entry freed, so a cursor that stands on one needs no lock to go on.  The height of a node
 * follows from its key's hash, which is seeded with a secret.
 *
 * Threads: one adds at a time, one places at a time; any number walk meanwhile.
 */
#ifndef INDEX_ORDER_H
#define INDEX_ORDER_H

#include <stdatomic.h>

#include "index/keydir.h"

enum { ORDER_HEIGHT = 12 };

struct order {
	_Atomic uint32_t heads[ORDER_HEIGHT]; /* names of nodes; 0: none */
	/* Nodes without a place, the newest first; the lowest link of each names the next one. */
	_Atomic uint32_t waiting;
	atomic_uint_fast64_t placed; /* nodes that have their place */
};

/* A node for the entry that was prepared; 0: no memory. */
uint32_t order_prepare(struct keydir *keydir, const struct keydir_prepared *prepared);
/* Give it back; 0 is fine. */
void order_drop(struct keydir *keydir, const struct keydir_prepared *prepared, uint32_t node);

/* Add the node of an entry that was set. */
void order_add(struct order *order, struct keydir *keydir, uint32_t node);

/* Whether nodes wait for their places; each entry of the directory has a node, or is about to add
 * it.  Any thread. */
static inline bool order_is_behind(const struct order *order, struct keydir *keydir)
{
	return atomic_load_explicit(&order->placed, memory_order_acquire) != keydir_count(keydir);
}

/* Put all nodes that wait at their places. */
void order_catch_up(struct order *order, struct keydir *keydir);

/* The node behind `node` (0: the first one), or 0. */
uint32_t order_next(const struct order *order, const struct keydir *keydir, uint32_t node);
/* The first node whose key is not below `key`, or 0. */
uint32_t order_seek(const struct order *order, const struct keydir *keydir, struct dw_bytes key);
struct dw_bytes order_key(const struct keydir *keydir, uint32_t node);

#endif
