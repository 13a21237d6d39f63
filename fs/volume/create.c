/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * create.c - new files, links and directories.
 *
 * A file is in the tree at once and in the log with its first value; whatever is not
 * left open has its own by the time the call returns.
 */
#include "fs/volume/create.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/clock.h"
#include "fs/volume/commit.h"
#include "fs/volume/detach.h"
#include "fs/volume/dirty.h"
#include "fs/volume/journal.h"
#include "fs/volume/lookup.h"
#include "fs/volume/names.h"
#include "fs/volume/opens.h"
#include "fs/volume/stat.h"

/* The file to create. */
struct new_file {
	const struct volume_cred *cred;
	struct node *parent;
	const char *name;
	mode_t mode;
	int flags;          /* open(2)'s */
	const char *target; /* of a symbolic link; NULL: it is none */
	bool is_dir;
};

/* --- a node --- */

static struct attrs *attrs_for(struct node *node, unsigned bit)
{
	struct attrs *attrs = volume_own_attrs(node);

	if (attrs) {
		attrs->set |= bit;
		attrs->unsaved = true; /* until there is a value */
	}
	return attrs;
}

/* Owner and mode of something new, where they differ from what the mount says. */
static int set_attrs(struct volume *volume, const struct volume_cred *cred,
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
	if (!needed)
		return 0;
	return attrs ? attrstore_usable(volume->attrs) : -ENOMEM;
}

int volume_set_initial_attrs(struct volume *volume, const struct volume_cred *cred,
			     const struct node *parent, mode_t mode, struct node *node)
{
	/* the parent's attributes are read under its lock */
	node_lock(volume, parent);
	int rc = set_attrs(volume, cred, parent, mode, node);
	node_unlock(volume, parent);
	return rc;
}

/* A node for a new name, in the tree, with one reference.  `names` is held. */
static int link_new(struct volume *volume, const struct new_file *file,
		    const struct name *component, struct node **ret)
{
	const struct dw_bytes bytes = {component->text, component->size};
	struct node *parent = file->parent;
	struct node *node = node_new(file->name, strlen(file->name), &bytes, file->is_dir);

	if (!node)
		return -ENOMEM;
	atomic_store(&node->mtime_ns, clock_realtime_ns());
	int rc = volume_set_initial_attrs(volume, file->cred, parent, file->mode, node);
	if (!rc)
		rc = tree_link(&volume->tree, parent, node);
	if (rc < 0) {
		node_free(node);
		return rc;
	}
	volume_touch_dir(volume, parent);
	*ret = node;
	return 0;
}

/* --- creating --- */

/* The target of a link, as the value of a file that was just created. */
static int set_target(struct volume *volume, struct node *node, struct cached *cached,
		      const char *target)
{
	size_t size = strlen(target);
	struct attrs *attrs = attrs_for(node, ATTR_SYMLINK);
	int rc = attrs ? attrstore_usable(volume->attrs) : -ENOMEM;

	if (!rc)
		rc = cached_reserve(cached, size);
	if (rc < 0)
		return rc;
	memcpy(cached->data, target, size);
	atomic_store(&node->size, (uint32_t)size);
	return 0;
}

/* A file in the tree whose value, empty or the target of a link, is to be committed. */
static int create_locked(struct volume *volume, const struct new_file *file, struct node **ret)
{
	struct cached *cached;
	struct name component;
	struct node *node = NULL;
	int rc = volume_new_component(volume, file->parent, file->name, false, &component);

	if (rc)
		return rc;
	/* a file of that key may be shown under another name */
	rc = volume_check_key(volume, file->parent, &component);
	if (!rc)
		rc = link_new(volume, file, &component, &node);
	if (rc < 0)
		return rc;
	rc = volume_get_cached(volume, node, &cached);
	if (!rc && file->target)
		rc = set_target(volume, node, cached, file->target);
	if (rc < 0) {
		volume_free_cached(volume, node);
		volume_take_name(volume, node);
		volume_unref(volume, node, 1);
		return rc;
	}
	cached->loaded = cached->fresh = true;
	volume_note_open(volume, node, file->flags);
	volume_mark_dirty(volume, cached);
	*ret = node;
	return 0;
}

static int try_create(struct volume *volume, const struct new_file *file, struct volume_entry *ret)
{
	struct node *node = NULL;

	names_lock_write(volume);
	int rc = volume_find(volume, file->parent, file->name, &node);
	bool there = !rc;
	if (rc == -ENOENT)
		rc = create_locked(volume, file, &node);
	else if (there && file->flags & O_EXCL)
		rc = -EEXIST;
	if (rc < 0)
		volume_unref(volume, node, 1);
	else /* and the one reference of what is new is the opener's */
		volume_fill_entry(volume, there ? node : node_ref(node), ret);
	names_unlock(volume);
	if (rc < 0 || !there)
		return rc;
	/* another thread was faster: open its file */
	rc = volume_open_file(volume, ret->node, file->flags);
	if (rc < 0)
		volume_unref(volume, ret->node, 1);
	else if (file->flags & O_TRUNC)
		rc = volume_getattr(volume, ret->node, &ret->st);
	return rc;
}

int volume_create(struct volume *volume, const struct volume_cred *cred, struct node *parent,
		  const char *name, mode_t mode, int flags, struct volume_entry *ret)
{
	const struct new_file file = {
		.cred = cred, .parent = parent, .name = name, .mode = mode, .flags = flags};
	int rc;

	do /* stale: the file went before it could be opened */
		rc = try_create(volume, &file, ret);
	while (rc == -ESTALE);
	return rc;
}

/* Take back a file that was created but could not be committed. */
static void abandon(struct volume *volume, struct node *node)
{
	names_lock_write(volume);
	node_lock(volume, node);
	if (node_is_linked(node) && !atomic_load(&node->logged)) {
		struct key key;
		if (!key_of_node(node, &key))
			journal_drop(volume, false, key_bytes(&key));
		key_release(&key);
		volume_detach(volume, node);
	}
	node_unlock(volume, node);
	names_unlock(volume);
}

/* Create, commit, and not leave it open. */
static int create_closed(struct volume *volume, const struct new_file *file,
			 struct volume_entry *ret)
{
	int rc = try_create(volume, file, ret);

	if (rc < 0)
		return rc;
	rc = volume_commit(volume, ret->node);
	if (rc < 0)
		abandon(volume, ret->node);
	volume_release(volume, ret->node);
	if (rc < 0)
		volume_forget(volume, ret->node, 1);
	return rc;
}

int volume_mknod(struct volume *volume, const struct volume_cred *cred, struct node *parent,
		 const char *name, mode_t mode, struct volume_entry *ret)
{
	if (!S_ISREG(mode) && mode & S_IFMT)
		return volume->options.read_only ? -EROFS : -EPERM;
	const struct new_file file = {
		.cred = cred, .parent = parent, .name = name, .mode = mode, .flags = O_EXCL};
	return create_closed(volume, &file, ret);
}

int volume_symlink(struct volume *volume, const struct volume_cred *cred, struct node *parent,
		   const char *name, const char *target, struct volume_entry *ret)
{
	if (!*target)
		return -ENOENT;
	if (strlen(target) >= PATH_MAX)
		return -ENAMETOOLONG;
	/* a mode that is not kept: that of a link means nothing */
	const struct new_file file = {.cred = cred,
				      .parent = parent,
				      .name = name,
				      .mode = 0666 & ~volume->options.umask,
				      .flags = O_EXCL,
				      .target = target};
	return create_closed(volume, &file, ret);
}

/* The marker of a new directory, and its attributes before it. */
static int put_marker(struct volume *volume, struct node *dir)
{
	struct key key;
	int rc = key_of_node(dir, &key);

	if (!rc && (dir->attrs || attrstore_store(volume->attrs)))
		rc = journal_write(volume, true, key_bytes(&key), dir->attrs);
	if (!rc) {
		rc = dw_put(volume->store, key_bytes(&key), (struct dw_bytes){"", 0});
		if (rc < 0 && dir->attrs)
			journal_drop(volume, true, key_bytes(&key));
	}
	key_release(&key);
	return rc;
}

static int mkdir_locked(struct volume *volume, const struct new_file *file,
			struct volume_entry *ret)
{
	struct name component;
	struct node *node = NULL;
	int rc = volume_find(volume, file->parent, file->name, &node);

	if (rc != -ENOENT) {
		volume_unref(volume, node, 1);
		return rc ? rc : -EEXIST;
	}
	if (volume->options.flat && !volume->options.read_only)
		return -EPERM;
	rc = volume_new_component(volume, file->parent, file->name, true, &component);
	if (!rc)
		rc = link_new(volume, file, &component, &node);
	if (rc)
		return rc;
	rc = put_marker(volume, node);
	if (rc < 0) {
		volume_take_name(volume, node);
		volume_unref(volume, node, 1);
	} else {
		volume_fill_entry(volume, node, ret);
	}
	return rc;
}

int volume_mkdir(struct volume *volume, const struct volume_cred *cred, struct node *parent,
		 const char *name, mode_t mode, struct volume_entry *ret)
{
	const struct new_file file = {
		.cred = cred, .parent = parent, .name = name, .mode = mode, .is_dir = true};

	names_lock_write(volume);
	int rc = mkdir_locked(volume, &file, ret);
	names_unlock(volume);
	return rc;
}
