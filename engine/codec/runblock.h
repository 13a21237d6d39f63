/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * runblock.h - a block of a run, bytes <-> structs: a page of sorted keys and their places.
 *
 * The bytes that all keys of a block begin with stand once, in front.  Numbers of places are
 * kept as the difference to the smallest one of the block, in as many bits as the largest
 * difference needs.  An entry begins at a multiple of 4; each eighth one's offset stands at the
 * end, for bisection.  A key over RUN_KEY_INLINE_MAX stands in pages of its own, whole.
 *
 * Pure: no I/O.  Whatever the bytes of a page, decoding stays within it.
 */
#ifndef CODEC_RUNBLOCK_H
#define CODEC_RUNBLOCK_H

#include "codec/run.h"

enum {
	RUN_BLOCK_HEADER_SIZE = 40,
	RUN_BLOCK_RESTART = 8, /* entries from one offset at the end to the next */
	RUN_BLOCK_ENTRIES_MAX = (RUN_PAYLOAD - RUN_BLOCK_HEADER_SIZE) / 4,
};

/* The numbers of a place, in the order of their bits. */
enum run_column {
	RUN_KIND, /* 1: tombstone, 2: changes the number of live keys */
	RUN_VALUE_SIZE,
	RUN_SEGMENT,
	RUN_OFFSET,
	RUN_TIME,
	RUN_COLUMNS
};

/* --- reading --- */

struct run_block {
	const uint8_t *page; /* the caller's */
	uint32_t count;      /* entries, at least one */
	uint32_t prefix_size;
	uint32_t start;      /* offset of the first entry */
	uint32_t limit;      /* entries end before */
	uint32_t place_size; /* bytes */
	uint8_t bits[RUN_COLUMNS];
	uint64_t base[RUN_COLUMNS];
};

struct run_entry {
	const uint8_t *place; /* for run_block_place() */
	const uint8_t *rest;  /* of the key, behind the prefix */
	uint32_t rest_size;
	uint32_t next;      /* offset of the entry behind; perhaps there is none */
	uint32_t long_size; /* 0, or: the key has this size, and stands from long_page on */
	uint32_t long_page; /* counts from the chunk's first page */
};

/* False: no block can look like this. */
bool run_block_decode(const uint8_t *page, struct run_block *ret);
/* The entry at an offset; false: none fits there. */
bool run_block_entry(const struct run_block *block, uint32_t offset, struct run_entry *ret);
/* False: no place can look like this. */
bool run_block_place(const struct run_block *block, const uint8_t *place, struct run_place *ret);

static inline uint32_t run_block_restarts(const struct run_block *block)
{
	return (block->count + RUN_BLOCK_RESTART - 1) / RUN_BLOCK_RESTART;
}

/* The offset of entry RUN_BLOCK_RESTART * i. */
static inline uint32_t run_block_restart(const struct run_block *block, uint32_t i)
{
	return bytes_get16(block->page + RUN_PAYLOAD - 2 * ((size_t)i + 1));
}

static inline struct dw_bytes run_block_prefix(const struct run_block *block)
{
	return (struct dw_bytes){block->page + RUN_BLOCK_HEADER_SIZE, block->prefix_size};
}

/* Pages that a long key takes. */
static inline uint32_t run_long_pages(size_t size)
{
	return (uint32_t)run_pages_for(size, RUN_PAYLOAD);
}

/* --- writing --- */

struct run_pending {
	uint32_t key_at; /* in keys */
	uint32_t key_size;
	uint32_t long_size, long_page; /* as above; keys then has the first bytes */
	uint64_t numbers[RUN_COLUMNS];
	uint32_t offset; /* in the block; set by encoding */
};

/* The entries that will be the next block.  `{0}` is an empty one. */
struct run_block_builder {
	struct buf keys;
	struct run_pending *entries; /* owned; RUN_BLOCK_ENTRIES_MAX */
	uint32_t count;
	uint32_t prefix_size;  /* these four: of what was added */
	uint32_t entries_size; /* bytes */
	uint64_t least[RUN_COLUMNS], most[RUN_COLUMNS];
};

void run_block_builder_release(struct run_block_builder *builder);

/* Add a key, greater than the last; a long one with the page it begins in.  1; 0: there is no room
 * left, and nothing is changed (an empty builder takes any key); -ENOMEM. */
int run_block_builder_add(struct run_block_builder *builder, struct dw_bytes key,
			  uint32_t long_page, const struct run_place *place);

/* Write the block, without the page's trailer, of at least one entry.  Sets their offsets. */
void run_block_builder_encode(struct run_block_builder *builder, uint8_t *page);

/* Be empty again. */
void run_block_builder_clear(struct run_block_builder *builder);

#endif
