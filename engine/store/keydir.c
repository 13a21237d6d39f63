/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * keydir.c - see keydir.h.
 */
#include "store/keydir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define HASH_NONFATAL_OOM             1
#define HASH_FUNCTION(key, size, ret) ((ret) = (unsigned)XXH3_64bits((key), (size)))
#include <uthash.h>

struct keydir_entry {
	UT_hash_handle hh;
	struct keydir_place place;
	uint8_t key[];
};

/* Bytes that the record of an entry takes in its segment. */
static uint64_t entry_record_size(const struct keydir_entry *entry)
{
	return RECORD_OVERHEAD + (uint64_t)entry->hh.keylen + entry->place.value_size;
}

struct keydir_entry *keydir_entry_new(struct dw_bytes key)
{
	struct keydir_entry *entry = malloc(sizeof *entry + key.size);

	if (!entry)
		return NULL;
	memset(entry, 0, sizeof *entry);
	if (key.size)
		memcpy(entry->key, key.data, key.size);
	entry->hh.keylen = (unsigned)key.size;
	return entry;
}

void keydir_entry_free(struct keydir_entry *entry)
{
	free(entry);
}

struct dw_bytes keydir_entry_key(const struct keydir_entry *entry)
{
	return (struct dw_bytes){entry->key, entry->hh.keylen};
}

struct keydir_place *keydir_entry_place(struct keydir_entry *entry)
{
	return &entry->place;
}

static struct keydir_entry *find(const struct keydir *keydir, const void *key, size_t size,
				 unsigned hash)
{
	struct keydir_entry *entry;

	HASH_FIND_BYHASHVALUE(hh, keydir->head, key, (unsigned)size, hash, entry);
	return entry;
}

static unsigned hash_of(const void *key, size_t size)
{
	unsigned hash;

	HASH_FUNCTION(key, size, hash);
	return hash;
}

struct keydir_entry *keydir_find(const struct keydir *keydir, struct dw_bytes key)
{
	const void *data = key.data ? key.data : ""; /* the empty key may come as NULL */

	return find(keydir, data, key.size, hash_of(data, key.size));
}

int keydir_set(struct keydir *keydir, struct keydir_entry *entry, const struct keydir_place *place)
{
	unsigned size = entry->hh.keylen, hash = hash_of(entry->key, size);
	struct keydir_entry *old = find(keydir, entry->key, size, hash);

	if (old) {
		old->place.segment->live_bytes -= entry_record_size(old);
		keydir_entry_free(entry);
		entry = old;
	} else {
		HASH_ADD_KEYPTR_BYHASHVALUE(hh, keydir->head, entry->key, size, hash, entry);
		if (!entry->hh.tbl) {
			keydir_entry_free(entry);
			return -ENOMEM;
		}
	}
	entry->place = *place;
	place->segment->live_bytes += entry_record_size(entry);
	return 0;
}

void keydir_remove(struct keydir *keydir, struct dw_bytes key)
{
	struct keydir_entry *entry = keydir_find(keydir, key);

	if (!entry)
		return;
	entry->place.segment->live_bytes -= entry_record_size(entry);
	HASH_DELETE(hh, keydir->head, entry);
	keydir_entry_free(entry);
}

void keydir_move(struct keydir_entry *entry, struct dw_segment *segment, uint64_t offset)
{
	entry->place.segment->live_bytes -= entry_record_size(entry);
	entry->place.segment = segment;
	entry->place.offset = offset;
	segment->live_bytes += entry_record_size(entry);
}

uint64_t keydir_count(const struct keydir *keydir)
{
	return HASH_COUNT(keydir->head);
}

struct keydir_entry *keydir_first(const struct keydir *keydir)
{
	return keydir->head;
}

struct keydir_entry *keydir_after(const struct keydir_entry *entry)
{
	return entry->hh.next;
}

void keydir_release(struct keydir *keydir)
{
	struct keydir_entry *entry = keydir->head;

	HASH_CLEAR(hh, keydir->head); /* frees the table, not the entries, and their links stay */
	while (entry) {
		struct keydir_entry *next = entry->hh.next;
		keydir_entry_free(entry);
		entry = next;
	}
}
