/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * stack.h - the runs of an index as files: new ones made of deltas or of older runs, and the
 * exchange of one list of them for another, on disk and in memory.
 */
#ifndef INDEX_STACK_H
#define INDEX_STACK_H

#include "index/internal.h"

/* Write what these parts say as one run.  `*ret`: it, referenced; NULL: there was nothing to say.
 * `throttle` may be NULL.  0, -ECANCELED, -EBADMSG or another -errno, and nothing is left. */
int stack_make_run(struct index *index, const struct parts *parts, struct throttle *throttle,
		   struct run **ret);

/* A replacement: the parts that go, and the run that takes their place. */
struct stack_change {
	struct run *made; /* NULL: nothing */
	/* `sealed_count` deltas, the oldest ones, or `run_count` runs that follow each other */
	struct delta **sealed;
	size_t sealed_count;
	struct run **runs;
	size_t run_count;
	/* the new contents of `index`, without its runs; NULL: unchanged */
	const struct indexfile *root;
};

/* Do so, on disk first if there is, or is to be, a file `index`.  Runs that it does not name then
 * are removed; `made` is, on failure.  0 or -errno. */
int stack_exchange(struct index *index, const struct stack_change *change);

/* Hold runs in memory, the newest first, as far as that budget and the index's go; in bytes. */
void stack_make_resident(struct index *index, uint64_t budget);

/* Remove the file of a run. */
void stack_remove_run(struct index *index, uint32_t id);

#endif
