/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * runwriter_internal.h - what the files of the writer of runs share: its state, what writes pages,
 * and what writes the tables at the end of a chunk.
 *
 * Calls go one way: from runwriter.c to both others, from runtables.c to runpages.c.
 */
#ifndef INDEX_RUNWRITER_INTERNAL_H
#define INDEX_RUNWRITER_INTERNAL_H

#include "codec/runblock.h"
#include "disk/atomicfile.h"
#include "index/rundirs.h"
#include "index/runwriter.h"

enum { RUNWRITER_OUT_PAGES = 256 }; /* that are written at once */

/* The hash of a key, and the place of its entry in the chunk. */
struct hashed {
	uint64_t hash;
	uint32_t page, offset;
};

/* The first key of a block. */
struct first {
	uint32_t page; /* in the chunk */
	uint32_t size;
	size_t key_at; /* in first_keys */
};

struct runwriter {
	struct atomicfile file;
	struct run_header header;
	uint32_t chunk_keys_max;
	bool failed;  /* nothing more may be done */
	uint8_t *out; /* owned; RUNWRITER_OUT_PAGES pages */
	uint32_t out_count;
	uint32_t pages; /* so far, those in `out` included */

	struct run_block_builder block;
	struct rundirs dirs;
	struct buf last; /* the last key */

	/* of the chunk */
	uint32_t chunk_page, data_pages, chunk_keys;
	struct hashed *hashes; /* owned; chunk_keys_max; those of the block have no page yet */
	struct first *firsts;  /* owned; RUN_DATA_PAGES_MAX */
	uint32_t first_count;
	struct buf first_keys;
	struct buf block_first; /* the first key of the block that is being made */

	struct buf table;
	struct run_end end;
};

/* --- pages, runpages.c --- */

/* The next page of the file, zeroed, for the caller to fill and to seal.  NULL: `*rc_ret` says
 * why. */
uint8_t *runwriter_next_page(struct runwriter *writer, int *rc_ret);

/* Write the trailer of the page that is the last one so far. */
void runwriter_seal(struct runwriter *writer, enum run_page_kind kind, uint8_t *page);

/* Bytes cut into pages.  0 or -errno. */
int runwriter_write_bytes(struct runwriter *writer, enum run_page_kind kind, const uint8_t *data,
			  size_t size);

/* Write to the file what is not there yet.  0 or -errno. */
int runwriter_flush(struct runwriter *writer);

/* --- tables, runtables.c --- */

/* The first key of block `i` of the chunk. */
struct dw_bytes runwriter_first_key(const struct runwriter *writer, uint32_t i);

/* Write the hash, the fences and the directories of the chunk; its blocks are written, and
 * prefix_size is set.  Sets the numbers of their pages in `chunk`.  0 or -errno. */
int runwriter_write_tables(struct runwriter *writer, struct run_chunk *chunk);

#endif
