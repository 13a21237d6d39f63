/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * maintain.h - what goes on in the background of a store: compaction, scrubbing, and the index that
 * goes to disk.
 *
 * Threads, each started on demand.  The one that compacts sleeps until something was
 * appended, the one for the index until a checkpoint is due, the one that scrubs until its time has
 * come; none polls.  Nothing of it is there for a snapshot, which never changes.
 */
#ifndef BACKGROUND_MAINTAIN_H
#define BACKGROUND_MAINTAIN_H

#include "store/store.h"

struct maintain {
	struct dw_store *store;
	/* Written with no thread running, else read only: */
	struct dw_maintain_options options;

	/* under switch_lock of the store: */
	pthread_t compactor, scrubber, indexer;
	bool has_compactor, has_scrubber, has_indexer;

	cancel_count scrub_cancels, index_cancels;
};

/* Stop the threads, and what they are doing.  Returns when they are gone. */
void maintain_stop(struct dw_store *store);

#endif
