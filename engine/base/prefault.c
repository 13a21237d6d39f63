/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * prefault.c - see prefault.h.
 */
#include "base/prefault.h"

#include <stdint.h>
#include <sys/mman.h>

#include "base/bulk.h"
#include "base/processors.h"
#include "base/thread.h"

enum { WORTH_IT = 8 << 20 }; /* bytes */

/* Large pages from the last one down; what is no whole one is left out.  False: stop. */
static bool fault_in(struct prefault *prefault, const struct prefault_range *range)
{
	size_t at = range->size / BULK_MIN * BULK_MIN;

	while (range->data && at) {
		at -= BULK_MIN;
		if (atomic_load_explicit(&prefault->stop, memory_order_relaxed) ||
		    madvise((uint8_t *)range->data + at, BULK_MIN, MADV_POPULATE_WRITE) < 0)
			return false; /* unknown before Linux 5.14, or no memory */
	}
	return true;
}

static void *work(void *arg)
{
	struct prefault *prefault = arg;
	size_t i = 0;

	while (i < PREFAULT_RANGES && fault_in(prefault, &prefault->ranges[i]))
		i++;
	return NULL;
}

void prefault_start(struct prefault *prefault)
{
	size_t size = 0;

	for (size_t i = 0; i < PREFAULT_RANGES; i++)
		size += prefault->ranges[i].data ? prefault->ranges[i].size : 0;
	if (size < WORTH_IT || processors() < 2)
		return;
	prefault->started = !thread_start(&prefault->thread, work, prefault);
}

void prefault_stop(struct prefault *prefault)
{
	if (!prefault->started)
		return;
	atomic_store(&prefault->stop, true);
	(void)pthread_join(prefault->thread, NULL);
	prefault->started = false;
}
