/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * store.h - what the files of this layer share: the store itself.
 *
 * Lock order: compact_lock, log.lock, then one of the key directory's or of a snapshot's
 * notes (never two), the pool's, the bell's of `maintain`.  log.sync_lock is taken with
 * none of them held.  A snapshot has no locks of its own that matter: its walks take its
 * base's log.lock.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "background/maintain.h"
#include "disk/atomicfile.h"
#include "index/keydir.h"
#include "log/log.h"
#include "log/segset.h"
#include "store/snapshot.h"
#include "store/stale.h"

struct dw_store {
	struct io *io;
	int dirfd;
	int lockfd; /* holds the writer's lock; -1: read only */
	bool read_only;
	dw_finding_fn *on_finding;
	void *context;
	struct fdpool pool;

	pthread_mutex_t
		hold_lock; /* one look at once (store/hold.h); covers lockfd once open, and: */
	size_t hold_turn;  /* which segment comes next */
	pthread_mutex_t compact_lock; /* one compaction at a time */
	/* of the compaction under way; each is written by it alone, read by anyone */
	struct {
		atomic_int phase; /* enum dw_compact_phase */
		atomic_uint segments_done, segments_total;
		atomic_uint_fast64_t bytes_done, bytes_total;
	} progress;
	struct maintain maintain;
	struct log log;

	struct keydir keydir;   /* read by anyone; changed under log.lock; a snapshot's: notes */
	struct segset segments; /* under log.lock; a snapshot's do not change */
	struct stale stale;     /* under log.lock */

	struct dw_store *snapshots; /* of this store, the newest first; under log.lock */
	struct snapshot snapshot;   /* if it is one itself */

	struct dw_store *above; /* whose log this one's comes before; NULL: none (dw_open_in) */

	atomic_uint_fast64_t damage, compactions;
};

/* dw_open() with system calls of the caller's choice. */
int store_open(struct io *io, const char *path, const struct dw_options *options,
	       struct dw_report *report_ret, struct dw_store **ret);

/* Lock (unless read only) and open the segments as of one moment, without reading or
 * changing them: for who walks the log itself.  No call that needs the view may be
 * made on it.  `*sizes_ret`, owned by the caller: bytes of each segment's file.
 * Errors as dw_open(). */
int store_open_unread(struct io *io, const char *path, const struct dw_options *options,
		      uint64_t **sizes_ret, struct dw_store **ret);

/* Let the lock go and free, without a sync. */
void store_free(struct dw_store *store);

struct replay;

/* Tell of the torn tail or (`rc` -EBADMSG) the damage that a replay met, if any. */
void store_report_replay(struct dw_store *store, struct replay *replay, int rc);

void store_report(struct dw_store *store, const struct dw_finding *finding);

/* Count and report a damaged record, of `key` (data NULL: unknown); returns -EBADMSG. */
int store_damaged(struct dw_store *store, const struct dw_segment *segment, uint64_t offset,
		  enum dw_damage damage, struct dw_bytes key);

/* The store that holds the keys of this one: itself, or of a snapshot its base. */
static inline struct dw_store *store_base(struct dw_store *store)
{
	return store->snapshot.base ? store->snapshot.base : store;
}

/* Figures of segment number `i`, as of a snapshot's moment if this is one. */
static inline struct snapshot_segment store_segment_locked(const struct dw_store *store, size_t i)
{
	const struct dw_segment *segment = store->segments.items[i];

	if (store->snapshot.base)
		return store->snapshot.segments[i];
	return (struct snapshot_segment){segment->size, segment->live_bytes};
}

/* As keydir_next(): walk over the keys of a store, or of a snapshot.  log.lock of
 * store_base() is held. */
static inline bool store_next_locked(struct dw_store *store, struct snapshot_cursor *cursor,
				     struct dw_bytes *key_ret, struct keydir_place *place_ret)
{
	return store->snapshot.base
		       ? snapshot_next_locked(store, cursor, key_ret, place_ret)
		       : keydir_next(&store->keydir, &cursor->keys, key_ret, place_ret);
}

/* Seal the active segment; the new one has `gap` free ids below it. */
int store_rotate_locked(struct dw_store *store, uint32_t gap);

/* Let log.lock go after an append or a rotation: what these made stale leaves the cache now.
 * Kept for later it would hold on to segments that a compaction has removed. */
void store_unlock_log(struct dw_store *store);

/* Invariants of a store, asserted in builds with STORE_CHECKS (those with sanitizers): live bytes
 * add up, places lie within their segments, segments ascend.  log.lock held. */
void store_check(struct dw_store *store);

/* Copy the bytes `offset`..`end` of `fd` behind what `to` holds already. */
int recover_copy(struct io *io, int fd, uint64_t offset, uint64_t end, struct atomicfile *to);

/* Save the bytes `offset`..`end` of a segment, open as `fd`, to `NNNNNNNN.dwal.torn-T`
 * beside it, durably, without most of the zeros that they end in; `name_ret` is that name, at
 * least SEGNAME_SIZE bytes.  "": they are zeros alone, and nothing was saved. */
int recover_quarantine(struct dw_store *store, uint32_t segment, int fd, uint64_t offset,
		       uint64_t end, char *name_ret);

/* Bring back to work what a crash left: quarantine (of a torn tail; of a guard there is
 * nothing to save), leftovers (store/recover.c). */
int recover_tail(struct dw_store *store, struct dw_segment *segment, uint64_t file_size, bool torn);
/* `keep_proofs`: hints of missing segments stay, whatever else is known. */
int recover_leftovers(struct dw_store *store, bool keep_proofs);
/* Bring to disk what a writer that was killed left in the store of attributes.  Before anything
 * else of a store that is opened for writing is synced. */
int recover_first(struct dw_store *store);
/* Give back blocks that a writer which was killed had allocated ahead: on a full disk they may
 * be all there is, also for a copy of a torn tail. */
void recover_blocks(struct dw_store *store);

#endif
