/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * index.h - for each live key, where its newest record is: the contract of the index.
 *
 * The index is a stack.  On top lies the active delta, a key directory that the writer changes;
 * below it are sealed deltas, which never change, and below these the runs, files that are
 * sorted and never change.  The first of them that knows a key says where it is, or that it was
 * removed.  A moment of the index is what lies below a delta that was just sealed: taking one
 * costs as much with a hundred million keys as with none.
 *
 * Names of segments are never used again, so a segment and an offset name one record for ever.
 *
 * It must never say that a key is absent because something could not be read: then it says so.
 *
 * Threads: index_get(), index_probe(), calls on moments and cursors, and index_count() are for
 * any thread at any time.  Calls marked "log.lock" need that lock, or a store that no other thread
 * uses.  index_checkpoint_write() and index_join() need no lock; one thread at a time may call
 * each.
 *
 * Lock order: log.lock, index.disk, index.change, one of index.shards.
 */
#ifndef INDEX_INDEX_H
#define INDEX_INDEX_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/throttle.h"
#include "codec/indexfile.h"
#include "index/version.h"

struct index_checkpoint;

struct index {
	struct io *io;
	int dirfd;
	const struct owner *owner; /* owner of new files; NULL: the process.  Set once */
	/* budgets, set once: keys of the active delta, bytes of runs held in memory */
	uint64_t delta_max, resident_max;
	/* Read locks: each guards one table of the deltas, and `version` for its keys.  Owned */
	struct keydir_lock *shards;
	pthread_mutex_t change;  /* one new version at once; covers `retired` */
	struct version *version; /* the newest one; `change` */
	struct version *retired; /* that readers still look into */
	atomic_uint retired_count;
	atomic_uint_fast64_t sequence; /* counts versions */
	atomic_size_t sealed_count;    /* of the newest one */
	atomic_bool has_below;         /* it has sealed deltas or runs */
	struct delta *active;          /* of `version`; log.lock */
	atomic_uint_fast64_t count;    /* keys */
	atomic_bool damaged;
	atomic_bool listed; /* so is the active delta, from now on */
	bool writes;        /* runs may be written; set by index_open() */
	/* The name `index` is another program's file, so nothing names the runs.  Set by
	 * index_clean(), or when the file is to be written. */
	atomic_bool nameless;

	pthread_mutex_t disk;  /* one change of the files at once; covers the next two */
	struct indexfile root; /* as it is on disk; position.segment 0: none is */
	uint32_t next_run;     /* id */
	uint32_t run_end;      /* from this id on there are files already */
	/* Set by index_open(): the position up to which the file `index` proves the log was on
	 * disk, even if the index is not used; offset 0: none, because the segment is another file
	 * or is missing. */
	struct index_position claim;
	struct index_checkpoint *checkpoint; /* begun and not written */
};

/* `{0}` is fine for index_release().  `io` and `dirfd` outlive it.  0 or -ENOMEM. */
int index_init(struct index *index, struct io *io, int dirfd);
/* No moment and no cursor is left. */
void index_release(struct index *index);

static inline uint64_t index_count(struct index *index)
{
	return atomic_load_explicit(&index->count, memory_order_relaxed);
}

/* --- one key --- */

/* Where `key` is.  With `pin` the caller gets a reference on the segment, and has the processor
 * fetch the record; without it may only compare the pointer.  0; -ENOENT; -EBADMSG: the index is
 * damaged and cannot tell; or another -errno.  Any thread. */
int index_get(struct index *index, struct dw_bytes key, bool pin, struct keydir_place *ret);

/* All that index_set() or index_remove() of a key will need, so that neither can fail. */
struct index_prepared {
	struct delta_prepared prepared;
	struct keydir_place below; /* where the key is below the active delta; segment NULL: it is
				      not there, or the active delta knows better */
};

/* For a put and for a delete alike; log.lock.  Within one append a key may be prepared more than
 * once.  Each must be set, removed or dropped before log.lock is let go.  0, -ENOMEM, -EBADMSG or
 * another -errno. */
int index_prepare(struct index *index, struct dw_bytes key, struct index_prepared *ret);

enum { INDEX_PREPARE_MAX = 32 };

/* The same for up to INDEX_PREPARE_MAX keys at once, so that waits for memory overlap.  On failure
 * none of them is prepared. */
struct index_wanted {
	struct dw_bytes key;
	struct index_prepared *ret;
};
int index_prepare_many(struct index *index, const struct index_wanted *wanted, size_t count);

/* Give back what was prepared and not used; `{0}` is fine.  log.lock. */
void index_drop(struct index *index, struct index_prepared *prepared);

/* Have the processor fetch what index_set() will look at, or index_prepare() of a key.  log.lock.
 */
void index_prefetch(const struct index *index, const struct index_prepared *prepared);
void index_prefetch_key(const struct index *index, struct dw_bytes key);

/* The key that was prepared is at `place` from now on (whose `hides` is set), or is removed
 * at `mtime_ns`; the prepared entry is used up.  Keeps live_bytes of segments.  `*old_ret`: the
 * place before; segment NULL: the key was not there.  log.lock. */
void index_set(struct index *index, struct index_prepared *prepared, struct keydir_place *place,
	       struct keydir_place *old_ret);
void index_remove(struct index *index, struct index_prepared *prepared, int64_t mtime_ns,
		  struct keydir_place *old_ret);

/* If `key` is in a segment up to `last_id`, let it be at `to_offset` of `to`, where the same record
 * is, with the commit time that it has.  Keeps live_bytes.  log.lock.
 * 1: it was moved; 0: it is elsewhere by now, or gone; -ENOMEM, -EBADMSG or another -errno, and
 * nothing was changed. */
int index_move(struct index *index, struct dw_bytes key, uint32_t last_id, struct dw_segment *to,
	       uint64_t to_offset);

/* A record of a segment that is asked about. */
struct index_probe {
	struct dw_bytes key;
	uint64_t offset; /* in the segment */
	bool live;       /* ret: the key is there */
	bool unknown;    /* ret: the key is where it was before this record, of a Put or Delete: the
			    index does not know of it */
	int64_t mtime_ns; /* ret, if it is live */
};

enum { INDEX_PROBES = KEYDIR_PROBES };

/* Look up to INDEX_PROBES records of `segment` up in what is newest and in memory, all at once, so
 * that waits for memory overlap.  log.lock.  False: there is nothing below, so those that are not
 * live are dead; true: index_probe() has to look there. */
bool index_probe_active(const struct index *index, const struct dw_segment *segment,
			struct index_probe *probes, size_t count);
/* Afterwards the others in what is below.  Any thread; without log.lock a key may be elsewhere at
 * once, so index_move() looks again.  0, -EBADMSG or another -errno. */
int index_probe(struct index *index, const struct dw_segment *segment, struct index_probe *probes,
		size_t count);

/* --- segments --- */

/* The list of segments is now `segments`: after a segment was added, and after one was removed
 * (only then do its references go, as far as no moment holds them).  log.lock.  0; -ENOMEM: the
 * older list goes on being held, which costs disk space and is right otherwise. */
int index_set_segments(struct index *index, const struct segset *segments);

/* --- one moment --- */

struct index_moment;

/* The index as it is now, for as long as the moment is open; its segments, `segments`, are held by
 * it.  log.lock.  0 or -ENOMEM. */
int index_seal(struct index *index, const struct segset *segments, struct index_moment **ret);
/* NULL is fine.  Any thread. */
void index_moment_close(struct index_moment *moment);

/* As index_get().  Any thread. */
int index_moment_get(const struct index_moment *moment, struct dw_bytes key, bool pin,
		     struct keydir_place *ret);
uint64_t index_moment_count(const struct index_moment *moment);
const struct segset *index_moment_segments(const struct index_moment *moment);

/* Bring sealed deltas that no moment needs any more together with the active one: now and then,
 * after a moment was closed, and after a checkpoint failed.  log.lock. */
void index_tidy(struct index *index);

/* --- keys in order --- */

/* Whether the index knows its keys in order, also those to come: see index_list().  Any thread. */
bool index_is_listed(const struct index *index);
/* Have it do so from now on; that costs each put something, and the first time what sorting the
 * active delta takes.  log.lock.  0 or -ENOMEM. */
int index_list(struct index *index);

struct index_cursor;

/* The keys that begin with `prefix`, which is copied, in byte order, of `moment` or, if that is
 * NULL, of the index as it is and becomes: whatever changes meanwhile, a key that is there
 * throughout is given once.  In the latter case log.lock is held, unless the index is listed.
 * `segments` is not used any more.  0 or -ENOMEM. */
int index_cursor_open(struct index *index, const struct segset *segments,
		      struct index_moment *moment, struct dw_bytes prefix,
		      struct index_cursor **ret);
/* The next one given is the first that is not below `key`, backwards too.  0 or -errno. */
int index_cursor_seek(struct index_cursor *cursor, struct dw_bytes key);
/* 1; 0 at the end; -EBADMSG, -ENOMEM or another -errno, and the same again until it is sought.  The
 * key, and the place's segment, stay until the next call on the cursor.  One thread at a time,
 * without log.lock. */
int index_cursor_next(struct index_cursor *cursor, struct dw_bytes *key_ret,
		      struct keydir_place *place_ret);
/* NULL is fine. */
void index_cursor_close(struct index_cursor *cursor);

/* --- what is below a directory --- */

/* Of all keys that begin with `prefix`, which is empty or ends in '/', and are longer: how many are
 * live, and when the newest of their values was put, which may be one that was replaced or removed
 * since.  log.lock is held, unless the index is listed.  0 or -errno. */
struct index_below {
	uint64_t keys;
	int64_t newest_ns; /* INT64_MIN: not known */
};
int index_below(struct index *index, struct dw_bytes prefix, struct index_below *ret);

/* The same of a moment.  Any thread. */
int index_moment_below(const struct index_moment *moment, struct dw_bytes prefix,
		       struct index_below *ret);

/* --- on disk --- */

/* Load the file `index` if it fits `segments`, which are open: each segment it covers is unchanged,
 * it names no unknown one, and no segment that holds a key is missing.  Then this sets their
 * live_bytes, raw_bytes, last_txid and size (of the position's segment, the size covered), and the
 * log from `*position_ret` on is to be replayed.  Else, or without such a file, the position is
 * segment 0: all of the log is.  `writes`: files that do not fit, and runs that no file names, are
 * removed, and checkpoints may be made.  Before any other call.  0 or -errno. */
int index_open(struct index *index, const struct segset *segments, bool writes,
	       struct index_position *position_ret);

/* Of a writer, once the log was replayed: remove the files that index_open() rejected, and runs
 * that no file names.  A store that is refused keeps them.  Files of other programs stay:
 * `*stray_ret` is the number in the name of one that is called like a run and is none; 0: there is
 * none.  0 or -errno. */
int index_clean(struct index *index, uint32_t *stray_ret);

/* Whether a checkpoint is due: the active delta is as large as it should get, or there are many
 * sealed ones.  log.lock. */
bool index_is_full(struct index *index);
/* Whether writers should wait for it: the active delta is twice as large.  Any thread. */
bool index_is_overfull(struct index *index);
/* Keys and tombstones that are in no run.  log.lock, or no writer is there. */
uint64_t index_pending(struct index *index);
/* Whether there is a file `index` that is the index's.  Any thread. */
bool index_is_on_disk(struct index *index);
/* Whether the file `index` is another program's: runs bound memory, and the next writer that opens
 * the store removes them.  Any thread. */
static inline bool index_is_nameless(struct index *index)
{
	return atomic_load(&index->nameless);
}

/* A checkpoint writes the index up to `position`, the end of the log, to disk.  In three steps:
 * index_checkpoint_begin() with log.lock; the caller has the log on disk up to there, names of
 * segments included; index_checkpoint_write() without a lock.  `segments` end with the
 * position's.  With position->segment 0 only a run is written, and the file `index` stays as it is:
 * while a log is replayed.  One at a time.  `throttle` may be NULL.  On failure the older
 * checkpoint counts, and nothing is lost.  0, -EROFS or another -errno. */
int index_checkpoint_begin(struct index *index, const struct segset *segments,
			   const struct index_position *position);
int index_checkpoint_write(struct index *index, struct throttle *throttle);
/* Between the two: segments that are about to get their names, in which no key is yet.  It fits
 * with them and without.  All are before the position.  0; -ENODATA: one is not as long as it
 * should be; or another -errno, and the checkpoint is to be given up. */
struct index_coming {
	uint32_t id;
	const char *name; /* of the file so far; it is complete */
	uint64_t size, raw_bytes, last_txid;
};
int index_checkpoint_expect(struct index *index, const struct index_coming *coming, size_t count);
/* Instead of index_checkpoint_write(): the log could not be synced. */
void index_checkpoint_cancel(struct index *index);

/* Take the file `index` away, durably: before something happens to segments that it would not
 * fit.  0 or -errno. */
int index_disown(struct index *index);

/* Give the files of the index twins in the directory `to` (disk/twin.h), where the twins of the
 * segments are, the last of which is segment `end`, empty.  0, also if none fits them; or -errno.
 * Any thread; `to` is not synced. */
int index_copy(struct index *index, int to, uint32_t end, enum dw_snapshot_method *method);

/* Join runs, if there are too many.  1: some were, and there may be more to do; 0: nothing to do;
 * -errno.  One at a time, without a lock. */
int index_join(struct index *index, struct throttle *throttle);

/* Check every page of the runs, also those that were checked before.  `throttle` may be NULL.  0;
 * -EBADMSG: one is damaged; -ECANCELED, -ENOMEM.  Any thread. */
int index_verify(struct index *index, struct throttle *throttle);

/* A run is damaged, or gone, or cannot be read: the first place is `offset`. */
typedef void index_damaged_fn(void *context, uint32_t run, uint64_t offset);

/* Check every page of the runs that the file `index` names, without index_open() and beside a
 * writer.  Each that is damaged goes to `damaged`.  0, also if there are some, or -errno. */
int index_check_files(struct index *index, index_damaged_fn *damaged, void *context);

/* A run turned out to be damaged: the index should be built anew.  Any thread. */
static inline bool index_is_damaged(struct index *index)
{
	return atomic_load(&index->damaged);
}

/* The index was found damaged. */
static inline void index_distrust(struct index *index)
{
	atomic_store(&index->damaged, true);
}

/* Invariants, asserted.  log.lock. */
void index_check(struct index *index);

#endif
