/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * remove.c - removing files and directories.
 *
 * Invariant: each directory is in the log, by a marker or by a key below it.  So whatever takes the
 * last such key away writes the marker in the same append.
 */
#include <errno.h>

#include "fs/volume/change.h"
#include "fs/volume/detach.h"
#include "fs/volume/dirty.h"
#include "fs/volume/journal.h"
#include "fs/volume/keys.h"
#include "fs/volume/lookup.h"
#include "fs/volume/names.h"
#include "fs/volume/shown.h"
#include "fs/volume/xattrmem.h"

/* Append what removes a node. */
static int append_removal(struct volume *volume, struct node *node)
{
	struct change change = {.count = 0};

	shown_remember(volume, node->key->parent, node_component(node));
	int rc = change_remove(&change, volume, node, false);
	if (!rc)
		rc = change_append(&change, volume);
	change_release(&change);
	return rc;
}

static int unlink_locked(struct volume *volume, struct node *parent, struct node *node)
{
	struct key key;
	int rc = key_of_node(node, &key);

	if (!rc)
		rc = volume_preserve(volume, node);
	if (!rc)
		rc = append_removal(volume, node);
	if (!rc) {
		journal_drop(volume, false, key_bytes(&key));
		volume_detach(volume, node);
		volume_touch_dir(volume, parent);
	}
	key_release(&key);
	return rc;
}

int volume_unlink(struct volume *volume, struct node *parent, const char *name)
{
	struct node *node = NULL;

	if (volume->options.read_only)
		return -EROFS;
	names_lock_write(volume);
	int rc = volume_find(volume, parent, name, &node);
	if (!rc && node_is_dir(node)) {
		rc = -EISDIR;
	} else if (!rc) {
		node_lock(volume, node);
		rc = unlink_locked(volume, parent, node);
		node_unlock(volume, node);
	}
	volume_unref(volume, node, 1);
	names_unlock(volume);
	return rc;
}

static int rmdir_locked(struct volume *volume, struct node *parent, struct node *node)
{
	struct key key;

	if (!node_is_dir(node))
		return -ENOTDIR;
	int empty = keys_is_empty(volume, node);
	if (empty <= 0)
		return empty ? empty : -ENOTEMPTY;
	int rc = key_of_node(node, &key);
	if (atomic_load(&node->refs) > 1)               /* a holder of the node may ask for them */
		(void)volume_need_xattrs(volume, node); /* removing goes on without them */
	if (!rc)
		rc = append_removal(volume, node);
	if (!rc) {
		journal_drop(volume, true, key_bytes(&key));
		volume_keep_nameless_xattrs(volume, node);
		volume_take_name(volume, node);
		volume_touch_dir(volume, parent);
	}
	key_release(&key);
	return rc;
}

int volume_rmdir(struct volume *volume, struct node *parent, const char *name)
{
	struct node *node = NULL;

	if (volume->options.read_only)
		return -EROFS;
	names_lock_write(volume);
	int rc = volume_find(volume, parent, name, &node);
	if (!rc)
		rc = rmdir_locked(volume, parent, node);
	volume_unref(volume, node, 1);
	names_unlock(volume);
	return rc;
}
