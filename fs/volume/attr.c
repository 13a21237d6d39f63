/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * attr.c - telling and setting attributes.
 *
 * The kernel checks permissions (default_permissions).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/clock.h"
#include "fs/volume/commit.h"
#include "fs/volume/dirty.h"
#include "fs/volume/evict.h"
#include "fs/volume/journal.h"
#include "fs/volume/stat.h"
#include "fs/volume/xattrmem.h"

/* --- telling --- */

int volume_getattr(struct volume *volume, struct node *node, struct stat *ret)
{
	file_lock(volume, node);
	int rc = node->lost ? -ESTALE : 0; /* the caller looks the name up again */
	if (!rc)
		volume_fill_stat(volume, node, ret);
	file_unlock(volume, node);
	return rc;
}

/* --- setting --- */

static int64_t requested_ns(struct timespec t, bool now)
{
	return now ? clock_realtime_ns() : attr_ns(t);
}

static void apply(struct attrs *attrs, const struct stat *st, unsigned which, bool is_dir)
{
	if (which & (ATTR_UID | ATTR_GID) && !is_dir)
		attr_kill_privileges(attrs);
	if (which & ATTR_MODE)
		attrs->mode = st->st_mode & 07777;
	if (which & ATTR_UID)
		attrs->uid = st->st_uid;
	if (which & ATTR_GID)
		attrs->gid = st->st_gid;
	if (which & ATTR_MTIME)
		attrs->mtime_ns = requested_ns(st->st_mtim, which & ATTR_MTIME_NOW);
	if (which & ATTR_ATIME)
		attrs->atime_ns = requested_ns(st->st_atim, which & ATTR_ATIME_NOW);
	attrs->ctime_ns = clock_realtime_ns();
	attrs->set |=
		(which & (ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_MTIME | ATTR_ATIME)) | ATTR_CTIME;
}

/* Which value the times are for: the one in the log, or the one that is to come. */
static int bind_times(struct volume *volume, struct node *node, bool dirty)
{
	struct attrs *attrs = node->attrs;
	struct key key;

	attrs->txid = 0;
	if (node_is_dir(node) || dirty || !atomic_load(&node->logged))
		return 0;
	int rc = key_of_node(node, &key);
	if (!rc)
		rc = dw_txid(volume->store, key_bytes(&key), &attrs->txid);
	key_release(&key);
	return rc;
}

/* Change attributes and keep them; `dirty`: there is a value yet to be written. */
static int set_attrs(struct volume *volume, struct node *node, const struct stat *st,
		     unsigned which, bool dirty)
{
	struct attrs *attrs = node->attrs;
	int64_t mtime_ns = atomic_load(&node->mtime_ns);
	int rc = 0;

	journal_check_times(volume, node);
	const struct attrs old = *attrs;
	apply(attrs, st, which, node_is_dir(node));
	/* bytes not yet in the log take the time with them, for other readers of the log */
	if (which & ATTR_MTIME && dirty)
		atomic_store(&node->mtime_ns, attrs->mtime_ns);
	if (which & (ATTR_MTIME | ATTR_ATIME))
		rc = bind_times(volume, node, dirty);
	if (dirty)
		attrs->times_unsaved = true;
	/* times alone can wait for the value that they are for */
	if (!rc && !(dirty && !(which & (ATTR_MODE | ATTR_UID | ATTR_GID))))
		rc = journal_node(volume, node);
	if (rc < 0) {
		*attrs = old;
		atomic_store(&node->mtime_ns, mtime_ns);
	}
	return rc;
}

static bool is_dirty(const struct node *node)
{
	return !node_is_dir(node) && node->cached && node->cached->dirty;
}

/* Attributes of its own for a node, to be changed. */
static int get_attrs(struct volume *volume, struct node *node)
{
	int rc = attrstore_usable(volume->attrs);

	if (!rc && !volume_own_attrs(node))
		rc = -ENOMEM;
	return rc;
}

static int setattr_locked(struct volume *volume, struct node *node, const struct stat *st,
			  unsigned which, bool open)
{
	int rc = 0;

	if (which & ATTR_SIZE) {
		if (node_is_dir(node))
			return -EISDIR;
		/* without an open file no close will follow that could commit it */
		rc = open ? volume_resize_locked(volume, node, (uint64_t)st->st_size)
			  : volume_truncate_locked(volume, node, (uint64_t)st->st_size);
	}
	if (rc || !(which & ~(unsigned)ATTR_SIZE))
		return rc;
	rc = get_attrs(volume, node);
	if (!rc)
		rc = volume_need_xattrs(volume, node);
	return rc ? rc : set_attrs(volume, node, st, which, is_dirty(node));
}

/* A value that is cut or grows is in memory for that. */
static int lock_for_size(struct volume *volume, struct node *node, const struct stat *st,
			 unsigned which, size_t *taken_ret)
{
	if (which & ATTR_SIZE && st->st_size && !node_is_dir(node))
		return file_lock_for(volume, node, (uint64_t)st->st_size, taken_ret);
	*taken_ret = 0;
	file_lock(volume, node);
	return 0;
}

int volume_setattr(struct volume *volume, struct node *node, const struct stat *st, unsigned which,
		   bool open, struct stat *ret)
{
	if (volume->options.read_only)
		return -EROFS;
	if (which & ATTR_SIZE && (st->st_size < 0 || (uint64_t)st->st_size > DW_VALUE_SIZE_MAX))
		return st->st_size < 0 ? -EINVAL : -EFBIG;
	size_t taken = 0;
	int rc = lock_for_size(volume, node, st, which, &taken);
	if (rc < 0)
		return rc;
	rc = node->lost ? -ESTALE : setattr_locked(volume, node, st, which, open);
	volume_let_xattrs_go(node);
	if (!node_is_dir(node))
		volume_drop_cached(volume, node);
	if (!rc)
		volume_fill_stat(volume, node, ret);
	file_unlock_for(volume, node, taken);
	return rc;
}

int volume_compact_attrs(struct volume *volume)
{
	return attrstore_compact(volume->attrs);
}

void volume_cancel(struct volume *volume)
{
	struct dw_store *attrs = attrstore_store(volume->attrs);

	dw_compact_cancel(volume->store);
	dw_verify_cancel(volume->store);
	if (attrs)
		dw_compact_cancel(attrs);
}

int volume_maintain(struct volume *volume, const struct dw_maintain_options *options)
{
	int rc = dw_maintain(volume->store, options);

	if (!rc)
		rc = attrstore_maintain(volume->attrs, options);
	if (rc < 0)
		(void)dw_maintain(volume->store, NULL); /* cannot fail */
	return rc;
}
