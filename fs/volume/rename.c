/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * rename.c - giving a file or a directory another name.
 *
 * A key cannot be renamed: its value is put under the new key, then the old key
 * gets its tombstone.  For a file both go into one append.  For a directory first
 * all values below it are put, then all tombstones written: whatever moment a
 * crash picks, each key is there under the old name, the new one, or both.
 */
#include <errno.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "fs/tree/below.h"
#include "fs/volume/change.h"
#include "fs/volume/commit.h"
#include "fs/volume/detach.h"
#include "fs/volume/dirty.h"
#include "fs/volume/exchange.h"
#include "fs/volume/journal.h"
#include "fs/volume/names.h"
#include "fs/volume/stat.h"
#include "fs/volume/xattrmem.h"

/* What a rename is about.  `names` is held for writing throughout. */
struct renaming {
	struct volume *volume;
	struct node *node, *parent; /* what moves, and from where */
	struct node *target;        /* what has the name already; NULL: nothing */
	struct node *new_parent;
	const char *new_name;
	struct name component; /* unless there is a target */
	bool beside;
	bool pending; /* records of attributes whose keys are gone were there before */
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

static int new_key(struct renaming *r, struct key *ret)
{
	const struct dw_bytes component = {r->component.text, r->component.size};

	if (r->target)
		return key_of_node(r->target, ret);
	return key_of_child(r->new_parent, component, node_is_dir(r->node), ret);
}

/* Put the node where the target was; else it keeps its place in the directory, so that whoever
 * lists that and renames what he finds finds each file once; or goes behind all others of
 * another one. */
static int move_in_tree(struct renaming *r)
{
	struct tree *tree = &r->volume->tree;
	struct node *target = r->target;
	struct name name;
	int rc;

	if (!target) {
		const struct dw_bytes component = {r->component.text, r->component.size};
		rc = tree_move(tree, r->node, r->new_parent, r->new_name, strlen(r->new_name),
			       &component, r->parent == r->new_parent ? r->node->cookie : 0);
	} else {
		struct dw_bytes component = node_component(target);
		uint64_t cookie = target->cookie;
		memcpy(name.text, target->key->name, target->name_size);
		name.size = target->name_size;
		r->beside = target->flags & NODE_BESIDE;
		node_ref(target); /* its component is read below */
		if (node_is_dir(target)) {
			volume_keep_nameless_xattrs(r->volume, target);
			tree_unlink(tree, target);
		} else
			volume_detach(r->volume, target);
		rc = tree_move(tree, r->node, r->new_parent, name.text, name.size, &component,
			       cookie);
		node_unref(target, 1);
	}
	if (!rc) {
		r->node->flags &= (uint8_t)~NODE_BESIDE;
		r->node->flags |= r->beside ? NODE_BESIDE : 0;
		volume_touch_dir(r->volume, r->parent);
		volume_touch_dir(r->volume, r->new_parent);
	}
	return rc;
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
		rc = change_remove(&change, r->node, r->new_parent == r->parent);
	if (!rc)
		rc = journal_before_move(r->volume, r->node, r->target, put->key);
	if (!rc) {
		rc = change_append(&change, r->volume, r->parent);
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
	node_set_logged(r->node, true);
	atomic_store(&r->node->mtime_ns, put.mtime_ns);
	rc = move_in_tree(r);
	volume_drop_cached(r->volume, r->node);
	return rc;
}

/* --- directories --- */

/* A number is a hash of the whole key, so everything below has a new one; else what is made
 * under the old names would have the numbers of what was moved. */
static void update_inos(struct tree *tree, struct node *top)
{
	for (struct node *node = below_next(top, top); node; node = below_next(top, node))
		tree_update_ino(tree, node);
}

void volume_visit_below(struct volume *volume, struct node *parent, const char *name,
			volume_node_fn *visit, void *context)
{
	names_lock_read(volume);
	struct node *top = tree_find(&volume->tree, parent, name, strlen(name));
	for (struct node *node = top ? below_next(top, top) : NULL; node;
	     node = below_next(top, node))
		if (atomic_load(&node->refs) > 1) /* the tree's is one */
			visit(context, node);
	names_unlock(volume);
}

static bool is_logged(const struct node *node)
{
	return node_is_dir(node) ? node->flags & NODE_MARKER : atomic_load(&node->logged);
}

/* The value under its new name. */
static int copy_value(struct renaming *r, const struct below *below)
{
	struct dw_value value;
	int rc = dw_get(r->volume->store, below_key(below), &value);

	if (rc < 0)
		return rc;
	const struct dw_op op = {
		.type = DW_PUT,
		.key = below_moved(below),
		.value = {value.data, value.size},
		.mtime_set = true,
		.mtime_ns = volume_current_mtime(r->volume, below->node),
	};
	rc = dw_batch(r->volume->store, &op, 1);
	free(value.data);
	return rc;
}

/* The attributes of a file, under its new key; times that wait for a value go on waiting. */
static void keep_moved(struct volume *volume, struct node *node, struct dw_bytes moved)
{
	struct attrs *attrs = node->attrs;
	unsigned waiting = attrs && attrs->times_unsaved ? attrs->set & ATTR_TIMES : 0;

	journal_moved(volume, node, moved);
	if (!waiting)
		return;
	attrs->set |= waiting;
	attrs->txid = 0;
	attrs->times_unsaved = true;
}

/* The attributes of a directory go last: as long as a key is left below it, it shows. */
enum step {
	STEP_COPY,        /* values and attributes to the new names */
	STEP_REMOVE,      /* the old names, and attributes of files */
	STEP_FORGET,      /* attributes of directories */
	STEP_UNDO,        /* instead: the copies */
	STEP_UNDO_FORGET, /* and attributes of directories */
};

/* One step of the way of one key: attributes come before what they are for, and go
 * behind it. */
static int move_key(struct renaming *r, const struct below *below, enum step step)
{
	struct volume *volume = r->volume;
	struct node *node = below->node;
	struct dw_bytes old = below_key(below), moved = below_moved(below);
	/* taking back must leave the marker of the directory that was to be replaced */
	struct node *target = node == r->node ? r->target : NULL;
	bool is_dir = node_is_dir(node), logged = is_logged(node);
	int rc = 0;

	switch (step) {
	case STEP_COPY:
		rc = journal_before_move(volume, node, target, moved);
		if (!rc && logged)
			rc = copy_value(r, below);
		break;
	case STEP_REMOVE:
		if (!is_dir)
			atomic_store(&node->mtime_ns, volume_current_mtime(volume, node));
		/* the times while the old name has them still */
		if (!is_dir)
			keep_moved(volume, node, moved);
		if (logged)
			rc = dw_delete(volume->store, old);
		if (!is_dir && !rc)
			journal_drop(volume, false, old);
		break;
	case STEP_FORGET:
		if (is_dir)
			journal_after_move(volume, node, old, moved);
		break;
	case STEP_UNDO:
		if (logged && !target)
			rc = dw_delete(volume->store, moved);
		if (!is_dir)
			journal_undo_move(volume, node, NULL, moved);
		break;
	case STEP_UNDO_FORGET:
		if (is_dir)
			journal_undo_move(volume, node, target, moved);
		break;
	}
	return rc;
}

/* Directories that are there for what is below them only, and have no attributes, are nowhere;
 * unless a record of one that was removed still waits to go. */
static bool is_nowhere(const struct renaming *r, const struct node *node)
{
	return node_is_dir(node) && !is_logged(node) && attrs_is_empty(node->attrs) &&
	       node != r->node && !r->pending;
}

/* Whether a step does anything for a node.  The old record of a file may be gone when those of
 * directories go, so nothing is read from it by then. */
static bool is_part_of(const struct renaming *r, enum step step, const struct node *node)
{
	bool directories = step == STEP_FORGET || step == STEP_UNDO_FORGET;

	return !is_nowhere(r, node) && (node_is_dir(node) || !directories);
}

/* Do it for every key below, the directory's own marker included, up to `*end` (NULL:
 * all), which becomes the last one that it was done for. */
static int move_keys(struct renaming *r, const struct key *prefix, enum step step,
		     const struct node **end)
{
	const struct node *last = *end;
	struct below below;
	int rc = below_init(&below, r->node, key_bytes(prefix));

	for (; below.node && !rc; below_go_on(&below)) {
		bool part = is_part_of(r, step, below.node);
		if (part)
			rc = volume_need_xattrs(r->volume, below.node);
		if (!rc && part)
			rc = move_key(r, &below, step);
		volume_let_xattrs_go(below.node);
		*end = below.node;
		if (below.node == last)
			break;
	}
	below_release(&below);
	return rc;
}

/* Take back what was copied up to `end`; the old names were never touched. */
static void undo_copies(struct renaming *r, const struct key *prefix, const struct node *end)
{
	const struct node *last = end;

	if (move_keys(r, prefix, STEP_UNDO, &last) < 0) {
		volume_log(r->volume, LOG_ERR,
			   "a directory could not be renamed, and copies of some of its files "
			   "will show under the new name at the next mount");
		return;
	}
	(void)move_keys(r, prefix, STEP_UNDO_FORGET, &end); /* what fails is logged */
}

static int check_sizes(struct renaming *r, const struct key *prefix)
{
	struct below below;
	int rc = below_init(&below, r->node, key_bytes(prefix));

	for (; below.node && !rc; below_go_on(&below))
		if (below.moved_size > DW_KEY_SIZE_MAX)
			rc = -ENAMETOOLONG;
	below_release(&below);
	return rc;
}

/* The keys in the log, from the old prefix to the new one. */
static int move_prefix(struct renaming *r, const struct key *prefix)
{
	const struct node *reached = NULL;
	int rc = check_sizes(r, prefix);

	if (rc < 0)
		return rc;
	r->pending = attrstore_pending(r->volume->attrs) > 0;
	rc = move_keys(r, prefix, STEP_COPY, &reached);
	if (rc < 0) {
		undo_copies(r, prefix, reached);
		return rc;
	}
	reached = NULL;
	rc = move_keys(r, prefix, STEP_REMOVE, &reached);
	if (!rc) {
		reached = NULL;
		rc = move_keys(r, prefix, STEP_FORGET, &reached);
	}
	if (rc < 0)
		volume_log(r->volume, LOG_ERR,
			   "a directory was renamed, but some of its old names could not be "
			   "removed (%s) and will show again at the next mount",
			   strerror(-rc));
	return 0;
}

static bool is_below(const struct node *node, const struct node *top)
{
	for (; node; node = node->key->parent)
		if (node == top)
			return true;
	return false;
}

/* The marker of an empty directory that was replaced is the node's from now on; unless
 * the key is that of a file below it, whose value is not empty. */
static void adopt_marker(struct renaming *r, const struct key *prefix)
{
	struct dw_stat stat;

	if (!dw_stat(r->volume->store, key_bytes(prefix), &stat) && !stat.size)
		r->node->flags |= NODE_MARKER;
}

static int rename_dir(struct renaming *r)
{
	struct change change = {.count = 0};
	struct key prefix;
	int rc = 0;

	if (is_below(r->new_parent, r->node))
		return -EINVAL;
	if (r->target && node_child_count(r->target))
		return -ENOTEMPTY;
	/* the directory that it leaves must stay, even if nothing else keeps it */
	bool last = !(r->parent->flags & NODE_MARKER) && node_logged_count(r->parent) == 1;
	if (last && r->parent != r->new_parent) {
		change.marks = true;
		rc = change_add(&change, DW_PUT, r->parent);
		if (!rc)
			rc = change_append(&change, r->volume, r->parent);
		change_release(&change);
		if (rc < 0)
			return rc;
	}
	rc = new_key(r, &prefix);
	if (!rc)
		rc = move_prefix(r, &prefix);
	if (!rc)
		adopt_marker(r, &prefix);
	key_release(&prefix);
	if (!rc)
		rc = move_in_tree(r);
	if (!rc) {
		update_inos(&r->volume->tree, r->node);
		volume_update_conflict(r->volume, r->node);
	}
	return rc;
}

/* --- */

/* Records of both are written, under each other's key. */
static int need_xattrs(struct renaming *r)
{
	int rc = volume_need_xattrs(r->volume, r->node);

	return rc || !r->target ? rc : volume_need_xattrs(r->volume, r->target);
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
	if (!r->target) {
		bool is_dir = node_is_dir(r->node);
		int rc = volume_new_component(r->volume, r->new_parent, r->new_name, is_dir,
					      &r->component, &r->beside);
		if (rc < 0)
			return rc;
		if (!is_dir && volume_key_is_taken(r->volume, r->new_parent, &r->component))
			return -EEXIST;
	}
	int rc = need_xattrs(r);
	if (rc < 0)
		return rc;
	return node_is_dir(r->node) ? rename_dir(r) : rename_file(r);
}

int volume_rename(struct volume *volume, struct node *parent, const char *name,
		  struct node *new_parent, const char *new_name, unsigned flags)
{
	struct renaming r = {
		.volume = volume, .parent = parent, .new_parent = new_parent, .new_name = new_name};
	int rc = -ENOENT;

	if (volume->options.read_only)
		return -EROFS;
	if (flags && flags != RENAME_NOREPLACE && flags != RENAME_EXCHANGE)
		return -EINVAL;
	if (!node_is_dir(parent) || !node_is_dir(new_parent))
		return -ENOTDIR;
	names_lock_write(volume);
	r.node = tree_find(&volume->tree, parent, name, strlen(name));
	r.target = tree_find(&volume->tree, new_parent, new_name, strlen(new_name));
	if (r.node) {
		struct node *target = r.target;
		if (target)
			node_ref(target); /* its lock is let go after it left the tree */
		lock_both(&r);
		rc = rename_found(&r, flags);
		volume_let_xattrs_go(r.node);
		if (target)
			volume_let_xattrs_go(target);
		unlock_both(&r);
		if (target)
			volume_unref(volume, target, 1);
	}
	names_unlock(volume);
	return rc;
}
