/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * dirty.h - cached values and the lists that they are in: dirty ones, those that may leave
 * memory.
 *
 * Of a file; `names` (at least for reading) and the node's lock are held.
 */
#ifndef FS_VOLUME_DIRTY_H
#define FS_VOLUME_DIRTY_H

#include "fs/volume/core.h"

int volume_get_cached(struct volume *volume, struct node *node, struct cached **ret);
void volume_mark_dirty(struct volume *volume, struct cached *cached);
void volume_mark_clean(struct volume *volume, struct cached *cached);
void volume_free_cached(struct volume *volume, struct node *node);
/* Let the cached value go if it is not needed.  Of a node out of the tree it is all that there is,
 * as long as anybody knows the node. */
void volume_drop_cached(struct volume *volume, struct node *node);

/* Its value could leave memory; it could not. */
void volume_note_idle(struct volume *volume, struct cached *cached);
void volume_note_busy(struct volume *volume, struct cached *cached);

/* Take the name of a node away, and what that counted.  `names` is held for writing. */
void volume_take_name(struct volume *volume, struct node *node);

/* Count no more on a node, which then may go, and those above it.  NULL is fine.  No lock is
 * needed. */
void volume_unref(struct volume *volume, struct node *node, uint64_t count);

#endif
