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

#include "store/keydir.h"
#include "store/segset.h"

struct replay {
	struct keydir keydir; /* the view; the caller releases it on failure too */
	struct dw_report report;
};

/* Replay one segment of `file_size` bytes; `last` says whether it is the last one.
 * Sets segment->size to its valid prefix and updates replay->report.
 * 0 (report.torn_bytes tells of a torn tail), -EBADMSG (report tells where) or -errno. */
int replay_segment(struct replay *replay, struct dw_segment *segment, uint64_t file_size,
		   bool last);

#endif
