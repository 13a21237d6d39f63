/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * attr.h - requests about attributes.
 */
#ifndef FS_FUSE_ATTR_H
#define FS_FUSE_ATTR_H

#include "fs/fuse/request.h"

void attr_add_ops(struct fuse_lowlevel_ops *ops);

#endif
