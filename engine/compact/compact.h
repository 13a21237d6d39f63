/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * compact.h - what the steps of a compaction share (compact.c tells them).
 */
#ifndef COMPACT_COMPACT_H
#define COMPACT_COMPACT_H

#include "base/throttle.h"
#include "disk/atomicfile.h"
#include "store/core.h"

/* Copies are written in pieces of this many bytes, but for the last of a file. */
enum { COMPACT_WRITE_SIZE = 1 << 20 };

/* Limits of the choice. */
struct compact_limits {
	unsigned dead_percent; /* 0: the whole store */
	uint64_t freed_min;    /* bytes; less is not worth it */
	uint64_t copy_max;     /* bytes that may be written; UINT64_MAX: any number; 0: none,
				* nor a new file */
	bool background;       /* bytes held by a snapshot would not be freed: they count as alive.
				* The rate is no limit when far behind */
};

/* The oldest segments of a store, as many as are to be compacted. */
struct compact_run {
	size_t count;           /* segments; 0: none */
	bool active;            /* the last of them is the active one */
	bool writes;            /* something of them stays: files are needed */
	uint64_t copied, freed; /* bytes that stay, and that go */
};

struct output {
	struct atomicfile file;
	uint32_t id;
	uint64_t raw_bytes, last_txid;
	struct hintwriter hint;
	struct hint_end hint_end;   /* once it is complete; it is sealed later */
	struct dw_segment *segment; /* once renamed; the list of segments holds it */
};

struct compaction {
	struct core *core;
	struct throttle throttle;
	struct compact_run run;
	struct segset inputs;       /* references of its own */
	uint64_t last_txid;         /* the highest given out before this started */
	uint32_t first_id, last_id; /* free for outputs; 0: none were needed */
	struct output *outputs;
	size_t count, capacity; /* outputs begun, and at most */
	struct buf pending;     /* bytes not yet written to the last output */
	uint64_t written;       /* bytes, to all outputs */
	bool may_hurry;         /* `throttle` may lose its rate: */
	uint64_t behind_min;    /* see compact_is_behind() */
	uint64_t since_look;    /* bytes read since that was asked */
};

/* Choose the run within `limits`.  log.lock held. */
void compact_choose_locked(struct core *core, const struct compact_limits *limits,
			   struct compact_run *ret);

/* Bytes of room with which the least run that frees something can be compacted; and whether there
 * is one. */
uint64_t compact_room_locked(const struct core *core, bool *dead_ret);

/* Whether more is dead than what lives and four times `dead_bytes_min`: no rate may keep it so, for
 * writers are faster. */
bool compact_is_behind(struct core *core, uint64_t dead_bytes_min);

/* Step 1: choose, reserve ids for the outputs.  0 also when there is nothing to do (then
 * there are no inputs). */
int compact_begin(struct compaction *c, const struct compact_limits *limits);

/* Step 2: copy what lives, sync it.  -ECANCELED. */
int compact_copy(struct compaction *c);

/* Step 3: names, and places in the view. */
int compact_publish(struct compaction *c);

/* Step 4: the inputs go. */
int compact_remove(struct compaction *c);

/* Remove the files that are not yet part of the store. */
void compaction_release(struct compaction *c);

/* For the background: a compaction that gives way to others.  `full`: an append found no room, so
 * that a tenth that is dead is enough.  -EBUSY, -ECANCELED ... */
int compact_background(struct core *core, const struct dw_maintain_options *options, bool full,
		       struct dw_compact_report *ret);

#endif
