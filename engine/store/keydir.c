/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * keydir.c - see keydir.h.
 */
#include "store/keydir.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/bulk.h"

struct keydir_entry {
	struct dw_segment *segment;
	uint64_t offset;
	int64_t mtime_ns;
	uint32_t value_size;
	uint32_t key_size;
	uint8_t key[];
};
_Static_assert(sizeof(struct keydir_entry) == 32, "docs/ARCHITECTURE.md says so");
_Static_assert(sizeof(struct keydir_entry) + DW_KEY_SIZE_MAX <= ARENA_BLOCK_MAX,
	       "a block holds any entry");

enum { SLOTS_MIN = 8, AHEAD = 12 };

/* Tables of so many slots have theirs side by side. */
enum { SLOTS_TOGETHER = BULK_MIN / KEYDIR_TABLES / sizeof(uint64_t) };

/* The offset in an entry that no slot names: whoever remembers its name finds that the key
 * is gone. */
#define OFFSET_UNUSED UINT64_MAX

static uint32_t slots_of(const struct keydir_table *table)
{
	return table->slots ? table->mask + 1 : 0;
}

static struct keydir_slots *slots_at(struct keydir *keydir, uint32_t size)
{
	return &keydir->slots[__builtin_ctz(size)];
}

/* Empty slots for a table. */
static uint64_t *get_slots(struct keydir *keydir, const struct keydir_table *table, uint32_t size)
{
	struct keydir_slots *all = slots_at(keydir, size);
	size_t bytes = size * sizeof(uint64_t);

	if (size < SLOTS_TOGETHER)
		return calloc(1, bytes);
	if (!all->data)
		all->data = bulk_alloc(bytes * KEYDIR_TABLES);
	if (!all->data)
		return NULL;
	all->tables++;
	return all->data + (size_t)(table - keydir->tables) * size;
}

/* Give back those of a table, if it has any. */
static void put_slots(struct keydir *keydir, const struct keydir_table *table)
{
	uint32_t size = slots_of(table);
	struct keydir_slots *all = size ? slots_at(keydir, size) : NULL;

	if (size < SLOTS_TOGETHER) {
		free(table->slots);
	} else if (!--all->tables) {
		bulk_free(all->data, size * sizeof(uint64_t) * KEYDIR_TABLES);
		all->data = NULL;
	}
}

int keydir_init(struct keydir *keydir)
{
	memset(keydir, 0, sizeof *keydir);
	keydir->keeps_live = true;
	for (int i = 0; i < KEYDIR_TABLES; i++) {
		int rc = pthread_mutex_init(&keydir->tables[i].lock, NULL);
		assert(!rc); /* glibc's takes nothing that could be missing */
	}
	return arena_init(&keydir->entries);
}

void keydir_release(struct keydir *keydir)
{
	if (!keydir->entries.chunks)
		return;
	for (int i = 0; i < KEYDIR_TABLES; i++) {
		put_slots(keydir, &keydir->tables[i]);
		(void)pthread_mutex_destroy(&keydir->tables[i].lock); /* fails only in use */
	}
	arena_release(&keydir->entries);
}

static uint64_t hash_of(struct dw_bytes key)
{
	return XXH3_64bits(key.data, key.size);
}

static struct keydir_table *table_of(struct keydir *keydir, uint64_t hash)
{
	return &keydir->tables[hash >> (64 - KEYDIR_TABLE_BITS)];
}

static struct keydir_entry *entry_at(const struct keydir *keydir, uint32_t name)
{
	return arena_at(&keydir->entries, name);
}

static size_t entry_size(size_t key_size)
{
	return sizeof(struct keydir_entry) + key_size;
}

/* Bytes that the record of an entry takes in its segment. */
static uint64_t record_bytes(const struct keydir_entry *entry)
{
	return RECORD_OVERHEAD + (uint64_t)entry->key_size + entry->value_size;
}

static struct keydir_place place_of(const struct keydir_entry *entry)
{
	return (struct keydir_place){entry->segment, entry->offset, entry->mtime_ns,
				     entry->value_size};
}

static bool is_key(const struct keydir_entry *entry, struct dw_bytes key)
{
	return entry->key_size == key.size &&
	       (!key.size || !memcmp(entry->key, key.data, key.size));
}

/* The slot of `key`, or the empty one where it would go; the table has slots. */
static uint64_t *find_slot(const struct keydir *keydir, const struct keydir_table *table,
			   struct dw_bytes key, uint64_t hash)
{
	uint32_t tag = (uint32_t)hash;

	for (uint32_t i = tag & table->mask;; i = (i + 1) & table->mask) {
		uint64_t slot = table->slots[i];
		if (!slot)
			return &table->slots[i];
		if ((uint32_t)(slot >> 32) == tag && is_key(entry_at(keydir, (uint32_t)slot), key))
			return &table->slots[i];
	}
}

static struct keydir_entry *find(const struct keydir *keydir, const struct keydir_table *table,
				 struct dw_bytes key, uint64_t hash)
{
	if (!table->slots)
		return NULL;
	uint64_t slot = *find_slot(keydir, table, key, hash);
	return slot ? entry_at(keydir, (uint32_t)slot) : NULL;
}

bool keydir_get(struct keydir *keydir, struct dw_bytes key, bool pin, struct keydir_place *ret)
{
	uint64_t hash = hash_of(key);
	struct keydir_table *table = table_of(keydir, hash);

	(void)pthread_mutex_lock(&table->lock);
	const struct keydir_entry *entry = find(keydir, table, key, hash);
	if (entry) {
		*ret = place_of(entry);
		/* under the lock: a compaction that moves the entry may drop the segment */
		if (pin && ret->segment)
			(void)segment_ref(ret->segment);
	}
	(void)pthread_mutex_unlock(&table->lock);
	return entry;
}

/* --- changing --- */

/* Twice as many slots.  Each finds its new place by the hash in it. */
static int grow(struct keydir *keydir, struct keydir_table *table)
{
	const struct keydir_table old = *table;
	uint32_t size = old.slots ? 2 * slots_of(&old) : SLOTS_MIN, mask = size - 1;
	uint64_t *slots = size ? get_slots(keydir, table, size) : NULL;

	if (!slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < slots_of(&old); i++) {
		uint64_t slot = old.slots[i];
		if (!slot)
			continue;
		uint32_t at = (uint32_t)(slot >> 32) & mask;
		while (slots[at])
			at = (at + 1) & mask;
		slots[at] = slot;
	}
	(void)pthread_mutex_lock(&table->lock);
	table->slots = slots;
	table->mask = mask;
	(void)pthread_mutex_unlock(&table->lock);
	put_slots(keydir, &old);
	return 0;
}

int keydir_prepare(struct keydir *keydir, struct dw_bytes key, struct keydir_prepared *ret)
{
	uint64_t hash = hash_of(key);
	struct keydir_table *table = table_of(keydir, hash);
	uint64_t needed = (uint64_t)table->count + table->promised + 1;

	/* at most three quarters full */
	if ((!table->slots || needed * 4 > ((uint64_t)table->mask + 1) * 3) &&
	    grow(keydir, table) < 0)
		return -ENOMEM;
	uint32_t name = arena_get(&keydir->entries, entry_size(key.size));
	if (!name)
		return -ENOMEM;
	struct keydir_entry *entry = entry_at(keydir, name);
	entry->offset = OFFSET_UNUSED;
	entry->key_size = (uint32_t)key.size;
	if (key.size)
		memcpy(entry->key, key.data, key.size);
	table->promised++;
	*ret = (struct keydir_prepared){hash, name};
	return 0;
}

static void free_entry(struct keydir *keydir, uint32_t name)
{
	entry_at(keydir, name)->offset = OFFSET_UNUSED; /* a free block keeps it */
	arena_put(&keydir->entries, name, entry_size(entry_at(keydir, name)->key_size));
}

void keydir_drop(struct keydir *keydir, struct keydir_prepared *prepared)
{
	if (!prepared->entry)
		return;
	table_of(keydir, prepared->hash)->promised--;
	free_entry(keydir, prepared->entry);
	prepared->entry = 0;
}

void keydir_prefetch(const struct keydir *keydir, const struct keydir_prepared *prepared)
{
	const struct keydir_table *table =
		&keydir->tables[prepared->hash >> (64 - KEYDIR_TABLE_BITS)];

	if (prepared->entry)
		__builtin_prefetch(&table->slots[(uint32_t)prepared->hash & table->mask], 1);
}

void keydir_prefetch_key(const struct keydir *keydir, struct dw_bytes key)
{
	uint64_t hash = hash_of(key);
	const struct keydir_table *table = &keydir->tables[hash >> (64 - KEYDIR_TABLE_BITS)];

	if (table->slots)
		__builtin_prefetch(&table->slots[(uint32_t)hash & table->mask]);
}

static void add_live(const struct keydir *keydir, struct keydir_entry *entry)
{
	if (keydir->keeps_live)
		entry->segment->live_bytes += record_bytes(entry);
}

static void subtract_live(const struct keydir *keydir, struct keydir_entry *entry)
{
	if (keydir->keeps_live)
		entry->segment->live_bytes -= record_bytes(entry);
}

void keydir_set(struct keydir *keydir, struct keydir_prepared *prepared,
		const struct keydir_place *place)
{
	struct keydir_table *table = table_of(keydir, prepared->hash);
	struct keydir_entry *entry = entry_at(keydir, prepared->entry);
	const struct dw_bytes key = {entry->key, entry->key_size};
	uint64_t *slot = find_slot(keydir, table, key, prepared->hash);
	bool known = *slot;

	if (known) {
		entry = entry_at(keydir, (uint32_t)*slot);
		subtract_live(keydir, entry);
	}
	(void)pthread_mutex_lock(&table->lock);
	entry->segment = place->segment;
	entry->offset = place->offset;
	entry->mtime_ns = place->mtime_ns;
	entry->value_size = place->value_size;
	if (!known) {
		*slot = prepared->hash << 32 | prepared->entry;
		table->count++;
		keydir->key_bytes += key.size;
		atomic_fetch_add_explicit(&keydir->count, 1, memory_order_relaxed);
	}
	(void)pthread_mutex_unlock(&table->lock);
	add_live(keydir, entry);
	table->promised--;
	if (known)
		free_entry(keydir, prepared->entry);
	prepared->entry = 0;
}

/* Empty a slot, and close the gap that it leaves in the runs across it. */
static void clear_slot(struct keydir_table *table, uint32_t gap)
{
	for (uint32_t i = gap;;) {
		i = (i + 1) & table->mask;
		uint64_t slot = table->slots[i];
		if (!slot)
			break;
		uint32_t home = (uint32_t)(slot >> 32) & table->mask;
		if (((i - home) & table->mask) >= ((i - gap) & table->mask)) {
			table->slots[gap] = slot;
			gap = i;
		}
	}
	table->slots[gap] = 0;
}

void keydir_remove(struct keydir *keydir, struct dw_bytes key)
{
	uint64_t hash = hash_of(key);
	struct keydir_table *table = table_of(keydir, hash);
	uint64_t *slot = table->slots ? find_slot(keydir, table, key, hash) : NULL;

	if (!slot || !*slot)
		return;
	uint32_t name = (uint32_t)*slot;
	subtract_live(keydir, entry_at(keydir, name));
	(void)pthread_mutex_lock(&table->lock);
	clear_slot(table, (uint32_t)(slot - table->slots));
	table->count--;
	(void)pthread_mutex_unlock(&table->lock);
	atomic_fetch_sub_explicit(&keydir->count, 1, memory_order_relaxed);
	keydir->key_bytes -= key.size;
	free_entry(keydir, name); /* no reader holds it: places are copied under the lock */
}

void keydir_move(struct keydir *keydir, struct dw_bytes key, const struct dw_segment *from,
		 uint64_t offset, struct dw_segment *to, uint64_t to_offset,
		 const int64_t *mtime_ns)
{
	uint64_t hash = hash_of(key);
	struct keydir_table *table = table_of(keydir, hash);
	struct keydir_entry *entry = find(keydir, table, key, hash);

	if (!entry || entry->segment != from || entry->offset != offset)
		return;
	subtract_live(keydir, entry);
	(void)pthread_mutex_lock(&table->lock);
	entry->segment = to;
	entry->offset = to_offset;
	if (mtime_ns)
		entry->mtime_ns = *mtime_ns;
	(void)pthread_mutex_unlock(&table->lock);
	add_live(keydir, entry);
}

/* --- in groups --- */

/* What a probe has found so far. */
struct lookup {
	const struct keydir_table *table;
	uint64_t hash, slot; /* the first slot with the hash, 0: none */
};

/* The first slot that names an entry with that hash, without a look at the entry. */
static uint64_t slot_by_hash(const struct keydir_table *table, uint64_t hash)
{
	uint32_t tag = (uint32_t)hash;

	for (uint32_t i = tag & table->mask; table->slots; i = (i + 1) & table->mask)
		if (!table->slots[i] || (uint32_t)(table->slots[i] >> 32) == tag)
			return table->slots[i];
	return 0;
}

/* The name of the entry of `key`, or 0. */
static uint32_t name_of(const struct keydir *keydir, const struct lookup *l, struct dw_bytes key)
{
	if (!l->slot || is_key(entry_at(keydir, (uint32_t)l->slot), key))
		return (uint32_t)l->slot;
	return (uint32_t)*find_slot(keydir, l->table, key, l->hash); /* two keys, one hash */
}

void keydir_probe(const struct keydir *keydir, const struct dw_segment *segment,
		  struct keydir_probe *probes, size_t count)
{
	struct lookup lookups[KEYDIR_PROBES];

	assert(count <= KEYDIR_PROBES);
	for (size_t i = 0; i < count; i++) {
		struct lookup *l = &lookups[i];
		l->hash = hash_of(probes[i].key);
		l->table = &keydir->tables[l->hash >> (64 - KEYDIR_TABLE_BITS)];
		if (l->table->slots)
			__builtin_prefetch(&l->table->slots[(uint32_t)l->hash & l->table->mask]);
	}
	for (size_t i = 0; i < count; i++) {
		lookups[i].slot = slot_by_hash(lookups[i].table, lookups[i].hash);
		if (lookups[i].slot)
			keydir_prefetch_entry(keydir, (uint32_t)lookups[i].slot);
	}
	for (size_t i = 0; i < count; i++) {
		uint32_t name = name_of(keydir, &lookups[i], probes[i].key);
		const struct keydir_entry *entry = name ? entry_at(keydir, name) : NULL;
		bool there =
			entry && entry->segment == segment && entry->offset == probes[i].offset;
		probes[i].entry = there ? name : 0;
		probes[i].mtime_ns = there ? entry->mtime_ns : 0;
	}
}

void keydir_prefetch_entry(const struct keydir *keydir, uint32_t name)
{
	const struct keydir_entry *entry = entry_at(keydir, name);

	__builtin_prefetch(entry);
	__builtin_prefetch(entry->key + ARENA_UNIT - 1); /* a short key may end in the next line */
}

void keydir_move_entry(struct keydir *keydir, uint32_t name, uint32_t last_id,
		       struct dw_segment *to, uint64_t to_offset)
{
	struct keydir_entry *entry = entry_at(keydir, name);

	if (entry->offset == OFFSET_UNUSED || entry->segment->id > last_id)
		return;
	struct keydir_table *table =
		table_of(keydir, hash_of((struct dw_bytes){entry->key, entry->key_size}));
	subtract_live(keydir, entry);
	(void)pthread_mutex_lock(&table->lock);
	entry->segment = to;
	entry->offset = to_offset;
	(void)pthread_mutex_unlock(&table->lock);
	add_live(keydir, entry);
}

bool keydir_next(const struct keydir *keydir, struct keydir_cursor *cursor,
		 struct dw_bytes *key_ret, struct keydir_place *place_ret)
{
	for (; cursor->table < KEYDIR_TABLES; cursor->table++, cursor->slot = 0) {
		const struct keydir_table *table = &keydir->tables[cursor->table];
		while (table->slots && cursor->slot <= table->mask) {
			/* entries are anywhere: have one fetched some slots ahead */
			uint64_t later = table->slots[(cursor->slot + AHEAD) & table->mask];
			uint64_t slot = table->slots[cursor->slot++];
			if (later)
				__builtin_prefetch(entry_at(keydir, (uint32_t)later));
			if (!slot)
				continue;
			const struct keydir_entry *entry = entry_at(keydir, (uint32_t)slot);
			*key_ret = (struct dw_bytes){entry->key, entry->key_size};
			*place_ret = place_of(entry);
			return true;
		}
	}
	return false;
}
