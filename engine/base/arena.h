/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * arena.h - many small blocks, each named by 32 bits instead of an address.
 *
 * Blocks come from chunks in units of 16 bytes.  A freed block waits in the free list of its size
 * for the next allocation of that size; memory goes back to the system only at the end.  A block
 * does not move, and reading one needs no lock: only getting and freeing blocks is for one thread
 * at a time.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

enum {
	ARENA_UNIT = 16,                                  /* bytes; also the alignment */
	ARENA_UNIT_BITS = 13,                             /* of a name: the unit in its chunk */
	ARENA_CHUNK_SIZE = ARENA_UNIT << ARENA_UNIT_BITS, /* 128 KiB */
	ARENA_CHUNKS_MAX = 1 << (32 - ARENA_UNIT_BITS),   /* so 64 GiB in all */
	ARENA_BLOCK_MAX = ARENA_CHUNK_SIZE / 2 + 64,
	ARENA_CLASSES = ARENA_BLOCK_MAX / ARENA_UNIT + 1,
};

struct arena {
	uint8_t **chunks; /* ARENA_CHUNKS_MAX of them, untouched memory until used */
	uint32_t chunk_count;
	uint32_t next;                      /* name of the first unit never given out */
	uint32_t left;                      /* units of its chunk from there on */
	uint32_t free_heads[ARENA_CLASSES]; /* names, by size in units; 0: none */
};

/* 0 or -ENOMEM. */
int arena_init(struct arena *arena);
/* Frees every block.  A zeroed arena is fine. */
void arena_release(struct arena *arena);

/* The name of a new block of up to ARENA_BLOCK_MAX bytes, never 0; 0: no memory. */
uint32_t arena_get(struct arena *arena, size_t size);
/* `size` is the one that was asked for. */
void arena_put(struct arena *arena, uint32_t name, size_t size);

static inline void *arena_at(const struct arena *arena, uint32_t name)
{
	return arena->chunks[name >> ARENA_UNIT_BITS] +
	       (size_t)(name & ((1u << ARENA_UNIT_BITS) - 1)) * ARENA_UNIT;
}

#endif
