/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * core.h - what engine code shares of a store: I/O, the log, the index, segments.
 *
 * One for each store that is open, by a writer, by a reader, or for its segments alone
 * (store/opendir.h).  A snapshot has none of its own, so what changes a store takes a `struct
 * core` and cannot be asked of a snapshot.  Nothing here reads or writes by itself.
 *
 * Lock order: compact_lock, checkpoint_lock, names_lock, hold_lock, log.lock, then those of the
 * index (index/index.h), the pool's, that of work.wakeup.  log.sync_lock is taken with none of them
 * held.
 */
#ifndef STORE_CORE_H
#define STORE_CORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "index/index.h"
#include "log/logwriter.h"
#include "log/segset.h"
#include "store/deadpages.h"
#include "store/work.h"

struct snapshot;

struct core {
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
	pthread_mutex_t names_lock;   /* files of segments come or go under a compaction, or a
					 snapshot is made of them (whole/snapmake.c) */
	pthread_mutex_t join_lock;    /* runs of the index are joined */
	pthread_mutex_t
		checkpoint_lock;      /* one checkpoint at a time (store/checkpoint.h); covers: */
	uint64_t checkpoint_keys_min; /* set once: a close with fewer in memory needs none */
	int64_t checkpoint_after_ns;  /* monotonic: none before, for the last one failed */
	/* of the compaction under way; each is written by it alone, read by anyone */
	struct {
		atomic_int phase; /* enum dw_compact_phase */
		atomic_uint segments_done, segments_total;
		atomic_uint_fast64_t bytes_done, bytes_total;
	} progress;
	struct work work;
	struct log_writer log;

	struct index index;           /* read by anyone; changed under log.lock */
	struct segset segments;       /* under log.lock */
	struct dead_pages dead_pages; /* under log.lock */
	struct snapshot *snapshots;   /* the newest first; under log.lock (store/snapshot.h) */

	atomic_bool index_damage_told;
	atomic_uint_fast64_t damage, compactions;
};

/* Figures of a segment at one moment. */
struct segment_figures {
	uint64_t size, live_bytes; /* as struct dw_segment has them */
};

/* A core for the directory `dirfd`, which is taken over, on failure too.  No lock is taken, no
 * segment opened.  0 or -errno. */
int core_new(struct io *io, int dirfd, const struct dw_options *options, struct core **ret);

/* An empty index; `keys` and `budget` as in struct dw_options.  0 or -ENOMEM. */
int core_index_init(struct core *core, uint64_t keys, uint64_t budget);

/* Let the lock go and free, without a sync. */
void core_free(struct core *core);

/* Hand a finding to the user. */
void core_report(struct core *core, const struct dw_finding *finding);
/* The same as a dw_finding_fn; `core` is the context. */
void core_on_finding(void *core, const struct dw_finding *finding);
/* A call about a segment (0: none) failed with `rc`: `what` says which. */
void core_report_io(struct core *core, int rc, uint32_t segment, const char *what);

/* Count and report a damaged record, of `key` (data NULL: unknown); returns -EBADMSG. */
int core_damaged(struct core *core, const struct dw_segment *segment, uint64_t offset,
		 enum dw_damage damage, struct dw_bytes key);

/* A look into the index failed with `rc`.  If it is damaged that is told, once, and a writer sees
 * to it that the next opening builds it anew.  Returns what the caller is to be told: -EIO for
 * damage, else `rc`.  log.lock may be held. */
int core_index_failed(struct core *core, int rc);

/* A moment of the index was closed: join the deltas that it kept apart.  log.lock is not held. */
void core_tidy(struct core *core);

/* Seal the active segment; the new one has `gap` free ids below it. */
int core_rotate_locked(struct core *core, uint32_t gap);

/* Let log.lock go after an append or a rotation: pages that these made dead leave the cache now.
 * Kept for later they would hold on to segments that a compaction has removed. */
void core_unlock_log(struct core *core);

/* Bytes of all segments, and of the live records in them. */
struct segment_figures core_sum_locked(const struct core *core);

/* Invariants of a store, asserted in builds with STORE_CHECKS (those with sanitizers): live bytes
 * add up, places lie within their segments, segments ascend.  log.lock held. */
void core_check(struct core *core);

#endif
