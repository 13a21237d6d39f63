/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * clock.h - reading clocks, and waiting for them.  Neither clock can fail.
 */
#ifndef TOOLS_COMMON_CLOCK_H
#define TOOLS_COMMON_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_read_ns(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now); /* fails only for a clock that does not exist */
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Since 1970: for names.  It jumps when the clock is set. */
static inline int64_t clock_realtime_ns(void)
{
	return clock_read_ns(CLOCK_REALTIME);
}

/* Since some moment: for how long something takes, and for timeouts. */
static inline int64_t clock_monotonic_ns(void)
{
	return clock_read_ns(CLOCK_MONOTONIC);
}

static inline struct timespec clock_timespec(int64_t ns)
{
	return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

/* A signal may end it earlier. */
static inline void clock_sleep_us(int64_t us)
{
	const struct timespec time = clock_timespec(us * 1000);

	(void)nanosleep(&time, NULL); /* shorter is fine */
}

#endif
