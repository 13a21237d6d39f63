/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * load_attr.c - from the store of attributes to the nodes.
 *
 * Its records are read first, into a table that keys are looked up in while they are
 * read into the tree; what is left then belongs to keys that vanished behind the
 * mount's back, and is dropped.  A record that cannot be read takes nothing with it:
 * its file shows with the defaults, and the log says so.
 */
/* uthash reads this when it is included */
#define HASH_NONFATAL_OOM 1

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <uthash.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "fs/attr/attrrecord.h"
#include "fs/attr/xattr.h"
#include "fs/base/seed.h"
#include "fs/volume/journal.h"
#include "fs/volume/load.h"
#include "fs/volume/recorded.h"
#include "fs/volume/xattrmem.h"

enum { RECORD_MAX = 4 << 20 };

struct entry {
	UT_hash_handle hh;
	struct attrs *attrs; /* owned; NULL: taken */
	size_t size;
	char key[]; /* with its letter */
};

struct attr_table {
	struct volume *volume;
	struct entry *files, *directories; /* by attr_table_extend() of their components */
	uint64_t seed;                     /* of the process */
	uint64_t next_txid;                /* of the store of values */
	uint64_t unreadable;               /* records */
	bool changed;                      /* records were written */
};

static struct dw_bytes plain_key(const struct entry *entry)
{
	return (struct dw_bytes){entry->key + 1, entry->size - 1};
}

/* --- hashes --- */

/* A key is looked up for each directory on its way: were each of them hashed from the start,
 * a key of many components would take time by the square. */
uint64_t attr_table_extend(uint64_t above, struct dw_bytes component)
{
	return XXH3_64bits_withSeed(component.data, component.size, above);
}

uint64_t attr_table_root(const struct attr_table *table)
{
	return table->seed;
}

uint64_t attr_table_hash(const struct attr_table *table, bool is_dir, struct dw_bytes key)
{
	const char *at = key.data, *end = at + key.size, *slash;
	uint64_t hash = table->seed;

	while (at < end && (slash = memchr(at, '/', (size_t)(end - at)))) {
		hash = attr_table_extend(hash, (struct dw_bytes){at, (size_t)(slash - at)});
		at = slash + 1;
	}
	/* the key of a directory ends with its slash; a record may say otherwise */
	return is_dir && at == end
		       ? hash
		       : attr_table_extend(hash, (struct dw_bytes){at, (size_t)(end - at)});
}

/* The half that uthash takes. */
static unsigned bucket_hash(uint64_t hash)
{
	return (unsigned)hash;
}

static struct entry **entries_of(struct attr_table *table, bool is_dir)
{
	return is_dir ? &table->directories : &table->files;
}

/* --- reading --- */

static int add_entry(struct attr_table *table, struct dw_bytes key, struct attrs *attrs)
{
	bool is_dir = *(const char *)key.data == 'd';
	struct entry **entries = entries_of(table, is_dir);
	struct entry *entry = malloc(sizeof *entry + key.size);

	if (!entry)
		return -ENOMEM;
	memset(entry, 0, sizeof *entry);
	entry->size = key.size;
	entry->attrs = attrs;
	memcpy(entry->key, key.data, key.size);
	unsigned hash = bucket_hash(attr_table_hash(table, is_dir, plain_key(entry)));
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, *entries, entry->key + 1, (unsigned)entry->size - 1, hash,
				    entry);
	if (!entry->hh.tbl) {
		free(entry);
		return -ENOMEM;
	}
	return 0;
}

/* A crash may have taken the value that times were set on, and its txid will be given
 * to another one. */
static bool forget_lost(const struct attr_table *table, struct attr_record *record)
{
	if (record->attrs.txid < table->next_txid || !table->next_txid)
		return false;
	record->attrs.set &= ~(unsigned)ATTR_TIMES;
	record->attrs.txid = 0;
	return true;
}

/* Write what was settled.  Values first: none that was there before can come back then. */
static int write_settled(struct attr_table *table, bool is_dir, struct dw_bytes key,
			 const struct attrs *attrs)
{
	int rc = table->changed ? 0 : journal_make_durable(table->volume);

	table->changed = true;
	return rc ? rc : journal_write_alone(table->volume, is_dir, key, attrs);
}

static int take_record(struct attr_table *table, struct dw_bytes key, struct dw_bytes bytes)
{
	struct attr_record record;
	bool is_dir = *(const char *)key.data == 'd';
	const struct dw_bytes plain = {(const char *)key.data + 1, key.size - 1};

	if (!attr_record_decode(bytes, &record)) {
		table->unreadable++;
		return 0;
	}
	bool settled = recorded_choose(table->volume, plain, &record);
	bool lost = forget_lost(table, &record);
	struct attrs *attrs = NULL;
	int rc = recorded_attrs(&record, is_dir, &attrs);
	if (rc < 0)
		return rc;
	if ((settled || lost) && !attrstore_usable(table->volume->attrs))
		rc = write_settled(table, is_dir, plain, attrs);
	volume_xattrs_leave(attrs);
	if (!rc)
		rc = add_entry(table, key, attrs);
	if (rc < 0)
		attrs_free(attrs);
	return rc;
}

static int read_item(struct attr_table *table, struct dw_iter *iter, const struct dw_item *item)
{
	size_t size = item->stat.size;
	const char *letter = item->key.data;

	if (!item->key.size || (*letter != 'f' && *letter != 'd') || size > RECORD_MAX) {
		table->unreadable++;
		return 0;
	}
	uint8_t *bytes = malloc(size + 1);
	if (!bytes)
		return -ENOMEM;
	int rc = 0;
	if (dw_iter_read(iter, bytes, size, 0) != (ssize_t)size)
		table->unreadable++;
	else
		rc = take_record(table, item->key, (struct dw_bytes){bytes, size});
	free(bytes);
	return rc;
}

static int read_all(struct attr_table *table, struct dw_store *store)
{
	struct dw_iter *iter;
	struct dw_item item;
	int rc = dw_iter_open(store, &iter);

	if (rc < 0)
		return rc;
	while (!rc && (rc = dw_iter_next(iter, &item)) > 0)
		rc = read_item(table, iter, &item);
	dw_iter_close(iter);
	return rc;
}

int attr_table_read(struct volume *volume, struct attr_table **ret)
{
	struct dw_store *store = attrstore_store(volume->attrs);
	struct attr_table *table = calloc(1, sizeof *table);
	struct dw_stats stats;

	if (!table)
		return -ENOMEM;
	table->volume = volume;
	table->seed = seed_get();
	dw_get_stats(volume->store, &stats);
	table->next_txid = stats.next_txid;
	int rc = store ? read_all(table, store) : 0;
	if (rc < 0) {
		attr_table_free(table);
		return rc;
	}
	if (table->unreadable)
		volume_log(volume, LOG_ERR,
			   "%llu records of attributes in '.attr' cannot be read; their files "
			   "show with the owner and mode of the mount until they are set again",
			   (unsigned long long)table->unreadable);
	*ret = table;
	return 0;
}

bool attr_table_is_empty(const struct attr_table *table)
{
	return !table->files && !table->directories;
}

struct attrs *attr_table_take(struct attr_table *table, bool is_dir, struct dw_bytes key,
			      uint64_t hash)
{
	struct attrs *attrs = NULL;
	struct entry *entry;

	HASH_FIND_BYHASHVALUE(hh, *entries_of(table, is_dir), key.data, (unsigned)key.size,
			      bucket_hash(hash), entry);
	if (entry) {
		attrs = entry->attrs;
		entry->attrs = NULL;
	}
	return attrs;
}

/* Whether nothing has the key any more.  In flat layout directories just do not show. */
static bool is_vanished(const struct attr_table *table, const struct entry *entry)
{
	if (!entry->attrs)
		return false;
	if (entry->key[0] == 'd')
		return !table->volume->options.flat;
	return !dw_contains(table->volume->store, plain_key(entry));
}

static void drop_vanished(struct attr_table *table, const struct entry *entries)
{
	for (const struct entry *entry = entries; entry; entry = entry->hh.next)
		if (is_vanished(table, entry))
			journal_drop(table->volume, entry->key[0] == 'd', plain_key(entry));
}

void attr_table_finish(struct attr_table *table)
{
	struct volume *volume = table->volume;

	if (!attrstore_usable(volume->attrs)) {
		drop_vanished(table, table->files);
		drop_vanished(table, table->directories);
		/* before a txid that was forgotten can come back */
		if (table->changed && dw_sync(attrstore_store(volume->attrs)) < 0)
			volume_log(volume, LOG_ERR, "attributes could not be synced");
	}
	attr_table_free(table);
}

static void free_entries(struct entry *entry)
{
	struct entry *head = entry;

	HASH_CLEAR(hh, head);
	while (entry) {
		struct entry *next = entry->hh.next;
		attrs_free(entry->attrs);
		free(entry);
		entry = next;
	}
}

void attr_table_free(struct attr_table *table)
{
	if (!table)
		return;
	free_entries(table->files);
	free_entries(table->directories);
	free(table);
}
