/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * scan.h - walk the records of a segment file in order, checking each.
 *
 * Reads through one window of SCAN_WINDOW_SIZE, whatever the size of the
 * records: a larger one has its CRC computed as it streams by.
 */
#ifndef DISK_SCAN_H
#define DISK_SCAN_H

#include "base/buf.h"
#include "codec/record.h"
#include "disk/io.h"

struct scan {
	struct io *io;
	int fd;                 /* the caller's */
	uint64_t offset;        /* of the next record */
	uint64_t end;           /* where the segment's bytes end */
	enum dw_damage damage;  /* why scan_next() said -EBADMSG */
	bool keys_only;         /* trust the CRC, skip payloads: for what was checked before */
	uint8_t *window;        /* owned */
	uint64_t window_offset; /* in the file */
	size_t window_size;     /* bytes valid in the window */
	struct buf key;         /* of a record larger than the window */
};

/* Valid until the next call on the scan. */
struct scan_record {
	struct record_header header;
	uint64_t offset;
	struct dw_bytes key;
	uint32_t crc;         /* its CRC field; not read with keys_only */
	const uint8_t *bytes; /* all of it; NULL: it does not fit the window, or keys_only */
};

/* Walk the bytes `offset`..`end` of `fd`.  0 or -ENOMEM. */
int scan_init(struct scan *scan, struct io *io, int fd, uint64_t offset, uint64_t end);
void scan_release(struct scan *scan);

/* 1 and `*ret`; 0 at the end; -EBADMSG: no sound record at scan->offset, which
 * stays there, and scan->damage says why; or another -errno. */
int scan_next(struct scan *scan, struct scan_record *ret);

/* After damage in a file that another process may be writing: 1 if it is not any more what
 * was read, so that scan_next() may find something else; 0; or -errno. */
int scan_refresh(struct scan *scan);

/* From damage at scan->offset on, look for the next whole, sound record: first where
 * the damaged one says that it ends, then byte by byte.
 * 1: scan->offset is there; 0: none up to the end (scan->offset is the end).
 * `*budget` is what may be spent on checking candidates, in bytes; hostile
 * contents could otherwise make this quadratic.  When it is used up the search
 * ends as if nothing were there. */
int scan_resync(struct scan *scan, uint64_t *budget);

#endif
