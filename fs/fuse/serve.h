/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * serve.h - the threads that answer the kernel's requests.
 *
 * One of them leads: it alone waits for requests, and answers what does not take long
 * itself, so that one request after the other finds thread, stack and caches warm on
 * one processor.  (libfuse's loop has all idle threads wait, and the kernel wakes them in
 * turn, across processors.)  For a request that waits for the disk the leader first
 * hands the lead to another thread; if one takes long unexpectedly, a watcher does.
 *
 * The leader asks again for a moment before it sleeps, where that pays, and brings in helpers
 * if it cannot keep up and there are processors for them; serve_adapt.h decides both.  A helper
 * answers requests while there are any, and leaves: it never sleeps for one, so the kernel
 * wakes no thread but the leader.
 */
#ifndef FS_FUSE_SERVE_H
#define FS_FUSE_SERVE_H

#include <semaphore.h>

#include "fs/fuse/serve_wait.h"

enum { SERVE_THREADS_MAX = 64 };

struct serve_options {
	unsigned max_threads;
	/* to be posted after fuse_session_exit() from outside; NULL: a signal's handler calls it */
	sem_t *ended;
	/* instead of source_look(), for tests */
	void (*look)(const struct source *source, uint64_t *since, struct sight *sight);
};

/* Answer requests until the session ends.  0 or -errno. */
int serve_session(struct fuse_session *session, const struct serve_options *options);

#endif
