/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * prealloc.h - the space behind the last record of the active segment.
 *
 * Two ways to have it.  Plain: the file ends with the last record, and blocks are
 * allocated behind its end (fallocate(2), its size kept), so that a tombstone finds
 * room on a full disk.  Ahead: the file goes on with a guard and zeros that were
 * synced, so that a sync of what is written over them is no metadata commit; entered
 * when syncs are frequent and small.  Nothing here locks: log.lock covers it all.
 */
#ifndef LOG_PREALLOC_H
#define LOG_PREALLOC_H

#include <stdbool.h>

#include "base/buf.h"
#include "disk/io.h"

struct prealloc {
	struct io *io;
	int fd;             /* of the active segment, the log's; -1: none */
	bool on;            /* a guard stands behind the last record */
	uint64_t size;      /* of the file while `on` */
	uint64_t allocated; /* while not: blocks are there up to here, as far as known */
	uint64_t reserve;   /* bytes that only removals may use */
	bool lent;          /* a compaction uses them: it frees more, and needs room for that */
	uint64_t reserve_max;
	uint64_t step;  /* bytes to add at a time */
	bool no_blocks; /* the file system allocates no blocks beforehand */
	bool no_zeros;  /* it had no room for the zeros: not again in this segment */
};

/* The largest append while `on`: a larger one is faster without. */
enum { PREALLOC_APPEND_MAX = 256 << 10 };

/* Sizes for segments of `segment_size` bytes; no file yet. */
void prealloc_init(struct prealloc *prealloc, struct io *io, uint64_t segment_size);

/* Take over a plain file that ends at `end`. */
void prealloc_attach(struct prealloc *prealloc, int fd, uint64_t end);

/* Have blocks for the reserve in the file just attached; on a small disk `shrink` takes as much as
 * there is.  -ENOSPC, -EDQUOT.  Nothing while the reserve is lent. */
int prealloc_begin(struct prealloc *prealloc, bool shrink);

/* Have room for `size` bytes at `end`, the end of the records; `removes`: these may use
 * the reserve.  -ENOSPC, -EDQUOT: nothing was changed.  `*sync_failed_ret`: a sync failed, so that
 * the log must not go on. */
int prealloc_make_room(struct prealloc *prealloc, uint64_t end, uint64_t size, bool removes,
		       bool *sync_failed_ret);

/* While `on`: whether `size` bytes at `end` need more zeros than there are. */
bool prealloc_must_grow(const struct prealloc *prealloc, uint64_t end, uint64_t size);

/* Put guard and zeros behind `end`.  Without room for them nothing changes. */
int prealloc_enter(struct prealloc *prealloc, uint64_t end, bool *sync_failed_ret);

/* Let the file end at `end`, durably if it did not, and give unused blocks back. */
int prealloc_leave(struct prealloc *prealloc, uint64_t end);

/* After a failed append: as if nothing had been written behind `end`. */
int prealloc_undo(struct prealloc *prealloc, uint64_t end);

#endif
