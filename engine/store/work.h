/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * work.h - what tells long work on a store to begin, to wait and to end.
 *
 * Appends leave word here that there is something to do, and a compaction looks here whether
 * to give way; so nothing in this folder calls the threads in the background (background/).
 * Takes no lock of the store with wakeup.lock held: appends leave word with log.lock held.
 */
#ifndef STORE_WORK_H
#define STORE_WORK_H

#include "base/throttle.h"

struct work {
	struct wakeup wakeup; /* also of compactions and verifications on demand */
	cancel_count compact_cancels;

	/* under the lock of the wakeup: */
	bool changed;       /* something was appended since the background looked */
	bool full;          /* an append found no room */
	bool in_background; /* the compaction under way is the background's */
	bool ends;          /* the background is to end */
	bool index_helped;  /* the background writes the index to disk */
	bool index_due;     /* and has to */

	atomic_bool idle; /* the background waits for `changed` */
};

int work_init(struct work *work);
void work_release(struct work *work);

/* Something was appended, or a snapshot closed.  log.lock may be held. */
void work_wake(struct work *work);

/* An append found no room. */
void work_full(struct work *work);

/* Ask for a checkpoint.  False: no background thread runs that would write it. */
bool work_index(struct work *work);

static inline void work_changed(struct work *work)
{
	if (atomic_load_explicit(&work->idle, memory_order_relaxed))
		work_wake(work);
}

#endif
