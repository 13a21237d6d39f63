/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * warm.c - see warm.h.
 */
#include "base/warm.h"

#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>

#include "base/bulk.h"
#include "base/processors.h"

enum { WORTH_IT = 8 << 20 }; /* bytes */

/* Large pages from the last one down; what is no whole one is left out.  False: stop. */
static bool warm(struct warmer *warmer, const struct warm_range *range)
{
	size_t at = range->size / BULK_MIN * BULK_MIN;

	while (range->data && at) {
		at -= BULK_MIN;
		if (atomic_load_explicit(&warmer->stop, memory_order_relaxed) ||
		    madvise((uint8_t *)range->data + at, BULK_MIN, MADV_POPULATE_WRITE) < 0)
			return false; /* unknown before Linux 5.14, or no memory */
	}
	return true;
}

static void *work(void *arg)
{
	struct warmer *warmer = arg;
	size_t i = 0;

	while (i < WARM_RANGES && warm(warmer, &warmer->ranges[i]))
		i++;
	return NULL;
}

void warm_start(struct warmer *warmer)
{
	sigset_t all, old;
	size_t size = 0;

	for (size_t i = 0; i < WARM_RANGES; i++)
		size += warmer->ranges[i].data ? warmer->ranges[i].size : 0;
	if (size < WORTH_IT || processors() < 2)
		return;
	(void)sigfillset(&all); /* those are for the program's own threads */
	(void)pthread_sigmask(SIG_BLOCK, &all, &old);
	warmer->started = !pthread_create(&warmer->thread, NULL, work, warmer);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void warm_stop(struct warmer *warmer)
{
	if (!warmer->started)
		return;
	atomic_store(&warmer->stop, true);
	(void)pthread_join(warmer->thread, NULL);
	warmer->started = false;
}
