/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * tailfind.h - records of a log by their txids, wherever a compaction or a repair put them.
 *
 * txids have no gaps but those of records that are gone: each append takes the next one.  So which
 * of a range are missing is known by counting, without any note of what was dropped.
 *
 * Reads hints where they may be believed, else segments.  Memory is bounded.
 */
#ifndef WHOLE_TAILFIND_H
#define WHOLE_TAILFIND_H

#include "log/segset.h"

/* Of so many txids places are kept at once. */
enum { TAIL_PLACES_MAX = 1 << 16 };

struct tail_place {
	uint32_t segment;
	bool found;
	uint64_t offset;
};

struct tail_find {
	/* wanted: */
	uint64_t from;   /* places of the `count` txids from this one on */
	size_t count;    /* at most TAIL_PLACES_MAX; 0: none */
	uint64_t behind; /* a txid */
	uint32_t crc;    /* of that record; 0: not known */
	/* found: */
	struct tail_place *places; /* `count`; owned */
	size_t found;              /* of these */
	uint64_t last;             /* the highest txid of all; 0: there is none */
	bool seen, same;           /* the record `behind` is there; with that CRC field */
	bool any;                  /* one with a higher txid is in: */
	uint32_t segment;          /* the first segment with such a one */
};

/* Look through all segments of the directory.  0; -EBADMSG: a damaged segment; -EAGAIN: segments
 * come and go faster than they are read; or another -errno.  Release `find` in any case. */
int tail_find(struct io *io, int dirfd, struct tail_find *find);
void tail_find_release(struct tail_find *find);

/* Whether a complete segment holds no txid above `txid`, as its hint tells: 1; 0: it may; -ENOENT
 * or another -errno. */
int tail_find_is_old(struct io *io, int dirfd, uint32_t id, uint64_t txid);

#endif
