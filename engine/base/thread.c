/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * thread.c - see thread.h.
 *
 * A new thread inherits the mask of the one that starts it; so that one blocks the signals for a
 * moment, and none is delivered to the new thread before it could block them itself.
 */
#include "base/thread.h"

#include <signal.h>

int thread_start(pthread_t *ret, void *(*run)(void *context), void *context)
{
	sigset_t blocked, before;

	(void)sigfillset(&blocked);
	(void)sigdelset(&blocked, SIGBUS);
	(void)pthread_sigmask(SIG_BLOCK, &blocked, &before); /* fails for bad arguments only */
	int rc = -pthread_create(ret, NULL, run, context);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}
