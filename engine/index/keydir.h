/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * keydir.h - the key directory: for each live key, where its newest record is.
 *
 * The whole view of a store in memory (the term is Bitcask's).  64 tables, each with
 * its lock, chosen by the upper bits of the key's hash (XXH3, with a secret of the process), so
 * that readers hardly ever meet.  A table is an array of slots with linear probing: 32 bits of the
 * hash, 32 bits that name the entry, which holds the key, and the record's place.  A wrong key is
 * thus seldom looked at, a table grows without touching an entry, and a reader waits for entry
 * and record at the same time, not for one after the other.
 *
 * Threads: keydir_get() may be called by any thread at any time.  All else is for one
 * thread at a time, the one that holds the log's lock or has the store for itself.
 *
 * The notes of a snapshot are such a directory, too (store/snapshot.h).
 */
#ifndef INDEX_KEYDIR_H
#define INDEX_KEYDIR_H

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/arena.h"
#include "datawal.h"
#include "disk/segment.h"

enum { KEYDIR_TABLE_BITS = 6, KEYDIR_TABLES = 1 << KEYDIR_TABLE_BITS };

struct keydir_place {
	struct dw_segment *segment; /* not counted: the list of segments holds it.  NULL, in
				       notes of a snapshot only: there is no such key */
	uint64_t offset;
	int64_t mtime_ns;
	uint32_t value_size;
	bool hides; /* a delta of the index: below it the key is live (index/index.h) */
};

struct keydir_slot {
	uint32_t tag;   /* lower half of the hash */
	uint32_t entry; /* its name; 0: empty */
	struct dw_segment *segment;
	uint64_t offset;
};

struct version;

/* Alone in its line of the processor's cache. */
struct keydir_lock {
	_Alignas(64) pthread_mutex_t lock;
	struct version
		*version; /* of an index: the newest one for the keys of this table; `lock` */
};

struct keydir_table {
	pthread_mutex_t *lock; /* of the rest; written only by the one thread, see above */
	struct keydir_slot *slots;
	uint32_t mask;     /* slots - 1 */
	uint32_t count;    /* slots in use */
	uint32_t promised; /* keys that were prepared, not yet set */
};

/* Slots for all tables of one size, side by side, since they grow at about the same time. */
struct keydir_slots {
	struct keydir_slot *data; /* NULL: none */
	uint32_t tables;          /* that have theirs here */
};

struct keydir {
	struct keydir_table tables[KEYDIR_TABLES];
	struct keydir_slots slots[32]; /* by the logarithm of a table's size */
	struct keydir_lock *own_locks; /* owned; NULL: the locks are borrowed */
	struct arena entries;
	atomic_uint_fast64_t count; /* keys */
	uint64_t key_bytes;         /* of all of them together */
};

/* KEYDIR_TABLES locks.  NULL: no memory. */
struct keydir_lock *keydir_locks_new(void);
/* NULL is fine. */
void keydir_locks_free(struct keydir_lock *locks);

/* `{0}` is fine for keydir_release().  `locks`: KEYDIR_TABLES of them, which outlive it; NULL: it
 * has its own.  0 or -ENOMEM. */
int keydir_init(struct keydir *keydir, struct keydir_lock *locks);
void keydir_release(struct keydir *keydir);

static inline uint64_t keydir_count(struct keydir *keydir)
{
	return atomic_load_explicit(&keydir->count, memory_order_relaxed);
}

/* The place of `key`; with `pin` the caller gets a reference on its segment, and has the
 * processor fetch the record; without it may only compare the pointer.  False: no such key. */
bool keydir_get(struct keydir *keydir, struct dw_bytes key, bool pin, struct keydir_place *ret);

/* The table of a key with that keyhash(). */
static inline unsigned keydir_table_of(uint64_t hash)
{
	return (unsigned)(hash >> (64 - KEYDIR_TABLE_BITS));
}

/* The same for a key with that keyhash(), if its table's lock is held, or nothing is changed
 * meanwhile. */
bool keydir_get_locked(const struct keydir *keydir, struct dw_bytes key, uint64_t hash, bool pin,
		       struct keydir_place *ret);

/* All that keydir_set() of a key will need, so that it cannot fail. */
struct keydir_prepared {
	uint64_t hash;
	uint32_t entry; /* name; 0: none */
};

/* 0 or -ENOMEM. */
int keydir_prepare(struct keydir *keydir, struct dw_bytes key, struct keydir_prepared *ret);
/* Give back what was prepared and not set; `{0}` is fine. */
void keydir_drop(struct keydir *keydir, struct keydir_prepared *prepared);

/* Have the processor fetch what keydir_set(), or a search for `key`, will look at. */
void keydir_prefetch(const struct keydir *keydir, const struct keydir_prepared *prepared);
void keydir_prefetch_key(const struct keydir *keydir, struct dw_bytes key);

/* Set the place of the key that was prepared, and use that up.  `*old_ret`: the place before; its
 * segment is NULL if the key is new.  A key that is there keeps its `hides`.  True: it was there.
 */
bool keydir_set(struct keydir *keydir, struct keydir_prepared *prepared,
		const struct keydir_place *place, struct keydir_place *old_ret);

/* Remove `key` if it is there.  `*old_ret` likewise.  True: it was there. */
bool keydir_remove(struct keydir *keydir, struct dw_bytes key, struct keydir_place *old_ret);

/* If `key` is at `offset` of `from`, let it be at `to_offset` of `to`, where the same
 * value is.  True: it was moved. */
bool keydir_move(struct keydir *keydir, struct dw_bytes key, const struct dw_segment *from,
		 uint64_t offset, struct dw_segment *to, uint64_t to_offset);

/* A record of a segment that is asked about. */
struct keydir_probe {
	struct dw_bytes key;
	uint64_t offset;  /* in the segment */
	uint32_t entry;   /* ret: name of the entry that points to it; 0: none does */
	int64_t mtime_ns; /* ret, with an entry */
};

enum { KEYDIR_PROBES = 128 };

/* Look up to KEYDIR_PROBES records of `segment` up at once, so that the processor's
 * waits for memory overlap. */
void keydir_probe(const struct keydir *keydir, const struct dw_segment *segment,
		  struct keydir_probe *probes, size_t count);

/* Have the processor fetch an entry. */
void keydir_prefetch_entry(const struct keydir *keydir, uint32_t name);

/* Of the entry of that name, which is prepared, or set and not removed since. */
struct dw_bytes keydir_entry_key(const struct keydir *keydir, uint32_t name);
uint64_t keydir_entry_hash(const struct keydir *keydir, uint32_t name);

/* Byte order: negative, 0 or positive. */
static inline int keydir_compare(struct dw_bytes a, struct dw_bytes b)
{
	size_t least = a.size < b.size ? a.size : b.size;
	int order = least ? memcmp(a.data, b.data, least) : 0;

	return order ? order : (a.size > b.size) - (a.size < b.size);
}

/* Walk over all keys: start with `{0}`.  False at the end. */
struct keydir_cursor {
	uint32_t table, slot;
};
bool keydir_next(const struct keydir *keydir, struct keydir_cursor *cursor,
		 struct dw_bytes *key_ret, struct keydir_place *place_ret);
/* The same by slots, which stay where they are as long as nothing is changed; NULL at the end. */
const struct keydir_slot *keydir_next_slot(const struct keydir *keydir,
					   struct keydir_cursor *cursor);
void keydir_slot_get(const struct keydir *keydir, const struct keydir_slot *slot,
		     struct dw_bytes *key_ret, struct keydir_place *place_ret);

#endif
