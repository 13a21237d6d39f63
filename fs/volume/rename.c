/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * rename.c - giving a file or a directory another name.
 *
 * A key cannot be renamed: its value is put under the new key, then the old key
 * gets its tombstone.  For a file both go into one append; for a directory see
 * fs/volume/rename_dir.c.
 */
#include <errno.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>

#include "fs/volume/change.h"
#include "fs/volume/commit.h"
#include "fs/volume/detach.h"
#include "fs/volume/dirty.h"
#include "fs/volume/exchange.h"
#include "fs/volume/journal.h"
#include "fs/volume/keys.h"
#include "fs/volume/listing.h"
#include "fs/volume/lookup.h"
#include "fs/volume/names.h"
#include "fs/volume/rename_dir.h"
#include "fs/volume/shown.h"
#include "fs/volume/stat.h"
#include "fs/volume/xattrmem.h"

/* One rename.  `names` is held for writing throughout. */
struct renaming {
	struct volume *volume;
	struct node *node, *parent; /* the node that moves, and its old parent */
	struct node *target;        /* the node that has the name already; NULL: none */
	struct node *new_parent;
	struct name new_name;
	struct name component; /* unless there is a target */
};

/* The locks of two nodes may be one. */
static void lock_both(struct renaming *r)
{
	pthread_mutex_t *a = volume_node_lock(r->volume, r->node), *b = a;

	if (r->target)
		b = volume_node_lock(r->volume, r->target);
	(void)pthread_mutex_lock(a < b ? a : b);
	if (a != b)
		(void)pthread_mutex_lock(a < b ? b : a);
}

static void unlock_both(struct renaming *r)
{
	pthread_mutex_t *a = volume_node_lock(r->volume, r->node), *b = a;

	if (r->target)
		b = volume_node_lock(r->volume, r->target);
	(void)pthread_mutex_unlock(a);
	if (a != b)
		(void)pthread_mutex_unlock(b);
}

static struct dw_bytes new_component(const struct renaming *r)
{
	return r->target ? node_component(r->target)
			 : (struct dw_bytes){r->component.text, r->component.size};
}

static int new_key(struct renaming *r, struct key *ret)
{
	return key_of_child(r->new_parent, new_component(r), node_is_dir(r->node), ret);
}

/* A process that lists the directory and renames each file it finds sees each file once. */
static void tell_listings(const struct renaming *r)
{
	const struct listing_rename rename = {
		.dir = r->parent,
		.is_dir = node_is_dir(r->node),
		.from = node_component(r->node),
		.to = &r->new_name,
		.to_component = new_component(r),
	};

	if (r->parent == r->new_parent)
		listing_renamed(r->volume, &rename);
}

/* Put the node where the target was, or to its new name. */
static int move_in_tree(struct renaming *r)
{
	const struct dw_bytes component = new_component(r); /* the caller counts on the target */

	tell_listings(r);
	if (r->target && node_is_dir(r->target)) {
		volume_keep_nameless_xattrs(r->volume, r->target);
		volume_take_name(r->volume, r->target);
	} else if (r->target) {
		volume_detach(r->volume, r->target);
	}
	int rc = tree_move(&r->volume->tree, r->node, r->new_parent, &r->new_name, &component);
	if (rc < 0)
		return rc;
	volume_touch_dir(r->volume, r->parent);
	volume_touch_dir(r->volume, r->new_parent);
	volume_unref(r->volume, r->parent, 1); /* the node's reference */
	return 0;
}

/* --- files --- */

/* The new value and the old tombstone, in one append; attributes before and behind. */
static int append_move(struct renaming *r, const struct dw_op *put)
{
	struct change change = {.count = 1, .ops = {*put}, .keys = {{.data = NULL}}};
	struct key old;
	int rc = key_of_node(r->node, &old);

	change.keys[0].data = change.keys[0].small; /* the key is the caller's */
	if (!rc)
		rc = change_remove(&change, r->volume, r->node, r->new_parent == r->parent);
	if (!rc)
		rc = journal_before_move(r->volume, r->node, r->target, put->key);
	if (!rc) {
		rc = change_append(&change, r->volume);
		if (rc < 0)
			journal_undo_move(r->volume, r->node, r->target, put->key);
		else
			journal_after_move(r->volume, r->node, key_bytes(&old), put->key);
	}
	change_release(&change);
	key_release(&old);
	return rc;
}

static int rename_file(struct renaming *r)
{
	struct dw_value owned = {.data = NULL};
	struct dw_op put = {.type = DW_PUT, .mtime_set = true};
	struct key key;
	int rc = volume_current_value(r->volume, r->node, &owned, &put.value);

	if (rc < 0)
		return rc;
	rc = new_key(r, &key);
	put.key = key_bytes(&key);
	put.mtime_ns = volume_current_mtime(r->volume, r->node);
	if (!rc && r->target)
		rc = volume_preserve(r->volume, r->target);
	if (!rc && !put.value.size && r->target && volume_is_marker_name(r->volume, r->target))
		rc = -EINVAL;
	if (!rc)
		rc = append_move(r, &put);
	key_release(&key);
	free(owned.data);
	if (rc < 0)
		return rc;
	if (r->node->cached)
		volume_mark_clean(r->volume, r->node->cached);
	atomic_store(&r->node->logged, true);
	atomic_store(&r->node->mtime_ns, put.mtime_ns);
	rc = move_in_tree(r);
	volume_drop_cached(r->volume, r->node);
	return rc;
}

/* --- directories --- */

static bool is_below(const struct node *node, const struct node *top)
{
	for (; node; node = node->key->parent)
		if (node == top)
			return true;
	return false;
}

/* The directory that it leaves must stay, even if nothing else keeps it. */
static int mark_parent(struct renaming *r)
{
	struct change change = {.count = 0};
	int last = r->parent == r->new_parent ? 0 : keys_is_last(r->volume, r->parent, r->node);

	if (last <= 0)
		return last;
	int rc = change_add(&change, DW_PUT, r->parent);
	if (!rc)
		rc = change_append(&change, r->volume);
	change_release(&change);
	return rc;
}

static int rename_dir(struct renaming *r)
{
	struct key prefix = {.data = prefix.small};
	int empty = 1, rc = 0;

	if (is_below(r->new_parent, r->node))
		return -EINVAL;
	if (r->target)
		empty = keys_is_empty(r->volume, r->target);
	if (empty <= 0)
		return empty ? empty : -ENOTEMPTY;
	rc = mark_parent(r);
	if (!rc)
		rc = new_key(r, &prefix);
	if (!rc)
		rc = rename_dir_keys(r->volume, r->node, r->target, key_bytes(&prefix));
	key_release(&prefix);
	if (!rc)
		rc = move_in_tree(r);
	if (!rc) {
		tree_update_inos(&r->volume->tree, r->node);
		rename_dir_done(r->volume, r->node);
	}
	return rc;
}

void volume_visit_below(struct volume *volume, struct node *parent, const char *name,
			volume_node_fn *visit, void *context)
{
	struct node *top = tree_find(&volume->tree, parent, name, strlen(name)), **nodes = NULL;
	size_t count = 0;

	if (top && !tree_below(&volume->tree, top, &nodes, &count))
		for (size_t i = 0; i < count; i++) {
			visit(context, nodes[i]);
			volume_unref(volume, nodes[i], 1);
		}
	free(nodes);
	volume_unref(volume, top, 1);
}

/* --- */

/* Records of both are written, under each other's key. */
static int need_xattrs(struct renaming *r)
{
	int rc = volume_need_xattrs(r->volume, r->node);

	return rc || !r->target ? rc : volume_need_xattrs(r->volume, r->target);
}

/* Of what gets a name that nothing has. */
static int check_new_name(struct renaming *r)
{
	bool is_dir = node_is_dir(r->node);
	int rc = volume_new_component(r->volume, r->new_parent, r->new_name.text, is_dir,
				      &r->component);

	return rc || is_dir ? rc : volume_check_key(r->volume, r->new_parent, &r->component);
}

static int rename_found(struct renaming *r, unsigned flags)
{
	if (r->target && flags & RENAME_NOREPLACE)
		return -EEXIST;
	if (flags & RENAME_EXCHANGE && !r->target)
		return -ENOENT;
	if (r->target == r->node)
		return 0;
	if (flags & RENAME_EXCHANGE) {
		/* no order of records keeps directories from mixing */
		if (node_is_dir(r->node) || node_is_dir(r->target))
			return -EINVAL;
		int rc = need_xattrs(r);
		return rc ? rc : volume_exchange(r->volume, r->node, r->target);
	}
	if (r->target && node_is_dir(r->node) != node_is_dir(r->target))
		return node_is_dir(r->target) ? -EISDIR : -ENOTDIR;
	int rc = r->target ? 0 : check_new_name(r);
	if (!rc)
		rc = need_xattrs(r);
	if (rc < 0)
		return rc;
	shown_remember(r->volume, r->parent, node_component(r->node));
	return node_is_dir(r->node) ? rename_dir(r) : rename_file(r);
}

/* Both nodes, counted. */
static int find_both(struct renaming *r, const char *name, const char *new_name)
{
	if (strlen(new_name) > NAME_SIZE_MAX)
		return -ENAMETOOLONG;
	r->new_name.size = strlen(new_name);
	memcpy(r->new_name.text, new_name, r->new_name.size + 1);
	int rc = volume_find(r->volume, r->parent, name, &r->node);
	if (rc < 0)
		return rc;
	rc = volume_find(r->volume, r->new_parent, new_name, &r->target);
	return rc == -ENOENT && node_is_linked(r->new_parent) ? 0 : rc;
}

int volume_rename(struct volume *volume, struct node *parent, const char *name,
		  struct node *new_parent, const char *new_name, unsigned flags)
{
	struct renaming r = {.volume = volume, .parent = parent, .new_parent = new_parent};

	if (volume->options.read_only)
		return -EROFS;
	if (flags && flags != RENAME_NOREPLACE && flags != RENAME_EXCHANGE)
		return -EINVAL;
	if (!node_is_dir(parent) || !node_is_dir(new_parent))
		return -ENOTDIR;
	names_lock_write(volume);
	int rc = find_both(&r, name, new_name);
	if (!rc) {
		lock_both(&r);
		rc = rename_found(&r, flags);
		volume_let_xattrs_go(r.node);
		if (r.target)
			volume_let_xattrs_go(r.target);
		unlock_both(&r);
	}
	volume_unref(volume, r.target, 1);
	volume_unref(volume, r.node, 1);
	names_unlock(volume);
	return rc;
}
