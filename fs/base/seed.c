/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * seed.c - see seed.h.
 */
#include "fs/base/seed.h"

#include <pthread.h>
#include <sys/random.h>

#include "fs/base/clock.h"

static uint64_t seed;

static void make_seed(void)
{
	if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) == sizeof seed)
		return;
	/* early at boot: the time, and where the program lies */
	int64_t now = clock_realtime_ns();
	seed = (uint64_t)now * 0x9e3779b97f4a7c15u ^ (uintptr_t)&now << 20;
}

uint64_t seed_get(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, make_seed); /* fails only for a bad argument */
	return seed;
}
