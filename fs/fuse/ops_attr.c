/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * ops_attr.c - the kernel's requests about attributes.
 */
#include <stdint.h>
#include <stdlib.h>

#include "fs/fuse/ops_internal.h"

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	(void)fi;
	if (control_owns(ino)) {
		control_op_getattr(req, ino);
		return;
	}
	int rc = volume_getattr(volume_of(req), node_of(req, ino), &st);
	if (rc < 0)
		reply_err(req, rc);
	else
		(void)fuse_reply_attr(req, &st, attr_seconds(&st)); /* nothing is held for it */
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

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		struct fuse_file_info *fi)
{
	struct stat st;

	if (control_owns(ino)) {
		control_op_setattr(req, ino, to_set);
		return;
	}
	int rc = volume_setattr(volume_of(req), node_of(req, ino), attr, attr_bits(to_set),
				fi != NULL, &st);
	if (rc < 0)
		reply_err(req, rc);
	else
		(void)fuse_reply_attr(req, &st, attr_seconds(&st)); /* nothing is held for it */
}

/* --- extended attributes --- */

/* What the kernel wants of these is told as it is: -ENODATA is no damage here. */
static void reply_xattr_err(fuse_req_t req, int rc)
{
	if (rc == -ENODATA || rc == -E2BIG)
		(void)fuse_reply_err(req, -rc); /* nothing is held for it */
	else
		reply_err(req, rc);
}

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
		 int flags)
{
	if (control_owns(ino))
		reply_err(req, -EPERM);
	else
		reply_xattr_err(req, volume_setxattr(volume_of(req), node_of(req, ino), name, value,
						     size, flags));
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	if (control_owns(ino))
		reply_err(req, -EPERM);
	else
		reply_xattr_err(req, volume_removexattr(volume_of(req), node_of(req, ino), name));
}

static void reply_xattr(fuse_req_t req, ssize_t n, const char *buf, size_t size)
{
	if (n < 0)
		reply_xattr_err(req, (int)n);
	else if (!size)
		(void)fuse_reply_xattr(req, (size_t)n); /* nothing is held for it */
	else
		(void)fuse_reply_buf(req, buf, (size_t)n); /* nor for this */
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	char *buf = size ? malloc(size) : NULL;
	ssize_t n = size && !buf ? -ENOMEM : -EOPNOTSUPP;

	if (n != -ENOMEM && !control_owns(ino))
		n = volume_getxattr(volume_of(req), node_of(req, ino), name, buf, size);
	reply_xattr(req, n, buf, size);
	free(buf);
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	char *buf = size ? malloc(size) : NULL;
	ssize_t n = size && !buf ? -ENOMEM : 0;

	if (n != -ENOMEM && !control_owns(ino))
		n = volume_listxattr(volume_of(req), node_of(req, ino), buf, size);
	reply_xattr(req, n, buf, size);
	free(buf);
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st;
	int rc = volume_statfs(volume_of(req), &st);

	(void)ino;
	if (rc < 0)
		reply_err(req, rc);
	else
		(void)fuse_reply_statfs(req, &st); /* nothing is held for it */
}
