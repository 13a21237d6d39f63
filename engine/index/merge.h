/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * merge.h - parts of the index walked together in byte order of the keys.
 *
 * Each part is a source of keys in order.  The least of the next keys of all sources is the next;
 * of the sources that have it the newest tells, the others step over it.
 */
#ifndef INDEX_MERGE_H
#define INDEX_MERGE_H

#include "index/version.h"

/* The entry of a key in one source. */
struct merge_entry {
	struct dw_bytes key;        /* valid until its source goes on */
	struct dw_segment *segment; /* of a delta, with a reference if that is not sealed; of a run
				       NULL */
	struct run_place place;     /* its segment and change are a run's only */
	bool hides;                 /* of a delta: the key is live below it */
};

struct merge_source {
	struct delta_cursor delta; /* delta.delta NULL: */
	struct run_cursor run;
	struct merge_entry entry; /* the next one, */
	bool has;                 /* if there is one */
	bool given;               /* it was the last one told */
};

struct merge {
	struct merge_source *sources; /* the newest first; owned */
	size_t count;
	size_t second; /* the source with the least key but one; `count`: none.  While the least is
			  the last one's */
	size_t last;
	bool is_alone; /* the last key was in one source only */
};

/* A key, and what the newest source says of it. */
struct merged {
	const struct merge_entry *newest, *oldest; /* until the next call */
	int change;                                /* of runs: the sum of what all of them say */
};

/* Walk over these parts, which stay as long as it lasts, after merge_seek().  Release it in any
 * case; `{0}` is fine for that.  0 or -errno. */
int merge_init(struct merge *merge, const struct parts *parts);
void merge_release(struct merge *merge);
/* Forward or back.  0 or -errno. */
int merge_seek(struct merge *merge, struct dw_bytes key);
/* 1, 0 at the end, -EBADMSG or another -errno. */
int merge_next(struct merge *merge, struct merged *ret);

#endif
