/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * opens.h - counts of openers of a file.
 */
#ifndef FS_VOLUME_OPENS_H
#define FS_VOLUME_OPENS_H

#include "fs/volume/core.h"

/* One opener more, by open(2)'s `flags`; one less.  The node's lock is held. */
void volume_note_open(struct volume *volume, struct node *node, int flags);
void volume_note_close(struct node *node);
/* The kernel may keep pages that are not what the file has.  The node's lock is not held. */
void volume_suspect_pages(struct volume *volume, struct node *node);

#endif
