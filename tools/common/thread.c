/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * thread.c - see thread.h.
 */
#include "tools/common/thread.h"

#include <signal.h>

int thread_start(pthread_t *ret, void *(*run)(void *), void *context)
{
	sigset_t blocked, before;

	(void)sigfillset(&blocked); /* these fail only for bad arguments */
	(void)sigdelset(&blocked, SIGBUS);
	/* a thread begins with the mask of the one that starts it */
	(void)pthread_sigmask(SIG_SETMASK, &blocked, &before);
	int rc = -pthread_create(ret, NULL, run, context);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}
