/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * store.h - what a public call is given: a store, or a snapshot of one.
 *
 * All reading works on both, through the functions below.  Whatever changes a store takes the
 * core that store_writer() gives, and a snapshot has none to give.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "store/core.h"
#include "store/snapshot.h"

struct maintain;

struct dw_store {
	struct core *core;         /* a snapshot borrows that of the store it is of */
	struct snapshot *snapshot; /* NULL: this is the store itself */

	/* the work that runs on it for a caller; its wakeup is the core's */
	cancel_count verify_cancels, copy_cancels;

	struct dw_store *above; /* the log of this store comes before that of `above`; NULL: none
				   (dw_open_in) */

	pthread_mutex_t switch_lock; /* one starts or stops the background at a time; covers: */
	struct maintain *maintain;   /* background/maintain.h; NULL: never started */
};

/* A handle of `core`, or of a snapshot of it, which is taken over on success.  -ENOMEM. */
int store_new(struct core *core, struct snapshot *snapshot, struct dw_store **ret);

/* Free a handle, not what it leads to. */
void store_drop(struct dw_store *store);

/* dw_open() with system calls of the caller's choice. */
int store_open(struct io *io, const char *path, const struct dw_options *options,
	       struct dw_report *report_ret, struct dw_store **ret);

/* The same, for reading, of the directory `name` in the directory `at`; no link is followed. */
int store_open_at(struct io *io, int at, const char *name, const struct dw_options *options,
		  struct dw_report *report_ret, struct dw_store **ret);

/* dw_close() of a store in which nothing goes on in the background. */
int store_close(struct dw_store *store);

/* NULL, then the call is -EROFS: the store is open for reading, or is a snapshot. */
static inline struct core *store_writer(const struct dw_store *store)
{
	return store->snapshot || store->core->read_only ? NULL : store->core;
}

/* A key as memcmp(3) may have it: never NULL. */
static inline struct dw_bytes store_key(struct dw_bytes key)
{
	return (struct dw_bytes){key.data ? key.data : "", key.size};
}

/* Where a key is; with `pin` the caller gets a reference on the segment.  0; -ENOENT; -EIO: the
 * index is damaged; or another -errno. */
static inline int store_find(struct dw_store *store, struct dw_bytes key, bool pin,
			     struct keydir_place *ret)
{
	int rc = store->snapshot
			 ? index_moment_get(store->snapshot->moment, store_key(key), pin, ret)
			 : index_get(&store->core->index, store_key(key), pin, ret);

	return rc && rc != -ENOENT ? core_index_failed(store->core, rc) : rc;
}

/* The segments; of a store, under log.lock. */
static inline const struct segset *store_segments_locked(const struct dw_store *store)
{
	return store->snapshot ? snapshot_segments(store->snapshot) : &store->core->segments;
}

/* Figures of segment number `i`, as of a snapshot's moment if this is one.  log.lock is held. */
static inline struct segment_figures store_figures_locked(const struct dw_store *store, size_t i)
{
	const struct dw_segment *segment = store_segments_locked(store)->items[i];

	if (store->snapshot)
		return store->snapshot->figures[i];
	return (struct segment_figures){segment->size, segment->live_bytes};
}

#endif
