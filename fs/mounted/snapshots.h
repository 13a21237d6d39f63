/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * snapshots.h - snapshots of the mounted store, by name.
 *
 * A snapshot is a directory in the store's `.snapshots/` (dw_snapshot_prepare()), a store by itself
 * that never changes.  It is opened, as a read-only volume, when its name is looked up, and closed
 * when the kernel knows nothing of it any more; which files there are is asked of the disk each
 * time, for other programs make and remove snapshots, too.  One that was removed stays readable by
 * whoever has a file of it open.
 */
#ifndef FS_MOUNTED_SNAPSHOTS_H
#define FS_MOUNTED_SNAPSHOTS_H

#include "fs/mounted/generation.h"
#include "fs/name/name.h"

/* Make a snapshot; its root is counted in `*ret`.  `brief`: it ends with the mount.
 * -EEXIST; -EROFS: the mount is read only; -EINVAL: a name that none can have; -ENAMETOOLONG; or
 * why something could not be committed, synced or linked. */
int snapshots_add(struct generations *generations, const char *name, bool brief,
		  struct volume_entry *ret);
/* Remove it.  -ENOENT; -EROFS. */
int snapshots_remove(struct generations *generations, const char *name);
/* Its root, counted.  -ENOENT; or why it cannot be opened. */
int snapshots_find(struct generations *generations, const char *name, struct volume_entry *ret);

/* Names of snapshots, in byte order, and the st_ino of each. */
struct snapshot_name {
	uint64_t ino;
	char name[NAME_SIZE_MAX + 1];
};

/* All there are.  The array is the caller's: free(3).  0 or -errno. */
int snapshots_list(struct generations *generations, struct snapshot_name **ret, size_t *count_ret);

/* Remove those that end with the mount.  Before generations_free(). */
void snapshots_end(struct generations *generations);

#endif
