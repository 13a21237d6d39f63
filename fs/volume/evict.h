/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * evict.h - memory for values, up to the mount's limit.
 */
#ifndef FS_VOLUME_EVICT_H
#define FS_VOLUME_EVICT_H

#include "fs/volume/core.h"

/* Take room for so many bytes of values, to be given back by room_give(): values leave memory for
 * it, are committed early.  No lock is held, no room was taken.  0; -ENOSPC: all values in memory
 * have to stay; or the error that kept them from being committed. */
int volume_take_room(struct volume *volume, size_t size);
/* file_lock(), with room for a change behind which the value has `end` bytes or more;
 * 0: its present size. */
int file_lock_for(struct volume *volume, struct node *node, uint64_t end, size_t *taken_ret);
void file_unlock_for(struct volume *volume, struct node *node, size_t taken);

#endif
