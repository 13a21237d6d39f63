/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * maintain.h - what goes on in the background of a store: compaction and scrubbing.
 *
 * Two threads, each started on demand.  The one that compacts sleeps until something was
 * appended, the other one until its time has come; neither polls.
 */
#ifndef BACKGROUND_MAINTAIN_H
#define BACKGROUND_MAINTAIN_H

#include "base/pace.h"
#include "datawal.h"

struct maintain {
	struct bell bell; /* also of compactions and verifications on demand */
	cancel_count compact_cancels, verify_cancels, scrub_cancels, copy_cancels;

	pthread_mutex_t switch_lock; /* who starts and stops; order: before the bell's */
	/* under switch_lock: */
	pthread_t compactor, scrubber;
	bool has_compactor, has_scrubber;
	/* Written with no thread running, else read only: */
	struct dw_maintain_options options;

	/* under the bell's lock: */
	bool stop;       /* the threads are to end */
	bool changed;    /* something was appended since the compactor looked */
	bool full;       /* an append found no room */
	bool background; /* the compaction under way is the compactor's */

	atomic_bool idle; /* the compactor waits for `changed` */
};

int maintain_init(struct maintain *maintain);
void maintain_release(struct maintain *maintain);

/* Stop the threads, and what they are doing.  Returns when they are gone. */
void maintain_stop(struct maintain *maintain);

/* Something was appended, or a snapshot let go.  log.lock may be held. */
void maintain_wake(struct maintain *maintain);

/* An append found no room. */
void maintain_full(struct maintain *maintain);

static inline void maintain_changed(struct maintain *maintain)
{
	if (atomic_load_explicit(&maintain->idle, memory_order_relaxed))
		maintain_wake(maintain);
}

#endif
