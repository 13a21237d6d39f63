/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * serve.h - the threads that answer the kernel's requests.
 *
 * One of them leads: it alone waits for requests, and answers what does not take long
 * itself, so that one request after the other finds thread, stack and caches warm on
 * one processor.  (libfuse's loop has all idle threads wait, and the kernel wakes them in
 * turn, across processors.)  For a request that waits for the disk the leader first
 * hands the lead to another thread; if one takes long unexpectedly, a watcher does.
 */
#ifndef FS_FUSE_SERVE_H
#define FS_FUSE_SERVE_H

#include "fs/fuse/ops.h"

enum { SERVE_THREADS_MAX = 64 };

/* Answer requests with up to `max_threads` threads until the session ends.  0 or -errno. */
int serve_session(struct fuse_session *session, unsigned max_threads);

#endif
