/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * clock.h - the two clocks of the file system.  Neither can fail.
 */
#ifndef FS_BASE_CLOCK_H
#define FS_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_read_ns(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now); /* fails only for a clock that does not exist */
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Since 1970: for what is kept or shown.  It jumps when the clock is set. */
static inline int64_t clock_realtime_ns(void)
{
	return clock_read_ns(CLOCK_REALTIME);
}

/* Since some moment: for how long something takes, and for timeouts. */
static inline int64_t clock_monotonic_ns(void)
{
	return clock_read_ns(CLOCK_MONOTONIC);
}

static inline int64_t clock_monotonic_ms(void)
{
	return clock_monotonic_ns() / 1000000;
}

/* A time since 1970 as "2026-01-31T12:00:00Z". */
enum { CLOCK_TEXT_SIZE = 32 };
const char *clock_text(int64_t ns, char ret[CLOCK_TEXT_SIZE]);

#endif
