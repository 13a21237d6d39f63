/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * snapshot.h - frozen views: a store as it was at one moment, while it goes on.
 *
 * A snapshot is a moment of the index (index/index.h), and the figures of the segments then.
 * The cost of taking one does not depend on the number of keys; later puts cost nothing more.
 * It holds the segments of its moment, so that it can be verified and its figures stay.  A
 * compaction moves values and leaves them the same: the values of a snapshot stay readable in the
 * segments that it holds.
 */
#ifndef STORE_SNAPSHOT_H
#define STORE_SNAPSHOT_H

#include "store/core.h"

struct snapshot {
	struct core *core;               /* of the store that goes on */
	struct snapshot *newer, *older;  /* in core->snapshots; under log.lock */
	struct index_moment *moment;     /* holds the segments, too */
	struct segment_figures *figures; /* of each of these; owned */
	uint64_t next_txid;
};

/* 0 or -ENOMEM. */
int snapshot_open(struct core *core, struct snapshot **ret);
void snapshot_close(struct snapshot *snapshot);

static inline const struct segset *snapshot_segments(const struct snapshot *snapshot)
{
	return index_moment_segments(snapshot->moment);
}

/* Whether one is open. */
bool snapshot_any(struct core *core);

/* Whether one holds a segment.  log.lock is held. */
bool snapshot_holds_locked(const struct core *core, const struct dw_segment *segment);

#endif
