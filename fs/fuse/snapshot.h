/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * snapshot.h - requests for the directory of snapshots.
 *
 * A snapshot itself is served like everything else: its nodes tell their volume.  The kernel
 * may keep the name of one, for only requests take it away.
 */
#ifndef FS_FUSE_SNAPSHOT_H
#define FS_FUSE_SNAPSHOT_H

#include "fs/fuse/request.h"

void snapshots_op_lookup(const struct request *request, const char *name);
void snapshots_op_mkdir(const struct request *request, const char *name);
void snapshots_op_rmdir(const struct request *request, const char *name);
/* `end`: where the open directory remembers the end of its listing. */
void snapshots_op_readdir(const struct request *request, size_t size, off_t offset,
			  atomic_uint_fast64_t *end, bool plus);

#endif
