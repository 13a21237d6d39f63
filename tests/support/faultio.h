/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * faultio.h - system calls of which one fails: the Nth, once.
 *
 * Wraps io_posix and counts every call.  close() is counted, and closes even when
 * it fails, as Linux does.  Syncs do nothing else: a process that goes on sees no
 * difference.
 */
#ifndef SUPPORT_FAULTIO_H
#define SUPPORT_FAULTIO_H

#include <stdbool.h>

#include "disk/io.h"

enum faultio_kind {
	FAULTIO_ERROR, /* the call fails with `error` and does nothing */
	FAULTIO_GONE,  /* so does each call behind it, close() aside */
	FAULTIO_SHORT, /* pwritev writes half, and what comes next fails with `error`;
			  other calls are left alone */
	FAULTIO_EINTR, /* preadv and pwritev say -EINTR; other calls are left alone */
};

struct faultio {
	struct io io; /* first: the engine hands it back to us */
	enum faultio_kind kind;
	int error;         /* positive errno */
	uint64_t fail_at;  /* the call that fails, from 1; 0: none */
	uint64_t calls;    /* so far */
	uint64_t pwritevs; /* so far */
	bool hit;          /* the fault was injected */
	bool follow;       /* the next pwritev fails too */
	const char *where; /* the call it hit */
};

/* Start counting, with no fault. */
void faultio_init(struct faultio *fault);
void faultio_arm(struct faultio *fault, enum faultio_kind kind, int error, uint64_t fail_at);

#endif
