/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * prefault.h - pages of new memory fetched by a second thread.
 *
 * The first touch of a page waits until the system has one and has cleared it: seldom long, but
 * a virtual machine may have to ask its host (here 2 to 4 ms for 2 MiB; docs/ARCHITECTURE.md,
 * Decisions).  Who is about to fill much memory from the start of it can have a processor that
 * is idle fetch it from the end.
 */
#ifndef BASE_PREFAULT_H
#define BASE_PREFAULT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct prefault_range {
	void *data; /* by bulk_alloc(), not given back before prefault_stop() */
	size_t size;
};

enum { PREFAULT_RANGES = 3 };

struct prefault {
	pthread_t thread;
	bool started;
	atomic_bool stop;
	struct prefault_range ranges[PREFAULT_RANGES]; /* one after the other; NULL: none */
};

/* Begin with the ranges that are set, all else `{0}`.  It stays where it is meanwhile.  What they
 * hold does not change, whoever writes to them at the same time.  Does nothing where that would
 * not pay (one processor, little memory) or cannot be had. */
void prefault_start(struct prefault *prefault);

/* Stop, wherever it is.  Once, after prefault_start(); `{0}` is fine. */
void prefault_stop(struct prefault *prefault);

#endif
