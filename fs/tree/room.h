/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * room.h - how much memory the values of files may take together.
 *
 * Whatever is going to need memory for a value takes room for it first, with no lock held that
 * others need to give theirs back; then allocates, which counts by itself; then gives the room
 * back.  A thread that has taken room does not wait for more, so waiting for room ends.  Any
 * thread.
 */
#ifndef FS_TREE_ROOM_H
#define FS_TREE_ROOM_H

#include <stdatomic.h>

#include "fs/tree/spare.h"

struct room {
	struct spare spare;   /* held as well */
	size_t max;           /* bytes; at least one value's */
	atomic_size_t held;   /* bytes of memory that values take */
	pthread_mutex_t lock; /* covers the rest */
	pthread_cond_t given; /* some room was given back */
	size_t taken;         /* for what is about to be */
	uint64_t gives;       /* how often some was given back */
};

/* 0 or -errno. */
int room_init(struct room *room, size_t max);
void room_release(struct room *room);

/* Take room if there is some.  Else `*seen_ret` (may be NULL) is for room_take_or_wait(). */
bool room_take(struct room *room, size_t size, uint64_t *seen_ret);
/* The same, or wait until another thread gives some back.  1: taken; 0: one did, since `seen`, and
 * there may be some by now; -ENOSPC: there is none, and no thread has or had taken any since. */
int room_take_or_wait(struct room *room, size_t size, uint64_t seen);
void room_give(struct room *room, size_t size);

/* A value takes so much more, or less, than it did. */
void room_count(struct room *room, size_t before, size_t now);
/* Bytes of memory that values take. */
size_t room_held(const struct room *room);

#endif
