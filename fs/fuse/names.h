/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * names.h - requests that look names up, make, remove and rename them.
 */
#ifndef FS_FUSE_NAMES_H
#define FS_FUSE_NAMES_H

#include "fs/fuse/request.h"

void names_add_ops(struct fuse_lowlevel_ops *ops);

#endif
