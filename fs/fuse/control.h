/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * control.h - requests for the control directory.
 */
#ifndef FS_FUSE_CONTROL_H
#define FS_FUSE_CONTROL_H

#include "fs/fuse/request.h"

/* Whether a lookup is for it; then it was answered. */
bool control_answers_lookup(const struct request *request, fuse_ino_t parent, const char *name);
/* Whether nothing may be made or changed here, for it is the control directory's; then the
 * request was answered. */
bool control_refuses(const struct request *request, fuse_ino_t ino);
/* Whether this is its name, which stays when all files are removed. */
bool control_is_name(const struct request *request, fuse_ino_t parent, const char *name);

void control_op_getattr(const struct request *request, fuse_ino_t ino);
void control_op_setattr(const struct request *request, fuse_ino_t ino, int to_set);
void control_op_open(const struct request *request, fuse_ino_t ino, struct fuse_file_info *fi);
void control_op_release(const struct request *request, struct fuse_file_info *fi);
void control_op_readdir(const struct request *request, size_t size, off_t offset, bool plus);
void control_op_read(const struct request *request, size_t size, off_t offset,
		     struct fuse_file_info *fi);
void control_op_write(const struct request *request, const char *buf, size_t size,
		      struct fuse_file_info *fi);

#endif
