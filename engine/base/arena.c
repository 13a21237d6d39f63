/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * arena.c - see arena.h.
 */
#include "base/arena.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int arena_init(struct arena *arena)
{
	memset(arena, 0, sizeof *arena);
	/* address space, not memory: its pages come as chunks do */
	arena->chunks = calloc(ARENA_CHUNKS_MAX, sizeof *arena->chunks);
	return arena->chunks ? 0 : -ENOMEM;
}

void arena_release(struct arena *arena)
{
	for (uint32_t i = 0; i < arena->chunk_count; i++)
		free(arena->chunks[i]);
	free(arena->chunks);
	memset(arena, 0, sizeof *arena);
}

static uint32_t units_of(size_t size)
{
	assert(size && size <= ARENA_BLOCK_MAX);
	return (uint32_t)((size + ARENA_UNIT - 1) / ARENA_UNIT);
}

/* A free block holds the name of the next one. */
static void put_units(struct arena *arena, uint32_t name, uint32_t units)
{
	memcpy(arena_at(arena, name), &arena->free_heads[units], sizeof name);
	arena->free_heads[units] = name;
}

static int add_chunk(struct arena *arena)
{
	uint8_t *chunk = arena->chunk_count < ARENA_CHUNKS_MAX ? malloc(ARENA_CHUNK_SIZE) : NULL;

	if (!chunk)
		return -ENOMEM;
	if (arena->left && arena->left < ARENA_CLASSES)
		put_units(arena, arena->next, arena->left);
	arena->chunks[arena->chunk_count] = chunk;
	arena->next = arena->chunk_count++ << ARENA_UNIT_BITS;
	arena->left = 1u << ARENA_UNIT_BITS;
	if (!arena->next) { /* 0 is no name */
		arena->next++;
		arena->left--;
	}
	return 0;
}

uint32_t arena_get(struct arena *arena, size_t size)
{
	uint32_t units = units_of(size), name = arena->free_heads[units];

	if (name) {
		memcpy(&arena->free_heads[units], arena_at(arena, name), sizeof name);
		return name;
	}
	if (arena->left < units && add_chunk(arena) < 0)
		return 0;
	name = arena->next;
	arena->next += units;
	arena->left -= units;
	return name;
}

void arena_put(struct arena *arena, uint32_t name, size_t size)
{
	put_units(arena, name, units_of(size));
}
