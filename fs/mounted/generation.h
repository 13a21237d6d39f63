/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * generation.h - the volume that is mounted now; of a mount that is read only, a newer one
 * may take its place; beside one that writes there may be snapshots of it.
 *
 * A generation is one of these volumes, and how many requests hold it.  The one that writes
 * stays the newest.  One that is read only shows one moment of its store: a reload opens the
 * store again, and each lookup from then on finds the newer moment.  A caller with a file or
 * directory of the older generation stays in that, until the kernel forgets its last node.
 *
 * Snapshots (fs/mounted/snapshots.h) stand in the same list, after the one that writes.
 *
 * Node ids are addresses, so a node tells its generation: by the root above it, which never
 * changes, for nothing moves in a volume that is read only.  Where there are no reloads, the
 * nodes of snapshots are marked, and no other costs a lock.
 */
#ifndef FS_MOUNTED_GENERATION_H
#define FS_MOUNTED_GENERATION_H

#include <pthread.h>

#include "fs/volume/volume.h"

struct generation {
	struct volume *volume;
	struct generation *next; /* older, or a snapshot */
	unsigned holds;          /* requests, open directories, commands.  Lock: generations.lock */
	char *name;      /* of a snapshot, until it is removed; owned.  Lock: generations.lock */
	uint64_t serial; /* of a snapshot; 0: it is none.  Never changes */
};

struct generations_config {
	/* Open the store as it is now, read only.  NULL: the first volume is the only one. */
	int (*open)(void *context, struct volume **ret);
	void *open_context;
	/* A newer one took the place of `old`, which is still there during the call. */
	void (*changed)(void *context, struct volume *old);
	void *changed_context;
};

/* All there are.  Its fields are for fs/mounted. */
struct generations {
	struct generations_config config;
	int left_fd;               /* an eventfd */
	pthread_mutex_t reloading; /* one reload or new snapshot at a time; before `lock` */
	pthread_mutex_t lock;      /* of what follows, but for: */
	struct generation *newest; /* never changes where there are no reloads */
	uint64_t snapshots;        /* taken so far */
};

/* Takes `first` over on success. */
int generations_new(struct volume *first, const struct generations_config *config,
		    struct generations **ret);
/* Close all volumes, also what is still held: after a signal the kernel releases nothing.
 * No request may be under way.  The first error; all is gone in any case.  NULL is fine. */
int generations_free(struct generations *generations);

/* Whether another one may ever take its place. */
bool generations_may_change(const struct generations *generations);

/* The newest generation, or that of `node` if it is not NULL; until generations_drop(). */
struct generation *generations_hold(struct generations *generations, const struct node *node);
void generations_drop(struct generations *generations, struct generation *generation);

/* Whether names of this volume's root are those of the mount's. */
bool generations_is_newest(struct generations *generations, const struct volume *volume);

/* Show the store as it is now.  -EINVAL: the first volume is the only one; else what
 * `open` returned, and nothing changed. */
int generations_reload(struct generations *generations);

/* Close older volumes, and snapshots that were removed, that have no users any
 * more.  How many are left. */
size_t generations_collect(struct generations *generations);
/* Call `visit` for what is known of those that are left; no lock is held meanwhile. */
void generations_for_left(struct generations *generations, volume_known_fn *visit, void *context);
/* Call `visit` for what each volume wants the kernel to forget (volume_for_surplus()); no lock is
 * held meanwhile. */
void generations_for_surplus(struct generations *generations, volume_known_fn *visit,
			     void *context);
/* An eventfd that counts when there may be one that is left, or something to forget. */
int generations_left_fd(const struct generations *generations);

/* --- for fs/mounted/snapshots.c --- */

/* NULL: no memory. */
struct generation *generation_new(struct volume *volume, struct generation *older);
/* Hear of a volume that knows more nodes than it should. */
void generations_watch(struct generations *generations, struct volume *volume);
/* Say that a volume may have to be let go later. */
void generations_say_left(struct generations *generations);

#endif
