/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * store.h - what the files of this layer share: the store itself.
 *
 * Lock order: compact_lock, log.lock, then one of the key directory's, the pool's, the
 * bell's of `maintain`.  log.sync_lock is taken with none of them held.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "disk/atomicfile.h"
#include "store/keydir.h"
#include "store/log.h"
#include "store/maintain.h"
#include "store/segset.h"

struct dw_store {
	struct io *io;
	int dirfd;
	int lockfd; /* holds the writer's lock; -1: read only */
	bool read_only;
	dw_finding_fn *on_finding;
	void *context;
	struct fdpool pool;

	pthread_mutex_t compact_lock; /* one compaction at a time */
	/* of the compaction under way; each is written by it alone, read by anyone */
	struct {
		atomic_int phase; /* enum dw_compact_phase */
		atomic_uint segments_done, segments_total;
		atomic_uint_fast64_t bytes_done, bytes_total;
	} progress;
	struct maintain maintain;
	struct log log;

	struct keydir keydir;   /* read by anyone; changed under log.lock */
	struct segset segments; /* under log.lock */

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

/* Tell of the torn tail or (`rc` -EBADMSG) the damage that a report holds, if any. */
void store_report_replay(struct dw_store *store, const struct dw_report *report, int rc);

void store_report(struct dw_store *store, const struct dw_finding *finding);

/* Count and report a damaged record; returns -EBADMSG. */
int store_damaged(struct dw_store *store, const struct dw_segment *segment, uint64_t offset,
		  enum dw_damage damage);

/* Seal the active segment; the new one has `gap` free ids below it. */
int store_rotate_locked(struct dw_store *store, uint32_t gap);

/* Invariants of a store, asserted in builds with STORE_CHECKS (those with sanitizers): live bytes
 * add up, places lie within their segments, segments ascend.  log.lock held. */
void store_check(struct dw_store *store);

/* Copy the bytes `offset`..`end` of `fd` behind what `to` holds already. */
int recover_copy(struct io *io, int fd, uint64_t offset, uint64_t end, struct atomicfile *to);

/* Save the bytes `offset`..`end` of a segment, open as `fd`, to `NNNNNNNN.dwal.torn-T`
 * beside it, durably; `name_ret` is that name, at least SEGNAME_SIZE bytes. */
int recover_quarantine(struct dw_store *store, uint32_t segment, int fd, uint64_t offset,
		       uint64_t end, char *name_ret);

/* Bring back to work what a crash left: quarantine, leftovers (store/recover.c). */
int recover_tail(struct dw_store *store, struct dw_segment *segment, uint64_t valid,
		 uint64_t file_size);
int recover_leftovers(struct dw_store *store);

#endif
