/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * run.h - a run, bytes <-> structs: a sorted file of keys, each with the place of its newest
 * record or with the word that it was removed.
 *
 * Pure: no I/O.  A run is input like any other: whatever the bytes, decoding stays within them.
 * docs/FORMAT.md has the tables.
 */
#ifndef CODEC_RUN_H
#define CODEC_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "datawal.h"

enum {
	RUN_LAYOUT = 1,
	RUN_PAGE_SIZE = 4096,
	RUN_PAGE_TRAILER = 8,
	RUN_PAYLOAD = RUN_PAGE_SIZE - RUN_PAGE_TRAILER, /* of a page */

	/* Pages of blocks and of long keys in a chunk: their number has 13 bits. */
	RUN_DATA_PAGES_MAX = 1 << 13,
	RUN_CHUNK_KEYS_MAX = 1 << 19,
	RUN_KEY_INLINE_MAX = 1024, /* a longer key stands in pages of its own */

	RUN_LINE_SIZE = 64,
	RUN_LINE_SLOTS = 15,
	RUN_LINES_A_PAGE = RUN_PAYLOAD / RUN_LINE_SIZE,
	RUN_LINE_CHAIN_MAX = 64, /* lines that a look-up has to read at most */

	RUN_FENCE_SIZE = 12,
	RUN_FENCES_A_PAGE = RUN_PAYLOAD / RUN_FENCE_SIZE,

	RUN_DIRECTORY_SIZE = 22,
	RUN_DIRECTORIES_A_PAGE = (RUN_PAYLOAD - 8) / RUN_DIRECTORY_SIZE,

	RUN_CHUNK_SIZE = 40, /* in the table of chunks, without the key */
};

/* The type of a page, stored in its trailer.  0 is no type, so a page of zeros is invalid. */
enum run_page_kind {
	RUN_PAGE_HEADER = 1,
	RUN_PAGE_BLOCK,
	RUN_PAGE_LONG,
	RUN_PAGE_HASH,
	RUN_PAGE_FENCES,
	RUN_PAGE_DIRECTORIES,
	RUN_PAGE_CHUNKS,
	RUN_PAGE_END,
};

/* The entry of one key in a run. */
struct run_place {
	uint32_t segment; /* id */
	uint32_t value_size;
	uint64_t offset;  /* of the record, in its segment */
	int64_t mtime_ns; /* commit time */
	bool tombstone;   /* the key was removed: segment, offset and value_size are what the
			     writer gave, mostly 0 */
	/* By how much this entry changes the number of live keys: +1, it puts a key that was absent
	 * below; -1, it removes one that was live; 0, it replaces or removes nothing new.  In a
	 * join of runs, the sum. */
	int8_t change;
};

/* The same bytes; of none, not NULL, which may be neither compared nor added to. */
static inline struct dw_bytes run_bytes(const void *data, size_t size)
{
	return (struct dw_bytes){size ? data : "", size};
}

/* Whether the fields go together: a put changes by 0 or +1, a tombstone by 0 or -1. */
bool run_place_is_valid(const struct run_place *place);

/* The hash by which a key is looked up.  The seed is a secret of the store; without it an attacker
 * cannot choose keys that collide. */
uint64_t run_hash(uint64_t seed, struct dw_bytes key);

/* --- pages --- */

/* Write the trailer of page `number` of the run with that stamp: its kind and checksum. */
void run_page_seal(uint64_t stamp, uint32_t number, enum run_page_kind kind, uint8_t *page);
/* Whether the checksum is right: the bytes are those of this page of this very run. */
bool run_page_check(uint64_t stamp, uint32_t number, const uint8_t *page);

/* The first page. */
struct run_header {
	uint32_t id;
	uint64_t stamp; /* of this file: no other run has it, one of the same id neither */
	uint64_t seed;  /* for run_hash() */
};

/* Whether a file that begins with these bytes is a run, sound or not. */
bool run_begins(const uint8_t start[8]);

void run_header_encode(const struct run_header *header, uint8_t *page);
/* False: damaged, or another layout, or another id's. */
bool run_header_decode(const uint8_t *page, uint32_t id, struct run_header *ret);

/* The last page. */
struct run_end {
	uint32_t pages;       /* of the file */
	uint32_t chunks;      /* their table lies in the pages before this one */
	uint64_t table_size;  /* bytes of the table */
	uint64_t keys;        /* tombstones included */
	uint64_t tombstones;  /* of these */
	uint64_t key_bytes;   /* of all keys */
	int64_t change;       /* sum over all keys */
	int64_t below_change; /* the same without the empty key */
	int64_t below_newest; /* latest time of keys that are neither empty nor removed */
};

void run_end_encode(uint64_t stamp, const struct run_end *end, uint8_t *page);
/* False: damaged, or not the last one of so many pages. */
bool run_end_decode(uint64_t stamp, uint32_t pages, const uint8_t *page, struct run_end *ret);

static inline uint64_t run_pages_for(uint64_t items, uint64_t items_a_page)
{
	return (items + items_a_page - 1) / items_a_page;
}

/* An entry of the table of chunks.  The pages of a chunk follow each other: blocks and long keys,
 * hash lines, fences, directories. */
struct run_chunk {
	uint32_t first_page;
	uint32_t data_pages; /* blocks and long keys */
	uint32_t blocks;     /* of these; as many fences there are */
	uint32_t keys;
	uint32_t lines; /* of the hash */
	uint32_t directory_buckets;
	uint32_t directory_pages;
	uint32_t prefix_size; /* of its first key, that all keys of the chunk have */
	struct dw_bytes key;  /* the first one */
};

static inline uint32_t run_chunk_hash_page(const struct run_chunk *chunk)
{
	return chunk->first_page + chunk->data_pages;
}

static inline uint32_t run_chunk_fence_page(const struct run_chunk *chunk)
{
	return run_chunk_hash_page(chunk) + (uint32_t)run_pages_for(chunk->lines, RUN_LINES_A_PAGE);
}

static inline uint32_t run_chunk_directory_page(const struct run_chunk *chunk)
{
	return run_chunk_fence_page(chunk) +
	       (uint32_t)run_pages_for(chunk->blocks, RUN_FENCES_A_PAGE);
}

/* Behind its last page. */
static inline uint32_t run_chunk_end_page(const struct run_chunk *chunk)
{
	return run_chunk_directory_page(chunk) + chunk->directory_pages;
}

/* 0 or -ENOMEM. */
int run_chunk_add(struct buf *table, const struct run_chunk *chunk);
/* Read the entry at `*at`; `*at` goes behind it.  False: none there that can be, or it does not
 * begin at `first_page`.  The key points into `table`. */
bool run_chunk_next(struct dw_bytes table, size_t *at, uint32_t first_page, struct run_chunk *ret);

/* --- the hash of a chunk: lines of slots --- */

/* Where a hash looks first, and what it compares. */
static inline uint32_t run_line_of(uint64_t hash, uint32_t lines)
{
	return (uint32_t)((hash >> 32) * lines >> 32);
}

enum { RUN_TAG_BITS = 9, RUN_TAG_MASK = (1 << RUN_TAG_BITS) - 1 };

/* `page` counts from the chunk's first one, `offset` is that of the entry in its page, which is a
 * multiple of 4. */
static inline uint32_t run_slot(uint64_t hash, uint32_t page, uint32_t offset)
{
	return (uint32_t)(hash & RUN_TAG_MASK) | page << RUN_TAG_BITS | offset << 20;
}

static inline uint32_t run_slot_page(uint32_t slot)
{
	return slot >> RUN_TAG_BITS & (RUN_DATA_PAGES_MAX - 1);
}

static inline uint32_t run_slot_offset(uint32_t slot)
{
	return slot >> 22 << 2;
}

static inline uint32_t run_line_slot(const uint8_t *line, unsigned i)
{
	return bytes_get32(line + 4 * (size_t)i);
}

/* Whether keys of this line also stand in the next one. */
static inline bool run_line_is_over(const uint8_t *line)
{
	return run_line_slot(line, RUN_LINE_SLOTS);
}

/* The slots with the tag of that hash, one bit each. */
unsigned run_line_match(const uint8_t *line, uint64_t hash);

/* Put a slot into one of `lines` lines in memory.  False: there is no room within the chain. */
bool run_lines_add(uint8_t *lines, uint32_t count, uint64_t hash, uint32_t slot);

/* --- fences: where a block begins --- */

/* Eight bytes of a key from `skip` on, ordered as the key is; zeros behind its end. */
uint64_t run_fence(struct dw_bytes key, size_t skip);

static inline void run_fence_put(uint8_t *page, uint32_t i, uint64_t fence, uint32_t block_page)
{
	bytes_put64(page + (size_t)i * RUN_FENCE_SIZE, fence);
	bytes_put32(page + (size_t)i * RUN_FENCE_SIZE + 8, block_page);
}

static inline uint64_t run_fence_get(const uint8_t *page, uint32_t i)
{
	return bytes_get64(page + (size_t)i * RUN_FENCE_SIZE);
}

/* Counts from the chunk's first page. */
static inline uint32_t run_fence_page(const uint8_t *page, uint32_t i)
{
	return bytes_get32(page + (size_t)i * RUN_FENCE_SIZE + 8);
}

/* --- directories --- */

struct run_directory {
	uint64_t hash;  /* of its name, the last `/` included */
	int64_t change; /* of all keys below: at most RUN_DIRECTORY_CHANGE_MAX, either way */
	int64_t newest;
};

/* The limit of 6 bytes: more keys than a run can have. */
#define RUN_DIRECTORY_CHANGE_MAX ((int64_t)1 << 46)

static inline uint32_t run_directory_bucket(uint64_t hash, uint32_t buckets)
{
	return (uint32_t)((hash >> 32) * buckets >> 32);
}

/* Fill a page with sorted directories; `over`: some that belong here or before are in the next. */
void run_directory_page_encode(const struct run_directory *directories, uint32_t count, bool over,
			       uint8_t *page);
/* Look for directory->hash.  1: there, and change and newest are set; 0: not in this page;
 * `*over_ret` says whether to look into the next one. */
int run_directory_page_find(const uint8_t *page, struct run_directory *directory, bool *over_ret);

#endif
