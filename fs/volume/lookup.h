/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * lookup.h - nodes on demand: from a name to its node, which is made of what the store has.
 *
 * `names` is held.  Nodes that are handed out carry a reference for the caller, to be dropped with
 * volume_unref().
 */
#ifndef FS_VOLUME_LOOKUP_H
#define FS_VOLUME_LOOKUP_H

#include "fs/volume/core.h"

/* 0, -ENOENT or another -errno. */
int volume_find(struct volume *volume, struct node *parent, const char *name, struct node **ret);

/* The meaning of a name, if it is known. */
struct lookup {
	const struct name *name;
	struct dw_bytes component;
	bool is_dir;
};
int volume_find_known(struct volume *volume, struct node *parent, const struct lookup *lookup,
		      struct node **ret);

/* The time and the attributes of the root, when a volume is opened. */
int volume_fill_root(struct volume *volume);

#endif
