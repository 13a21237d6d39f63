/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * runs.h - runs and sorted arrays that say the same, for tests of engine/index.
 *
 * An answer of a run is compared with what a walk over the array finds.  Any difference ends the
 * test; where a run may be damaged, -EBADMSG is as good as the right answer.
 */
#ifndef SUPPORT_RUNS_H
#define SUPPORT_RUNS_H

#include "index/run.h"
#include "index/runwriter.h"
#include "tests/support/check.h"

enum { RUNS_SEED = 4711 };

/* The shapes of keys. */
enum runs_flavor {
	RUNS_FLAT,  /* 16 hexadecimal digits */
	RUNS_TREE,  /* paths, a few directories deep */
	RUNS_MIXED, /* 0 to 300 bytes of a small alphabet with many slashes */
	RUNS_LONG,  /* up to 64 KiB, with long common beginnings */
	RUNS_FLAVORS
};

struct runs_item {
	uint8_t *key; /* owned */
	size_t size;
	struct run_place place;
};

/* By key. */
struct runs_array {
	struct runs_item *items; /* owned */
	size_t count;
};

static inline struct dw_bytes runs_key(const struct runs_array *array, size_t i)
{
	return (struct dw_bytes){array->items[i].key, array->items[i].size};
}

/* About so many keys, at random; places with large and small numbers, tombstones among them. */
struct runs_array runs_make(struct rng *rng, enum runs_flavor flavor, size_t count);
void runs_release(struct runs_array *array);

/* Write the array as a run; 0 or what the writer says. */
int runs_write(struct io *io, int dirfd, uint32_t id, uint32_t chunk_keys,
	       const struct runs_array *array);

/* Ask `run` for all keys, for some that are not there, for what is below directories, and walk
 * over it.  With `damaged`, -EBADMSG is fine; how often that was said. */
size_t runs_check(struct run *run, const struct runs_array *array, struct rng *rng, bool damaged);

#endif
