/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * listing.h - requests on open directories.
 */
#ifndef FS_FUSE_LISTING_H
#define FS_FUSE_LISTING_H

#include "fs/fuse/request.h"

void listing_add_ops(struct fuse_lowlevel_ops *ops);

#endif
