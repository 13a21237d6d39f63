/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * throttle.h - long work that is told to stop, and that takes no more than its share.
 *
 * Work tells after each piece how many bytes it read and wrote.  It then waits
 * until that many are due, and learns whether it was cancelled; the wait ends at once
 * when that happens.
 */
#ifndef BASE_THROTTLE_H
#define BASE_THROTTLE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Wakes waiting threads.  The lock is a leaf: no other lock is taken under it. */
struct wakeup {
	pthread_mutex_t lock;
	pthread_cond_t woken; /* by CLOCK_MONOTONIC */
};

int wakeup_init(struct wakeup *wakeup);
void wakeup_release(struct wakeup *wakeup);

/* Wait until another thread wakes it or `until_ns` of the monotonic clock has come; its lock is
 * held.  False: the time has come. */
bool wakeup_wait(struct wakeup *wakeup, int64_t until_ns);

/* A counter of cancellations: an operation notes it at its start, and stops when it differs.
 * Written with the lock of the wakeup held. */
typedef atomic_uint_fast64_t cancel_count;

struct throttle {
	struct wakeup *wakeup;
	const cancel_count *cancels;
	uint64_t begun;  /* of `cancels`, when the work began */
	uint64_t rate;   /* bytes a second; 0: no limit */
	int64_t paid_ns; /* monotonic: when all that was taken is due */
};

void throttle_init(struct throttle *throttle, struct wakeup *wakeup, const cancel_count *cancels,
		   uint64_t rate);

/* `bytes` were read or written.  0 when they are due; -ECANCELED. */
int throttle_take(struct throttle *throttle, uint64_t bytes);

/* Stop all work that counts on `cancels`. */
void throttle_cancel(struct wakeup *wakeup, cancel_count *cancels);

#endif
