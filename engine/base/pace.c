/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * pace.c - see pace.h.
 */
#include "base/pace.h"

#include <errno.h>
#include <time.h>

enum { SECOND_NS = 1000000000, BURST_NS = SECOND_NS / 10 };

int64_t monotonic_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
	return (int64_t)t.tv_sec * SECOND_NS + t.tv_nsec;
}

int bell_init(struct bell *bell)
{
	pthread_condattr_t attr;
	int rc = -pthread_condattr_init(&attr);

	if (rc)
		return rc;
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC); /* Linux has it */
	rc = -pthread_cond_init(&bell->rung, &attr);
	(void)pthread_condattr_destroy(&attr); /* always good */
	return rc ? rc : -pthread_mutex_init(&bell->lock, NULL);
}

void bell_release(struct bell *bell)
{
	/* these fail only while in use */
	(void)pthread_cond_destroy(&bell->rung);
	(void)pthread_mutex_destroy(&bell->lock);
}

bool bell_wait(struct bell *bell, int64_t until_ns)
{
	const struct timespec until = {.tv_sec = until_ns / SECOND_NS,
				       .tv_nsec = until_ns % SECOND_NS};

	return pthread_cond_timedwait(&bell->rung, &bell->lock, &until) != ETIMEDOUT;
}

static bool is_cancelled(const struct pace *pace)
{
	return atomic_load(pace->cancels) != pace->begun;
}

void pace_init(struct pace *pace, struct bell *bell, const cancel_count *cancels, uint64_t rate)
{
	*pace = (struct pace){
		.bell = bell, .cancels = cancels, .begun = atomic_load(cancels), .rate = rate};
}

int pace_take(struct pace *pace, uint64_t bytes)
{
	if (is_cancelled(pace))
		return -ECANCELED;
	if (!pace->rate)
		return 0;
	/* what was not taken in time is lost, but for a moment's worth */
	int64_t earliest = monotonic_ns() - BURST_NS;
	if (pace->paid_ns < earliest)
		pace->paid_ns = earliest;
	pace->paid_ns += (int64_t)((double)bytes / (double)pace->rate * SECOND_NS);
	(void)pthread_mutex_lock(&pace->bell->lock);
	while (!is_cancelled(pace) && monotonic_ns() < pace->paid_ns)
		(void)bell_wait(pace->bell, pace->paid_ns); /* or for someone else, or cancelled */
	(void)pthread_mutex_unlock(&pace->bell->lock);
	return is_cancelled(pace) ? -ECANCELED : 0;
}

void pace_cancel(struct bell *bell, cancel_count *cancels)
{
	(void)pthread_mutex_lock(&bell->lock);
	atomic_fetch_add(cancels, 1);
	(void)pthread_cond_broadcast(&bell->rung);
	(void)pthread_mutex_unlock(&bell->lock);
}
