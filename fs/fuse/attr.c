/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * attr.c - see attr.h.
 */
#include "fs/fuse/attr.h"

#include <stdlib.h>

#include "fs/fuse/control.h"

static void reply_attr(const struct request *request, int rc, const struct stat *st)
{
	if (rc < 0)
		reply_err(request, rc);
	else
		(void)fuse_reply_attr(request->handle, st, attr_seconds(st)); /* nothing is held */
}

static void op_getattr(fuse_req_t handle, fuse_ino_t ino, struct fuse_file_info *fi)
{
	REQUEST request = request_begin(handle, METRIC_GETATTR, ino);
	struct stat st;

	(void)fi;
	if (control_owns(ino)) {
		control_op_getattr(&request, ino);
		return;
	}
	int rc = volume_getattr(request.volume, request_node(&request, ino), &st);
	reply_attr(&request, rc, &st);
}

static unsigned attr_bits(int to_set)
{
	static const struct {
		int fuse;
		unsigned bit;
	} map[] = {
		{FUSE_SET_ATTR_MODE, ATTR_MODE},
		{FUSE_SET_ATTR_UID, ATTR_UID},
		{FUSE_SET_ATTR_GID, ATTR_GID},
		{FUSE_SET_ATTR_SIZE, ATTR_SIZE},
		{FUSE_SET_ATTR_MTIME, ATTR_MTIME},
		{FUSE_SET_ATTR_ATIME, ATTR_ATIME},
		{FUSE_SET_ATTR_MTIME_NOW, ATTR_MTIME | ATTR_MTIME_NOW},
		{FUSE_SET_ATTR_ATIME_NOW, ATTR_ATIME | ATTR_ATIME_NOW},
	};
	unsigned bits = 0;

	for (size_t i = 0; i < sizeof map / sizeof *map; i++)
		if (to_set & map[i].fuse)
			bits |= map[i].bit;
	return bits;
}

static void op_setattr(fuse_req_t handle, fuse_ino_t ino, struct stat *attr, int to_set,
		       struct fuse_file_info *fi)
{
	REQUEST request = request_begin(handle, METRIC_SETATTR, ino);
	struct stat st;

	if (control_owns(ino)) {
		control_op_setattr(&request, ino, to_set);
		return;
	}
	int rc = volume_setattr(request.volume, request_node(&request, ino), attr,
				attr_bits(to_set), fi != NULL, &st);
	reply_attr(&request, rc, &st);
}

/* --- extended attributes --- */

/* Return the result of these to the kernel unchanged: -ENODATA is no damage here. */
static void reply_xattr_err(const struct request *request, int rc)
{
	if (rc == -ENODATA || rc == -E2BIG)
		(void)fuse_reply_err(request->handle, -rc); /* nothing is held for it */
	else
		reply_err(request, rc);
}

static void op_setxattr(fuse_req_t handle, fuse_ino_t ino, const char *name, const char *value,
			size_t size, int flags)
{
	REQUEST request = request_begin(handle, METRIC_SETXATTR, ino);
	if (!control_refuses(&request, ino))
		reply_xattr_err(&request,
				volume_setxattr(request.volume, request_node(&request, ino), name,
						value, size, flags));
}

static void op_removexattr(fuse_req_t handle, fuse_ino_t ino, const char *name)
{
	REQUEST request = request_begin(handle, METRIC_REMOVEXATTR, ino);
	if (!control_refuses(&request, ino))
		reply_xattr_err(&request, volume_removexattr(request.volume,
							     request_node(&request, ino), name));
}

static void reply_xattr(const struct request *request, ssize_t n, const char *buf, size_t size)
{
	if (n < 0)
		reply_xattr_err(request, (int)n);
	else if (!size)
		(void)fuse_reply_xattr(request->handle, (size_t)n); /* nothing is held for it */
	else
		(void)fuse_reply_buf(request->handle, buf, (size_t)n); /* nor for this */
}

static void op_getxattr(fuse_req_t handle, fuse_ino_t ino, const char *name, size_t size)
{
	REQUEST request = request_begin(handle, METRIC_GETXATTR, ino);
	char *buf = size ? malloc(size) : NULL;
	ssize_t n = size && !buf ? -ENOMEM : -EOPNOTSUPP;

	if (n != -ENOMEM && !control_owns(ino))
		n = volume_getxattr(request.volume, request_node(&request, ino), name, buf, size);
	reply_xattr(&request, n, buf, size);
	free(buf);
}

static void op_listxattr(fuse_req_t handle, fuse_ino_t ino, size_t size)
{
	REQUEST request = request_begin(handle, METRIC_LISTXATTR, ino);
	char *buf = size ? malloc(size) : NULL;
	ssize_t n = size && !buf ? -ENOMEM : 0;

	if (n != -ENOMEM && !control_owns(ino))
		n = volume_listxattr(request.volume, request_node(&request, ino), buf, size);
	reply_xattr(&request, n, buf, size);
	free(buf);
}

static void op_statfs(fuse_req_t handle, fuse_ino_t ino)
{
	REQUEST request = request_begin(handle, METRIC_STATFS, ino);
	struct statvfs st;
	int rc = volume_statfs(request.volume, &st);

	(void)ino;
	if (rc < 0)
		reply_err(&request, rc);
	else
		(void)fuse_reply_statfs(handle, &st); /* nothing is held for it */
}

void attr_add_ops(struct fuse_lowlevel_ops *ops)
{
	ops->getattr = op_getattr;
	ops->setattr = op_setattr;
	ops->setxattr = op_setxattr;
	ops->removexattr = op_removexattr;
	ops->getxattr = op_getxattr;
	ops->listxattr = op_listxattr;
	ops->statfs = op_statfs;
}
