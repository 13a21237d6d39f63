/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * file.h - reading, writing and committing values.
 */
#ifndef FS_VOLUME_FILE_H
#define FS_VOLUME_FILE_H

#include "fs/volume/core.h"

/* volume_commit_locked() for the close of one of several descriptors, perhaps, which may leave it
 * to the last close, a sync or the timer. */
int volume_commit_close(struct volume *volume, struct node *node);

#endif
