/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * view.h - the volume that is mounted now; of a mount that is read only, a newer one
 * may take its place; beside one that writes there may be snapshots of it.
 *
 * A volume that writes is the only one, for good.  One that is read only shows one
 * moment of its store; views_reload() opens the store again and shows the newer
 * moment to who looks names up from then on.  Who has a file or directory of the
 * older one stays in that, whole, until the kernel forgets its last node.
 *
 * Snapshots (fs/mounted/snapshots.h) stand in the same list behind the one that writes.
 *
 * Node ids are addresses, so a node tells its volume: by the root above it, to
 * which it is tied for good, for nothing moves in a volume that is read only.  Where
 * there are no reloads, those of snapshots are marked, and no other costs a lock.
 */
#ifndef FS_MOUNTED_VIEW_H
#define FS_MOUNTED_VIEW_H

#include "fs/volume/volume.h"

struct views;

struct view {
	struct volume *volume;
	struct view *next; /* older, or a snapshot */
	unsigned holds;    /* requests, open directories, commands.  Lock: views.lock */
	char *name;        /* of a snapshot, until it is removed; owned.  Lock: views.lock */
	uint64_t serial;   /* of a snapshot; 0: it is none.  Never changes */
};

struct views_config {
	/* Open the store as it is now, read only.  NULL: the first volume is the only one. */
	int (*open)(void *context, struct volume **ret);
	void *open_context;
	/* A newer one took the place of `old`, which is still there during the call. */
	void (*changed)(void *context, struct volume *old);
	void *changed_context;
};

/* Takes `first` over on success. */
int views_new(struct volume *first, const struct views_config *config, struct views **ret);
/* Close all volumes, also what is still held: after a signal the kernel releases nothing.
 * No request may be under way.  The first error; all is gone in any case.  NULL is fine. */
int views_free(struct views *views);

/* Whether another one may ever take its place. */
bool views_may_change(const struct views *views);

/* The newest view, or that of `node` if it is not NULL; until views_drop(). */
struct view *views_hold(struct views *views, const struct node *node);
void views_drop(struct views *views, struct view *view);

/* Whether names of this volume's root are those of the mount's. */
bool views_is_newest(struct views *views, const struct volume *volume);

/* Show the store as it is now.  -EINVAL: the first volume is the only one; else what
 * `open` returned, and nothing changed. */
int views_reload(struct views *views);

/* Close older volumes, and snapshots that were removed, that nobody has anything of any
 * more.  How many are left. */
size_t views_collect(struct views *views);
/* Call `visit` for what is known of those that are left; no lock is held meanwhile. */
void views_for_left(struct views *views, volume_known_fn *visit, void *context);
/* An eventfd that counts when there may be one that is left. */
int views_left_fd(const struct views *views);

#endif
