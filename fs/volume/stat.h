/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * stat.h - what a node shows.
 */
#ifndef FS_VOLUME_STAT_H
#define FS_VOLUME_STAT_H

#include "fs/volume/core.h"

/* st of a node; `names` and its lock are held. */
void volume_fill_stat(struct volume *volume, struct node *node, struct stat *ret);
/* The same; the lock is not held. */
void volume_stat_node(struct volume *volume, struct node *node, struct stat *ret);
/* Hand out a node, with a reference for the receiver, and its attributes.  `names` is held. */
void volume_fill_entry(struct volume *volume, struct node *node, struct volume_entry *ret);
/* The time of a file as its openers see it; both locks are held. */
int64_t volume_current_mtime(struct volume *volume, struct node *node);
/* Attributes of its own for a node; NULL: no memory.  Its lock is held. */
struct attrs *volume_own_attrs(struct node *node);

#endif
