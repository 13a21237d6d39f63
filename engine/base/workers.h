/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * workers.h - a worker pool that encodes items into bytes; one consumer takes the blocks in order.
 *
 * Items 0..n are cut into blocks.  Each worker takes the next block and works on it; blocks
 * that are done wait in a ring for their turn, so memory is bounded: a worker gives a block
 * back unfinished when it grows too large.
 */
#ifndef BASE_WORKERS_H
#define BASE_WORKERS_H

#include <stddef.h>

#include "base/buf.h"

struct workers;

struct workers_block {
	struct buf items, bytes; /* input of the items first..end; the caller defines the form */
	struct buf out;          /* output of the items first..done */
	size_t first, done;      /* if `done` is not `end`, the consumer does the rest */
	size_t end;
	int rc; /* -errno: why it stopped at `done` */
};

/* Put what the items first..end need into a block.  0 or -errno, which the block then tells. Called
 * for one block after the other, with the pool locked. */
typedef int workers_take_fn(void *context, struct workers_block *block);

/* Append what item `index` of a block becomes to `out`.  1: it is too large for a worker, and
 * nothing was appended.  0 or -errno.  Called by several threads at once. */
typedef int workers_fn(void *context, const struct workers_block *block, size_t index,
		       struct buf *out);

struct workers_job {
	size_t count;          /* items */
	workers_take_fn *take; /* NULL: the work needs nothing but the index */
	workers_fn *work;
	void *context;
};

/* Start working.  -EAGAIN: one processor or few items, so threads would gain
 * nothing; -errno: there are none to be had. */
int workers_start(const struct workers_job *job, struct workers **ret);

/* The next block, the worker pool's until the next call; NULL at the end.  One thread at a time. */
struct workers_block *workers_next(struct workers *workers);

/* Stop all workers, also in the middle of a block, and free the pool.  NULL is fine. */
void workers_free(struct workers *workers);

#endif
