/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * unlogged.h - the files of a directory that are in no log yet, by the order of keys.
 *
 * `names` is held.
 */
#ifndef FS_VOLUME_UNLOGGED_H
#define FS_VOLUME_UNLOGGED_H

#include "fs/volume/core.h"

struct unlogged {
	struct node **nodes; /* counted; owned */
	size_t count, at;
};

/* 0 or -ENOMEM; unlogged_release() in any case. */
int unlogged_init(struct unlogged *unlogged, struct volume *volume, struct node *dir);
void unlogged_release(struct unlogged *unlogged, struct volume *volume);

#endif
