/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * segcheck.h - walking all records of a segment, and its hint beside.
 *
 * For code that reads a segment from its front: replay, verification, repair, the log reader.
 * Records that only the hint knows go to a list of what is lost.  Reads, never writes.
 */
#ifndef STORE_SEGCHECK_H
#define STORE_SEGCHECK_H

#include "disk/segment.h"
#include "disk/sidecar.h"
#include "store/loss.h"

struct segcheck {
	struct scan scan;
	struct sidecar sidecar;
	uint32_t segment;
	int64_t segment_mtime_ns;
	int64_t mtime_ns;  /* of the record that segcheck_next() gave: its commit time, or the
			      segment's */
	bool live;         /* another process may be writing */
	struct loss *loss; /* the caller's */
	size_t loss_count; /* of it before */
	uint64_t loss_records;
};

/* Walk the bytes `offset`..`size` of a segment open as `fd`, its hint beside.  `live`: damage
 * counts only where the bytes stay the same.  0 or -ENOMEM; release it in any case. */
int segcheck_init(struct segcheck *check, struct dw_segment *segment, int fd, uint64_t size,
		  bool live, struct loss *loss);
void segcheck_release(struct segcheck *check);

/* Have no hint beside: it is known already, or just being written. */
void segcheck_ignore_hint(struct segcheck *check);

/* As scan_next() and scan_resync(). */
int segcheck_next(struct segcheck *check, struct scan_record *ret);
int segcheck_resync(struct segcheck *check, uint64_t *budget);

/* After damage: the key of the record there, by the hint or by its own header; data NULL: not
 * known.  Valid until the next call. */
struct dw_bytes segcheck_key(struct segcheck *check);

/* The key of the record at scan->offset, damaged as it is, by its own word. */
bool segcheck_own_word(struct scan *scan, struct record_header *header_ret, struct dw_bytes *ret);

/* The sound records, and what was told of damage, end at `end`, where the segment ends or, if
 * `damaged`, other bytes are.  1: the segment held more; 0; or -errno. */
int segcheck_is_short(struct segcheck *check, uint64_t end, bool damaged);

/* The records that it held behind all that was walked go to the list, too.  0 or -ENOMEM. */
int segcheck_name_missing(struct segcheck *check);

/* How many records are missing so far. */
uint64_t segcheck_missing(const struct segcheck *check);

#endif
