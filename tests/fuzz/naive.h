/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * naive.h - a reader of segments written from docs/FORMAT.md alone, too simple to be
 * fast or wrong; and a view as an array of pairs.  Fuzzers hold the engine against it.
 *
 * Nothing is copied: keys and values are the caller's bytes.
 */
#ifndef FUZZ_NAIVE_H
#define FUZZ_NAIVE_H

#include "datawal.h"

struct naive_pair {
	struct dw_bytes key, value;
	uint64_t offset; /* of its record */
	uint32_t segment;
};

struct naive_view {
	struct naive_pair *pairs; /* owned */
	size_t count;
};

void naive_put(struct naive_view *view, const struct naive_pair *pair);
void naive_delete(struct naive_view *view, struct dw_bytes key);
/* NULL: absent. */
const struct naive_pair *naive_find(const struct naive_view *view, struct dw_bytes key);
void naive_release(struct naive_view *view);

bool naive_same(struct dw_bytes a, struct dw_bytes b);

/* CRC-32C. */
uint32_t naive_crc(const uint8_t *data, size_t size);

struct naive_record {
	uint8_t type;
	uint64_t txid;
	struct dw_bytes key, payload;
	size_t size; /* of all of it */
};

/* The record at the front of `size` bytes: DW_DAMAGE_NONE and `*ret`, or what is wrong. */
enum dw_damage naive_decode(const uint8_t *data, size_t size, struct naive_record *ret);

/* The contents of a segment. */
struct naive_segment {
	uint64_t records, last_txid;
	uint64_t end;          /* of the valid records */
	enum dw_damage damage; /* of what is there; NONE: nothing */
	bool refuses;          /* the store, for it is no torn tail */
};

/* Replay a segment into the view. */
struct naive_segment naive_replay(struct naive_view *view, uint32_t id, const uint8_t *data,
				  size_t size, bool last);

/* The store's view is this one: number, every value, none else.  Ends the program if not. */

void naive_check(const struct naive_view *view, struct dw_store *store);

/* Correct the checksums of all bytes that have the sizes of a record, from the front on, so that
 * inputs get past them. */
void naive_fix(uint8_t *data, size_t size);

#endif
