/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * thread.h - starting a thread, with signals blocked in it.
 *
 * A signal of the process goes to any thread that does not block it, so only the thread that
 * waits for signals, or the first one, gets them.  SIGBUS stays unblocked: a page of a segment
 * that cannot be read raises it in the thread that reads.
 */
#ifndef TOOLS_COMMON_THREAD_H
#define TOOLS_COMMON_THREAD_H

#include <pthread.h>

/* 0 or -errno; the caller joins it. */
int thread_start(pthread_t *ret, void *(*run)(void *), void *context);

#endif
