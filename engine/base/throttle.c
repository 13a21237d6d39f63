/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * throttle.c - see throttle.h.
 */
#include "base/throttle.h"

#include <errno.h>

#include "base/clock.h"

/* Credit that was not used in time is lost, except for this much. */
#define BURST_NS (CLOCK_SECOND_NS / 10)

int wakeup_init(struct wakeup *wakeup)
{
	pthread_condattr_t attr;
	int rc = -pthread_condattr_init(&attr);

	if (rc)
		return rc;
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC); /* Linux has it */
	rc = -pthread_cond_init(&wakeup->woken, &attr);
	(void)pthread_condattr_destroy(&attr); /* always good */
	return rc ? rc : -pthread_mutex_init(&wakeup->lock, NULL);
}

void wakeup_release(struct wakeup *wakeup)
{
	/* these fail only while in use */
	(void)pthread_cond_destroy(&wakeup->woken);
	(void)pthread_mutex_destroy(&wakeup->lock);
}

bool wakeup_wait(struct wakeup *wakeup, int64_t until_ns)
{
	const struct timespec until = clock_timespec_of(until_ns);

	return pthread_cond_timedwait(&wakeup->woken, &wakeup->lock, &until) != ETIMEDOUT;
}

static bool is_cancelled(const struct throttle *throttle)
{
	return atomic_load(throttle->cancels) != throttle->begun;
}

void throttle_init(struct throttle *throttle, struct wakeup *wakeup, const cancel_count *cancels,
		   uint64_t rate)
{
	*throttle = (struct throttle){
		.wakeup = wakeup, .cancels = cancels, .begun = atomic_load(cancels), .rate = rate};
}

int throttle_take(struct throttle *throttle, uint64_t bytes)
{
	if (is_cancelled(throttle))
		return -ECANCELED;
	if (!throttle->rate)
		return 0;
	int64_t earliest = clock_monotonic_ns() - BURST_NS;
	if (throttle->paid_ns < earliest)
		throttle->paid_ns = earliest;
	throttle->paid_ns +=
		(int64_t)((double)bytes / (double)throttle->rate * (double)CLOCK_SECOND_NS);
	(void)pthread_mutex_lock(&throttle->wakeup->lock);
	while (!is_cancelled(throttle) && clock_monotonic_ns() < throttle->paid_ns)
		(void)wakeup_wait(throttle->wakeup,
				  throttle->paid_ns); /* or for someone else, or cancelled */
	(void)pthread_mutex_unlock(&throttle->wakeup->lock);
	return is_cancelled(throttle) ? -ECANCELED : 0;
}

void throttle_cancel(struct wakeup *wakeup, cancel_count *cancels)
{
	(void)pthread_mutex_lock(&wakeup->lock);
	atomic_fetch_add(cancels, 1);
	(void)pthread_cond_broadcast(&wakeup->woken);
	(void)pthread_mutex_unlock(&wakeup->lock);
}
