/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * volume_keep.c - when attributes are written, so that no crash gives a value those of
 * another.
 *
 * Values and attributes stand in two logs.  Owner and mode come before the Put that they
 * are for: a file that was created private is never seen as public.  A time comes behind
 * it, for it names the txid of the value that it was set on.  Where a value replaces one
 * with other attributes, the record that comes before keeps both (fs/attrrecord.h).  And
 * a record goes after the tombstone of its key.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "fs/attrrecord.h"
#include "fs/volume_internal.h"
#include "fs/xattr.h"

/* A record to be written: the Put, or the Delete where nothing is set. */
struct kept {
	struct key key; /* with its letter */
	uint8_t *bytes; /* owned */
	struct dw_op op;
	bool needed;
};

static void kept_release(struct kept *kept)
{
	key_release(&kept->key);
	free(kept->bytes);
}

static int make_key(bool is_dir, struct dw_bytes key, struct key *ret)
{
	int rc = key_reserve(ret, key.size + 1);

	if (rc < 0)
		return rc;
	ret->data[0] = is_dir ? 'd' : 'f';
	if (key.size)
		memcpy(ret->data + 1, key.data, key.size);
	return 0;
}

static int encode(const struct attr_record *record, uint8_t **ret, size_t *size_ret)
{
	size_t size = attr_record_size(record);
	uint8_t *bytes = malloc(size);

	if (!bytes)
		return -ENOMEM;
	attr_record_encode(record, bytes);
	*ret = bytes;
	*size_ret = size;
	return 0;
}

/* What of attributes can be written now: times that wait for a value cannot. */
static struct attr_record record_of(const struct attrs *attrs, bool is_dir, bool with_times)
{
	struct attr_record record = {.since = 0};

	if (!attrs)
		return record;
	record.attrs = *attrs;
	record.xattrs = xattrs_bytes(attrs->xattrs);
	if (!with_times || (!is_dir && !attrs->txid))
		record.attrs.set &= ~(unsigned)(ATTR_MTIME | ATTR_ATIME);
	return record;
}

/* The record of `attrs` for a key; `replaced` (may be NULL) are those of the value that
 * it has while its txid is below `since` (0: there is none). */
static int kept_make(struct volume *volume, bool is_dir, struct dw_bytes key,
		     const struct attr_record *now, uint64_t since, const struct attrs *replaced,
		     struct kept *ret)
{
	struct attr_record record = *now, before = record_of(replaced, is_dir, true);
	uint8_t *older = NULL;
	size_t size = 0;

	*ret = (struct kept){.needed = false};
	int rc = make_key(is_dir, key, &ret->key);
	if (rc < 0)
		return rc;
	bool empty = !since && !record.attrs.set && !record.xattrs.size;
	ret->op = (struct dw_op){.type = DW_DELETE, .key = key_bytes(&ret->key)};
	ret->needed = !empty || attrstore_has(volume->attrs, ret->op.key);
	if (empty)
		return 0;
	if (since) {
		rc = encode(&before, &older, &size);
		record.since = since;
		record.before = (struct dw_bytes){older, size};
	}
	if (!rc)
		rc = encode(&record, &ret->bytes, &size);
	free(older);
	ret->op.type = DW_PUT;
	ret->op.value = (struct dw_bytes){ret->bytes, size};
	return rc;
}

static int keep(struct volume *volume, bool is_dir, struct dw_bytes key,
		const struct attr_record *now, uint64_t since, const struct attrs *replaced)
{
	struct kept kept;
	int rc = kept_make(volume, is_dir, key, now, since, replaced, &kept);

	if (!rc && kept.needed)
		rc = attrstore_batch(volume->attrs, &kept.op, 1);
	kept_release(&kept);
	return rc;
}

int volume_keep_as(struct volume *volume, bool is_dir, struct dw_bytes key,
		   const struct attrs *attrs)
{
	const struct attr_record record = record_of(attrs, is_dir, true);

	return keep(volume, is_dir, key, &record, 0, NULL);
}

static bool nothing_kept(struct volume *volume, const struct attrs *attrs)
{
	return attrs_is_empty(attrs) && !attrstore_store(volume->attrs);
}

int volume_keep(struct volume *volume, struct node *node)
{
	struct key key;

	if (!node_is_linked(node) || nothing_kept(volume, node->attrs))
		return 0;
	if (!node_is_dir(node) && !atomic_load(&node->logged)) {
		if (node->attrs)
			node->attrs->unsaved = true;
		return 0;
	}
	int rc = key_of_node(node, &key);
	if (!rc)
		rc = volume_keep_as(volume, node_is_dir(node), key_bytes(&key), node->attrs);
	key_release(&key);
	if (!rc && node->attrs)
		node->attrs->unsaved = false;
	return rc;
}

void volume_keep_drop(struct volume *volume, bool is_dir, struct dw_bytes key)
{
	if (!attrstore_store(volume->attrs))
		return;
	int rc = volume_keep_as(volume, is_dir, key, NULL);
	/* whoever creates the key anew tries again, and so does the next mount */
	if (rc < 0)
		volume_log(volume, LOG_WARNING,
			   "the attributes of a removed file could not be removed: %s",
			   strerror(-rc));
}

/* --- around a Put --- */

int volume_keep_before_put(struct volume *volume, struct node *node, struct dw_bytes key)
{
	struct attrs *attrs = node->attrs;

	/* without attributes something stale may be there, of the key's last life */
	if (attrs ? !attrs->unsaved : nothing_kept(volume, attrs))
		return 0;
	int rc = volume_keep_as(volume, false, key, attrs);
	if (!rc && attrs)
		attrs->unsaved = false;
	return rc;
}

int volume_keep_after_put(struct volume *volume, struct node *node, struct dw_bytes key)
{
	struct attrs *attrs = node->attrs;
	int rc = 0;

	if (!attrs)
		return 0;
	if (attrs_is_empty(attrs)) {
		volume_keep_drop(volume, false, key);
		attrs_free(attrs);
		node->attrs = NULL;
		return 0;
	}
	if (!attrs->times_unsaved)
		return 0;
	if (attrs->set & (ATTR_MTIME | ATTR_ATIME))
		rc = dw_txid(volume->store, key, &attrs->txid);
	if (!rc)
		rc = volume_keep_as(volume, false, key, attrs);
	if (!rc)
		attrs->times_unsaved = false;
	return rc;
}

/* --- around a rename --- */

int volume_keep_before_move(struct volume *volume, const struct node *node,
			    const struct node *target, struct dw_bytes new_key)
{
	bool is_dir = node_is_dir(node);
	bool replaces = target && !is_dir && atomic_load(&target->logged);
	const struct attrs *replaced = replaces ? target->attrs : NULL;
	struct attr_record record = record_of(node->attrs, is_dir, is_dir);
	struct dw_stats stats;
	uint64_t since = 0;

	if (nothing_kept(volume, node->attrs) && attrs_is_empty(replaced))
		return 0;
	/* times aside, that is what the key has */
	if (replaces && attrs_same(node->attrs, replaced) && !(replaced && replaced->unsaved))
		return 0;
	if (replaces) {
		dw_get_stats(volume->store, &stats);
		since = stats.next_txid;
	}
	return keep(volume, is_dir, new_key, &record, since, replaced);
}

void volume_keep_undo_move(struct volume *volume, const struct node *node, struct node *target,
			   struct dw_bytes new_key)
{
	bool is_dir = node_is_dir(node);
	const struct attrs *old = target ? target->attrs : NULL;

	if (nothing_kept(volume, node->attrs) && attrs_is_empty(old))
		return;
	/* a file's record keeps both, and its next value tries again */
	if (volume_keep_as(volume, is_dir, new_key, old) < 0 && old)
		target->attrs->unsaved = true;
}

/* The times of a file are for its new record from now on. */
static void move_times(struct volume *volume, struct node *node, struct dw_bytes new_key)
{
	struct attrs *attrs = node->attrs;

	attrs->txid = 0;
	attrs->unchecked = attrs->times_unsaved = false;
	if (attrs->set & (ATTR_MTIME | ATTR_ATIME) &&
	    dw_txid(volume->store, new_key, &attrs->txid) < 0)
		attrs->set &= ~(unsigned)ATTR_TIMES; /* a damaged header: reading will tell */
}

void volume_keep_after_move(struct volume *volume, struct node *node, struct dw_bytes old_key,
			    struct dw_bytes new_key)
{
	bool is_dir = node_is_dir(node);
	struct kept put, gone;
	struct dw_op ops[2];
	size_t count = 0;

	if (nothing_kept(volume, node->attrs))
		return;
	if (node->attrs && !is_dir)
		move_times(volume, node, new_key);
	const struct attr_record record = record_of(node->attrs, is_dir, true), none = {.since = 0};
	int rc = kept_make(volume, is_dir, new_key, &record, 0, NULL, &put);
	if (!rc && put.needed)
		ops[count++] = put.op;
	int rc_gone = kept_make(volume, is_dir, old_key, &none, 0, NULL, &gone);
	if (!rc_gone && gone.needed)
		ops[count++] = gone.op;
	rc = rc ? rc : rc_gone;
	if (!rc && count)
		rc = attrstore_batch(volume->attrs, ops, count);
	kept_release(&put);
	kept_release(&gone);
	if (rc < 0)
		volume_log(volume, LOG_WARNING,
			   "attributes of a renamed file could not be brought up to date: %s",
			   strerror(-rc));
	else if (node->attrs)
		node->attrs->unsaved = false;
}

/* --- times --- */

void volume_check_times(struct volume *volume, struct node *node)
{
	struct attrs *attrs = node->attrs;
	uint64_t txid = 0;
	struct key key;

	if (!attrs || !attrs->unchecked)
		return;
	attrs->unchecked = false;
	int rc = node_is_linked(node) ? key_of_node(node, &key) : -ENOENT;
	if (!rc)
		rc = dw_txid(volume->store, key_bytes(&key), &txid);
	if (node_is_linked(node))
		key_release(&key);
	if (rc < 0 || txid != attrs->txid) {
		attrs->set &= ~(unsigned)ATTR_TIMES;
		attrs->txid = 0;
	}
}
