/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * serve_wait.h - receiving the kernel's requests: waiting for one, and looking at what else
 * wants a processor meanwhile.
 *
 * While one thread waits, and sleeps at once, the descriptor blocks and a request costs one
 * system call.  A thread that polls, or is not alone, needs it not to block: it reads again
 * until its time is over and then sleeps in poll(2).  The leader alone changes that.
 */
#ifndef FS_FUSE_SERVE_WAIT_H
#define FS_FUSE_SERVE_WAIT_H

#include "fs/fuse/ops.h"
#include "fs/fuse/serve_adapt.h"

/* Where requests come from. */
struct source {
	struct fuse_session *session;
	int fd;
	int flags;       /* the descriptor's as they were */
	bool at_once;    /* it does not block; the leader's */
	int runnable_fd; /* tells how many threads want a processor, or -1 */
};

enum wait {
	WAIT_SLEEP, /* until a request comes */
	WAIT_POLL,  /* the same, but poll for a moment first */
	WAIT_HELP,  /* poll for a moment and give up: -EAGAIN */
};

void source_init(struct source *source, struct fuse_session *session);
void source_release(struct source *source);

/* The leader is going to poll, or is not alone.  Where the descriptor cannot be changed it
 * blocks, and a polling thread sleeps. */
void source_set_at_once(struct source *source, bool at_once);

/* The next request: its size, 0 or -errno as fuse_session_receive_buf() has it, never -EINTR.  A
 * thread may be cancelled here. */
int source_receive(const struct source *source, struct fuse_buf *buf, enum wait wait,
		   enum arrival *ret);

/* How often this thread lost its processor to others so far. */
uint64_t count_preempted(void);

/* Fills in what the system knows, which is all but what helpers did, and moves `since`, a
 * count_preempted(). */
void source_look(const struct source *source, uint64_t *since, struct sight *sight);

#endif
