/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * keydir.h - the key directory: for each live key, where its newest record is.
 *
 * The whole view of a store in memory (the term is Bitcask's).  Entries keep
 * their key and come from the heap one by one; uthash links them, XXH3 hashes.
 * Nothing here locks: the store's view lock covers it all.
 */
#ifndef STORE_KEYDIR_H
#define STORE_KEYDIR_H

#include "datawal.h"
#include "disk/segment.h"

struct keydir_place {
	struct dw_segment *segment; /* not counted: the list of segments holds it */
	uint64_t offset;
	int64_t mtime_ns;
	uint32_t value_size;
};

struct keydir_entry;

struct keydir {
	struct keydir_entry *head; /* NULL: empty */
};

/* An entry for `key`, not yet in a directory.  NULL: no memory. */
struct keydir_entry *keydir_entry_new(struct dw_bytes key);
void keydir_entry_free(struct keydir_entry *entry);

struct dw_bytes keydir_entry_key(const struct keydir_entry *entry);
struct keydir_place *keydir_entry_place(struct keydir_entry *entry);

struct keydir_entry *keydir_find(const struct keydir *keydir, struct dw_bytes key);

/* Set the place of the entry's key.  A new key takes `entry` over; for a known one
 * `entry` is freed.  Keeps live_bytes of both segments.  0, or -ENOMEM: `entry`
 * is freed and the directory unchanged. */
int keydir_set(struct keydir *keydir, struct keydir_entry *entry, const struct keydir_place *place);

/* Remove `key` if it is there.  Keeps live_bytes. */
void keydir_remove(struct keydir *keydir, struct dw_bytes key);

/* Move an entry to another place of the same value.  Keeps live_bytes. */
void keydir_move(struct keydir_entry *entry, struct dw_segment *segment, uint64_t offset);

uint64_t keydir_count(const struct keydir *keydir);

/* Walk: first entry, and the one behind; NULL at the end. */
struct keydir_entry *keydir_first(const struct keydir *keydir);
struct keydir_entry *keydir_after(const struct keydir_entry *entry);

/* Free all entries. */
void keydir_release(struct keydir *keydir);

#endif
