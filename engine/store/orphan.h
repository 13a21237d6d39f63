/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * orphan.h - hints whose segment is gone: each proves that records are lost.
 *
 * A segment's hint goes, durably, before it does, and is sealed only when the segment's name
 * is on disk.  So a sealed hint alone was not left by a crash.  One of an earlier layout, or
 * without a seal, proves nothing.
 */
#ifndef STORE_ORPHAN_H
#define STORE_ORPHAN_H

#include "store/core.h"
#include "store/loss.h"

struct orphans {
	uint32_t *ids; /* ascending; owned */
	size_t count;
};

/* Hints that prove that a segment is missing in the list of `core`.  0 or -errno; release
 * `ret` in any case. */
int orphans_find(struct core *core, struct orphans *ret);
void orphans_release(struct orphans *orphans);

/* Whether a hint without a segment proves anything. */
bool orphan_proves(struct core *core, uint32_t id);

/* Add the records of a missing segment to the list.  0 or -ENOMEM. */
int orphan_note(struct core *core, uint32_t id, struct loss *loss);

/* Tell of the missing segment and of what was in it. */
void orphan_report(struct core *core, uint32_t id, struct loss *loss);

#endif
