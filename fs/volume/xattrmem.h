/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * xattrmem.h - extended attributes, which are in memory only while they are few bytes or
 * are needed.
 *
 * There may be 1 MiB of them a file.  So larger ones stay in the store of attributes, and code that
 * looks at them, or writes a record that contains them, reads them first (volume_need_xattrs()) and
 * lets them go when it is done.  Attributes that are not in that store yet stay in memory; so do
 * those of a file without a name, as far as there is room.
 *
 * `names` and the node's lock are held, or `names` for writing.
 */
#ifndef FS_VOLUME_XATTRMEM_H
#define FS_VOLUME_XATTRMEM_H

#include "fs/volume/core.h"

/* Whether they are so many bytes that they leave memory. */
bool volume_xattrs_are_large(const struct xattrs *xattrs);

/* Load them into memory, to be read or written: all other code leaves node->attrs->xattrs alone.
 * 0 or -errno. */
int volume_need_xattrs(struct volume *volume, struct node *node);
/* They may leave it again, if they are many bytes, and kept. */
void volume_let_xattrs_go(struct node *node);
/* The same for attributes that are kept. */
void volume_xattrs_leave(struct attrs *attrs);
/* The node is about to leave the tree: its attributes stay in memory, as far as there is room,
 * until it is freed. */
void volume_keep_nameless_xattrs(struct volume *volume, struct node *node);
void volume_drop_nameless_xattrs(struct volume *volume, struct node *node);
/* They count no more, and stay. */
void volume_uncount_xattrs(struct volume *volume, struct node *node);

/* Room was taken for them. */
void volume_count_xattrs(struct room *room, struct attrs *attrs);

#endif
