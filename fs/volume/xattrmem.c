/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * xattrmem.c - see xattrmem.h.
 */
#include "fs/volume/xattrmem.h"

#include <errno.h>
#include <stdlib.h>
#include <syslog.h>

#include "fs/attr/xattr.h"
#include "fs/volume/recorded.h"

bool volume_xattrs_are_large(const struct xattrs *xattrs)
{
	return xattrs && xattrs->size > XATTRS_KEPT_MAX;
}

void volume_xattrs_leave(struct attrs *attrs)
{
	if (!volume_xattrs_are_large(attrs->xattrs))
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
		rc = recorded_read_xattrs(volume, node_is_dir(node), key_bytes(&key),
					  &attrs->xattrs);
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
	if (is_dir || (atomic_load(&node->logged) && !(node->cached && node->cached->dirty)))
		volume_xattrs_leave(attrs);
}

/* Room was taken for them. */
void volume_count_xattrs(struct room *room, struct attrs *attrs)
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
	attrs->outside = false; /* no caller asked to keep them */
	if (!volume_xattrs_are_large(attrs->xattrs))
		return;
	if (room_take(room, attrs->xattrs->size, NULL)) {
		volume_count_xattrs(room, attrs);
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
