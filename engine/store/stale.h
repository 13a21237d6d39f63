/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * stale.h - large values that were replaced or removed, and are still cached.
 *
 * In a log that only grows their pages are of no use to anyone; without these the kernel
 * would find new ones for every new value until memory is full.  Pages that are not yet on disk
 * cannot be let go, so what dies in the active segment waits for its end.
 */
#ifndef STORE_STALE_H
#define STORE_STALE_H

#include "base/limits.h"
#include "index/keydir.h"

/* Bytes of a value from which on it pays: less is gone through faster than let go. */
enum { STALE_SIZE_MIN = 256 << 10 };

struct stale_range {
	struct dw_segment *segment;
	uint64_t offset, size;
};

struct stale_list {
	struct stale_range *ranges; /* owned */
	size_t count, room;
};

/* `{0}` is empty. */
struct stale {
	struct stale_list active; /* of the active segment, which they do not count on */
	struct stale_list ready;  /* of others; each holds a reference */
};

/* The value of `key` is no longer at `place`, whose segment may be NULL.  Under log.lock. */
void stale_add(struct stale *stale, const struct dw_segment *active, struct dw_bytes key,
	       const struct keydir_place *place);
/* `segment` was the active one until now, and is on disk.  Under log.lock. */
void stale_rotated(struct stale *stale, struct dw_segment *segment);

/* What can be let go now, for stale_let_go().  Under log.lock. */
struct stale_list stale_take(struct stale *stale);
/* Let it go, without a lock: the kernel may have to wait for other processors. */
void stale_let_go(struct stale_list *list);

void stale_release(struct stale *stale);

#endif
