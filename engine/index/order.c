/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * order.c - see order.h.
 */
#include "index/order.h"

#include <assert.h>
#include <string.h>

#include "base/bulk.h"
#include "index/sort.h"

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

static uint32_t next_on(const struct order *order, const struct keydir *keydir, uint32_t node,
			unsigned level)
{
	return atomic_load_explicit(&links(order, keydir, node)[level], memory_order_acquire);
}

static bool is_below(const struct keydir *keydir, uint32_t node, struct dw_bytes key)
{
	return node && keydir_compare(order_key(keydir, node), key) < 0;
}

/* The last node below `key` on that level, from `node` on, which is one. */
static uint32_t last_below(const struct order *order, const struct keydir *keydir, uint32_t node,
			   unsigned level, struct dw_bytes key)
{
	for (uint32_t next; is_below(keydir, next = next_on(order, keydir, node, level), key);)
		node = next;
	return node;
}

/* --- adding --- */

void order_add(struct order *order, struct keydir *keydir, uint32_t node)
{
	_Atomic uint32_t *link = &node_at(keydir, node)->next[0];
	uint32_t head = atomic_load_explicit(&order->waiting, memory_order_relaxed);

	/* all that may come between is a thread that takes the whole queue */
	do
		atomic_store_explicit(link, head, memory_order_relaxed);
	/* release: the thread that places the node sees all of its fields */
	while (!atomic_compare_exchange_weak_explicit(&order->waiting, &head, node,
						      memory_order_release, memory_order_relaxed));
}

/* `before` has, for each level, the last node below some key that is not above `key`; let it have
 * those for `key`. */
static void advance(const struct order *order, const struct keydir *keydir,
		    uint32_t before[ORDER_HEIGHT], struct dw_bytes key)
{
	unsigned level = 0;

	/* where nothing changes on a level, nothing does on those above */
	while (level < ORDER_HEIGHT &&
	       is_below(keydir, next_on(order, keydir, before[level], level), key))
		level++;
	for (uint32_t at = 0; level--; before[level] = at)
		at = last_below(order, keydir, at ? at : before[level], level, key);
}

/* Put a node at its place, with `before` for its key, or one that is not above. */
static void place(struct order *order, struct keydir *keydir, uint32_t before[ORDER_HEIGHT],
		  uint32_t node)
{
	struct order_node *placed = node_at(keydir, node);
	unsigned height = height_of(keydir_entry_hash(keydir, placed->entry));

	assert(height && height <= ORDER_HEIGHT);
	advance(order, keydir, before, order_key(keydir, node));
	for (unsigned level = 0; level < height; level++) {
		_Atomic uint32_t *link = before[level]
						 ? &node_at(keydir, before[level])->next[level]
						 : &order->heads[level];
		atomic_store_explicit(&placed->next[level],
				      atomic_load_explicit(link, memory_order_relaxed),
				      memory_order_relaxed);
		/* release: a reader that finds the node sees all of its fields */
		atomic_store_explicit(link, node, memory_order_release);
		before[level] = node;
	}
}

static uint32_t waiting_after(const struct keydir *keydir, uint32_t node)
{
	return atomic_load_explicit(&node_at(keydir, node)->next[0], memory_order_relaxed);
}

static struct dw_bytes item_key(const struct keydir *keydir, const struct sort_item *item)
{
	return order_key(keydir, item->node);
}

enum { FEW = 32, AHEAD = 8 };

static void place_sorted(struct order *order, struct keydir *keydir, const struct sort_item *items,
			 size_t count)
{
	uint32_t before[ORDER_HEIGHT] = {0};

	for (size_t i = 0; i < count; i++) {
		/* first a node, then, when that is there, its entry */
		if (i + 2 * AHEAD < count)
			__builtin_prefetch(node_at(keydir, items[i + 2 * AHEAD].node));
		if (i + AHEAD < count)
			keydir_prefetch_entry(keydir,
					      node_at(keydir, items[i + AHEAD].node)->entry);
		place(order, keydir, before, items[i].node);
	}
}

/* Without memory to sort them: from the start of the list each time. */
static void place_each(struct order *order, struct keydir *keydir, uint32_t node)
{
	while (node) {
		uint32_t before[ORDER_HEIGHT] = {0}, next = waiting_after(keydir, node);
		place(order, keydir, before, node);
		node = next;
	}
}

void order_catch_up(struct order *order, struct keydir *keydir)
{
	uint32_t first = atomic_exchange_explicit(&order->waiting, 0, memory_order_acquire);
	struct sort_item few[FEW], *items = few;
	size_t count = 0, i = 0;

	for (uint32_t node = first; node; node = waiting_after(keydir, node))
		count++;
	if (count > FEW)
		items = bulk_alloc(count * sizeof *items);
	for (uint32_t node = first; items && node; node = waiting_after(keydir, node))
		items[i++].node = node;
	if (items && !sort_items(keydir, items, count, item_key))
		place_sorted(order, keydir, items, count);
	else
		place_each(order, keydir, first);
	if (items != few)
		bulk_free(items, count * sizeof *items);
	/* release: a reader that finds the list whole finds each node in it */
	atomic_fetch_add_explicit(&order->placed, count, memory_order_release);
}

/* --- walking --- */

uint32_t order_next(const struct order *order, const struct keydir *keydir, uint32_t node)
{
	return next_on(order, keydir, node, 0);
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
