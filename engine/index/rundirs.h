/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * rundirs.h - what lies below each directory of sorted keys, summed up as the keys go by.
 *
 * Each `/` of a key that is not its last byte ends the name of a directory that the key lies
 * below.  Of sorted keys, those below a directory follow each other: so a stack of the directories
 * of the last key is all that is needed, and a directory is done when a key outside comes.
 */
#ifndef INDEX_RUNDIRS_H
#define INDEX_RUNDIRS_H

#include <xxhash.h>

#include "codec/run.h"

struct rundir {
	uint32_t name_size;
	struct run_directory sums; /* so far, without those below that are open, too */
};

struct rundirs {
	uint64_t seed;
	XXH3_state_t *hash;  /* owned; NULL until needed */
	struct rundir *open; /* owned; the deepest last; the first is the root */
	uint32_t open_count, open_max;
	struct run_directory *done; /* owned */
	uint32_t done_count, done_max;
};

/* `{0}` is fine for rundirs_release().  0 or -ENOMEM. */
int rundirs_init(struct rundirs *dirs, uint64_t seed);
void rundirs_release(struct rundirs *dirs);

/* End the directories whose names are longer than `shared`, the bytes that the next key has in
 * common with the last one: they are done.  0 or -ENOMEM. */
int rundirs_leave(struct rundirs *dirs, size_t shared);

/* Count a key, after rundirs_leave().  0 or -ENOMEM. */
int rundirs_enter(struct rundirs *dirs, struct dw_bytes key, const struct run_place *place);

#endif
