/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * cached.h - the value of a file that is being written, or that only open files keep.
 *
 * A file has one while it has bytes that are not in the log yet, while it is open
 * and was written (so that a small write does not read the value again), and when
 * it is open but gone from the tree.  All openers share it.  It holds either the
 * bytes or a pin on a record in the log.  The volume's lock for the node covers it.
 */
#ifndef FS_TREE_CACHED_H
#define FS_TREE_CACHED_H

#include "fs/tree/node.h"
#include "fs/tree/room.h"

struct cached {
	struct node *node; /* not counted, but while `dirty` */
	struct room *room; /* that `data` counts in, and whose spare it comes from; borrowed */
	uint8_t *data;     /* owned; the first node->size bytes count */
	size_t capacity;
	bool loaded; /* `data` is the value; else it is in the log */
	bool dirty;  /* the log does not have it yet */
	bool idle;   /* `data` may leave memory: the log has it.  In the volume's list of those */
	bool fresh;  /* dirty by opening alone (created, O_TRUNC): nothing was written since */
	int logged_error;     /* -errno of the failed commit that the log names; 0: none */
	int told_error;       /* -errno that close or fsync returned, or of the last close, with no
				 write since; 0: none */
	uint64_t spent;       /* bytes of the records that closes appended while it was open */
	int64_t committed_ms; /* CLOCK_MONOTONIC: when it had its last record */
	struct dw_ref ref;    /* segment NULL: nothing pinned */
	char *ref_key;        /* the key that `ref` was pinned under; owned */
	size_t ref_key_size;
	/* Lock of these: the volume's for the list */
	int64_t due_ms;             /* CLOCK_MONOTONIC: when to commit at the latest */
	struct cached *prev, *next; /* of the dirty ones */
	struct cached *prev_all, *next_all;
	struct cached *prev_idle, *next_idle;
};

/* Nothing loaded, nothing pinned.  NULL: no memory. */
struct cached *cached_new(struct node *node, struct room *room);

/* Give back what it holds.  True: spare_expire() should hear of it. */
bool cached_free(struct cached *cached, struct dw_store *store);

/* Have room for `size` bytes, those beyond node->size zero.  0 or -ENOMEM. */
int cached_reserve(struct cached *cached, size_t size);
/* The same, but what is behind `offset` the caller writes. */
int cached_reserve_from(struct cached *cached, size_t offset, size_t size);

/* How many bytes more a file's value takes in memory once it was read, if it is to be changed, and
 * has `end` bytes or more (0: its present size).  The node's lock is held. */
size_t cached_need(const struct node *node, size_t end);
/* The bytes leave memory; from now on the value is in the log. */
void cached_unload(struct cached *cached, struct dw_store *store);

/* Pin the newest record of `key`, unless one is pinned.  0 or -errno. */
int cached_pin(struct cached *cached, struct dw_store *store, struct dw_bytes key);

/* Have the bytes in memory: those of the pinned record, or of `key`'s newest one.
 * 0 or -errno (nothing changed). */
int cached_load(struct cached *cached, struct dw_store *store, struct dw_bytes key);

#endif
