/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * worker.h - the process that works on the store, and may be killed for it.
 *
 * It begins by comparing the store with the oracle, goes through the operations until
 * told to stop, syncs and closes.  Its supervisor sees from the shared progress how far
 * it got, whatever becomes of it.
 */
#ifndef TOOLS_SOAK_WORKER_H
#define TOOLS_SOAK_WORKER_H

#include "tools/soak/backend.h"
#include "tools/soak/progress.h"

/* The message that the worker writes to its socket. */
enum worker_word {
	WORKER_KILL_ME = 'k', /* operation `kill_at` begins; goes on at once */
	WORKER_FINISHED = 'e' /* the loop ended; waits for a byte before it closes */
};

struct worker {
	struct backend backend;
	struct oracle *oracle;
	struct progress *progress;
	int socket;
	uint64_t kill_at; /* UINT64_MAX: no operation */
	uint64_t kills;   /* before this worker */
	bool check_only;  /* compare, verify, and end */
};

/* 0, or SOAK_VIOLATED after a message. */
int worker_run(struct worker *worker);

#endif
