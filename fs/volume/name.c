/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * name.c - looking up, checking, removing and listing names.
 *
 * Invariant: each directory of the tree is in the log, by a marker or by a key
 * below it.  So whatever takes the last such key away writes the marker in the
 * same append.
 */
#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "fs/base/clock.h"
#include "fs/volume/change.h"
#include "fs/volume/detach.h"
#include "fs/volume/dirty.h"
#include "fs/volume/journal.h"
#include "fs/volume/load.h"
#include "fs/volume/names.h"
#include "fs/volume/stat.h"
#include "fs/volume/xattrmem.h"

int volume_lookup(struct volume *volume, struct node *parent, const char *name,
		  struct volume_entry *ret)
{
	if (!node_is_dir(parent))
		return -ENOTDIR;
	if (strlen(name) > NAME_SIZE_MAX)
		return -ENAMETOOLONG;
	int rc = volume_need_names(volume);
	if (rc < 0)
		return rc;
	rc = -ENOENT;
	names_lock_read(volume);
	struct node *node = tree_find(&volume->tree, parent, name, strlen(name));
	if (node) {
		volume_fill_entry(volume, node, ret);
		rc = 0;
	}
	names_unlock(volume);
	return rc;
}

void volume_enter(struct volume *volume, struct volume_entry *ret)
{
	names_lock_read(volume);
	volume_fill_entry(volume, volume->tree.root, ret);
	names_unlock(volume);
}

void volume_forget(struct volume *volume, struct node *node, uint64_t count)
{
	atomic_store(&node->pushed, false); /* its pages go as well */
	volume_unref(volume, node, count);
}

/* --- names that are to be --- */

/* The component that a new name stands for.  Behind the name of a directory that
 * shares its key with a file, one %= is that file's or quotes the others; such
 * directories are undone from the longest name to the shortest. */
static int decode_new(struct volume *volume, struct node *parent, const char *name,
		      struct name *ret, bool *beside_ret)
{
	const struct tree *tree = &volume->tree;
	size_t size = strlen(name), left = size;
	char text[NAME_SIZE_MAX + 1];
	bool beside = false;

	if (size > NAME_SIZE_MAX)
		return -ENAMETOOLONG;
	for (size_t base = size; base >= 2 && !memcmp(name + base - 2, "%=", 2);) {
		base -= 2;
		const struct node *dir = tree_find(tree, parent, name, base);
		if (!dir || !node_is_dir(dir) || !(dir->flags & NODE_CONFLICT))
			continue;
		beside = beside || base + 2 == size;
		left -= 2;
	}
	memcpy(text, name, left);
	text[left] = '\0';
	*beside_ret = beside;
	return name_decode(&tree->rules, parent == tree->root, text, ret);
}

/* Check a name that shall be created below `parent`; its component. */
int volume_new_component(struct volume *volume, struct node *parent, const char *name, bool is_dir,
			 struct name *ret, bool *beside_ret)
{
	if (volume->options.read_only)
		return -EROFS;
	if (!node_is_dir(parent))
		return -ENOTDIR;
	if (!node_is_linked(parent))
		return -ENOENT;
	int rc = decode_new(volume, parent, name, ret, beside_ret);
	if (rc)
		return rc;
	/* its directory's marker would have the same key */
	if (!is_dir && !ret->size && parent != volume->tree.root && !volume->options.flat)
		return -EINVAL;
	return is_dir && *beside_ret ? -EINVAL : 0;
}

bool volume_key_is_taken(struct volume *volume, struct node *parent, const struct name *component)
{
	struct key key;
	int rc = key_of_child(parent, (struct dw_bytes){component->text, component->size}, false,
			      &key);
	bool taken = !rc && dw_contains(volume->store, key_bytes(&key));

	key_release(&key);
	return taken;
}

void volume_update_conflict(struct volume *volume, struct node *dir)
{
	struct dw_bytes component = node_component(dir);
	struct name name = {.size = component.size};

	dir->flags &= (uint8_t)~NODE_CONFLICT;
	if (component.size > NAME_SIZE_MAX)
		return; /* such names are abbreviated, not quoted */
	memcpy(name.text, component.data, component.size);
	if (volume_key_is_taken(volume, dir->key->parent, &name))
		dir->flags |= NODE_CONFLICT;
}

void volume_touch_dir(struct volume *volume, struct node *dir)
{
	atomic_store(&dir->mtime_ns, clock_realtime_ns());
	/* a time set by hand counts until the next change; `names`, held for writing, keeps
	 * everybody off the attributes */
	if (!dir->attrs || !(dir->attrs->set & ATTR_TIMES))
		return;
	int rc = volume_need_xattrs(volume, dir);
	dir->attrs->set &= ~(unsigned)ATTR_TIMES;
	if (!rc)
		rc = journal_node(volume, dir);
	volume_let_xattrs_go(dir);
	if (rc < 0)
		volume_log(volume, LOG_WARNING,
			   "the time of a directory will be wrong after the next mount: %s",
			   strerror(-rc));
}

/* --- removing --- */

static int unlink_locked(struct volume *volume, struct node *parent, struct node *node)
{
	struct change change = {.count = 0};
	struct key key;
	int rc = key_of_node(node, &key);

	if (!rc)
		rc = volume_preserve(volume, node);
	if (!rc)
		rc = change_remove(&change, node, false);
	if (!rc)
		rc = change_append(&change, volume, parent);
	if (!rc) {
		journal_drop(volume, false, key_bytes(&key));
		volume_detach(volume, node);
		volume_touch_dir(volume, parent);
	}
	change_release(&change);
	key_release(&key);
	return rc;
}

int volume_unlink(struct volume *volume, struct node *parent, const char *name)
{
	int rc;

	if (volume->options.read_only)
		return -EROFS;
	names_lock_write(volume);
	struct node *node = tree_find(&volume->tree, parent, name, strlen(name));
	if (!node || node_is_dir(node)) {
		names_unlock(volume);
		return node ? -EISDIR : -ENOENT;
	}
	node_ref(node); /* its lock is let go after it left the tree */
	node_lock(volume, node);
	rc = unlink_locked(volume, parent, node);
	node_unlock(volume, node);
	volume_unref(volume, node, 1);
	names_unlock(volume);
	return rc;
}

static int rmdir_locked(struct volume *volume, struct node *parent, struct node *node)
{
	struct change change = {.count = 0};
	struct key key;

	if (!node_is_dir(node))
		return -ENOTDIR;
	if (node_child_count(node))
		return -ENOTEMPTY;
	int rc = key_of_node(node, &key);
	if (atomic_load(&node->refs) > 1)               /* whoever knows it may ask for them */
		(void)volume_need_xattrs(volume, node); /* removing goes on without them */
	if (!rc)
		rc = change_remove(&change, node, false);
	if (!rc)
		rc = change_append(&change, volume, parent);
	if (!rc) {
		journal_drop(volume, true, key_bytes(&key));
		node_ref(node);
		volume_keep_nameless_xattrs(volume, node);
		tree_unlink(&volume->tree, node);
		volume_unref(volume, node, 1);
		volume_touch_dir(volume, parent);
	}
	change_release(&change);
	key_release(&key);
	return rc;
}

int volume_rmdir(struct volume *volume, struct node *parent, const char *name)
{
	if (volume->options.read_only)
		return -EROFS;
	names_lock_write(volume);
	struct node *node = tree_find(&volume->tree, parent, name, strlen(name));
	int rc = node ? rmdir_locked(volume, parent, node) : -ENOENT;
	names_unlock(volume);
	return rc;
}

/* --- listing --- */

static int visit_dots(struct volume *volume, struct node *dir, uint64_t offset,
		      volume_dirent_fn *visit, void *context)
{
	struct node *parent = dir->key->parent ? dir->key->parent : dir;
	struct stat st;
	int rc = 0;

	if (offset < COOKIE_SELF) {
		node_lock(volume, dir);
		volume_fill_stat(volume, dir, &st);
		node_unlock(volume, dir);
		rc = visit(context, ".", NULL, &st, COOKIE_SELF);
	}
	if (!rc && offset < COOKIE_PARENT) {
		node_lock(volume, parent);
		volume_fill_stat(volume, parent, &st);
		node_unlock(volume, parent);
		rc = visit(context, "..", NULL, &st, COOKIE_PARENT);
	}
	return rc;
}

int volume_listing_end(struct volume *volume, struct node *dir, uint64_t *ret)
{
	if (!node_is_dir(dir))
		return -ENOTDIR;
	int rc = volume_need_names(volume);
	if (rc < 0)
		return rc;
	names_lock_read(volume);
	*ret = node_last_cookie(dir);
	names_unlock(volume);
	return 0;
}

int volume_readdir(struct volume *volume, struct node *dir, uint64_t offset, uint64_t end,
		   bool counted, volume_dirent_fn *visit, void *context)
{
	char name[NAME_SIZE_MAX + 1];
	struct stat st;

	if (!node_is_dir(dir))
		return -ENOTDIR;
	int rc = volume_need_names(volume);
	if (rc < 0)
		return rc;
	names_lock_read(volume);
	rc = visit_dots(volume, dir, offset, visit, context);
	if (offset < COOKIE_PARENT)
		offset = COOKIE_PARENT;
	for (uint32_t at = node_child_seek(dir, offset); !rc; at++) {
		struct node *node = node_child_at(dir, &at);
		if (!node || node->cookie > end)
			break;
		memcpy(name, node->key->name, node->name_size);
		name[node->name_size] = '\0';
		node_lock(volume, node);
		volume_fill_stat(volume, node, &st);
		node_unlock(volume, node);
		rc = visit(context, name, node, &st, node->cookie);
		if (!rc && counted)
			node_ref(node);
	}
	names_unlock(volume);
	return 0;
}
