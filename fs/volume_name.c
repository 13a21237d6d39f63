/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * volume_name.c - looking up, creating, removing, renaming and listing names.
 *
 * Invariant: each directory of the tree is in the log, by a marker or by a key
 * below it.  So whatever takes the last such key away writes the marker in the
 * same append.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "fs/change.h"
#include "fs/volume_internal.h"

static void lock_names(struct volume *volume)
{
	(void)pthread_rwlock_wrlock(&volume->names);
}

static void unlock_names(struct volume *volume)
{
	(void)pthread_rwlock_unlock(&volume->names);
}

static void lock_node(struct volume *volume, const struct node *node)
{
	(void)pthread_mutex_lock(volume_node_lock(volume, node));
}

static void unlock_node(struct volume *volume, const struct node *node)
{
	(void)pthread_mutex_unlock(volume_node_lock(volume, node));
}

/* Count a node for the caller and tell its attributes. */
static void fill_entry(struct volume *volume, struct node *node, struct volume_entry *ret)
{
	lock_node(volume, node);
	volume_fill_stat(volume, node, &ret->st);
	unlock_node(volume, node);
	ret->node = node_ref(node);
}

int volume_lookup(struct volume *volume, struct node *parent, const char *name,
		  struct volume_entry *ret)
{
	int rc = -ENOENT;

	if (!node_is_dir(parent))
		return -ENOTDIR;
	if (strlen(name) > NAME_SIZE_MAX)
		return -ENAMETOOLONG;
	(void)pthread_rwlock_rdlock(&volume->names);
	struct node *node = tree_find(&volume->tree, parent, name, strlen(name));
	if (node) {
		fill_entry(volume, node, ret);
		rc = 0;
	}
	unlock_names(volume);
	return rc;
}

void volume_forget(struct volume *volume, struct node *node, uint64_t count)
{
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

void volume_touch_dir(struct node *dir)
{
	/* a time set by hand counts until the next change; `names`, held for writing, keeps
	 * everybody off the attributes */
	if (dir->attrs)
		dir->attrs->set &= ~(unsigned)ATTR_MTIME;
	atomic_store(&dir->mtime_ns, attr_now_ns());
}

static struct attrs *attrs_for(struct node *node, unsigned bit)
{
	struct attrs *attrs = volume_own_attrs(node);

	if (attrs)
		attrs->set |= bit;
	return attrs;
}

/* Owner and mode of something new, where they differ from what the mount says. */
static int set_initial_attrs(struct volume *volume, const struct volume_cred *cred,
			     const struct node *parent, mode_t mode, struct node *node)
{
	const struct volume_options *options = &volume->options;
	const struct attrs *above = parent->attrs;
	mode_t plain = (node_is_dir(node) ? 0777 : 0666) & ~options->umask;
	bool setgid = above && above->set & ATTR_MODE && above->mode & S_ISGID;
	gid_t gid = options->fixed_gid ? options->gid : cred->gid;
	uid_t uid = options->fixed_uid ? options->uid : cred->uid;
	struct attrs *attrs = node->attrs;

	if (setgid) {
		gid = above->set & ATTR_GID ? above->gid : options->gid;
		if (node_is_dir(node))
			mode |= S_ISGID;
	}
	mode &= options->fixed_umask ? 07777 & ~options->umask : 07777;
	if (mode != plain && (attrs = attrs_for(node, ATTR_MODE)))
		attrs->mode = mode;
	if (uid != options->uid && (attrs = attrs_for(node, ATTR_UID)))
		attrs->uid = uid;
	if (gid != options->gid && (attrs = attrs_for(node, ATTR_GID)))
		attrs->gid = gid;
	bool needed = mode != plain || uid != options->uid || gid != options->gid;
	return needed && !attrs ? -ENOMEM : 0;
}

/* A node for a new name, in the tree, with one reference.  `names` is held. */
static int link_new(struct volume *volume, const struct volume_cred *cred, struct node *parent,
		    const char *name, const struct name *component, mode_t mode, bool is_dir,
		    struct node **ret)
{
	const struct dw_bytes bytes = {component->text, component->size};
	struct node *node = node_new(name, strlen(name), &bytes, is_dir);

	if (!node)
		return -ENOMEM;
	atomic_store(&node->mtime_ns, attr_now_ns());
	/* the parent's attributes are read under its lock */
	lock_node(volume, parent);
	int rc = set_initial_attrs(volume, cred, parent, mode, node);
	unlock_node(volume, parent);
	if (!rc)
		rc = tree_link(&volume->tree, parent, node, 0);
	if (!rc && node_key_size(node) > DW_KEY_SIZE_MAX) {
		tree_unlink(&volume->tree, node);
		rc = -ENAMETOOLONG;
	}
	if (rc < 0) {
		node_unref(node, 1);
		return rc;
	}
	volume_touch_dir(parent);
	*ret = node;
	return 0;
}

/* --- creating --- */

/* A file in the tree whose value, empty, is to be committed. */
static int create_locked(struct volume *volume, const struct volume_cred *cred, struct node *parent,
			 const char *name, mode_t mode, struct node **ret)
{
	struct content *content;
	struct name component;
	struct node *node;
	bool beside;
	int rc = volume_new_component(volume, parent, name, false, &component, &beside);

	if (rc)
		return rc;
	/* a file of that key may be shown under another name */
	if (volume_key_is_taken(volume, parent, &component))
		return -EEXIST;
	rc = link_new(volume, cred, parent, name, &component, mode, false, &node);
	if (rc < 0)
		return rc;
	if (beside)
		node->flags |= NODE_BESIDE;
	rc = volume_get_content(volume, node, &content);
	if (rc < 0) {
		tree_unlink(&volume->tree, node);
		node_unref(node, 1);
		return rc;
	}
	content->loaded = true;
	node->opens = 1;
	volume_mark_dirty(volume, content);
	*ret = node;
	return 0;
}

static int try_create(struct volume *volume, const struct volume_cred *cred, struct node *parent,
		      const char *name, mode_t mode, int flags, struct volume_entry *ret)
{
	int rc = 0;

	lock_names(volume);
	struct node *node = tree_find(&volume->tree, parent, name, strlen(name));
	if (!node) {
		rc = create_locked(volume, cred, parent, name, mode, &node);
		if (!rc)
			fill_entry(volume, node, ret); /* and the one reference is the opener's */
		unlock_names(volume);
		return rc;
	}
	if (flags & O_EXCL) {
		unlock_names(volume);
		return -EEXIST;
	}
	fill_entry(volume, node, ret);
	unlock_names(volume);
	/* somebody was faster: open what is there */
	rc = volume_open_file(volume, ret->node, flags);
	if (rc < 0)
		volume_unref(volume, ret->node, 1);
	else if (flags & O_TRUNC)
		rc = volume_getattr(volume, ret->node, &ret->st);
	return rc;
}

int volume_create(struct volume *volume, const struct volume_cred *cred, struct node *parent,
		  const char *name, mode_t mode, int flags, struct volume_entry *ret)
{
	int rc;

	do /* stale: what was there went before it could be opened */
		rc = try_create(volume, cred, parent, name, mode, flags, ret);
	while (rc == -ESTALE);
	return rc;
}

/* Take back a file that was created but could not be committed. */
static void abandon(struct volume *volume, struct node *node)
{
	lock_names(volume);
	lock_node(volume, node);
	if (node_is_linked(node) && !atomic_load(&node->logged))
		volume_detach(volume, node);
	unlock_node(volume, node);
	unlock_names(volume);
}

int volume_mknod(struct volume *volume, const struct volume_cred *cred, struct node *parent,
		 const char *name, mode_t mode, struct volume_entry *ret)
{
	if (!S_ISREG(mode) && mode & S_IFMT)
		return volume->options.read_only ? -EROFS : -EPERM;
	int rc = volume_create(volume, cred, parent, name, mode, O_EXCL, ret);
	if (rc < 0)
		return rc;
	rc = volume_flush(volume, ret->node);
	if (rc < 0)
		abandon(volume, ret->node);
	volume_release(volume, ret->node);
	if (rc < 0)
		volume_forget(volume, ret->node, 1);
	return rc;
}

static int put_marker(struct volume *volume, const struct node *dir)
{
	struct key key;
	int rc = key_of_node(dir, &key);

	if (!rc)
		rc = dw_put(volume->store, key_bytes(&key), (struct dw_bytes){"", 0});
	key_release(&key);
	return rc;
}

static int mkdir_locked(struct volume *volume, const struct volume_cred *cred, struct node *parent,
			const char *name, mode_t mode, struct volume_entry *ret)
{
	struct name component;
	struct node *node;
	bool beside;

	if (tree_find(&volume->tree, parent, name, strlen(name)))
		return -EEXIST;
	if (volume->options.flat && !volume->options.read_only)
		return -EPERM;
	int rc = volume_new_component(volume, parent, name, true, &component, &beside);
	if (!rc)
		rc = link_new(volume, cred, parent, name, &component, mode, true, &node);
	if (rc)
		return rc;
	rc = put_marker(volume, node);
	if (rc < 0) {
		tree_unlink(&volume->tree, node);
	} else {
		node->flags |= NODE_MARKER;
		volume_update_conflict(volume, node);
		fill_entry(volume, node, ret);
	}
	node_unref(node, 1);
	return rc;
}

int volume_mkdir(struct volume *volume, const struct volume_cred *cred, struct node *parent,
		 const char *name, mode_t mode, struct volume_entry *ret)
{
	lock_names(volume);
	int rc = mkdir_locked(volume, cred, parent, name, mode, ret);
	unlock_names(volume);
	return rc;
}

/* --- removing --- */

static int unlink_locked(struct volume *volume, struct node *parent, struct node *node)
{
	struct change change = {.count = 0};
	int rc = volume_preserve(volume, node);

	if (!rc)
		rc = change_remove(&change, node, false);
	if (!rc)
		rc = change_append(&change, volume, parent);
	if (!rc) {
		volume_detach(volume, node);
		volume_touch_dir(parent);
	}
	change_release(&change);
	return rc;
}

int volume_unlink(struct volume *volume, struct node *parent, const char *name)
{
	int rc;

	if (volume->options.read_only)
		return -EROFS;
	lock_names(volume);
	struct node *node = tree_find(&volume->tree, parent, name, strlen(name));
	if (!node || node_is_dir(node)) {
		unlock_names(volume);
		return node ? -EISDIR : -ENOENT;
	}
	node_ref(node); /* its lock is let go after it left the tree */
	lock_node(volume, node);
	rc = unlink_locked(volume, parent, node);
	unlock_node(volume, node);
	volume_unref(volume, node, 1);
	unlock_names(volume);
	return rc;
}

static int rmdir_locked(struct volume *volume, struct node *parent, struct node *node)
{
	struct change change = {.count = 0};

	if (!node_is_dir(node))
		return -ENOTDIR;
	if (node_child_count(node))
		return -ENOTEMPTY;
	int rc = change_remove(&change, node, false);
	if (!rc)
		rc = change_append(&change, volume, parent);
	if (!rc) {
		tree_unlink(&volume->tree, node);
		volume_touch_dir(parent);
	}
	change_release(&change);
	return rc;
}

int volume_rmdir(struct volume *volume, struct node *parent, const char *name)
{
	if (volume->options.read_only)
		return -EROFS;
	lock_names(volume);
	struct node *node = tree_find(&volume->tree, parent, name, strlen(name));
	int rc = node ? rmdir_locked(volume, parent, node) : -ENOENT;
	unlock_names(volume);
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
		lock_node(volume, dir);
		volume_fill_stat(volume, dir, &st);
		unlock_node(volume, dir);
		rc = visit(context, ".", NULL, &st, COOKIE_SELF);
	}
	if (!rc && offset < COOKIE_PARENT) {
		lock_node(volume, parent);
		volume_fill_stat(volume, parent, &st);
		unlock_node(volume, parent);
		rc = visit(context, "..", NULL, &st, COOKIE_PARENT);
	}
	return rc;
}

int volume_readdir(struct volume *volume, struct node *dir, uint64_t offset, bool counted,
		   volume_dirent_fn *visit, void *context)
{
	char name[NAME_SIZE_MAX + 1];
	struct stat st;

	if (!node_is_dir(dir))
		return -ENOTDIR;
	(void)pthread_rwlock_rdlock(&volume->names);
	int rc = visit_dots(volume, dir, offset, visit, context);
	if (offset < COOKIE_PARENT)
		offset = COOKIE_PARENT;
	for (uint32_t at = node_child_seek(dir, offset); !rc; at++) {
		struct node *node = node_child_at(dir, &at);
		if (!node)
			break;
		memcpy(name, node->key->name, node->name_size);
		name[node->name_size] = '\0';
		lock_node(volume, node);
		volume_fill_stat(volume, node, &st);
		unlock_node(volume, node);
		rc = visit(context, name, node, &st, node->cookie);
		if (!rc && counted)
			node_ref(node);
	}
	unlock_names(volume);
	return 0;
}
