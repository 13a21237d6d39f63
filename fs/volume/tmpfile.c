/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * tmpfile.c - files that are made without a name, and may be given one.
 *
 * Without a name there is no key, so such a file is in memory only, like one that was removed and
 * is open.  Its name, its value and its attributes come into the log together: a reader finds no
 * file or the whole of it.
 */
#include <errno.h>
#include <string.h>

#include "fs/attr/xattr.h"
#include "fs/base/clock.h"
#include "fs/volume/commit.h"
#include "fs/volume/create.h"
#include "fs/volume/detach.h"
#include "fs/volume/dirty.h"
#include "fs/volume/journal.h"
#include "fs/volume/lookup.h"
#include "fs/volume/names.h"
#include "fs/volume/opens.h"
#include "fs/volume/stat.h"
#include "fs/volume/xattrmem.h"

static int make_locked(struct volume *volume, const struct volume_cred *cred, struct node *dir,
		       mode_t mode, int flags, struct node **ret)
{
	struct cached *cached;
	struct node *node = node_new("", 0, NULL, false);

	if (!node)
		return -ENOMEM;
	node->flags |= NODE_LINKABLE;
	tree_forget_ino(&volume->tree, node);
	atomic_store(&node->mtime_ns, clock_realtime_ns());
	int rc = volume_set_initial_attrs(volume, cred, dir, mode, node);
	if (!rc)
		rc = volume_get_cached(volume, node, &cached);
	if (rc) {
		volume_unref(volume, node, 1);
		return rc;
	}
	cached->loaded = true;
	volume_note_open(volume, node, flags);
	*ret = node;
	return 0;
}

int volume_tmpfile(struct volume *volume, const struct volume_cred *cred, struct node *dir,
		   mode_t mode, int flags, struct volume_entry *ret)
{
	struct node *node = NULL;
	int rc = 0;

	if (volume->options.read_only)
		return -EROFS;
	if (!node_is_dir(dir))
		return -ENOTDIR;
	names_lock_write(volume);
	if (!node_is_linked(dir))
		rc = -ENOENT;
	if (!rc)
		rc = make_locked(volume, cred, dir, mode, flags, &node);
	if (!rc)
		volume_fill_entry(volume, node_ref(node), ret); /* the other one is the opener's */
	names_unlock(volume);
	return rc;
}

/* --- a name --- */

/* The value and the attributes come into the log under the name that the node has in the tree
 * now; or it has none again. */
static int commit_named(struct volume *volume, struct node *node)
{
	struct attrs *attrs = node->attrs;
	struct key key;

	/* the counted attributes are about to be written to the log; keep their room until then,
	 * because another thread may wait for room */
	size_t held = attrs && attrs->counted ? attrs->xattrs->size : 0;
	if (attrs) {
		attrs->counted = false;
		attrs->unsaved = true;
	}
	volume_mark_dirty(volume, node->cached);
	int rc = volume_commit_locked(volume, node);
	if (!rc) {
		room_count(&volume->room, held, 0);
		node->flags &= (uint8_t)~NODE_LINKABLE;
		volume_drop_cached(volume, node);
		return 0;
	}
	if (!key_of_node(node, &key))
		journal_drop(volume, false, key_bytes(&key));
	key_release(&key);
	if (attrs)
		attrs->counted = held;
	volume_detach(volume, node);
	return rc;
}

static int link_locked(struct volume *volume, struct node *node, struct node *parent,
		       const char *name)
{
	struct node *there = NULL;
	struct name component;
	int rc = volume_find(volume, parent, name, &there);

	volume_unref(volume, there, 1);
	if (rc != -ENOENT)
		return rc ? rc : -EEXIST;
	rc = volume_new_component(volume, parent, name, false, &component);
	if (rc < 0)
		return rc;
	rc = volume_check_key(volume, parent, &component);
	if (rc < 0)
		return rc;
	const struct dw_bytes bytes = {component.text, component.size};
	rc = node_set_name(node, name, strlen(name), &bytes);
	if (!rc)
		rc = tree_link(&volume->tree, parent, node);
	if (rc < 0)
		return rc;
	rc = commit_named(volume, node);
	if (!rc)
		volume_touch_dir(volume, parent);
	return rc;
}

int volume_link(struct volume *volume, struct node *node, struct node *parent, const char *name,
		struct volume_entry *ret)
{
	pthread_mutex_t *lock = volume_node_lock(volume, node);

	if (volume->options.read_only)
		return -EROFS;
	if (!node_is_dir(parent))
		return -ENOTDIR;
	names_lock_write(volume);
	(void)pthread_mutex_lock(lock);
	/* else it has a name or had one; a key has one name */
	bool linkable = !node_is_dir(node) && node->flags & NODE_LINKABLE;
	int rc = linkable ? link_locked(volume, node, parent, name) : -EPERM;
	(void)pthread_mutex_unlock(lock);
	if (!rc)
		volume_fill_entry(volume, node_ref(node), ret);
	names_unlock(volume);
	return rc;
}
