/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * interrupt.h - long work that a signal ends in order: nothing unfinished stays behind.
 *
 * SIGINT, SIGTERM and SIGHUP cancel the work on a store; a second one kills at once.
 */
#ifndef TOOLS_CLI_INTERRUPT_H
#define TOOLS_CLI_INTERRUPT_H

#include <pthread.h>
#include <stdatomic.h>

#include "datawal.h"

struct interrupt {
	struct dw_store *store;
	pthread_t thread;
	bool running;
	atomic_bool stop;
	int signal; /* the one that came; 0: none */
};

/* Before the work begins; no other thread runs yet. */
void interrupt_begin(struct interrupt *interrupt, struct dw_store *store);
/* When it is done. */
void interrupt_end(struct interrupt *interrupt);
/* If a signal came, die of it, as its sender expects.  With everything closed. */
void interrupt_die(const struct interrupt *interrupt);

#endif
