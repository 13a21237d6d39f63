/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * dirs.h - of each directory that keys lie below: by how much a delta changes the number of live
 * keys there, and when the newest of them was put.
 *
 * Each `/` of a key that is not its last byte ends the name of a directory that it lies below; the
 * empty name is one, too, which all keys but the empty one lie below.  Runs count the same way
 * (index/run.h), so the sums add up.  Names are told apart by 128 bits of a hash with a secret.
 *
 * Threads: one changes at a time; dirs_get() by any.
 */
#ifndef INDEX_DIRS_H
#define INDEX_DIRS_H

#include <pthread.h>

#include "datawal.h"

struct dir {
	uint64_t high, low; /* of the name's hash; both 0: none */
	int64_t change;
	int64_t newest_ns;
};

struct dirs {
	pthread_mutex_t lock; /* of the rest, for readers */
	struct dir *slots;    /* owned; a power of two of them */
	size_t mask;          /* slots - 1 */
	size_t count;
	size_t promised; /* that were reserved and not yet added */
};

void dirs_init(struct dirs *dirs);
void dirs_release(struct dirs *dirs);

/* How many directories `key` lies below. */
size_t dirs_depth(struct dw_bytes key);
/* Have room for so many more, until dirs_keep() gives it back.  0 or -ENOMEM. */
int dirs_reserve(struct dirs *dirs, size_t depth);
void dirs_keep(struct dirs *dirs, size_t depth);

/* Add to all that `key` lies below; there is room.  INT64_MIN: it was not put. */
void dirs_add(struct dirs *dirs, struct dw_bytes key, int64_t change, int64_t newest_ns);

/* Add what is known of `prefix` to `*change`, and let `*newest_ns` be the later one. */
void dirs_get(struct dirs *dirs, struct dw_bytes prefix, int64_t *change, int64_t *newest_ns);

#endif
