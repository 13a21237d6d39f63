/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * pace.h - long work that is told to stop, and that takes no more than its share.
 *
 * Work tells after each piece how many bytes it read and wrote.  It then waits
 * until that many are due, and learns whether somebody cancelled it; the wait ends at once
 * when that happens.
 */
#ifndef BASE_PACE_H
#define BASE_PACE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What wakes those who wait.  The lock is a leaf: nothing is taken under it. */
struct bell {
	pthread_mutex_t lock;
	pthread_cond_t rung; /* by CLOCK_MONOTONIC */
};

int bell_init(struct bell *bell);
void bell_release(struct bell *bell);

/* Wait until the bell rings or `until_ns` of the monotonic clock has come; its lock is
 * held.  False: the time has come. */
bool bell_wait(struct bell *bell, int64_t until_ns);

int64_t monotonic_ns(void);

/* A counter of cancellations: whoever works notes it at first, and stops when it is another.
 * Written with the bell's lock held. */
typedef atomic_uint_fast64_t cancel_count;

struct pace {
	struct bell *bell;
	const cancel_count *cancels;
	uint64_t begun;  /* of `cancels`, when the work began */
	uint64_t rate;   /* bytes a second; 0: no limit */
	int64_t paid_ns; /* monotonic: when all that was taken is due */
};

void pace_init(struct pace *pace, struct bell *bell, const cancel_count *cancels, uint64_t rate);

/* `bytes` were read or written.  0 when they are due; -ECANCELED. */
int pace_take(struct pace *pace, uint64_t bytes);

/* Stop all work that counts on `cancels`. */
void pace_cancel(struct bell *bell, cancel_count *cancels);

#endif
