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
 * A snapshot is a `struct dw_store` that is read only, has `snapshot.base` set, and
 * borrows the base's directory and pool.  Its `keydir` holds the notes, each with a
 * reference on its segment; its `segments` are those of the moment; its log is
 * empty.  A key that one snapshot has a note of, all older ones have one of, too.
 */
#ifndef STORE_SNAPSHOT_H
#define STORE_SNAPSHOT_H

#include "index/keydir.h"

struct snapshot_segment {
	uint64_t size, live_bytes; /* as struct dw_segment has them */
};

/* What a store has more if it is a snapshot. */
struct snapshot {
	struct dw_store *base;             /* NULL: it is none */
	struct dw_store *newer, *older;    /* in base->snapshots; lock: the base's log's */
	uint64_t count;                    /* keys */
	struct snapshot_segment *segments; /* at the moment, of each in store->segments; owned */
};

/* The log is about to get `ops`: let all snapshots of `base` have notes of their keys.
 * 0 or -ENOMEM; what was noted by then does no harm, whether the log gets them or not. */
int snapshot_note_locked(struct dw_store *base, const struct dw_op *ops, size_t count);

/* As keydir_get(), of the snapshot's moment.  Any thread. */
bool snapshot_get(struct dw_store *snapshot, struct dw_bytes key, bool pin,
		  struct keydir_place *ret);

/* A walk over all keys of the moment: start with `{0}`.  The base's log.lock is held from
 * the first to the last. */
struct snapshot_cursor {
	struct keydir_cursor keys;
	bool in_notes; /* done with the base's */
};
bool snapshot_next_locked(struct dw_store *snapshot, struct snapshot_cursor *cursor,
			  struct dw_bytes *key_ret, struct keydir_place *place_ret);

/* Let go of everything; as dw_close(). */
void snapshot_close(struct dw_store *snapshot);

#endif
