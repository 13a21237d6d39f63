/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * snapshot.h - requests for the directory of snapshots.
 *
 * A snapshot itself is served like everything else: its nodes tell their volume.  The kernel
 * may keep the name of one for a second: other programs may remove it, and make another one.
 */
#ifndef FS_FUSE_SNAPSHOT_H
#define FS_FUSE_SNAPSHOT_H

#include "fs/fuse/request.h"
#include "fs/mounted/snapshots.h"

void snapshots_op_lookup(const struct request *request, const char *name);
/* S_ISVTX of `mode`: it ends with the mount. */
void snapshots_op_mkdir(const struct request *request, const char *name, mode_t mode);
void snapshots_op_rmdir(const struct request *request, const char *name);

/* What an open directory lists: the names that there were when it was read from the start. */
struct snapshot_listing {
	pthread_mutex_t lock;        /* of what follows */
	struct snapshot_name *names; /* owned */
	size_t count;
};

void snapshot_listing_init(struct snapshot_listing *listing);
void snapshot_listing_release(struct snapshot_listing *listing);
void snapshots_op_readdir(const struct request *request, size_t size, off_t offset,
			  struct snapshot_listing *listing, bool plus);

#endif
