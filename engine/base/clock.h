/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * clock.h - times as nanoseconds in 64 bits.
 *
 * Never the place of a decision: two clocks and two conversions, so that no file has its own.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define CLOCK_SECOND_NS INT64_C(1000000000)

static inline int64_t clock_ns_of(struct timespec t)
{
	return (int64_t)t.tv_sec * CLOCK_SECOND_NS + t.tv_nsec;
}

/* `ns` is not negative. */
static inline struct timespec clock_timespec_of(int64_t ns)
{
	return (struct timespec){.tv_sec = ns / CLOCK_SECOND_NS, .tv_nsec = ns % CLOCK_SECOND_NS};
}

/* Since the epoch; may be set back. */
static inline int64_t clock_now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t); /* cannot fail */
	return clock_ns_of(t);
}

/* For waits and durations; never runs back. */
static inline int64_t clock_monotonic_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
	return clock_ns_of(t);
}

#endif
