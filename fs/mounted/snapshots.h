/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * snapshots.h - snapshots of the mounted volume, by name.
 *
 * A snapshot is a read-only volume of one moment, whole, beside the one that goes on.
 * It has a name until it is removed; files open then stay readable.  When the kernel forgot its
 * last node it is closed, and releases its segments of the log.  None outlives the mount.
 */
#ifndef FS_MOUNTED_SNAPSHOTS_H
#define FS_MOUNTED_SNAPSHOTS_H

#include "fs/mounted/generation.h"

/* Freeze the volume; its root is counted in `*ret`.  -EEXIST; -EROFS: the mount is read
 * only; -ENAMETOOLONG; or why something could not be committed. */
int snapshots_add(struct generations *generations, const char *name, struct volume_entry *ret);
/* Take its name away.  -ENOENT. */
int snapshots_remove(struct generations *generations, const char *name);
/* Its root, counted.  -ENOENT. */
int snapshots_find(struct generations *generations, const char *name, struct volume_entry *ret);

struct snapshot_entry {
	uint64_t serial;
	char name[256];
	uint64_t ino;
};

/* The oldest that is younger than `serial` (0: of all).  -ENOENT: there is none. */
int snapshots_next(struct generations *generations, uint64_t serial, struct snapshot_entry *ret);
/* The serial of the youngest that there is or was; 0: there was none. */
uint64_t snapshots_last(struct generations *generations);
size_t snapshots_count(struct generations *generations);

#endif
