/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * internal.h - what the files of the index share.
 */
#ifndef INDEX_INTERNAL_H
#define INDEX_INTERNAL_H

#include "index/index.h"

enum { SEALED_MAX = 8 }; /* sealed deltas: each costs every look-up of a key that it has not */

struct index_moment {
	atomic_uint refs;        /* its owner's, and its cursors' */
	struct version *version; /* without an active delta */
	uint64_t count;          /* keys */
};

struct index_moment *moment_ref(struct index_moment *moment);

/* Let the active delta be the newest sealed one, if there is anything in it, and a new one begin;
 * the segments are `segments` (NULL: as they were).  `change` and log.lock are held.  0 or
 * -ENOMEM. */
int index_seal_locked(struct index *index, const struct segset *segments);
/* All parts below the active delta, with the segments.  `change` and log.lock are held.  NULL:
 * no memory. */
struct version *index_version_below(struct index *index, const struct segset *segments);

#endif
