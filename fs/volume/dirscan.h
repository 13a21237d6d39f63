/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * dirscan.h - what lies directly in a directory, by the order of keys.
 *
 * A cursor over the keys that goes on after each directory: how much lies below one costs nothing.
 * `names` is held.
 */
#ifndef FS_VOLUME_DIRSCAN_H
#define FS_VOLUME_DIRSCAN_H

#include "fs/volume/core.h"

struct dirscan {
	struct volume *volume;
	struct dw_cursor *cursor; /* owned */
	struct key dir;           /* of the directory */
	bool skips;               /* the last result is a directory: skip all keys below it */
	/* found last; valid until the next call */
	struct dw_bytes component;
	bool is_dir;
	char *passed; /* room for a key to go on at; owned */
};

/* Of those whose component begins with `begin`.  0 or -errno. */
int dirscan_init(struct dirscan *scan, struct volume *volume, const struct node *dir,
		 struct dw_bytes begin);
/* 1 and what was found; 0 at the end; or -errno. */
int dirscan_next(struct dirscan *scan);
void dirscan_release(struct dirscan *scan);

/* The order in which a scan finds two. */
int dirscan_compare(struct dw_bytes a, bool a_is_dir, struct dw_bytes b, bool b_is_dir);

#endif
