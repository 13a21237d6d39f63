/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * journal.c - when attributes are written, so that no crash gives a value those of
 * another.
 *
 * Values and attributes stand in two logs.  Owner and mode come before the Put that they
 * are for: a file that was created private is never seen as public.  A time comes behind
 * it, for it names the txid of the value that it was set on.  Where a value replaces one
 * with other attributes, the record that comes before keeps both (fs/attr/attrrecord.h), and
 * goes on doing so until the new value is on disk: a power cut may bring the old one
 * back.  For the same reason a record outlives its key until the tombstone is on disk.
 */
#include "fs/volume/journal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "fs/attr/attrrecord.h"
#include "fs/attr/xattr.h"

enum { PENDING_MAX = 1 << 20 /* bytes */ };

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

/* A record of the attributes that can be written now: times that wait for a value cannot. */
static struct attr_record record_of(const struct attrs *attrs, bool is_dir, bool with_times)
{
	struct attr_record record = {.since = 0};

	if (!attrs)
		return record;
	assert(!attrs->outside);
	record.attrs = *attrs;
	record.xattrs = xattrs_bytes(attrs->xattrs);
	if (!with_times || (!is_dir && !attrs->txid))
		record.attrs.set &= ~(unsigned)(ATTR_MTIME | ATTR_ATIME);
	return record;
}

/* --- what was before --- */

/* Whether a value that an older record counts for may still come back. */
static bool may_come_back(struct volume *volume, const struct attr_record *record)
{
	return record->since && record->since >= atomic_load(&volume->durable_txid);
}

/* The record now stored under a key, in memory of the caller; -ENOENT also for a record that cannot
 * be read.  Another -errno: it is not known whether there is one. */
static int read_journal(struct volume *volume, struct dw_bytes key, struct attr_record *ret,
			struct dw_value *value_ret)
{
	struct dw_store *store = attrstore_store(volume->attrs);

	int rc = store ? dw_get(store, key, value_ret) : -ENOENT;

	if (rc < 0)
		return rc == -EBADMSG ? -ENOENT : rc;
	if (attr_record_decode((struct dw_bytes){value_ret->data, value_ret->size}, ret))
		return 0;
	free(value_ret->data);
	return -ENOENT;
}

static int encode_before(struct attr_record *record, const struct attr_record *before,
			 uint64_t since, uint8_t **owned_ret)
{
	struct attr_record plain = *before;
	size_t size = 0;

	plain.since = 0;
	int rc = encode(&plain, owned_ret, &size);
	record->since = since;
	record->before = (struct dw_bytes){*owned_ret, size};
	return rc;
}

/* Have a record of a file also say what counts for an older value, where one may show
 * again: `replaced`, or what is kept by now. */
static int add_before(struct volume *volume, struct dw_bytes plain_key, struct dw_bytes key,
		      const struct attr_record *replaced, struct attr_record *record,
		      uint8_t **owned_ret)
{
	struct attr_record kept;
	struct dw_value value;
	struct dw_stats stats;
	int rc = read_journal(volume, key, &kept, &value);
	bool there = !rc;
	struct dw_stat stat;

	if (rc < 0 && rc != -ENOENT)
		return rc;
	rc = there ? dw_stat(volume->store, plain_key, &stat) : 0;
	bool removed = rc == -ENOENT;

	if (!there && !replaced)
		return 0;
	if (rc < 0 && !removed) {
		free(value.data);
		return rc;
	}
	rc = 0;
	if (there && may_come_back(volume, &kept) && !replaced && !removed) {
		struct attr_record before;
		(void)attr_record_decode(kept.before, &before); /* was checked with the whole */
		rc = encode_before(record, &before, kept.since, owned_ret);
	} else if (replaced || removed) {
		/* a record has room for one before it */
		if (there && may_come_back(volume, &kept))
			rc = journal_make_durable(volume);
		dw_get_stats(volume->store, &stats);
		if (!rc)
			rc = encode_before(record, replaced ? replaced : &kept, stats.next_txid,
					   owned_ret);
	}
	if (there)
		free(value.data);
	return rc;
}

/* --- writing --- */

static bool is_kept(struct volume *volume, const struct dw_op *op)
{
	struct dw_value value;

	if (!attrstore_has(volume->attrs, op->key) ||
	    dw_get(attrstore_store(volume->attrs), op->key, &value) < 0)
		return false;
	bool same = value.size == op->value.size && !memcmp(value.data, op->value.data, value.size);
	free(value.data);
	return same;
}

/* The record of `now` for a key; `replaced` (may be NULL): of the value that the key has
 * until the next one; `alone`: nothing that was before can come back. */
static int kept_make(struct volume *volume, bool is_dir, struct dw_bytes key,
		     const struct attr_record *now, const struct attr_record *replaced, bool alone,
		     struct kept *ret)
{
	struct attr_record record = *now;
	uint8_t *older = NULL;
	size_t size = 0;

	*ret = (struct kept){.needed = false};
	int rc = make_key(is_dir, key, &ret->key);
	if (rc < 0)
		return rc;
	ret->op = (struct dw_op){.type = DW_DELETE, .key = key_bytes(&ret->key)};
	/* directories have no values */
	if (!is_dir && !alone)
		rc = add_before(volume, key, ret->op.key, replaced, &record, &older);
	bool empty = !record.since && !record.attrs.set && !record.xattrs.size;
	ret->needed = !empty || attrstore_has(volume->attrs, ret->op.key);
	if (!rc && !empty) {
		rc = encode(&record, &ret->bytes, &size);
		ret->op.type = DW_PUT;
		ret->op.value = (struct dw_bytes){ret->bytes, size};
	}
	free(older);
	/* else each value of a file without attributes would write this again */
	if (!rc && record.since && is_kept(volume, &ret->op))
		ret->needed = false;
	return rc;
}

/* A mode that keeps others out of a file keeps them out of the mount only, if they may read the
 * store.  Once for each mount, not for each file. */
static void warn_open(struct volume *volume, const struct attr_record *record)
{
	const mode_t all = S_IRGRP | S_IROTH;
	bool restricts = record->attrs.set & ATTR_MODE && (record->attrs.mode & all) != all;

	if (!restricts || atomic_load(&volume->told_open) || !dw_others_can_read(volume->store) ||
	    atomic_exchange(&volume->told_open, true))
		return;
	volume_log(volume, LOG_WARNING,
		   "modes are set in this mount, but other users may read the store's files: take "
		   "that away by 'chmod -R go= STORE'");
}

static int keep(struct volume *volume, bool is_dir, struct dw_bytes key,
		const struct attr_record *now, const struct attr_record *replaced, bool alone)
{
	struct kept kept;
	int rc = kept_make(volume, is_dir, key, now, replaced, alone, &kept);

	if (!rc && kept.needed)
		rc = attrstore_batch(volume->attrs, &kept.op, 1);
	if (!rc && kept.needed)
		warn_open(volume, now);
	kept_release(&kept);
	return rc;
}

int journal_write(struct volume *volume, bool is_dir, struct dw_bytes key,
		  const struct attrs *attrs)
{
	const struct attr_record record = record_of(attrs, is_dir, true);

	return keep(volume, is_dir, key, &record, NULL, false);
}

int journal_write_alone(struct volume *volume, bool is_dir, struct dw_bytes key,
			const struct attrs *attrs)
{
	const struct attr_record record = record_of(attrs, is_dir, true);

	return keep(volume, is_dir, key, &record, NULL, true);
}

static bool nothing_kept(struct volume *volume, const struct attrs *attrs)
{
	return attrs_is_empty(attrs) && !attrstore_store(volume->attrs);
}

int journal_node(struct volume *volume, struct node *node)
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
		rc = journal_write(volume, node_is_dir(node), key_bytes(&key), node->attrs);
	key_release(&key);
	if (!rc && node->attrs)
		node->attrs->unsaved = false;
	return rc;
}

int journal_make_durable(struct volume *volume)
{
	struct dw_stats stats;

	if (!attrstore_store(volume->attrs))
		return dw_sync(volume->store);
	uint64_t mark = attrstore_mark(volume->attrs);
	dw_get_stats(volume->store, &stats);
	int rc = dw_sync(volume->store);
	if (rc < 0)
		return rc;
	uint64_t known = atomic_load(&volume->durable_txid);
	while (known < stats.next_txid &&
	       !atomic_compare_exchange_weak(&volume->durable_txid, &known, stats.next_txid))
		; /* another one was faster; `known` is what it said */
	return attrstore_usable(volume->attrs) ? 0 : attrstore_settle(volume->attrs, mark);
}

void journal_drop(struct volume *volume, bool is_dir, struct dw_bytes key)
{
	struct key with_letter;

	if (!attrstore_store(volume->attrs))
		return;
	int rc = make_key(is_dir, key, &with_letter);
	if (!rc)
		rc = attrstore_forget(volume->attrs, key_bytes(&with_letter));
	key_release(&with_letter);
	/* each of them is in memory */
	if (!rc && attrstore_pending(volume->attrs) > PENDING_MAX)
		rc = journal_make_durable(volume);
	/* creating the key anew tries again, and so does the next mount */
	if (rc < 0)
		volume_log(volume, LOG_WARNING,
			   "the attributes of a removed file could not be removed: %s",
			   strerror(-rc));
}

/* --- around a Put --- */

int journal_before_put(struct volume *volume, struct node *node, struct dw_bytes key)
{
	struct attrs *attrs = node->attrs;

	/* without attributes something stale may be there, of the key's last life */
	if (attrs ? !attrs->unsaved : nothing_kept(volume, attrs))
		return 0;
	int rc = journal_write(volume, false, key, attrs);
	if (!rc && attrs)
		attrs->unsaved = false;
	return rc;
}

int journal_after_put(struct volume *volume, struct node *node, struct dw_bytes key)
{
	struct attrs *attrs = node->attrs;
	int rc = 0;

	if (!attrs)
		return 0;
	if (attrs_is_empty(attrs)) {
		journal_drop(volume, false, key);
		attrs_free(attrs);
		node->attrs = NULL;
		return 0;
	}
	if (!attrs->times_unsaved)
		return 0;
	if (attrs->set & (ATTR_MTIME | ATTR_ATIME))
		rc = dw_txid(volume->store, key, &attrs->txid);
	if (!rc)
		rc = journal_write(volume, false, key, attrs);
	if (!rc)
		attrs->times_unsaved = false;
	return rc;
}

/* --- around a rename --- */

int journal_before_move(struct volume *volume, const struct node *node, const struct node *target,
			struct dw_bytes new_key)
{
	bool is_dir = node_is_dir(node);
	bool replaces = target && !is_dir && atomic_load(&target->logged);
	const struct attrs *replaced = replaces ? target->attrs : NULL;
	const struct attr_record record = record_of(node->attrs, is_dir, is_dir),
				 before = record_of(replaced, is_dir, true);

	if (nothing_kept(volume, node->attrs) && attrs_is_empty(replaced))
		return 0;
	/* times aside, that is what the key has */
	if (replaces && attrs_same(node->attrs, replaced) && !(replaced && replaced->unsaved))
		return 0;
	return keep(volume, is_dir, new_key, &record, replaces ? &before : NULL, false);
}

void journal_undo_move(struct volume *volume, const struct node *node, struct node *target,
		       struct dw_bytes new_key)
{
	bool is_dir = node_is_dir(node);
	const struct attrs *old = target ? target->attrs : NULL;

	if (nothing_kept(volume, node->attrs) && attrs_is_empty(old))
		return;
	if (!target) {
		journal_drop(volume, is_dir, new_key);
		return;
	}
	/* a file's record keeps both, and its next value tries again */
	if (journal_write(volume, is_dir, new_key, old) < 0 && old)
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

void journal_after_move(struct volume *volume, struct node *node, struct dw_bytes old_key,
			struct dw_bytes new_key)
{
	if (nothing_kept(volume, node->attrs))
		return;
	journal_moved(volume, node, new_key);
	journal_drop(volume, node_is_dir(node), old_key);
}

void journal_moved(struct volume *volume, struct node *node, struct dw_bytes new_key)
{
	bool is_dir = node_is_dir(node);

	if (nothing_kept(volume, node->attrs))
		return;
	if (node->attrs && !is_dir)
		move_times(volume, node, new_key);
	int rc = journal_write(volume, is_dir, new_key, node->attrs);
	if (rc < 0)
		volume_log(volume, LOG_WARNING,
			   "attributes of a renamed file could not be brought up to date: %s",
			   strerror(-rc));
	else if (node->attrs)
		node->attrs->unsaved = false;
}

/* --- times --- */

void journal_check_key_times(struct volume *volume, struct attrs *attrs, struct dw_bytes key)
{
	uint64_t txid = 0;

	if (!attrs || !attrs->unchecked)
		return;
	attrs->unchecked = false;
	int rc = key.data ? dw_txid(volume->store, key, &txid) : -ENOENT;
	if (rc < 0 || txid != attrs->txid) {
		attrs->set &= ~(unsigned)ATTR_TIMES;
		attrs->txid = 0;
	}
}

void journal_check_times(struct volume *volume, struct node *node)
{
	static const struct dw_bytes none = {NULL, 0};
	struct key key;

	if (!node->attrs || !node->attrs->unchecked)
		return;
	if (node_is_linked(node) && !key_of_node(node, &key)) {
		journal_check_key_times(volume, node->attrs, key_bytes(&key));
		key_release(&key);
	} else {
		journal_check_key_times(volume, node->attrs, none);
	}
}
