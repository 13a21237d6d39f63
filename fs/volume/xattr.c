/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * xattr.c - the calls on extended attributes.
 *
 * Large ones are in memory only during a call: fs/volume/xattrmem.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <syslog.h>

#include "fs/attr/xattr.h"
#include "fs/base/clock.h"
#include "fs/volume/commit.h"
#include "fs/volume/dirty.h"
#include "fs/volume/journal.h"
#include "fs/volume/stat.h"
#include "fs/volume/xattrmem.h"

/* --- the calls --- */

/* The other kinds are the kernel's or root's, and no part of a store. */
static int check_name(const char *name)
{
	return strncmp(name, "user.", 5) ? -EOPNOTSUPP : 0;
}

/* A file without a value in the log has no record either; many such files would hold much memory.
 */
static int save(struct volume *volume, struct node *node)
{
	int rc = journal_node(volume, node);

	if (!rc && node->attrs->unsaved && volume_xattrs_are_large(node->attrs->xattrs) &&
	    !node_is_dir(node))
		rc = volume_commit_locked(volume, node);
	return rc;
}

static int set_xattr_locked(struct volume *volume, struct node *node, const char *name,
			    const void *value, size_t size, int flags)
{
	struct xattrs *made = NULL;
	int rc = attrstore_usable(volume->attrs);

	if (!rc && !volume_own_attrs(node))
		rc = -ENOMEM;
	if (!rc)
		rc = volume_need_xattrs(volume, node);
	if (!rc)
		rc = xattrs_with(node->attrs->xattrs, name, value, size, flags, &made);
	bool counts = !rc && !node_is_linked(node) && volume_xattrs_are_large(made);
	if (counts && !room_take(&volume->room, made->size, NULL))
		rc = -ENOSPC;
	if (rc < 0) {
		free(made);
		return rc;
	}
	struct attrs *attrs = node->attrs;
	volume_uncount_xattrs(volume, node);
	const struct attrs old = *attrs;
	attrs->xattrs = made;
	if (counts)
		volume_count_xattrs(&volume->room, attrs);
	attrs->ctime_ns = clock_realtime_ns();
	attrs->set |= ATTR_CTIME;
	rc = save(volume, node);
	if (rc < 0) {
		*attrs = old;
		/* a record may have been written before what failed */
		attrs->unsaved = attrs->unsaved || !node_is_dir(node);
	}
	free(rc ? made : old.xattrs);
	volume_let_xattrs_go(node);
	return rc;
}

static int set_xattr(struct volume *volume, struct node *node, const char *name, const void *value,
		     size_t size, int flags)
{
	int rc = volume->options.read_only ? -EROFS : check_name(name);

	if (rc < 0)
		return rc;
	file_lock(volume, node);
	rc = node->lost ? -ESTALE : set_xattr_locked(volume, node, name, value, size, flags);
	if (!node_is_dir(node))
		volume_drop_cached(volume, node);
	file_unlock(volume, node);
	return rc;
}

int volume_setxattr(struct volume *volume, struct node *node, const char *name, const void *value,
		    size_t size, int flags)
{
	if (flags & ~(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	return set_xattr(volume, node, name, size ? value : "", size, flags);
}

int volume_removexattr(struct volume *volume, struct node *node, const char *name)
{
	return set_xattr(volume, node, name, NULL, 0, 0);
}

ssize_t volume_getxattr(struct volume *volume, struct node *node, const char *name, void *ret,
			size_t size)
{
	ssize_t n = check_name(name);

	if (n < 0)
		return n;
	file_lock(volume, node);
	n = node->lost ? -ESTALE : volume_need_xattrs(volume, node);
	if (!n)
		n = xattrs_get(node->attrs ? node->attrs->xattrs : NULL, name, ret, size);
	volume_let_xattrs_go(node);
	file_unlock(volume, node);
	return n;
}

ssize_t volume_listxattr(struct volume *volume, struct node *node, char *ret, size_t size)
{
	file_lock(volume, node);
	ssize_t n = node->lost ? -ESTALE : volume_need_xattrs(volume, node);
	if (!n)
		n = xattrs_list(node->attrs ? node->attrs->xattrs : NULL, ret, size);
	volume_let_xattrs_go(node);
	file_unlock(volume, node);
	return n;
}
