/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * change.h - the records that one change of names puts into the log, in one append.
 */
#ifndef FS_VOLUME_CHANGE_H
#define FS_VOLUME_CHANGE_H

#include "fs/volume/core.h"

enum { CHANGE_OPS_MAX = 4 };

struct change {
	struct dw_op ops[CHANGE_OPS_MAX];
	struct key keys[CHANGE_OPS_MAX]; /* of the ops */
	size_t count;
};

/* Add a record for the key of a node, with no value.  0 or -ENOMEM. */
int change_add(struct change *change, enum dw_type type, const struct node *node);

/* Add the tombstone of a file, or of an empty directory, if the log knows it; and, unless something
 * else in its directory stays (or comes: `replaced`), the marker that keeps the directory.
 * 0 or -errno. */
int change_remove(struct change *change, struct volume *volume, const struct node *node,
		  bool replaced);

/* Append them. */
int change_append(struct change *change, struct volume *volume);

void change_release(struct change *change);

#endif
