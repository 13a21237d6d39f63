/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * core.h - what all files of the volume share: the struct, its locks, keys.
 *
 * Lock order: `names`, then the lock of a node (of two: the one with the lower
 * address first), then `dirty_lock`, then the store's.  A call that only needs to
 * know which key a node has may drop `names` before it reads from the disk.
 */
#ifndef FS_VOLUME_CORE_H
#define FS_VOLUME_CORE_H

#include <pthread.h>

#include "fs/attr/attrstore.h"
#include "fs/tree/cached.h"
#include "fs/tree/tree.h"
#include "fs/volume/volume.h"

enum { NODE_LOCKS = 256 };

struct volume {
	struct dw_store *store;            /* owned */
	struct attrstore *attrs;           /* owned */
	atomic_uint_fast64_t durable_txid; /* values below are on disk, as far as known */
	struct volume_options options;
	struct attr_defaults defaults;

	pthread_rwlock_t names;     /* covers the names in `tree`, and: */
	struct conflict *conflicts; /* that went (fs/volume/shown.h); owned; the oldest first */
	struct tree tree;
	struct listing *kept; /* closed, and may be gone on with (fs/volume/listing.h); the oldest
				 first.  Lock: tree.lock */
	size_t kept_count;
	atomic_bool direct;          /* volume_allow_direct() */
	atomic_bool told_open;       /* that modes do not protect the store itself; told once */
	atomic_bool told_unreadable; /* that records of attributes cannot be read; told once */
	volume_crowded_fn *on_crowd; /* may be NULL */
	void *crowd_context;
	atomic_bool crowded; /* it was called, and volume_for_surplus() not yet */

	/* Each node has one of these for its cached value, attributes and count of opens. */
	pthread_mutex_t node_locks[NODE_LOCKS];

	struct room room; /* for cached values; the committer gives its spare block back */
	pthread_mutex_t dirty_lock; /* covers the rest */
	struct cached *dirty;       /* oldest first */
	struct cached *idle;        /* values that may leave memory, longest unused first */
	struct cached *all_cached;  /* all there are */
	pthread_cond_t wake;
	int64_t wakes_ms; /* when the committer looks by itself; INT64_MAX: when it is woken */
	pthread_t committer;
	bool running, stopping;
	pthread_t sweeper; /* fs/volume/sweep.h */
	bool sweeping, sweep_left;
	atomic_bool sweep_stopping;

	atomic_uint_fast64_t commits_failed, values_lost, commits_early;
	atomic_bool failing; /* the last try to append or sync failed */
	atomic_int loss;     /* -errno of the first value that was lost; 0: none was */
};

/* The key of a node in memory of its own size. */
struct key {
	char *data;
	size_t size;
	char small[512];
};

/* Room for `size` bytes.  0 or -ENOMEM; key_release() in any case. */
int key_reserve(struct key *key, size_t size);
/* 0 or -ENOMEM; key_release() in any case.  `names` held. */
int key_of_node(const struct node *node, struct key *ret);
/* The key of a component below `parent`; -ENAMETOOLONG. */
int key_of_child(const struct node *parent, struct dw_bytes component, bool is_dir,
		 struct key *ret);
void key_release(struct key *key);

static inline struct dw_bytes key_bytes(const struct key *key)
{
	return (struct dw_bytes){key->data, key->size};
}

static inline void names_lock_read(struct volume *volume)
{
	(void)pthread_rwlock_rdlock(&volume->names);
}

static inline void names_lock_write(struct volume *volume)
{
	(void)pthread_rwlock_wrlock(&volume->names);
}

static inline void names_unlock(struct volume *volume)
{
	(void)pthread_rwlock_unlock(&volume->names);
}

/* The lock of a node: two nodes may have the same one. */
pthread_mutex_t *volume_node_lock(struct volume *volume, const struct node *node);

static inline void node_lock(struct volume *volume, const struct node *node)
{
	(void)pthread_mutex_lock(volume_node_lock(volume, node));
}

static inline void node_unlock(struct volume *volume, const struct node *node)
{
	(void)pthread_mutex_unlock(volume_node_lock(volume, node));
}

/* `names` for reading, then the node's. */
void file_lock(struct volume *volume, struct node *node);
void file_unlock(struct volume *volume, struct node *node);
void volume_log(struct volume *volume, int priority, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* CLOCK_MONOTONIC. */
int64_t volume_now_ms(void);

/* The key of a node for a message: cut, and nothing in it that a terminal obeys. */
enum { QUOTED_SIZE = 256 };
const char *volume_quote(const struct node *node, char ret[QUOTED_SIZE]);

#endif
