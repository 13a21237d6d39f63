/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * repairplan.h - what is to be done with one segment: where no sound record stands, and what its
 * hint knows more.  Reads, never writes.
 */
#ifndef WHOLE_REPAIRPLAN_H
#define WHOLE_REPAIRPLAN_H

#include "store/segcheck.h"

/* Bytes of a segment that are no sound record. */
struct range {
	uint64_t offset, end;
	enum dw_damage damage;
	struct dw_bytes key; /* owned; data NULL: unknown */
};

/* The plan for one segment. */
struct plan {
	struct range *ranges; /* ascending; owned */
	size_t count, capacity;
	uint64_t records;        /* sound ones */
	uint64_t records_behind; /* of them, behind the first range */
	uint64_t sound_bytes;
	uint64_t end; /* of all this; a guard behind it is no damage */
	bool shortened;
	uint64_t missing; /* if so: how many records */
	bool foreign;     /* the hint is of another log */
	bool hinted;      /* there is a hint */
};

/* Walk a segment, open as `fd`, to its end, over all damage; records that are lost go to the list.
 * `plan` starts out as zeros; release it in any case.  0 or -errno. */
int plan_segment(struct dw_segment *segment, int fd, uint64_t size, bool last, struct loss *loss,
		 struct plan *plan);
void plan_release(struct plan *plan);

/* Show the sound records of a segment to the list of what is lost.  0 or -errno. */
int plan_see(const struct plan *plan, struct dw_segment *segment, struct loss *loss);

#endif
