/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * stale.h - large values that were replaced or removed, and are still cached.
 *
 * In a log that only grows their pages are of no use to anyone; without these the kernel
 * would find new ones for every new value until memory is full.  Pages that are not yet on disk
 * cannot be let go, so what dies in the active segment waits for its end.
 *
 * All under log.lock.
 */
#ifndef STORE_STALE_H
#define STORE_STALE_H

#include "base/limits.h"
#include "store/keydir.h"

/* Bytes of a value from which on it pays: less is gone through faster than let go. */
enum { STALE_SIZE_MIN = 256 << 10 };

struct stale_range {
	uint64_t offset, size;
};

/* `{0}` is empty. */
struct stale {
	struct stale_range *ranges; /* of the active segment; owned */
	size_t count, room;
};

/* The value of `key` is no longer at `place`, whose segment may be NULL. */
void stale_add(struct stale *stale, const struct dw_segment *active, struct dw_bytes key,
	       const struct keydir_place *place);
/* `segment` was the active one until now, and is on disk. */
void stale_rotated(struct stale *stale, struct dw_segment *segment);
void stale_release(struct stale *stale);

#endif
