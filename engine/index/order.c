/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * order.c - see order.h.
 */
#include "index/order.h"

#include <assert.h>
#include <string.h>

struct order_node {
	uint32_t entry;
	_Atomic uint32_t next[]; /* as many as the node is high */
};

/* Every fourth node is higher than another one. */
static unsigned height_of(uint64_t hash)
{
	unsigned height = 1 + (unsigned)__builtin_ctzll(hash | UINT64_C(1) << 62) / 2;

	return height < ORDER_HEIGHT ? height : ORDER_HEIGHT;
}

static size_t node_size(unsigned height)
{
	return sizeof(struct order_node) + height * sizeof(uint32_t);
}

static struct order_node *node_at(const struct keydir *keydir, uint32_t node)
{
	return arena_at(&keydir->entries, node);
}

uint32_t order_prepare(struct keydir *keydir, const struct keydir_prepared *prepared)
{
	uint32_t node = arena_get(&keydir->entries, node_size(height_of(prepared->hash)));

	if (node)
		node_at(keydir, node)->entry = prepared->entry;
	return node;
}

void order_drop(struct keydir *keydir, const struct keydir_prepared *prepared, uint32_t node)
{
	if (node)
		arena_put(&keydir->entries, node, node_size(height_of(prepared->hash)));
}

struct dw_bytes order_key(const struct keydir *keydir, uint32_t node)
{
	return keydir_entry_key(keydir, node_at(keydir, node)->entry);
}

static const _Atomic uint32_t *links(const struct order *order, const struct keydir *keydir,
				     uint32_t node)
{
	return node ? node_at(keydir, node)->next : order->heads;
}

/* The last node below `key` on that level, from `node` on, which is one. */
static uint32_t last_below(const struct order *order, const struct keydir *keydir, uint32_t node,
			   unsigned level, struct dw_bytes key)
{
	for (;;) {
		uint32_t next = atomic_load_explicit(&links(order, keydir, node)[level],
						     memory_order_acquire);
		if (!next || keydir_compare(order_key(keydir, next), key) >= 0)
			return node;
		node = next;
	}
}

void order_insert(struct order *order, struct keydir *keydir, uint32_t node)
{
	struct order_node *added = node_at(keydir, node);
	struct dw_bytes key = order_key(keydir, node);
	unsigned height = height_of(keydir_entry_hash(keydir, added->entry));
	uint32_t before[ORDER_HEIGHT], at = 0;

	assert(height && height <= ORDER_HEIGHT);
	for (unsigned level = ORDER_HEIGHT; level--;)
		before[level] = at = last_below(order, keydir, at, level, key);
	for (unsigned level = 0; level < height; level++) {
		_Atomic uint32_t *link = before[level]
						 ? &node_at(keydir, before[level])->next[level]
						 : &order->heads[level];
		atomic_store_explicit(&added->next[level],
				      atomic_load_explicit(link, memory_order_relaxed),
				      memory_order_relaxed);
		/* release: a reader that finds the node sees all of its fields */
		atomic_store_explicit(link, node, memory_order_release);
	}
}

uint32_t order_next(const struct order *order, const struct keydir *keydir, uint32_t node)
{
	return atomic_load_explicit(&links(order, keydir, node)[0], memory_order_acquire);
}

uint32_t order_seek(const struct order *order, const struct keydir *keydir, struct dw_bytes key)
{
	uint32_t at = 0;

	for (unsigned level = ORDER_HEIGHT; level--;)
		at = last_below(order, keydir, at, level, key);
	/* one that is below, too, may have come between meanwhile */
	do
		at = order_next(order, keydir, at);
	while (at && keydir_compare(order_key(keydir, at), key) < 0);
	return at;
}
