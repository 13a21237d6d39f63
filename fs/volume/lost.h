/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * lost.h - what becomes of a value that could not be committed.
 */
#ifndef FS_VOLUME_LOST_H
#define FS_VOLUME_LOST_H

#include "fs/volume/core.h"

/* A close whose commit failed.  If it is the last close, uncommitted bytes are dropped:
 * the file is again what the log says, or gone if the log never had it.  Whether it was.  No lock
 * is held. */
bool volume_close_failed(struct volume *volume, struct node *node, int rc);

#endif
