/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * tailread.h - one segment, read from some place on while another process may be writing it.
 *
 * Reads, never writes.  Gives only whole records whose checksum is right: not a guard, not zeros
 * ahead of the records, not a part of a record.  One thread.
 */
#ifndef WHOLE_TAILREAD_H
#define WHOLE_TAILREAD_H

#include "disk/hintreader.h"
#include "disk/scan.h"

struct tail_reader {
	struct io *io;
	int dirfd; /* the caller's */
	int fd;    /* -1: none is open */
	uint32_t id;
	uint64_t inode;
	int64_t mtime_ns;       /* of the file, when it was looked at last */
	uint64_t synced;        /* bytes that this reader brought to disk, or knows to be there */
	struct scan scan;       /* its offset is where the next record starts */
	struct hintreader hint; /* tells commit times, as far as it goes; fd -1: no more */
	struct hint_entry entry;
	uint64_t entry_offset; /* of `entry`; UINT64_MAX: none is at hand */
};

void tail_reader_init(struct tail_reader *reader, struct io *io, int dirfd);

/* Read segment `id` from `offset` on, where a record starts or the records end.  0; -ENOENT: there
 * is no such segment; -EINVAL: no regular file; -ELOOP: a symlink; or another -errno. */
int tail_reader_open(struct tail_reader *reader, uint32_t id, uint64_t offset);
/* None need be open. */
void tail_reader_close(struct tail_reader *reader);

/* 1 and `*ret`; 0: no further record stands there whole; -EBADMSG: likewise, and what stands there
 * is none that is being written (scan.damage); or another -errno. */
int tail_reader_next(struct tail_reader *reader, struct scan_record *ret);

/* Whether the file still holds the record that ends at scan.offset, with that CRC field (0: not
 * known): 1, 0 or -errno. */
int tail_reader_proves(struct tail_reader *reader, uint32_t crc);

/* Whether the segment's name leads to another file by now, or to none: 1, 0 or -errno. */
int tail_reader_is_replaced(struct tail_reader *reader);

/* Bring the record `record`, which was given last, to disk.  0 or -errno. */
int tail_reader_sync(struct tail_reader *reader, const struct scan_record *record);

/* When the record given last was committed, as far as is known: by the hint, else by the file. */
int64_t tail_reader_time(struct tail_reader *reader, const struct scan_record *record);

#endif
