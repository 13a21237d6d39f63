/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * segments.h - a list of segments that does not change, shared by all that point into them.
 *
 * A segment whose name a compaction took stays readable as long as such a list holds it.
 */
#ifndef INDEX_SEGMENTS_H
#define INDEX_SEGMENTS_H

#include <stdatomic.h>

#include "log/segset.h"

struct segments {
	atomic_uint refs;
	struct segset set; /* referenced */
	uint32_t *ids;     /* of these; owned */
};

/* A copy of `set`, or one more reference on `known`, if that is the same (it may be NULL).  NULL:
 * no memory. */
struct segments *segments_of(struct segments *known, const struct segset *set);
struct segments *segments_ref(struct segments *segments);
/* NULL is fine. */
void segments_unref(struct segments *segments);

/* NULL: there is none of that id. */
struct dw_segment *segments_find(const struct segments *segments, uint32_t id);

#endif
