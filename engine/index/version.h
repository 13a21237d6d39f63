/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * version.h - what the index consists of, from one change of it to the next.
 *
 * A version names the active delta, the sealed deltas, newest first, and holds the segments that
 * these point into.  It never changes; a new one takes its place as a whole.  A reader of the
 * newest version counts itself in, under the lock of its shard, and out again, so versions do not
 * go while somebody looks into them.  A count a shard: readers do not meet.
 *
 * It must never be freed while a reader is counted in, nor linger when none is: it holds segments
 * whose space a compaction wants back.
 */
#ifndef INDEX_VERSION_H
#define INDEX_VERSION_H

#include <pthread.h>
#include <stdatomic.h>

#include "index/keydir.h"
#include "log/segset.h"

enum { VERSION_SHARDS = KEYDIR_TABLES };

/* A list of segments that versions and deltas share. */
struct segments {
	atomic_uint refs;
	struct segset set;
};

/* A key directory with tombstones: entries without a segment. */
struct delta {
	struct keydir keydir;
	struct segments *segments; /* sealed: all that it points into, also what was moved since */
	atomic_uint refs;          /* of versions, moments */
	pthread_mutex_t sorting;
	struct delta_item *sorted; /* made when first needed, and the delta is sealed; `sorting` */
	size_t sorted_count;
};

/* A key of a sealed delta. */
struct delta_item {
	struct dw_bytes key;
	struct keydir_place place;
};

struct delta *delta_new(void);
struct delta *delta_ref(struct delta *delta);
/* NULL is fine. */
void delta_unref(struct delta *delta);
/* Keys and tombstones. */
static inline uint64_t delta_count(struct delta *delta)
{
	return keydir_count(&delta->keydir);
}
/* Have `sorted` of a sealed delta.  0 or -ENOMEM.  Any thread. */
int delta_sort(struct delta *delta);

struct segments *segments_ref(struct segments *segments);
/* NULL is fine. */
void segments_unref(struct segments *segments);

struct version_pins {
	_Alignas(64) atomic_uint count;
};

struct version {
	struct version_pins pins[VERSION_SHARDS]; /* readers under way */
	struct version *next;                     /* of the retired */
	struct segments *segments;
	struct delta *active;
	size_t sealed_count;
	struct delta *sealed[]; /* the newest first; referenced */
};

/* A version that holds references of its own on all this; `set` NULL: the segments are those of
 * `from`.  NULL: no memory. */
struct version *version_new(struct delta *active, struct delta *const *sealed, size_t sealed_count,
			    const struct version *from, const struct segset *set);
/* NULL is fine.  Nobody is counted in. */
void version_free(struct version *version);
bool version_is_read(struct version *version);

/* Where `key` is below the active delta.  1; 0: it is not there or was removed; -errno. */
int version_get_below(struct version *version, struct dw_bytes key, bool pin,
		      struct keydir_place *ret);

#endif
