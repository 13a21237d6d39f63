/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * tailwait.h - waiting until the segments of a store may have changed.
 *
 * By inotify where writers are on this machine, else by looking now and then: another machine's
 * writes on a network disk cause no event.  A wait that ends early costs one look, so it need not
 * be exact; one that misses a change ends after the interval all the same.
 */
#ifndef WHOLE_TAILWAIT_H
#define WHOLE_TAILWAIT_H

#include "disk/io.h"

struct tail_wait {
	int events;           /* inotify; -1: none, or it cannot be trusted alone */
	int cancelled;        /* an eventfd that is written to once; never read */
	bool remote;          /* other machines may write: their changes cause no event */
	uint32_t interval_ms; /* between two looks without an event */
};

/* Watch the directory `dirfd`; `interval_ms` 0: as fits its file system.  0 or -errno. */
int tail_wait_init(struct tail_wait *wait, struct io *io, int dirfd, uint32_t interval_ms);
/* Of zeros, or after a failed tail_wait_init(), nothing is done. */
void tail_wait_release(struct tail_wait *wait);

/* 1: look again; 0: `timeout_ms` (-1: none) is over; -ECANCELED: tail_wait_cancel(), now or
 * earlier; or another -errno. */
int tail_wait_for(struct tail_wait *wait, int timeout_ms);

/* Any thread, also in a signal handler. */
void tail_wait_cancel(struct tail_wait *wait);

#endif
