/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * snapshot.h - frozen views: a store as it was at one moment, while it goes on.
 *
 * A snapshot copies no keys.  It looks into the key directory of its base, and beside
 * that keeps notes: for each key that was changed since, the place where it was, or
 * that there was none.  A note is made before the change that it is about, so whoever
 * looks into the base first and for a note afterwards never takes a later value for that
 * of the moment: no note by then, no change before.  A compaction needs no notes:
 * it moves values and leaves them the same.
 *
 * A key that one snapshot has a note of, all older ones have one of, too.
 */
#ifndef STORE_SNAPSHOT_H
#define STORE_SNAPSHOT_H

#include "store/core.h"

struct snapshot {
	struct core *core;              /* of the store that goes on */
	struct snapshot *newer, *older; /* in core->snapshots; under log.lock */
	struct keydir notes;            /* each with a reference on its segment; under log.lock */
	/* The rest is as it was at the moment: */
	struct segset segments;          /* each with a reference */
	struct segment_figures *figures; /* of each of them; owned */
	uint64_t count;                  /* keys */
	uint64_t next_txid;
};

/* 0 or -ENOMEM. */
int snapshot_open(struct core *core, struct snapshot **ret);
void snapshot_close(struct snapshot *snapshot);

/* Whether one is open. */
bool snapshot_any(struct core *core);

/* The log is about to get `ops`: let all snapshots of `core` have notes of their keys.
 * 0 or -ENOMEM; what was noted by then does no harm, whether the log gets them or not. */
int snapshot_note_locked(struct core *core, const struct dw_op *ops, size_t count);

/* As keydir_get(), of the snapshot's moment.  Any thread. */
bool snapshot_get(struct snapshot *snapshot, struct dw_bytes key, bool pin,
		  struct keydir_place *ret);

/* A walk over all keys of the moment: start with `{0}`.  log.lock is held from
 * the first to the last. */
struct snapshot_cursor {
	struct keydir_cursor keys;
	bool in_notes; /* done with the store's */
};
bool snapshot_next_locked(struct snapshot *snapshot, struct snapshot_cursor *cursor,
			  struct dw_bytes *key_ret, struct keydir_place *place_ret);

#endif
