/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * replay.h - from segment files to the view: every record, by ascending id and offset.
 *
 * Changes no segment.  With a valid index only the log after its position is replayed.  The table
 * in docs/FORMAT.md says how each kind of damage is judged: behind the valid prefix of the last
 * segment it is a torn tail, elsewhere an error.
 */
#ifndef STORE_REPLAY_H
#define STORE_REPLAY_H

#include "store/core.h"
#include "store/segcheck.h"

/* Lost keys that are named where a store is opened or read; a repair names all. */
enum { LOST_TOLD = 100 };

struct replay {
	struct core *
		core; /* findings go there, and to its index the view; on failure it holds a part */
	struct index_position from; /* records before this are in the view already */
	struct dw_report report;
	bool writes;          /* hints that cannot be believed may be written anew */
	bool names_synced;    /* the directory, since the segments were opened */
	struct hint_end hint; /* of the segment replayed last: where its hint goes on; size 0: no
				 hint is there */
	bool keeps_foreign;   /* hints of another log are left, as long as there are others of
				 missing segments: they tell that nothing is missing */
	unsigned foreign;     /* segments whose hint is of another log */
	struct buf key;       /* after damage: of the record there, if something tells */
	bool key_known;
	struct loss loss; /* the loss in the damaged segment, according to its hint */
	bool in_memory;   /* the view, however large it gets */
	bool on_disk;     /* a part of the view is, and nothing names it yet */
};

void replay_release(struct replay *replay);

/* Replay one segment of `file_size` bytes (-EUCLEAN: the files of the index are damaged);
 * `last` says whether it is the last one. Sets segment->size to its valid prefix and updates
 * replay->report. 0 (report.torn_bytes tells of a torn tail), -EBADMSG (report tells where, and key
 * and loss what) or -errno. */
int replay_segment(struct replay *replay, struct dw_segment *segment, uint64_t file_size,
		   bool last);

/* Judge why the sound records of a segment end at scan->offset; `rc` is the result of
 * segcheck_next().  0: its end, or a torn tail; -EBADMSG: the report, key and loss tell. */
int replay_judge(struct replay *replay, struct segcheck *check, int rc, bool last);

/* Tell of the torn tail or (`rc` -EBADMSG) the damage that a replay met, if any. */
void replay_report(struct replay *replay, int rc);

/* The key of the damaged record there goes to replay->key.  0 or -ENOMEM. */
int replay_note_key(struct replay *replay, struct segcheck *check);

/* Judge damage at scan->offset: no damage, for a guard behind the last record; else sets the
 * report's damage, and for a torn tail its torn_bytes and records_behind.  0: a torn tail; -EBADMSG
 * or another -errno. */
int replay_at_damage(struct dw_report *report, struct scan *scan, bool last);

/* The work that a search after damage in a segment of `size` bytes may take (scan_resync()). */
static inline uint64_t replay_search_budget(uint64_t size)
{
	return 16 * size + (64u << 20);
}

#endif
