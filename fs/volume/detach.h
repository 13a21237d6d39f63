/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * detach.h - a file leaves the tree, and holders of its node keep its value.
 */
#ifndef FS_VOLUME_DETACH_H
#define FS_VOLUME_DETACH_H

#include "fs/volume/core.h"

/* Keep the value of a file that is about to leave the tree for the holders of its node. */
int volume_preserve(struct volume *volume, struct node *node);
/* Take a file out of the tree; the caller holds a reference.  From now on only processes that have
 * it open see its uncommitted bytes.  `names` is held for writing. */
void volume_detach(struct volume *volume, struct node *node);

#endif
