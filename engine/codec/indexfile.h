/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * indexfile.h - the file `index`, bytes <-> struct: the root of the index on disk.
 *
 * It names the runs, newest first, says how far in the log they reach, and what each segment up to
 * there was: it is believed only if all of that is so.  Pure: no I/O.  It is input like any
 * other: whatever the bytes, decoding stays within them.  docs/FORMAT.md has the tables.
 */
#ifndef CODEC_INDEXFILE_H
#define CODEC_INDEXFILE_H

#include <stdbool.h>

#include "base/buf.h"
#include "datawal.h"

enum {
	INDEXFILE_LAYOUT = 1,
	INDEXFILE_HEADER_SIZE = 64,
	INDEXFILE_RUN_SIZE = 32,
	INDEXFILE_SEGMENT_SIZE = 56,
	INDEXFILE_TRAILER_SIZE = 4,
	INDEXFILE_RUNS_MAX = 1 << 10,
};

/* How far in the log something reaches: all records before it, and none from it on. */
struct index_position {
	uint32_t segment;   /* id; 0: nothing is covered */
	uint64_t offset;    /* in that segment */
	uint64_t next_txid; /* of the first record that is not covered; 0: txids are used up */
};

struct indexfile_run {
	uint32_t id;
	uint64_t stamp; /* in its header */
	uint64_t size;  /* bytes of the file */
	uint64_t keys;  /* tombstones included */
};

struct indexfile_segment {
	uint32_t id;
	uint32_t crc;     /* the CRC field of the last record below `size`; 0: there is none */
	uint64_t size;    /* bytes that are covered: all of them but in the last segment */
	int64_t mtime_ns; /* of the file; of the last one 0 */
	uint64_t inode;
	uint64_t live_bytes; /* of records that the runs point to */
	uint64_t raw_bytes;  /* of Raw records */
	uint64_t last_txid;  /* the highest of its records that are covered */
};

struct indexfile {
	struct index_position position;
	uint64_t keys;              /* that are live */
	uint64_t seed;              /* of the runs' hashes */
	struct indexfile_run *runs; /* the newest first; owned */
	size_t run_count;
	struct indexfile_segment *segments; /* ascending; the last is the position's; owned */
	size_t segment_count;
};

/* Whether a file that begins with these bytes is an index's, sound or not. */
bool indexfile_begins(const uint8_t start[8]);

/* `{0}` is fine. */
void indexfile_release(struct indexfile *file);

/* Append the bytes.  0 or -ENOMEM. */
int indexfile_encode(const struct indexfile *file, struct buf *ret);

/* 0; -EBADMSG: damaged, or none that can be; -ENOMEM. */
int indexfile_decode(struct dw_bytes bytes, struct indexfile *ret);

#endif
