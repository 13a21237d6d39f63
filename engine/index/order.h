/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * order.h - the entries of a key directory in byte order of their keys, while more come: a skip
 * list.
 *
 * Nodes lie in the directory's arena and are named as entries are.  A node is never taken out, nor
 * its entry freed, so a cursor that stands on one needs no lock to go on.  The height of a node
 * follows from its key's hash, which is seeded with a secret.
 *
 * Threads: one inserts at a time; any number walk meanwhile.
 */
#ifndef INDEX_ORDER_H
#define INDEX_ORDER_H

#include <stdatomic.h>

#include "index/keydir.h"

enum { ORDER_HEIGHT = 12 };

struct order {
	_Atomic uint32_t heads[ORDER_HEIGHT]; /* names of nodes; 0: none */
};

/* A node for the entry that was prepared; 0: no memory. */
uint32_t order_prepare(struct keydir *keydir, const struct keydir_prepared *prepared);
/* Give it back; 0 is fine. */
void order_drop(struct keydir *keydir, const struct keydir_prepared *prepared, uint32_t node);

/* Put the node of a new entry at its place. */
void order_insert(struct order *order, struct keydir *keydir, uint32_t node);

/* The node behind `node` (0: the first one), or 0. */
uint32_t order_next(const struct order *order, const struct keydir *keydir, uint32_t node);
/* The first node whose key is not below `key`, or 0. */
uint32_t order_seek(const struct order *order, const struct keydir *keydir, struct dw_bytes key);
struct dw_bytes order_key(const struct keydir *keydir, uint32_t node);

#endif
