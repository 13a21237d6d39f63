/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * replay.h - from segment files to the view: every record, by ascending id and offset.
 *
 * Reads, never writes.  What each kind of damage means is the table in
 * docs/FORMAT.md: behind the valid prefix of the last segment it is a torn tail,
 * elsewhere an error.
 */
#ifndef STORE_REPLAY_H
#define STORE_REPLAY_H

#include "disk/hintfile.h"
#include "disk/scan.h"
#include "store/keydir.h"
#include "store/segset.h"

struct replay {
	struct keydir *keydir; /* the view, the caller's; on failure it holds a part */
	struct dw_report report;
	bool writes;             /* the hints of sealed segments may be completed */
	struct hint_loaded hint; /* of the segment replayed last: where its hint goes on */
};

/* Replay one segment of `file_size` bytes; `last` says whether it is the last one.
 * Sets segment->size to its valid prefix and updates replay->report.
 * 0 (report.torn_bytes tells of a torn tail), -EBADMSG (report tells where) or -errno. */
int replay_segment(struct replay *replay, struct dw_segment *segment, uint64_t file_size,
		   bool last);

/* What damage at scan->offset means: nothing, for a guard behind the last record; else sets the
 * report's damage, and for a torn tail its torn_bytes and records_behind.  0: a torn tail; -EBADMSG
 * or another -errno. */
int replay_at_damage(struct dw_report *report, struct scan *scan, bool last);

/* scan_next(), for who reads a log that may be written meanwhile (`live`): damage counts
 * only where the bytes stay the same. */
int replay_next(struct scan *scan, bool live, struct scan_record *ret);

/* What a search behind damage in a segment of `size` bytes may spend (scan_resync()). */
static inline uint64_t replay_search_budget(uint64_t size)
{
	return 16 * size + (64u << 20);
}

#endif
