/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * run.h - a run, bytes <-> structs: a sorted file of keys, each with the place of its newest
 * record or with the word that it was removed.
 *
 * Pure: no I/O.  A run is input like any other: whatever the bytes, decoding stays within them.
 * docs/FORMAT.md has the tables.
 */
#ifndef CODEC_RUN_H
#define CODEC_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "datawal.h"

/* What a run says of one key. */
struct run_place {
	uint32_t segment; /* id */
	uint32_t value_size;
	uint64_t offset;  /* of the record, in its segment */
	int64_t mtime_ns; /* commit time */
	bool tombstone;   /* the key was removed: segment, offset and value_size are what the
			     writer gave, mostly 0 */
	/* By how much this entry changes the number of live keys: +1, it puts a key that was absent
	 * below; -1, it removes one that was live; 0, it replaces or removes nothing new.  In a
	 * join of runs, the sum. */
	int8_t change;
};

/* Whether the fields go together: a put changes by 0 or +1, a tombstone by 0 or -1. */
bool run_place_is_valid(const struct run_place *place);

/* What keys are found by.  The seed is a secret of the store, so that nobody can choose keys
 * whose hashes meet. */
uint64_t run_hash(uint64_t seed, struct dw_bytes key);

#endif
