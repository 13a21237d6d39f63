/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * version.h - what the index consists of, from one change of it to the next.
 *
 * A version names the active delta, the sealed deltas and the runs, each newest first, and holds
 * the segments that these point into.  It never changes; a new one takes its place as a whole.  A
 * reader of the newest version counts itself in, under the lock of its shard, and out again, so a
 * version does not go while a reader uses it.  A count a shard: readers do not meet.
 *
 * It must never be freed while a reader is counted in, nor linger when none is: it holds segments,
 * and a compaction wants their space back.
 */
#ifndef INDEX_VERSION_H
#define INDEX_VERSION_H

#include <stdatomic.h>

#include "index/delta.h"
#include "index/run.h"

/* Of the keys of one table of the active delta: one lock is taken for both. */
enum { VERSION_SHARDS = KEYDIR_TABLES };

struct version_pins {
	_Alignas(64) atomic_uint count;
};

/* The parts of the index.  All that is in here is borrowed, or referenced, as is said where it
 * stands. */
struct parts {
	struct segments *segments;
	struct delta *active; /* NULL: of a moment */
	struct delta **sealed;
	size_t sealed_count;
	struct run **runs;
	size_t run_count;
	uint64_t seed; /* of the runs' hashes */
};

struct version {
	struct version_pins pins[VERSION_SHARDS]; /* readers under way */
	struct version *next;                     /* of the retired */
	struct parts parts;                       /* referenced; the arrays owned */
	void *pointers[];
};

/* A version with references of its own on all these parts.  NULL: no memory. */
struct version *version_new(const struct parts *parts);
/* NULL is fine.  No reader is counted in. */
void version_free(struct version *version);
bool version_is_read(struct version *version);

static inline bool parts_have_below(const struct parts *parts)
{
	return parts->sealed_count || parts->run_count;
}

/* Where `key` is below the active delta.  1; 0: it is not there or was removed; -EBADMSG or another
 * -errno. */
int parts_get_below(const struct parts *parts, struct dw_bytes key, bool pin,
		    struct keydir_place *ret);

/* A key that is asked for together with others. */
struct parts_probe {
	const struct dw_bytes *key;
	struct keydir_place *place; /* ret, if rc is 1 */
	int rc;                     /* ret: the result that parts_get_below() would return */
};

enum { PARTS_PROBES = 32 };

/* As parts_get_below() of each, without references; of up to PARTS_PROBES at once, so that waits
 * for memory overlap. */
void parts_get_below_many(const struct parts *parts, struct parts_probe *probes, size_t count);

/* Where a run says that a record is; -EBADMSG: there is no such segment, so the run is wrong. */
int parts_place(const struct parts *parts, const struct run_place *place, struct keydir_place *ret);

#endif
