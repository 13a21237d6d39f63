/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * file.h - requests on open files.
 */
#ifndef FS_FUSE_FILE_H
#define FS_FUSE_FILE_H

#include "fs/fuse/request.h"

void file_add_ops(struct fuse_lowlevel_ops *ops);

/* The flags about pages in the answer to opening `node`. */
void file_set_open_flags(const struct request *request, struct node *node,
			 struct fuse_file_info *fi);

#endif
