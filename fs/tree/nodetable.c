/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * nodetable.c - see nodetable.h.
 */
#include "fs/tree/nodetable.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "fs/base/seed.h"
#include "fs/tree/node.h"

enum { SIZE_MIN = 64, AHEAD = 8, LARGE_PAGE = 2 << 20 };

/* User addresses have at most 48 bits unless a program asks for more. */
static const uint64_t address_mask = (UINT64_C(1) << 48) - 1;
_Static_assert(sizeof(void *) <= sizeof(uint64_t), "a slot holds an address");

static uint64_t hash_of(const struct nodetable *table, const struct node *parent, const char *name,
			size_t size)
{
	return XXH3_64bits_withSeed(name, size, table->seed + (uintptr_t)parent);
}

static uint64_t hash_of_node(const struct nodetable *table, const struct node *node)
{
	return hash_of(table, node->key->parent, node->key->name, node->name_size);
}

static struct node *node_in(uint64_t slot)
{
	return (struct node *)(uintptr_t)(slot & address_mask);
}

/* The bits of a hash that a slot holds. */
static uint64_t tag_of(uint64_t hash)
{
	return hash & ~address_mask;
}

static size_t next_to(const struct nodetable *table, size_t at)
{
	return (at + 1) & (table->size - 1);
}

/* The slot of a node, or the empty one where it would go; there are slots. */
static size_t find_slot(const struct nodetable *table, uint64_t hash, const struct node *parent,
			const char *name, size_t size)
{
	size_t at = hash & (table->size - 1);

	for (uint64_t slot; (slot = table->slots[at]); at = next_to(table, at)) {
		const struct node *node = node_in(slot);
		if ((slot & ~address_mask) == tag_of(hash) && node->key->parent == parent &&
		    node->name_size == size && !memcmp(node->key->name, name, size))
			break;
	}
	return at;
}

struct node *nodetable_find(const struct nodetable *table, const struct node *parent,
			    const char *name, size_t size)
{
	if (!table->size)
		return NULL;
	uint64_t hash = hash_of(table, parent, name, size);
	return node_in(table->slots[find_slot(table, hash, parent, name, size)]);
}

void nodetable_prefetch(const struct nodetable *table, const struct node *parent, const char *name,
			size_t size)
{
	if (table->size)
		__builtin_prefetch(
			&table->slots[hash_of(table, parent, name, size) & (table->size - 1)], 1);
}

/* --- changing --- */

static uint64_t *slots_alloc(size_t size)
{
	size_t bytes = size * sizeof(uint64_t);

	if (bytes < LARGE_PAGE)
		return calloc(size, sizeof(uint64_t));
	uint64_t *slots = aligned_alloc(LARGE_PAGE, bytes);
	if (!slots)
		return NULL;
	(void)madvise(slots, bytes, MADV_HUGEPAGE); /* or with small pages */
	memset(slots, 0, bytes);
	return slots;
}

static void put(struct nodetable *table, struct node *node, uint64_t hash)
{
	size_t at = hash & (table->size - 1);

	assert(!((uintptr_t)node & ~address_mask));
	while (table->slots[at])
		at = next_to(table, at);
	table->slots[at] = tag_of(hash) | (uintptr_t)node;
}

static int resize(struct nodetable *table, size_t size)
{
	struct nodetable old = *table;
	uint64_t *slots = slots_alloc(size);

	if (!slots)
		return -ENOMEM;
	table->seed = seed_get();
	table->slots = slots;
	table->size = size;
	for (size_t i = 0; i < old.size; i++) {
		if (i + AHEAD < old.size && old.slots[i + AHEAD])
			__builtin_prefetch(node_in(old.slots[i + AHEAD])->key);
		if (old.slots[i])
			put(table, node_in(old.slots[i]),
			    hash_of_node(table, node_in(old.slots[i])));
	}
	free(old.slots);
	return 0;
}

/* At most three quarters full. */
static bool is_room_for(const struct nodetable *table, size_t count)
{
	return count <= table->size / 4 * 3;
}

int nodetable_reserve(struct nodetable *table, size_t count)
{
	size_t size = table->size ? table->size : SIZE_MIN;

	if (is_room_for(table, count))
		return 0;
	while (size && count > size / 4 * 3)
		size *= 2;
	return size ? resize(table, size) : -ENOMEM;
}

void nodetable_release(struct nodetable *table)
{
	free(table->slots);
	*table = (struct nodetable){0};
}

int nodetable_add(struct nodetable *table, struct node *node)
{
	int rc = nodetable_reserve(table, table->count + 1);

	if (rc < 0)
		return rc;
	put(table, node, hash_of_node(table, node));
	table->count++;
	return 0;
}

void nodetable_remove(struct nodetable *table, const struct node *node)
{
	const size_t mask = table->size - 1;
	size_t gap = find_slot(table, hash_of_node(table, node), node->key->parent, node->key->name,
			       node->name_size);

	assert(node_in(table->slots[gap]) == node);
	/* close the gap that it leaves in the runs across it */
	for (size_t at = next_to(table, gap); table->slots[at]; at = next_to(table, at)) {
		size_t home = hash_of_node(table, node_in(table->slots[at])) & mask;
		if (((at - home) & mask) >= ((at - gap) & mask)) {
			table->slots[gap] = table->slots[at];
			gap = at;
		}
	}
	table->slots[gap] = 0;
	table->count--;
}

struct node *nodetable_next(const struct nodetable *table, size_t *at)
{
	while (*at < table->size) {
		if (*at + AHEAD < table->size && table->slots[*at + AHEAD])
			__builtin_prefetch(node_in(table->slots[*at + AHEAD]));
		uint64_t slot = table->slots[(*at)++];
		if (slot)
			return node_in(slot);
	}
	return NULL;
}
