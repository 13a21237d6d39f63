/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * crew.h - threads that turn items into bytes ahead of one who takes these in order.
 *
 * Items 0..n are cut into blocks.  Each worker takes the next block and works on it; blocks
 * that are done wait in a ring for their turn, so memory is bounded: a worker gives a block
 * back unfinished when it grows too large.
 */
#ifndef BASE_CREW_H
#define BASE_CREW_H

#include <stddef.h>

#include "base/buf.h"

struct crew;

struct crew_block {
	struct buf out;     /* what became of the items first..done */
	size_t first, done; /* if that is not `end`, the rest is the taker's to do */
	size_t end;
	int rc; /* -errno: why it stopped at `done` */
};

/* Append what item `index` becomes to `out`.  1: it is too large for a worker, and nothing was
 * appended.  0 or -errno.  Called by several threads at once. */
typedef int crew_work_fn(void *context, size_t index, struct buf *out);

/* Start working on `count` items.  -EAGAIN: one processor or few items, so threads would gain
 * nothing; -errno: there are none to be had. */
int crew_start(size_t count, crew_work_fn *work, void *context, struct crew **ret);

/* The next block, the crew's until the next call; NULL at the end.  One thread at a time. */
struct crew_block *crew_next(struct crew *crew);

/* Stop, wherever they are; free.  NULL is fine. */
void crew_free(struct crew *crew);

#endif
