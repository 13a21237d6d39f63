/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * oracle.h - what the store must hold after so many operations.
 *
 * Operations are numbered from 0.  Which key operation n takes and what it does with it
 * follow from the seed and the operations before it, never from the clock: two runs of
 * one seed do the same, and after a kill the oracle only has to be moved on to the
 * number of operations that were acknowledged.
 *
 * The value that operation n puts is the payload of its record with n + 1, the stamp,
 * in place of the first eight bytes (little-endian; fewer where there are fewer): no
 * old value is ever taken for a new one.
 */
#ifndef TOOLS_SOAK_ORACLE_H
#define TOOLS_SOAK_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "datawal.h"
#include "tools/soak/config.h"
#include "tools/soak/stream.h"

enum { STAMP_SIZE = 8, SYNC_EVERY = 1000, DELETE_EVERY = 20 };

/* A key, and what is expected of it. */
struct slot {
	UT_hash_handle hh, by_name;
	struct dw_bytes key;         /* the stream's */
	char *name;                  /* owned; as a file of the mount, or NULL */
	const char *stream;          /* the first record with this key: its stream */
	size_t index;                /* and number from 1 */
	const struct record *record; /* of the last put */
	uint64_t stamp;              /* of the operation that changed it last; 0: none */
	size_t live_at;              /* in oracle.live, if live */
	bool live;
	unsigned seen; /* of one listing of the store */
};

struct counters {
	uint64_t puts, deletes, rotates, compacts;
	uint64_t bytes_written; /* keys and values */
};

struct oracle {
	const struct config *config; /* not owned, nor are the streams */
	const struct stream *streams;
	struct slot *slots;
	size_t count;
	struct slot *table; /* by key */
	struct slot **live;
	size_t live_count;
	uint64_t operations; /* applied so far; the number of the next one */
	struct counters counters;
};

/* One operation. */
struct step {
	uint64_t operation;
	struct slot *slot;
	const struct record *record; /* of a put; NULL: a delete */
	bool syncs, rotates, compacts;
};

/* The streams must outlive the oracle; their records are told their slots. */
void oracle_init(struct oracle *oracle, const struct config *config, struct stream *streams);
void oracle_release(struct oracle *oracle);

/* The next operation. */
void oracle_next(const struct oracle *oracle, struct step *ret);
/* It is done. */
void oracle_apply(struct oracle *oracle, const struct step *step);
/* Apply up to, not with, operation number `operations`. */
void oracle_advance(struct oracle *oracle, uint64_t operations);

/* NULL: no record has this key. */
struct slot *oracle_find(const struct oracle *oracle, struct dw_bytes key);

/* A number for operation `operation` and the use `salt`. */
uint64_t oracle_random(const struct oracle *oracle, uint64_t operation, uint64_t salt);

/* Write the value that `stamp` gives `record` to `ret`, of the payload's size. */
void value_build(const struct record *record, uint64_t stamp, void *ret);
bool value_matches(const struct record *record, uint64_t stamp, struct dw_bytes value);
/* The stamp in a value, as far as it goes. */
uint64_t value_stamp(struct dw_bytes value);

/* A number for all keys and values together, the same for the same view. */
uint64_t oracle_digest(const struct oracle *oracle);

#endif
