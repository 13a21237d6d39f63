/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * generation.h - the volume that is mounted now; of a mount that is read only, a newer one
 * may take its place; beside it there may be snapshots of the store.
 *
 * A generation is one of these volumes, and how many requests hold it.  The one that writes
 * stays the newest.  One that is read only shows one moment of its store: a reload opens the
 * store again, and each lookup from then on finds the newer moment.  A caller with a file or
 * directory of the older generation stays in that, until the kernel forgets its last node.
 *
 * Snapshots that are open (fs/mounted/snapshots.h) stand in the same list, after the newest.
 *
 * Node ids are addresses, so a node tells its generation: by the root above it, which never
 * changes, for nothing moves in a volume that is read only.  Where there are no reloads, the
 * nodes of snapshots are marked, and no other costs a lock.
 */
#ifndef FS_MOUNTED_GENERATION_H
#define FS_MOUNTED_GENERATION_H

#include <pthread.h>

#include "fs/name/name.h"
#include "fs/volume/volume.h"

/* Tells the directory of a snapshot from another one that has its name later. */
struct snapshot_identity {
	dev_t dev;
	ino_t ino;
	struct timespec ctim; /* an inode number comes back */
};

struct generation {
	struct volume *volume;
	struct generation *next; /* older, or a snapshot */
	unsigned holds;          /* requests, open directories, commands.  Lock: generations.lock */
	/* The rest is of a snapshot. */
	char *name; /* until it is removed; owned.  Lock: generations.lock; so of the next two */
	int64_t used_ms; /* monotonic: when it was used last */
	bool leaving;    /* unused for so long that the kernel is to be asked to forget it */
	struct snapshot_identity identity; /* never changes */
};

struct generations_config {
	/* Open the store as it is now, read only.  NULL: the first volume is the only one. */
	int (*open)(void *context, struct volume **ret);
	void *open_context;
	/* A newer one took the place of `old`, which is still there during the call. */
	void (*changed)(void *context, struct volume *old);
	void *changed_context;
	/* Open a snapshot of the store in directory `dirfd` (volume_options.snapshot).  NULL: none
	 * can be opened. */
	int (*open_snapshot)(void *context, int dirfd, const char *name, struct volume **ret);
	int64_t idle_ms; /* forget a snapshot that was not used for so long; 0: a default */
};

/* A snapshot that ends with the mount. */
struct brief_snapshot {
	struct brief_snapshot *next;
	char name[NAME_SIZE_MAX + 1];
};

/* All there are.  Its fields are for fs/mounted. */
struct generations {
	struct generations_config config;
	int left_fd;                   /* an eventfd */
	pthread_mutex_t reloading;     /* one reload, new or removed snapshot at a time; covers: */
	struct brief_snapshot *briefs; /* snapshots that end with the mount; owned */
	/* --- */
	pthread_mutex_t opening;   /* one snapshot is opened at a time; before `lock` */
	pthread_mutex_t lock;      /* of what follows */
	struct generation *newest; /* never changes where there are no reloads */
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

/* Close older volumes, and snapshots, that have no users any more.  How many are left that the
 * kernel is to forget. */
size_t generations_collect(struct generations *generations);
/* Call `visit` for what is known of those that are left; no lock is held meanwhile.  `parent` NULL:
 * the name of a snapshot that was not used for long; it is asked once in idle_ms. */
void generations_for_left(struct generations *generations, volume_known_fn *visit, void *context);
/* Call `visit` for what each volume wants the kernel to forget (volume_for_surplus()); no lock is
 * held meanwhile. */
void generations_for_surplus(struct generations *generations, volume_known_fn *visit,
			     void *context);
/* An eventfd that counts when there may be one that is left, or something to forget. */
int generations_left_fd(const struct generations *generations);
/* When generations_collect() is to be called next, in milliseconds; -1: when the eventfd counts.
 * `left`: what it returned last. */
int generations_look_ms(struct generations *generations, size_t left);

/* --- for fs/mounted/snapshots.c --- */

/* NULL: no memory. */
struct generation *generation_new(struct volume *volume, struct generation *older);
/* Hear of a volume that knows more nodes than it should. */
void generations_watch(struct generations *generations, struct volume *volume);
/* Say that a volume may have to be let go later. */
void generations_say_left(struct generations *generations);

#endif
