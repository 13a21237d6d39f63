/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * keyhash.c - see keyhash.h.
 */
#include "index/keyhash.h"

#include <pthread.h>
#include <sys/random.h>

#include "base/clock.h"

uint8_t keyhash_secret[XXH3_SECRET_DEFAULT_SIZE];

static void make_secret(void)
{
	if (getrandom(keyhash_secret, sizeof keyhash_secret, GRND_NONBLOCK) ==
	    sizeof keyhash_secret)
		return;
	/* early at boot there may be no entropy: hash the time and the address of the stack */
	int64_t now = clock_now_ns();
	XXH3_generateSecret_fromSeed(keyhash_secret, (uint64_t)now ^ (uintptr_t)&now << 20);
}

void keyhash_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, make_secret); /* fails only for a bad argument */
}
