/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * seed.c - see seed.h.
 */
#include "fs/name/seed.h"

#include <pthread.h>
#include <sys/random.h>
#include <time.h>

static uint64_t seed;

static void make_seed(void)
{
	if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) == sizeof seed)
		return;
	/* early at boot: the time, and where the program lies */
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail */
	seed = (uint64_t)now.tv_nsec * 0x9e3779b97f4a7c15u ^ (uint64_t)now.tv_sec ^
	       (uintptr_t)&now << 20;
}

uint64_t seed_get(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, make_seed); /* fails only for a bad argument */
	return seed;
}
