/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * keydir.c - see keydir.h.
 */
#include "index/keydir.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bulk.h"
#include "index/keyhash.h"

struct keydir_entry {
	int64_t mtime_ns;
	uint32_t value_size; /* VALUE_NONE: no slot names this entry */
	uint32_t key_size : 31;
	uint32_t hides : 1;
	uint8_t key[];
};
_Static_assert(sizeof(struct keydir_entry) == 16 && sizeof(struct keydir_slot) == 24,
	       "docs/ARCHITECTURE.md says so");
_Static_assert(sizeof(struct keydir_entry) + DW_KEY_SIZE_MAX <= ARENA_BLOCK_MAX,
	       "a block holds any entry");

enum { SLOTS_MIN = 8, AHEAD = 12 };

/* Tables of so many slots have theirs side by side: a power of two. */
enum { SLOTS_TOGETHER = 1 << 11 };
_Static_assert(SLOTS_TOGETHER *KEYDIR_TABLES * sizeof(struct keydir_slot) >= BULK_MIN,
	       "in large pages");

/* No value is so large.  A holder of the entry's name sees by it that the key is gone; a free block
 * of the arena keeps it, because only the first bytes of the block are used. */
#define VALUE_NONE UINT32_MAX

static uint32_t slots_of(const struct keydir_table *table)
{
	return table->slots ? table->mask + 1 : 0;
}

static struct keydir_slots *slots_at(struct keydir *keydir, uint32_t size)
{
	return &keydir->slots[__builtin_ctz(size)];
}

/* Empty slots for a table. */
static struct keydir_slot *get_slots(struct keydir *keydir, const struct keydir_table *table,
				     uint32_t size)
{
	struct keydir_slots *all = slots_at(keydir, size);
	size_t bytes = size * sizeof *all->data;

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
		bulk_free(all->data, size * sizeof *all->data * KEYDIR_TABLES);
		all->data = NULL;
	}
}

struct keydir_lock *keydir_locks_new(void)
{
	const size_t size = KEYDIR_TABLES * sizeof(struct keydir_lock);
	struct keydir_lock *locks = aligned_alloc(_Alignof(struct keydir_lock), size);

	for (int i = 0; locks && i < KEYDIR_TABLES; i++) {
		int rc = pthread_mutex_init(&locks[i].lock, NULL);
		assert(!rc); /* glibc's takes nothing that could be missing */
		locks[i].version = NULL;
	}
	return locks;
}

void keydir_locks_free(struct keydir_lock *locks)
{
	for (int i = 0; locks && i < KEYDIR_TABLES; i++)
		(void)pthread_mutex_destroy(&locks[i].lock); /* fails only in use */
	free(locks);
}

int keydir_init(struct keydir *keydir, struct keydir_lock *locks)
{
	keyhash_init();
	memset(keydir, 0, sizeof *keydir);
	if (!locks)
		locks = keydir->own_locks = keydir_locks_new();
	if (!locks)
		return -ENOMEM;
	for (int i = 0; i < KEYDIR_TABLES; i++)
		keydir->tables[i].lock = &locks[i].lock;
	return arena_init(&keydir->entries);
}

void keydir_release(struct keydir *keydir)
{
	for (int i = 0; i < KEYDIR_TABLES; i++)
		put_slots(keydir, &keydir->tables[i]);
	keydir_locks_free(keydir->own_locks);
	keydir->own_locks = NULL;
	arena_release(&keydir->entries);
}

static struct keydir_table *table_of(struct keydir *keydir, uint64_t hash)
{
	return &keydir->tables[keydir_table_of(hash)];
}

static struct keydir_entry *entry_at(const struct keydir *keydir, uint32_t name)
{
	return arena_at(&keydir->entries, name);
}

static size_t entry_size(size_t key_size)
{
	return sizeof(struct keydir_entry) + key_size;
}

static struct keydir_place place_of(const struct keydir_slot *slot,
				    const struct keydir_entry *entry)
{
	return (struct keydir_place){slot->segment, slot->offset, entry->mtime_ns,
				     entry->value_size, entry->hides};
}

static bool is_key(const struct keydir_entry *entry, struct dw_bytes key)
{
	return entry->key_size == key.size &&
	       (!key.size || !memcmp(entry->key, key.data, key.size));
}

/* The slot of `key`, or the empty one where it would go; the table has slots.  With `fetch`
 * the processor fetches the record meanwhile. */
static inline struct keydir_slot *find_slot(const struct keydir *keydir,
					    const struct keydir_table *table, struct dw_bytes key,
					    uint64_t hash, bool fetch)
{
	uint32_t tag = (uint32_t)hash;

	for (uint32_t i = tag & table->mask;; i = (i + 1) & table->mask) {
		struct keydir_slot *slot = &table->slots[i];
		if (!slot->entry)
			return slot;
		if (slot->tag != tag)
			continue;
		if (fetch && slot->segment)
			segment_prefetch(slot->segment, slot->offset);
		if (is_key(entry_at(keydir, slot->entry), key))
			return slot;
	}
}

/* NULL: no such key. */
static struct keydir_slot *find(const struct keydir *keydir, const struct keydir_table *table,
				struct dw_bytes key, uint64_t hash)
{
	if (!table->slots)
		return NULL;
	struct keydir_slot *slot = find_slot(keydir, table, key, hash, false);
	return slot->entry ? slot : NULL;
}

bool keydir_get_locked(const struct keydir *keydir, struct dw_bytes key, uint64_t hash, bool pin,
		       struct keydir_place *ret)
{
	const struct keydir_table *table = &keydir->tables[keydir_table_of(hash)];
	const struct keydir_slot *slot =
		table->slots ? find_slot(keydir, table, key, hash, pin) : NULL;

	if (!slot || !slot->entry)
		return false;
	*ret = place_of(slot, entry_at(keydir, slot->entry));
	/* under the lock: a compaction that moves the record may drop the segment */
	if (pin && ret->segment)
		(void)segment_ref(ret->segment);
	return true;
}

bool keydir_get(struct keydir *keydir, struct dw_bytes key, bool pin, struct keydir_place *ret)
{
	uint64_t hash = keyhash(key);
	struct keydir_table *table = table_of(keydir, hash);

	(void)pthread_mutex_lock(table->lock);
	bool there = keydir_get_locked(keydir, key, hash, pin, ret);
	(void)pthread_mutex_unlock(table->lock);
	return there;
}

/* --- changing --- */

/* Twice as many slots.  Each finds its new place by the hash in it. */
static int grow(struct keydir *keydir, struct keydir_table *table)
{
	const struct keydir_table old = *table;
	uint32_t size = old.slots ? 2 * slots_of(&old) : SLOTS_MIN, mask = size - 1;
	struct keydir_slot *slots = size ? get_slots(keydir, table, size) : NULL;

	if (!slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < slots_of(&old); i++) {
		const struct keydir_slot *slot = &old.slots[i];
		if (!slot->entry)
			continue;
		uint32_t at = slot->tag & mask;
		while (slots[at].entry)
			at = (at + 1) & mask;
		slots[at] = *slot;
	}
	(void)pthread_mutex_lock(table->lock);
	table->slots = slots;
	table->mask = mask;
	(void)pthread_mutex_unlock(table->lock);
	put_slots(keydir, &old);
	return 0;
}

int keydir_prepare(struct keydir *keydir, struct dw_bytes key, struct keydir_prepared *ret)
{
	uint64_t hash = keyhash(key);
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
	entry->value_size = VALUE_NONE;
	entry->key_size = (uint32_t)key.size & INT32_MAX;
	entry->hides = false;
	if (key.size)
		memcpy(entry->key, key.data, key.size);
	table->promised++;
	/* by the time it is set, the slot is there */
	__builtin_prefetch(&table->slots[(uint32_t)hash & table->mask], 1);
	*ret = (struct keydir_prepared){hash, name};
	return 0;
}

static void free_entry(struct keydir *keydir, uint32_t name)
{
	entry_at(keydir, name)->value_size = VALUE_NONE;
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
	const struct keydir_table *table = &keydir->tables[keydir_table_of(prepared->hash)];

	if (prepared->entry)
		__builtin_prefetch(&table->slots[(uint32_t)prepared->hash & table->mask], 1);
}

void keydir_prefetch_key(const struct keydir *keydir, struct dw_bytes key)
{
	uint64_t hash = keyhash(key);
	const struct keydir_table *table = &keydir->tables[keydir_table_of(hash)];

	if (table->slots)
		__builtin_prefetch(&table->slots[(uint32_t)hash & table->mask]);
}

bool keydir_set(struct keydir *keydir, struct keydir_prepared *prepared,
		const struct keydir_place *place, struct keydir_place *old_ret)
{
	struct keydir_table *table = table_of(keydir, prepared->hash);
	struct keydir_entry *entry = entry_at(keydir, prepared->entry);
	const struct dw_bytes key = {entry->key, entry->key_size};
	struct keydir_slot *slot = find_slot(keydir, table, key, prepared->hash, false);
	bool known = slot->entry;

	if (known) {
		entry = entry_at(keydir, slot->entry);
		*old_ret = place_of(slot, entry);
	} else {
		old_ret->segment = NULL;
	}
	(void)pthread_mutex_lock(table->lock);
	entry->mtime_ns = place->mtime_ns;
	entry->value_size = place->value_size;
	slot->segment = place->segment;
	slot->offset = place->offset;
	if (!known) {
		entry->hides = place->hides;
		slot->tag = (uint32_t)prepared->hash;
		slot->entry = prepared->entry;
		table->count++;
		keydir->key_bytes += key.size;
		atomic_fetch_add_explicit(&keydir->count, 1, memory_order_relaxed);
	}
	(void)pthread_mutex_unlock(table->lock);
	table->promised--;
	if (known)
		free_entry(keydir, prepared->entry);
	prepared->entry = 0;
	return known;
}

/* Empty a slot, and close the gap that it leaves in the runs across it. */
static void clear_slot(struct keydir_table *table, uint32_t gap)
{
	for (uint32_t i = gap;;) {
		i = (i + 1) & table->mask;
		const struct keydir_slot *slot = &table->slots[i];
		if (!slot->entry)
			break;
		uint32_t home = slot->tag & table->mask;
		if (((i - home) & table->mask) >= ((i - gap) & table->mask)) {
			table->slots[gap] = *slot;
			gap = i;
		}
	}
	table->slots[gap] = (struct keydir_slot){0};
}

bool keydir_remove(struct keydir *keydir, struct dw_bytes key, struct keydir_place *old_ret)
{
	uint64_t hash = keyhash(key);
	struct keydir_table *table = table_of(keydir, hash);
	struct keydir_slot *slot = find(keydir, table, key, hash);

	old_ret->segment = NULL;
	if (!slot)
		return false;
	uint32_t name = slot->entry;
	*old_ret = place_of(slot, entry_at(keydir, name));
	(void)pthread_mutex_lock(table->lock);
	clear_slot(table, (uint32_t)(slot - table->slots));
	table->count--;
	(void)pthread_mutex_unlock(table->lock);
	atomic_fetch_sub_explicit(&keydir->count, 1, memory_order_relaxed);
	keydir->key_bytes -= key.size;
	free_entry(keydir, name); /* no reader holds it: places are copied under the lock */
	return true;
}

bool keydir_move(struct keydir *keydir, struct dw_bytes key, const struct dw_segment *from,
		 uint64_t offset, struct dw_segment *to, uint64_t to_offset)
{
	uint64_t hash = keyhash(key);
	struct keydir_table *table = table_of(keydir, hash);
	struct keydir_slot *slot = find(keydir, table, key, hash);

	if (!slot || slot->segment != from || slot->offset != offset)
		return false;
	(void)pthread_mutex_lock(table->lock);
	slot->segment = to;
	slot->offset = to_offset;
	(void)pthread_mutex_unlock(table->lock);
	return true;
}

/* --- in groups --- */

static const struct keydir_slot *slot_at(const struct keydir_table *table, uint32_t at)
{
	return &table->slots[at & table->mask];
}

/* The state of a probe. */
struct lookup {
	const struct keydir_table *table;
	uint64_t hash;
	const struct keydir_slot *slot; /* that points to the record; NULL: none does */
};

/* The slot that points to a record, which no two keys share, without a look at entries. */
static const struct keydir_slot *slot_of_place(const struct keydir_table *table, uint64_t hash,
					       const struct dw_segment *segment, uint64_t offset)
{
	const struct keydir_slot *slot;

	for (uint32_t i = (uint32_t)hash; table->slots && (slot = slot_at(table, i))->entry; i++)
		if (slot->tag == (uint32_t)hash && slot->segment == segment &&
		    slot->offset == offset)
			return slot;
	return NULL;
}

void keydir_probe(const struct keydir *keydir, const struct dw_segment *segment,
		  struct keydir_probe *probes, size_t count)
{
	struct lookup lookups[KEYDIR_PROBES];

	assert(count <= KEYDIR_PROBES);
	for (size_t i = 0; i < count; i++) {
		struct lookup *l = &lookups[i];
		l->hash = keyhash(probes[i].key);
		l->table = &keydir->tables[keydir_table_of(l->hash)];
		if (l->table->slots)
			__builtin_prefetch(slot_at(l->table, (uint32_t)l->hash));
	}
	for (size_t i = 0; i < count; i++) {
		struct lookup *l = &lookups[i];
		l->slot = slot_of_place(l->table, l->hash, segment, probes[i].offset);
		if (l->slot)
			__builtin_prefetch(entry_at(keydir, l->slot->entry));
	}
	for (size_t i = 0; i < count; i++) {
		const struct keydir_slot *slot = lookups[i].slot;
		probes[i].entry = slot ? slot->entry : 0;
		probes[i].mtime_ns = slot ? entry_at(keydir, slot->entry)->mtime_ns : 0;
	}
}

void keydir_prefetch_entry(const struct keydir *keydir, uint32_t name)
{
	const struct keydir_entry *entry = entry_at(keydir, name);

	__builtin_prefetch(entry);
	__builtin_prefetch(entry->key + ARENA_UNIT - 1); /* a short key may end in the next line */
}

struct dw_bytes keydir_entry_key(const struct keydir *keydir, uint32_t name)
{
	const struct keydir_entry *entry = entry_at(keydir, name);

	return (struct dw_bytes){entry->key, entry->key_size};
}

uint64_t keydir_entry_hash(const struct keydir *keydir, uint32_t name)
{
	return keyhash(keydir_entry_key(keydir, name));
}

const struct keydir_slot *keydir_next_slot(const struct keydir *keydir,
					   struct keydir_cursor *cursor)
{
	for (; cursor->table < KEYDIR_TABLES; cursor->table++, cursor->slot = 0) {
		const struct keydir_table *table = &keydir->tables[cursor->table];
		while (table->slots && cursor->slot <= table->mask) {
			/* entries are anywhere: have one fetched some slots ahead */
			uint32_t later = slot_at(table, cursor->slot + AHEAD)->entry;
			const struct keydir_slot *slot = &table->slots[cursor->slot++];
			if (later)
				__builtin_prefetch(entry_at(keydir, later));
			if (slot->entry)
				return slot;
		}
	}
	return NULL;
}

void keydir_slot_get(const struct keydir *keydir, const struct keydir_slot *slot,
		     struct dw_bytes *key_ret, struct keydir_place *place_ret)
{
	const struct keydir_entry *entry = entry_at(keydir, slot->entry);

	*key_ret = (struct dw_bytes){entry->key, entry->key_size};
	*place_ret = place_of(slot, entry);
}

bool keydir_next(const struct keydir *keydir, struct keydir_cursor *cursor,
		 struct dw_bytes *key_ret, struct keydir_place *place_ret)
{
	const struct keydir_slot *slot = keydir_next_slot(keydir, cursor);

	if (slot)
		keydir_slot_get(keydir, slot, key_ret, place_ret);
	return slot;
}
