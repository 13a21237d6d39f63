/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * tail.h - following a log: what the files of the tail share.
 *
 * The tail goes through segments by ascending id and offset and gives each record whose txid is
 * one more than that of the record before.  Lower ones were given: they are copies of a
 * compaction.  At a higher one those between are looked for in all segments (tailfind.h): a
 * compaction of the oldest segments puts their copies behind younger ones.  If one is in none,
 * history is gone there, and the tail starts over from the state of the store.
 *
 * Its place is the end of the record that it gave last.  After each wait it makes sure that this
 * record still stands there: an append that failed is cut off, and after a power cut others take
 * the place of those that were lost.
 */
#ifndef WHOLE_TAIL_H
#define WHOLE_TAIL_H

#include "datawal.h"
#include "whole/tailfind.h"
#include "whole/tailread.h"
#include "whole/tailstate.h"
#include "whole/tailwait.h"

enum tail_phase {
	TAIL_RECORDS,
	TAIL_RESET, /* DW_CHANGE_RESET is to be given, `reset` and `missing_` say why */
	TAIL_STATE, /* then the keys, and DW_CHANGE_READY */
};

struct dw_tail {
	struct io *io;
	int dirfd; /* owned */
	dw_finding_fn *on_finding;
	void *context;
	bool durable;
	struct tail_wait wait;
	enum tail_phase phase;

	/* TAIL_RECORDS: */
	struct dw_position at;     /* of the record given last */
	struct tail_reader reader; /* goes through the segments */
	bool sealed;               /* there was a later one, so this one is complete */
	bool certain;              /* no record above `at` is in a segment before the reader's */
	bool idle;                 /* nothing was left to be given: look whether `at` still holds */
	struct tail_find find;     /* records out of order, to be given before the reader goes on */
	size_t found_next;         /* of find.places */
	struct tail_reader side;   /* reads those */
	int64_t doubt_ns;          /* monotonic: since when something is wrong that may mend itself;
				      0: nothing is */

	enum dw_reset reset;
	uint64_t missing_from, missing_to;
	struct tail_state state;

	/* what was given last, for dw_tail_read() */
	struct tail_reader *source; /* of a record; NULL: none was given */
	struct scan_record record;
	bool is_state;
};

/* dw_tail_open() with system calls of the caller's choice, of the directory `dirfd`, which is taken
 * over, on failure too. */
int tail_open(struct io *io, int dirfd, const struct dw_position *since,
	      const struct dw_tail_options *options, struct dw_tail **ret);

/* --- taillog.c --- */

/* The next record: 1 and `*ret`; 0: there is none yet, or tail->phase changed; or -errno. */
int tail_next_record(struct dw_tail *tail, struct dw_change *ret);

/* Let go of the place in the log: tail->at alone says where to go on. */
void tail_leave(struct dw_tail *tail);

#endif
