/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * deadpages.h - large values that were replaced or removed, and are still cached.
 *
 * In a log that only grows their pages are of no use to anyone; without these the kernel
 * would find new ones for every new value until memory is full.  Pages that are not yet on disk
 * cannot be let go, so what dies in the active segment waits for its end.
 */
#ifndef STORE_DEADPAGES_H
#define STORE_DEADPAGES_H

#include "base/limits.h"
#include "index/keydir.h"

/* Bytes of a value from which on it pays: less is gone through faster than let go. */
enum { DEAD_SIZE_MIN = 256 << 10 };

struct dead_range {
	struct dw_segment *segment;
	uint64_t offset, size;
};

struct dead_list {
	struct dead_range *ranges; /* owned */
	size_t count, room;
};

/* `{0}` is empty. */
struct dead_pages {
	struct dead_list active; /* of the active segment, which they do not count on */
	struct dead_list ready;  /* of others; each holds a reference */
};

/* The value of `key` is no longer at `place`; its segment may be NULL.  Under log.lock. */
void dead_pages_add(struct dead_pages *dead_pages, const struct dw_segment *active,
		    struct dw_bytes key, const struct keydir_place *place);
/* `segment` was the active one until now, and is on disk.  Under log.lock. */
void dead_pages_rotated(struct dead_pages *dead_pages, struct dw_segment *segment);

/* The pages that can be dropped now, for dead_pages_drop().  Under log.lock. */
struct dead_list dead_pages_take(struct dead_pages *dead_pages);
/* Let it go, without a lock: the kernel may have to wait for other processors. */
void dead_pages_drop(struct dead_list *list);

void dead_pages_release(struct dead_pages *dead_pages);

#endif
