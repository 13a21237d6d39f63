/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * thread.h - starting a thread of the engine's own.
 *
 * Signals are for the program's threads, so each thread of the engine starts with them blocked.
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>

/* Start `run(context)`, to be joined by the caller.  0 or -EAGAIN: there is none to be had.
 * The thread blocks all signals but SIGBUS: a mapped page that cannot be read raises it in the
 * thread that reads, and a blocked one would end the process. */
int thread_start(pthread_t *ret, void *(*run)(void *context), void *context);

#endif
