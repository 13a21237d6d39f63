/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * twin.h - a file once more, in another directory: by a hard link where the disk has them, else by
 * sharing its blocks, else by copying them.
 *
 * For files that never change again.  A link shares the inode: whatever is written to one is
 * written to both.
 */
#ifndef DISK_TWIN_H
#define DISK_TWIN_H

#include "datawal.h"
#include "disk/io.h"
#include "disk/owner.h"

/* Give `name` of `from` a twin of that name in `to`, where there is none.  A clone or copy is
 * synced; the caller syncs `to`.  `*method` is set to the dearest of what it was and what it took.
 * 0, -ENOENT, or another -errno. */
int twin_make(struct io *io, int from, const char *name, int to, const struct owner *owner,
	      enum dw_snapshot_method *method);

#endif
