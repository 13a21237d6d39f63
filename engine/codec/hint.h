/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * hint.h - the file beside a segment that says what is in it, bytes <-> structs.
 *
 * A header, then blocks, each with its checksum and that of the block before it, each
 * covering a run of whole records of the segment: for each record its type, CRC field, txid,
 * sizes, key and commit time.  The offset of a record follows from the sizes of those before
 * it.  A sealed block says that the segment was synced up to its end, and which file that
 * was.  docs/FORMAT.md has the tables.  Pure: no I/O.  A hint is input like any other:
 * whatever the bytes, decoding stays within them, and what it yields is checked against the
 * segment.
 *
 * Layout 1, of earlier versions of this program, has no CRC fields and no binding.  It is
 * read for commit times and names; it is never believed, and proves nothing.
 */
#ifndef CODEC_HINT_H
#define CODEC_HINT_H

#include <stdbool.h>

#include "base/buf.h"
#include "codec/record.h"

enum {
	HINT_LAYOUT = 2, /* the layout that is written */
	HINT_HEADER_SIZE = 16,
	HINT_BLOCK_HEADER_SIZE = 60,
	HINT_BLOCK_HEADER_SIZE_1 = 40, /* in layout 1 */
	/* Limit of the entries of one block; a reader must be able to hold as much. */
	HINT_BLOCK_SIZE_MAX = 1 << 20,
};

/* A clock that differs by less from the time that is shown is not written. */
#define HINT_CLOCK_NEAR_NS 50000000

/* The entry of one record in a hint. */
struct hint_entry {
	struct record_header header;
	uint32_t crc;     /* the record's CRC field; in layout 1: 0 */
	int64_t mtime_ns; /* commit time, or what the caller gave instead */
	struct dw_bytes key;
	/* What the clock said when the record was committed; 0: near `mtime_ns`.  Read: always
	 * set, to `mtime_ns` where no other time was written. */
	int64_t clock_ns;
};

/* Which file a segment is: changed or copied, it is another one. */
struct hint_binding {
	int64_t mtime_ns;
	uint64_t inode;
};

struct hint_block {
	uint64_t start, end; /* of the run, in the segment */
	uint32_t count;      /* records */
	uint32_t size;       /* bytes of the entries, behind the block's header */
	uint32_t last_crc;   /* the CRC field of the record that ends at `end`; 0: none does */
	uint32_t before_crc; /* the CRC of the block before, or of the hint's header */
	uint32_t crc;        /* of this block; set by encoding and decoding */
	bool sealed;         /* everything up to `end` was synced, and nothing followed */
	struct hint_binding binding; /* if sealed: of the segment at that moment */
};

/* Returns the CRC that the first block refers to. */
uint32_t hint_header_encode(uint32_t segment_id, uint8_t ret[HINT_HEADER_SIZE]);
/* The layout of the hint for that segment whose first bytes these are; 0: it is none. */
unsigned hint_header_check(const uint8_t *bytes, uint32_t segment_id, uint32_t *crc_ret);

static inline size_t hint_block_header_size(unsigned layout)
{
	return layout == 1 ? HINT_BLOCK_HEADER_SIZE_1 : HINT_BLOCK_HEADER_SIZE;
}

/* Write the header of a block whose entries are at `entries`; sets block->crc. */
void hint_block_encode(struct hint_block *block, const uint8_t *entries,
		       uint8_t ret[HINT_BLOCK_HEADER_SIZE]);
/* Read a block's header; false: it is none, or its size is over the limit.  In layout 1 no
 * block is sealed. */
bool hint_block_decode(unsigned layout, const uint8_t *bytes, struct hint_block *ret);
/* Whether the checksum of header and entries is right. */
bool hint_block_check(unsigned layout, const uint8_t *bytes, const uint8_t *entries, uint32_t size);

/* Entries are written against the one before: start each block with `{0}`. */
struct hint_state {
	uint64_t txid;
	int64_t mtime_ns;
};

/* Append an entry.  0 or -ENOMEM. */
int hint_entry_add(struct buf *entries, struct hint_state *state, const struct hint_entry *entry);

/* Read the entry at `*at` of `size` bytes; `*at` goes behind it.  False: no whole entry
 * there, and nothing is changed.  The key points into `entries`. */
bool hint_entry_next(unsigned layout, const uint8_t *entries, size_t size, size_t *at,
		     struct hint_state *state, struct hint_entry *ret);

#endif
