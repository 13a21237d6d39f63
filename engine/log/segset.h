/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * segset.h - the segments of a store, by ascending id.
 *
 * There is no manifest: the directory is the list.  The set holds a reference
 * to each of its segments; the store's view lock covers it.
 */
#ifndef LOG_SEGSET_H
#define LOG_SEGSET_H

#include "disk/segment.h"

struct segset {
	struct dw_segment **items; /* ascending ids */
	size_t count, capacity;
};

/* Ids of a directory's segments. */
struct segset_ids {
	uint32_t *items; /* ascending; owned */
	size_t count, capacity;
};

/* List the segments in `dirfd`.  0 or -errno; release `ret` in any case. */
int segset_list(struct io *io, int dirfd, struct segset_ids *ret);
void segset_ids_release(struct segset_ids *ids);
/* For bsearch(3) in the ids. */
int segset_compare_ids(const void *a, const void *b);

/* Make room for `extra` more, so that so many segset_add() cannot fail. */
int segset_reserve(struct segset *set, size_t extra);

/* Put a segment at its place and take over the caller's reference; room was reserved. */
void segset_add(struct segset *set, struct dw_segment *segment);

/* Take a segment out and drop the set's reference. */
void segset_remove(struct segset *set, struct dw_segment *segment);

/* The one with the highest id; NULL: none. */
struct dw_segment *segset_last(const struct segset *set);

/* Whether there is a segment of that id. */
bool segset_has(const struct segset *set, uint32_t id);

/* Drop all references. */
void segset_release(struct segset *set);

/* A copy of the first `count` items, each with a reference of its own.  0 or -ENOMEM. */
int segset_copy(const struct segset *set, size_t count, struct segset *ret);

#endif
