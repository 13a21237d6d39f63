/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * ops.h - requests of the kernel, each turned into one call and one reply.
 */
#ifndef FS_FUSE_OPS_H
#define FS_FUSE_OPS_H

#include "fs/fuse/mount.h"

/* The table for libfuse's session; its user data is a struct mount. */
const struct fuse_lowlevel_ops *ops_table(void);

#endif
