/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * arena.c - see arena.h.
 */
#include "base/arena.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bulk.h"

/* From the second run of chunks on they come as one block of memory. */
enum { TABLE_SIZE = ARENA_CHUNKS_MAX * sizeof(uint8_t *), RUN = BULK_MIN / ARENA_CHUNK_SIZE };

int arena_init(struct arena *arena)
{
	memset(arena, 0, sizeof *arena);
	/* Address space, not memory: its pages come as chunks do.  calloc() would at times
	 * take it from the heap, and clear all of it. */
	void *chunks = mmap(NULL, TABLE_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (chunks == MAP_FAILED)
		return -ENOMEM;
	arena->chunks = chunks;
	return 0;
}

void arena_release(struct arena *arena)
{
	for (uint32_t i = 0; i < arena->chunk_count; i += i < RUN ? 1 : RUN)
		bulk_free(arena->chunks[i], i < RUN ? ARENA_CHUNK_SIZE : BULK_MIN);
	if (arena->chunks)
		(void)munmap(arena->chunks, TABLE_SIZE); /* fails only for wrong arguments */
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

static uint8_t *chunk_alloc(const struct arena *arena)
{
	uint32_t i = arena->chunk_count;

	if (i == ARENA_CHUNKS_MAX)
		return NULL;
	if (i >= RUN && i % RUN)
		return arena->chunks[i - 1] + ARENA_CHUNK_SIZE;
	return bulk_alloc(i < RUN ? ARENA_CHUNK_SIZE : BULK_MIN);
}

static int add_chunk(struct arena *arena)
{
	uint8_t *chunk = chunk_alloc(arena);

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
