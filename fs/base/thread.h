/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * thread.h - starting a thread, with signals blocked in it.
 *
 * A signal of the process goes to any thread that does not block it.  Only the threads that
 * wait for signals may get one, so each thread of the file system starts by these calls.
 *
 * SIGBUS stays unblocked: a page of a segment that cannot be read raises it in the thread
 * that reads, and the kernel ends a process that blocks it then.
 */
#ifndef FS_BASE_THREAD_H
#define FS_BASE_THREAD_H

#include <pthread.h>

/* 0 or -errno; the caller joins it. */
int thread_start(pthread_t *ret, void *(*run)(void *), void *context);

/* The same for a detached thread. */
int thread_start_detached(void *(*run)(void *), void *context);

#endif
