/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * hint.h - the file beside a segment that says what is in it, bytes <-> structs.
 *
 * A header, then blocks, each with its checksum, each covering a run of whole records
 * of the segment: for each record its type, txid, sizes, key and commit time.  The
 * offset of a record follows from the sizes of those before it.  docs/FORMAT.md has
 * the tables.  Pure: no I/O.  A hint is input like any other: whatever the bytes,
 * decoding stays within them, and what it yields is checked against the segment.
 */
#ifndef CODEC_HINT_H
#define CODEC_HINT_H

#include <stdbool.h>

#include "base/buf.h"
#include "codec/record.h"

enum {
	HINT_HEADER_SIZE = 16,
	HINT_BLOCK_HEADER_SIZE = 40,
	/* Entries of one block take at most this: what a reader must be ready to hold. */
	HINT_BLOCK_SIZE_MAX = 1 << 20,
};

/* What a hint says of one record. */
struct hint_entry {
	struct record_header header;
	int64_t mtime_ns; /* commit time */
	struct dw_bytes key;
};

struct hint_block {
	uint64_t start, end; /* of the run, in the segment */
	uint32_t count;      /* records */
	uint32_t size;       /* bytes of the entries, behind the block's header */
	uint32_t last_crc;   /* the CRC field of the last record: tells a stale hint */
	bool sealed;         /* everything up to `end` was synced, and nothing followed */
};

void hint_header_encode(uint32_t segment_id, uint8_t ret[HINT_HEADER_SIZE]);
/* Whether these are the first bytes of a hint for that segment. */
bool hint_header_check(const uint8_t *bytes, uint32_t segment_id);

/* Write the header of a block whose entries are at `entries`. */
void hint_block_encode(const struct hint_block *block, const uint8_t *entries,
		       uint8_t ret[HINT_BLOCK_HEADER_SIZE]);
/* Read a block's header; false: it is none, or its size is over the limit. */
bool hint_block_decode(const uint8_t *bytes, struct hint_block *ret);
/* Whether the checksum of header and entries is right. */
bool hint_block_check(const uint8_t *bytes, const uint8_t *entries, uint32_t size);

/* Entries are written against the one before: start each block with `{0}`. */
struct hint_state {
	uint64_t txid;
	int64_t mtime_ns;
};

/* Append an entry.  0 or -ENOMEM. */
int hint_entry_add(struct buf *entries, struct hint_state *state, const struct hint_entry *entry);

/* Read the entry at `*at` of `size` bytes; `*at` goes behind it.  False: no whole entry
 * there, and nothing is changed.  The key points into `entries`. */
bool hint_entry_next(const uint8_t *entries, size_t size, size_t *at, struct hint_state *state,
		     struct hint_entry *ret);

#endif
