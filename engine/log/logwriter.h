/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * logwriter.h - the log writer: the end of the log, where it is appended to, synced, rotated.
 *
 * One writer at a time (`lock`), many threads that wait for the disk together (`sync_lock`).
 * Invariants: below `end` of the active segment there are whole records only; there
 * the file ends, or a guard stands (log/prealloc.h), unless an append is under way or the
 * writer is poisoned; each sealed segment was synced before its successor existed, and
 * ends with its last record.
 */
#ifndef LOG_LOGWRITER_H
#define LOG_LOGWRITER_H

#include "base/buf.h"
#include "datawal.h"
#include "disk/hintfile.h"
#include "disk/segment.h"
#include "log/prealloc.h"

/* A call of log_sync() that waits. */
struct sync_call {
	uint64_t want; /* of `appended`, how many are to be on disk */
	struct sync_call *next;
};

struct log_writer {
	struct fdpool *pool;
	uint64_t segment_size; /* bytes; rotate before exceeding them */
	void (*poisoned)(void *context, const struct dw_finding *finding); /* told once */
	uint32_t wait_ms; /* for the lock of the first segment */
	/* Whether the writer still has its store: before a sync says yes.  Takes `lock`. */
	int (*hold)(void *context);
	void *context;

	pthread_mutex_t lock; /* order: before the store's view lock */
	/* under `lock`: */
	struct dw_segment *active;             /* referenced, pinned, and locked by flock(2) */
	int fd;                                /* of `active` */
	uint64_t end;                          /* bytes of records in `active` */
	struct prealloc prealloc;              /* the bytes of the file after them */
	bool wants_zeros;                      /* syncs are frequent and small */
	uint32_t small_syncs;                  /* in a row */
	uint64_t bytes_synced;                 /* of bytes_appended, when the last sync began */
	uint64_t syncs_begun, syncs_at_growth; /* when zeros were added last */
	uint64_t next_txid;                    /* 0: used up */
	struct buf scratch;                    /* records being put together */
	struct buf crcs;        /* uint32_t: the CRC field of each record of an append */
	struct hintwriter hint; /* of `active` */
	uint64_t bytes_appended, puts, deletes, raws, rotations;
	int64_t looked_ns; /* when an append saw last that the files are still there */

	/* The log that must be on disk before this one; NULL: none.  And why it never will be. */
	_Atomic(struct log_writer *) first;
	atomic_int first_lost;
	atomic_uint syncs_running; /* log_sync() brings this one to disk just now */

	atomic_int poison;             /* 0 or the negative errno of the first failure */
	atomic_uint_fast64_t appended; /* counts appends; written under `lock` */

	pthread_mutex_t sync_lock; /* order: never taken with `lock` held */
	pthread_cond_t sync_done;
	/* under `sync_lock`: */
	uint64_t synced;         /* of `appended`, how many are on disk */
	bool syncing;            /* a thread is in fdatasync(2) */
	struct sync_call *calls; /* that no sync has served yet */
	uint64_t syncs_asked, syncs_done;
	uint64_t syncs_served[DW_SYNC_SHARES], calls_served;
};

int log_init(struct log_writer *log, struct fdpool *pool, uint64_t segment_size);
void log_release(struct log_writer *log);

/* Go on appending to `segment`, of which segment->size bytes are valid and nothing
 * lies behind; takes a reference of its own.  `hint`: where its hint goes on; size 0: it is
 * begun anew. */
int log_continue(struct log_writer *log, struct dw_segment *segment, uint64_t next_txid,
		 const struct hint_end *hint);

/* The store is about to be closed, and everything synced: let the file end with its last
 * record, and say so in the hint. */
int log_finish(struct log_writer *log);

static inline void log_lock(struct log_writer *log)
{
	(void)pthread_mutex_lock(&log->lock);
}

static inline void log_unlock(struct log_writer *log)
{
	(void)pthread_mutex_unlock(&log->lock);
}

/* 0, or why nothing can be written any more. */
static inline int log_check(struct log_writer *log)
{
	return atomic_load(&log->poison);
}

/* Stop writing for good; the first error counts. */
void log_poison(struct log_writer *log, int error, const char *what);
void log_poison_as(struct log_writer *log, int error, const struct dw_finding *finding);

/* Lock a segment that log_continue() will be given, against other writers.  0, -EBUSY or another
 * -errno.  It stays locked until the next call, or log_release(). */
int log_claim(struct log_writer *log, struct dw_segment *segment);

/* Whether the active segment and the directory are still there: 0, or -ESTALE, and the log is
 * poisoned. */
int log_look_locked(struct log_writer *log);

/* Bytes the records of `ops` take, or why they can't be written; nothing is. */
int64_t log_size_of_locked(const struct log_writer *log, const struct dw_op *ops, size_t count);

/* Whether `size` more bytes belong into a new segment. */
bool log_is_full_locked(const struct log_writer *log, uint64_t size);

/* Every sync of a log begins with this: it brings all records of the log that comes first to disk.
 * No system call if they are there already.  `lock` may be held: a log that comes first never waits
 * for one behind it. */
int log_sync_first(struct log_writer *log);

/* Before an append, without `lock`: a sync under way may take the new records with it. */
static inline int log_before_append(struct log_writer *log)
{
	return atomic_load(&log->syncs_running) ? log_sync_first(log) : 0;
}

/* Append; the first record lands at `*offset_ret` of the active segment, the others
 * right behind.  `now_ns`: the commit time of those that bring none.  On failure nothing is left of
 * them, or the log is poisoned. */
int log_append_locked(struct log_writer *log, const struct dw_op *ops, size_t count, uint64_t size,
		      int64_t now_ns, uint64_t *offset_ret);

/* The bytes of it, at the end of the active segment (log/logwrite.c); on failure a part of
 * them may be there. */
int log_write_locked(struct log_writer *log, const struct dw_op *ops, size_t count, uint64_t size);

static inline struct record_header log_header_of(const struct dw_op *op, uint64_t txid)
{
	return (struct record_header){
		.type = op->type,
		.txid = txid,
		.key_size = (uint32_t)op->key.size,
		.payload_size = (uint32_t)op->value.size,
	};
}

/* Seal the active segment and make segment `id`, above it, the active one.
 * `*ret` is it, referenced for the caller.  On failure the old one stays active. */
int log_rotate_locked(struct log_writer *log, uint32_t id, struct dw_segment **ret);

/* Give the space for removals back to the file system, so that a compaction may have it, until it
 * is taken again as well as it goes. */
int log_lend_reserve_locked(struct log_writer *log);
void log_take_reserve_locked(struct log_writer *log);

/* See dw_sync(). */
int log_sync(struct log_writer *log);

/* --- between the files of the log writer ---------------------------------- */

/* Let the active segment go for this one, open as `fd` and pinned, which is taken over. */
void log_attach_locked(struct log_writer *log, struct dw_segment *segment, int fd);

/* The active segment is on disk, complete, and will not be touched again: its hint may be
 * believed, and proves what it held. */
void log_seal_hint_locked(struct log_writer *log);

/* A call failed with `rc`.  If not for want of room: a file system that is gone may still say yes
 * to a sync, so that one must not be asked.  Whether the file takes a truncate to its own end
 * tells. */
void log_probe_locked(struct log_writer *log, int rc);

#endif
