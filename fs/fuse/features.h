/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * features.h - what the kernel offers and this libfuse knows nothing of.
 */
#ifndef FS_FUSE_FEATURES_H
#define FS_FUSE_FEATURES_H

#include "fs/fuse/mount.h"

/* Read and write in the place of libfuse, to offer the kernel more than it does.  After
 * fuse_session_mount(), before the first request.  0 or -errno. */
int features_attach(struct mount *mount);

#endif
