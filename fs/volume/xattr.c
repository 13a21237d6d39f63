/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * xattr.c - extended attributes, which are in memory only while they are few bytes or
 * are needed.
 *
 * There may be 1 MiB of them a file.  So larger ones stay in the store of attributes, and whoever
 * looks at them, or writes a record in which they stand, reads them first
 * (volume_need_xattrs()) and lets them go when it is done.  What that store does not have yet
 * stays in memory; so does what a file without a name has, as far as there is room.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <syslog.h>

#include "fs/attr/xattr.h"
#include "fs/base/clock.h"
#include "fs/volume/internal.h"

/* --- in memory or not --- */

static bool is_large(const struct xattrs *xattrs)
{
	return xattrs && xattrs->size > XATTRS_KEPT_MAX;
}

void volume_xattrs_leave(struct attrs *attrs)
{
	if (!is_large(attrs->xattrs))
		return;
	free(attrs->xattrs);
	attrs->xattrs = NULL;
	attrs->outside = true;
}

int volume_need_xattrs(struct volume *volume, struct node *node)
{
	struct attrs *attrs = node->attrs;
	char quoted[QUOTED_SIZE];
	struct key key;

	if (!attrs || !attrs->outside)
		return 0;
	int rc = node_is_linked(node) ? key_of_node(node, &key) : -ENODATA;
	if (!rc) {
		rc = attr_read_xattrs(volume, node_is_dir(node), key_bytes(&key), &attrs->xattrs);
		key_release(&key);
	}
	if (rc == -EBADMSG) {
		/* as at the next mount: they are gone, and hide nothing else */
		volume_log(volume, LOG_ERR,
			   "extended attributes of '%s' in '.attr' cannot be read; it has none "
			   "until they are set again",
			   volume_quote(node, quoted));
		rc = 0;
	}
	if (!rc || rc == -ENODATA)
		attrs->outside = false;
	return rc == -ENODATA ? 0 : rc;
}

void volume_let_xattrs_go(struct node *node)
{
	struct attrs *attrs = node->attrs;
	bool is_dir = node_is_dir(node);

	if (!attrs || attrs->unsaved || attrs->times_unsaved || !node_is_linked(node))
		return;
	if (is_dir || (atomic_load(&node->logged) && !(node->content && node->content->dirty)))
		volume_xattrs_leave(attrs);
}

/* --- of files without a name --- */

/* Room was taken for them. */
static void count_xattrs(struct room *room, struct attrs *attrs)
{
	room_count(room, 0, attrs->xattrs->size);
	room_give(room, attrs->xattrs->size);
	attrs->counted = true;
}

void volume_keep_nameless_xattrs(struct volume *volume, struct node *node)
{
	struct attrs *attrs = node->attrs;
	struct room *room = &volume->room;

	if (!attrs || attrs->counted)
		return;
	attrs->outside = false; /* nobody asked for them to be kept */
	if (!is_large(attrs->xattrs))
		return;
	if (room_take(room, attrs->xattrs->size, NULL)) {
		count_xattrs(room, attrs);
	} else {
		free(attrs->xattrs);
		attrs->xattrs = NULL;
	}
}

void volume_uncount_xattrs(struct volume *volume, struct node *node)
{
	struct attrs *attrs = node->attrs;

	if (!attrs || !attrs->counted)
		return;
	room_count(&volume->room, attrs->xattrs->size, 0);
	attrs->counted = false;
}

void volume_drop_nameless_xattrs(struct volume *volume, struct node *node)
{
	if (!node->attrs || !node->attrs->counted)
		return;
	volume_uncount_xattrs(volume, node);
	free(node->attrs->xattrs);
	node->attrs->xattrs = NULL;
}

/* --- the calls --- */

/* The other kinds are the kernel's or root's, and no part of a store. */
static int check_name(const char *name)
{
	return strncmp(name, "user.", 5) ? -EOPNOTSUPP : 0;
}

/* What has no value in the log yet has no record either: many such files would hold much. */
static int save(struct volume *volume, struct node *node)
{
	int rc = volume_keep(volume, node);

	if (!rc && node->attrs->unsaved && is_large(node->attrs->xattrs) && !node_is_dir(node))
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
	bool counts = !rc && !node_is_linked(node) && is_large(made);
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
		count_xattrs(&volume->room, attrs);
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
	volume_lock_file(volume, node);
	rc = node->lost ? -ESTALE : set_xattr_locked(volume, node, name, value, size, flags);
	if (!node_is_dir(node))
		volume_drop_content(volume, node);
	volume_unlock_file(volume, node);
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
	volume_lock_file(volume, node);
	n = node->lost ? -ESTALE : volume_need_xattrs(volume, node);
	if (!n)
		n = xattrs_get(node->attrs ? node->attrs->xattrs : NULL, name, ret, size);
	volume_let_xattrs_go(node);
	volume_unlock_file(volume, node);
	return n;
}

ssize_t volume_listxattr(struct volume *volume, struct node *node, char *ret, size_t size)
{
	volume_lock_file(volume, node);
	ssize_t n = node->lost ? -ESTALE : volume_need_xattrs(volume, node);
	if (!n)
		n = xattrs_list(node->attrs ? node->attrs->xattrs : NULL, ret, size);
	volume_let_xattrs_go(node);
	volume_unlock_file(volume, node);
	return n;
}
