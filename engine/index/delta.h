/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * delta.h - a part of the index in memory: the changes since the parts below it.
 *
 * A key directory in which an entry without a segment says that its key was removed, a tombstone.
 * Each entry tells whether the key is live below (`hides`), which does not change while the delta
 * is there: so each knows what it adds to the number of live keys.  The active delta is changed by
 * the writer; once sealed it never changes, and then it holds the segments it points into.
 *
 * A delta that is listed knows its keys in order and what lies below each directory, from each
 * change on.  That costs the writer time, so it begins with the first request.  In a listed delta
 * no entry is ever freed: a key that comes and goes leaves a tombstone.
 *
 * Threads: changing is for one at a time, see index.h; cursors, delta_get_below(): any.
 */
#ifndef INDEX_DELTA_H
#define INDEX_DELTA_H

#include "codec/run.h"
#include "index/dirs.h"
#include "index/keydir.h"
#include "index/order.h"
#include "index/segments.h"

struct sort_item;

struct delta {
	struct keydir keydir;
	struct segments *segments; /* sealed: all that it points into, also what was moved since */
	atomic_uint refs;          /* of versions, moments, cursors */
	atomic_bool listed;        /* `order` gets all entries */
	atomic_bool counted;       /* `dirs` has all entries */
	atomic_uint_fast64_t changes; /* made so far, while it is listed */
	struct order order;
	struct dirs dirs;
	pthread_mutex_t lock;     /* one thread sorts or counts it, or brings `order` up to date */
	struct sort_item *sorted; /* of a sealed delta that is not listed, when it was asked for */
	size_t sorted_count;
};

/* `locks` as keydir_init() takes them.  NULL: no memory. */
struct delta *delta_new(struct keydir_lock *locks, bool listed);
struct delta *delta_ref(struct delta *delta);
/* NULL is fine. */
void delta_unref(struct delta *delta);

/* Keys and tombstones. */
static inline uint64_t delta_count(struct delta *delta)
{
	return keydir_count(&delta->keydir);
}

/* List it from now on.  0 or -ENOMEM. */
int delta_list(struct delta *delta);
/* It was sealed, and is the active one again. */
void delta_unseal(struct delta *delta);

/* --- changing --- */

struct delta_prepared {
	struct keydir_prepared prepared;
	uint32_t node;  /* in the order; 0: it has none */
	uint32_t depth; /* directories reserved */
};

/* 0 or -ENOMEM. */
int delta_prepare(struct delta *delta, struct dw_bytes key, struct delta_prepared *ret);
/* `{0}` is fine. */
void delta_drop(struct delta *delta, struct delta_prepared *prepared);

/* The key that was prepared is at `place` from now on; an entry that is known keeps its `hides`.
 * The prepared entry is used up.  True: the key was known, and `*old_ret` is its place before. */
bool delta_set(struct delta *delta, struct delta_prepared *prepared,
	       const struct keydir_place *place, struct keydir_place *old_ret);
/* It is removed; `hides`: it is live below, if it is not known.  Likewise. */
bool delta_remove(struct delta *delta, struct delta_prepared *prepared, int64_t mtime_ns,
		  bool hides, struct keydir_place *old_ret);

/* --- keys in order --- */

struct delta_cursor {
	struct delta *delta; /* not referenced */
	size_t at;           /* next in `sorted` */
	uint32_t node;       /* or the next one in the order */
	struct dw_segment *pinned;
};

struct delta_entry {
	struct dw_bytes key;       /* stays as long as the delta */
	struct keydir_place place; /* its segment stays until the next call */
};

/* Of a delta that is sealed or listed; to be sought first.  0 or -ENOMEM. */
int delta_cursor_init(struct delta_cursor *cursor, struct delta *delta);
void delta_cursor_release(struct delta_cursor *cursor);
/* Forward or back. */
void delta_cursor_seek(struct delta_cursor *cursor, struct dw_bytes key);
/* False: there is none. */
bool delta_cursor_next(struct delta_cursor *cursor, struct delta_entry *ret);

/* Add what the delta knows of `prefix`, see dirs_get().  Of one that is sealed or listed.  0 or
 * -ENOMEM. */
int delta_get_below(struct delta *delta, struct dw_bytes prefix, int64_t *change,
		    int64_t *newest_ns);

#endif
