/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * rename_dir.c - see rename_dir.h.
 *
 * First all values below are put under their new keys, then the old keys get their tombstones:
 * whatever moment a crash picks, each key is there under the old name, the new one, or both.  A
 * cursor walks over the keys, so no node is made for them and any number of them may be there.
 *
 * The attributes of a file come before its value and go after it.  Those of a directory come
 * first of all and go last: as long as a key is left below it, it shows.
 */
#include "fs/volume/rename_dir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "fs/volume/commit.h"
#include "fs/volume/dirty.h"
#include "fs/volume/journal.h"
#include "fs/volume/keys.h"
#include "fs/volume/recorded.h"
#include "fs/volume/stat.h"

struct moving {
	struct volume *volume;
	struct node *dir, *target;
	struct key old;      /* of the directory */
	struct dw_bytes new; /* likewise */
	char *moved;         /* the new key of one key; owned */
};

/* The key that `key` becomes, as long as nothing else is asked. */
static struct dw_bytes moved_key(struct moving *m, struct dw_bytes key)
{
	const size_t rest = key.size - m->old.size;

	memcpy(m->moved, m->new.data, m->new.size);
	memcpy(m->moved + m->new.size, (const char *)key.data + m->old.size, rest);
	return (struct dw_bytes){m->moved, m->new.size + rest};
}

/* --- walking --- */

typedef int key_fn(struct moving *m, struct dw_bytes key, const struct dw_stat *stat);

/* Call `each` for every key below a prefix. */
static int for_keys(struct moving *m, struct dw_bytes prefix, key_fn *each)
{
	struct dw_cursor *cursor = NULL;
	struct dw_item item;
	int rc = dw_cursor_open(m->volume->store, prefix, &cursor);

	while (!rc && (rc = dw_cursor_next(cursor, &item)) > 0)
		rc = each(m, item.key, &item.stat);
	dw_cursor_close(cursor);
	return rc;
}

/* Call `each` for every directory at or below a prefix that attributes are recorded of. */
static int for_recorded(struct moving *m, struct dw_bytes prefix, key_fn *each)
{
	struct dw_store *store = attrstore_store(m->volume->attrs);
	struct dw_cursor *cursor = NULL;
	struct dw_item item;
	struct key lettered;

	if (!store)
		return 0;
	int rc = key_reserve(&lettered, prefix.size + 1);
	if (!rc) {
		lettered.data[0] = 'd';
		memcpy(lettered.data + 1, prefix.data, prefix.size);
		rc = dw_cursor_open(store, key_bytes(&lettered), &cursor);
	}
	while (!rc && (rc = dw_cursor_next(cursor, &item)) > 0) {
		const char *letter = item.key.data;
		rc = each(m, (struct dw_bytes){letter + 1, item.key.size - 1}, NULL);
	}
	dw_cursor_close(cursor);
	key_release(&lettered);
	return rc;
}

/* --- one key --- */

static bool is_marker(struct dw_bytes key, const struct dw_stat *stat)
{
	return !stat->size && key.size && ((const char *)key.data)[key.size - 1] == '/';
}

/* The attributes of a file by its key, with times that count; in a node that is in no tree. */
static int read_file(struct moving *m, struct dw_bytes key, struct node *ret)
{
	bool stale;

	*ret = (struct node){.is_dir = false};
	int rc = recorded_read(m->volume, false, key, &ret->attrs, &stale);
	if (rc == -EBADMSG) /* as everywhere, it has the defaults then */
		rc = 0;
	if (!rc)
		journal_check_key_times(m->volume, ret->attrs, key);
	return rc;
}

static int put_copy(struct moving *m, struct dw_bytes key, struct dw_bytes moved, int64_t mtime_ns)
{
	struct dw_value value;
	int rc = dw_get(m->volume->store, key, &value);

	if (rc < 0)
		return rc;
	const struct dw_op op = {
		.type = DW_PUT,
		.key = moved,
		.value = {value.data, value.size},
		.mtime_set = true,
		.mtime_ns = mtime_ns,
	};
	rc = dw_batch(m->volume->store, &op, 1);
	free(value.data);
	return rc;
}

static int copy_key(struct moving *m, struct dw_bytes key, const struct dw_stat *stat)
{
	const struct dw_bytes moved = moved_key(m, key);
	struct node file;

	if (is_marker(key, stat))
		return put_copy(m, key, moved, stat->mtime_ns);
	int rc = read_file(m, key, &file);
	if (!rc)
		rc = journal_before_move(m->volume, &file, NULL, moved);
	bool dated = file.attrs && file.attrs->set & ATTR_MTIME;
	if (!rc)
		rc = put_copy(m, key, moved, dated ? file.attrs->mtime_ns : stat->mtime_ns);
	attrs_free(file.attrs);
	return rc;
}

static int remove_key(struct moving *m, struct dw_bytes key, const struct dw_stat *stat)
{
	struct node file;

	if (is_marker(key, stat))
		return dw_delete(m->volume->store, key);
	/* the times while the old name has them still */
	int rc = read_file(m, key, &file);
	if (!rc)
		journal_moved(m->volume, &file, moved_key(m, key));
	attrs_free(file.attrs);
	if (!rc)
		rc = dw_delete(m->volume->store, key);
	if (!rc)
		journal_drop(m->volume, false, key);
	return rc;
}

/* The marker of the directory that was to be replaced stays. */
static bool is_target(const struct moving *m, struct dw_bytes key)
{
	return m->target && key.size == m->new.size;
}

static int undo_key(struct moving *m, struct dw_bytes key, const struct dw_stat *stat)
{
	if (is_target(m, key) && !stat->size)
		return 0;
	int rc = dw_delete(m->volume->store, key);
	if (!rc)
		journal_drop(m->volume, false, key);
	return rc;
}

/* --- directories --- */

static int copy_directory(struct moving *m, struct dw_bytes key, const struct dw_stat *stat)
{
	struct dw_below_info below;
	struct attrs *attrs = NULL;
	bool stale;
	int rc = keys_from(m->volume, key, &below);

	(void)stat;
	if (rc || !below.keys) /* a record that waits to go */
		return rc;
	rc = recorded_read(m->volume, true, key, &attrs, &stale);
	if (rc == -EBADMSG)
		return 0;
	if (!rc)
		rc = journal_write(m->volume, true, moved_key(m, key), attrs);
	attrs_free(attrs);
	return rc;
}

/* Remove the leftovers of directories that went. */
static int clear_directory(struct moving *m, struct dw_bytes key, const struct dw_stat *stat)
{
	(void)stat;
	return journal_write(m->volume, true, key, NULL);
}

static int forget_directory(struct moving *m, struct dw_bytes key, const struct dw_stat *stat)
{
	(void)stat;
	journal_drop(m->volume, true, key);
	return 0;
}

/* Take back what was copied; the old names were never touched. */
static void undo(struct moving *m)
{
	struct volume *volume = m->volume;
	int rc = for_keys(m, m->new, undo_key);

	if (!rc)
		rc = for_recorded(m, m->new, forget_directory);
	if (!rc && m->target)
		rc = journal_write(volume, true, m->new, m->target->attrs);
	if (rc < 0)
		volume_log(volume, LOG_ERR,
			   "a directory could not be renamed, and copies of some of its files "
			   "will show under the new name");
}

/* --- all of it --- */

static int check_key(struct moving *m, struct dw_bytes key, const struct dw_stat *stat)
{
	(void)stat;
	return key.size - m->old.size + m->new.size > DW_KEY_SIZE_MAX ? -ENAMETOOLONG : 0;
}

/* Check the nodes that have a state newer than the log: their new keys must fit, and their times be
 * known as valid. */
static int prepare_nodes(struct moving *m)
{
	struct node **nodes = NULL;
	size_t count = 0;
	int rc = tree_below(&m->volume->tree, m->dir, &nodes, &count);

	for (size_t i = 0; i < count; i++) {
		struct node *node = nodes[i];
		if (rc || node_is_dir(node)) {
			/* the key of a directory is part of one in the log */
		} else if (atomic_load(&node->logged)) {
			journal_check_times(m->volume, node);
		} else if (node_key_size(node) - m->old.size + m->new.size > DW_KEY_SIZE_MAX) {
			rc = -ENAMETOOLONG;
		}
		volume_unref(m->volume, node, 1);
	}
	free(nodes);
	return rc;
}

static int move(struct moving *m)
{
	const struct dw_bytes old = key_bytes(&m->old);
	int rc = m->new.size > old.size ? for_keys(m, old, check_key) : 0;

	if (!rc)
		rc = prepare_nodes(m);
	if (rc < 0)
		return rc;
	rc = for_recorded(m, m->new, clear_directory);
	if (!rc)
		rc = for_recorded(m, old, copy_directory);
	if (!rc)
		rc = for_keys(m, old, copy_key);
	if (rc < 0) {
		undo(m);
		return rc;
	}
	rc = for_keys(m, old, remove_key);
	if (!rc)
		rc = for_recorded(m, old, forget_directory);
	if (rc < 0)
		volume_log(m->volume, LOG_ERR,
			   "a directory was renamed, but some of its old names could not be "
			   "removed (%s) and will show again",
			   strerror(-rc));
	return 0;
}

int rename_dir_keys(struct volume *volume, struct node *dir, struct node *target,
		    struct dw_bytes prefix)
{
	struct moving m = {.volume = volume,
			   .dir = dir,
			   .target = target,
			   .new = prefix,
			   .moved = malloc(DW_KEY_SIZE_MAX)};
	int rc = key_of_node(dir, &m.old);

	if (!m.moved)
		rc = -ENOMEM;
	if (!rc)
		rc = move(&m);
	key_release(&m.old);
	free(m.moved);
	return rc;
}

/* The times of a file in the log are for its new record from now on. */
static void move_times(struct volume *volume, struct node *node)
{
	struct attrs *attrs = node->attrs;
	struct key key;

	atomic_store(&node->mtime_ns, volume_current_mtime(volume, node));
	if (!attrs || attrs->times_unsaved || !(attrs->set & (ATTR_MTIME | ATTR_ATIME)))
		return;
	int rc = key_of_node(node, &key);
	if (!rc)
		rc = dw_txid(volume->store, key_bytes(&key), &attrs->txid);
	key_release(&key);
	if (rc < 0)
		attrs->set &= ~(unsigned)ATTR_TIMES; /* a damaged header: reading will tell */
}

void rename_dir_done(struct volume *volume, struct node *dir)
{
	struct node **nodes = NULL;
	size_t count = 0;

	if (tree_below(&volume->tree, dir, &nodes, &count) < 0)
		return; /* their times will be those of their values */
	for (size_t i = 0; i < count; i++) {
		if (!node_is_dir(nodes[i]) && atomic_load(&nodes[i]->logged))
			move_times(volume, nodes[i]);
		volume_unref(volume, nodes[i], 1);
	}
	free(nodes);
}
