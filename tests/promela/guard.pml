/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * guard.pml - preallocated zeros of the log: no crash leaves what a reader refuses.
 *
 * One writer enters and leaves ahead mode, appends one or two records at a time, syncs,
 * fails, is killed, loses power, recovers, and loses power while it recovers.
 * guard_file.h has the scale, the file and the reader.  Checked at each crash and, for who
 * reads meanwhile, between any two cells of each write:
 *
 *   - the strict reader never meets a hard error,
 *   - it finds all synced records (all acknowledged ones, if only the process died),
 *   - what else it finds are whole records in order.
 *
 * One thing is excepted: in plain mode the file grows with each append, and a power cut may
 * leave zeros where the unsynced bytes belong (`exposed`); what was synced must be there.
 *
 * M_... leave out one step each; with them spin must find an error.  NO_LIVE_READER: only
 * crashes count; one write from front to back is enough for them.
 */
#ifndef OPERATIONS
#define OPERATIONS 4
#endif
#ifndef CRASHES
#define CRASHES 1
#endif

c_decl {
\#include "guard_file.h"
}
#define VERDICT_HARD 2
c_state "struct file file" "Global"

bool ahead;    /* mode */
bool exposed;  /* see above */
bool phases;   /* the append under way is written in two */
bool at_once;  /* mutation: one phase though it ought to be two */
bool partial;  /* the append under way has failed */
byte operations, crashes, i, j, answer;

#ifdef NO_LIVE_READER
#define LIVE_CHECK
#else
#define LIVE_CHECK if (now.file.live_hard) uerror("a reader met a hard error")
#endif
/* Between any two system calls the process may be killed or the power fail. */
#define STEP \
	c_code { file_tell(&now.file, "then"); LIVE_CHECK; }; \
	if \
	:: true \
	:: crashes < CRASHES -> crashes++; goto power_cut \
	:: crashes < CRASHES -> crashes++; goto killed \
	fi

#define SYNC c_code { file_sync(&now.file); }; exposed = false

/* A write that fails stops at the edge of a sector. */
#define PART(from, to) \
	if \
	:: c_code { append_part(&now.file, from, to, 99); } \
	:: true -> partial = true; i = 0; \
	   do \
	   :: i < 2 -> i++ \
	   :: break \
	   od; \
	   c_code { append_part(&now.file, from, to, now.i); } \
	fi

#define CHECK_FOUND(least) \
	c_code { now.answer = now.file.found >= now.file.least; }; \
	assert(answer); \
	answer = 0

active proctype writer()
{
	atomic {
		i = 0;
		do
		:: i < 5 -> i++
		:: break
		od;
		c_code { file_init(&now.file, now.i); };
		if
		:: true
		:: c_code { guard_write(&now.file, 0, AHEAD); file_sync(&now.file); }; ahead = true
		fi;
		i = 0
	}
idle:
	if
	:: operations == OPERATIONS -> goto done
	:: operations < OPERATIONS ->
		operations++;
		if
		:: true -> goto append
		:: SYNC; STEP; goto idle
		:: !ahead -> goto enter
		:: ahead -> goto leave
		fi
	fi;

enter:
#ifndef M_ENTER_AT_ONCE
	c_code { guard_write(&now.file, 0, HEADER - 1); };
	STEP;
	SYNC;
	STEP;
	if
	:: c_code { guard_write(&now.file, HEADER - 1, AHEAD); }
	:: true -> /* it fails half way, e.g. there is no space */
		c_code { guard_write(&now.file, HEADER - 1, HEADER + 1); };
		STEP;
		goto leave
	fi;
#else
	SYNC;
	c_code { guard_write(&now.file, 0, AHEAD); };
#endif
	STEP;
	SYNC;
	ahead = true;
	goto idle;

leave:
#ifndef M_LEAVE_AT_ONCE
	c_code { file_cut(&now.file, now.file.end + HEADER - 1); };
	STEP;
	SYNC;
	STEP;
#endif
	c_code { file_cut(&now.file, now.file.end); };
	STEP;
	SYNC;
	ahead = false;
	goto idle;

append:
	/* kinds: short, long; zeros in payload and checksum or not */
	atomic {
		c_code { now.answer = append_has_room(&now.file); };
		if
		:: !answer -> goto done
		:: else -> answer = 0
		fi;
		do
		:: i < 3 -> i++
		:: break
		od;
		c_code { append_add(&now.file, now.i); now.answer = append_has_room(&now.file); };
		if
		:: true
		:: answer -> i = 0;
		   do
		   :: i < 1 -> i++
		   :: break
		   od;
		   c_code { append_add(&now.file, now.i); }
		fi;
		i = 0;
		partial = false;
		c_code { now.phases = append_is_awkward(&now.file); now.answer = append_grows(&now.file); };
		at_once = false;
#ifdef M_APPEND_AT_ONCE
		at_once = phases;
#endif
		if
		:: answer -> phases = true; answer = 0;
#ifdef M_GROW_AT_ONCE
			at_once = true
#endif
		:: else
		fi;
		if
		:: !ahead -> goto append_plain
		:: else
		fi
	}
	if
	:: phases -> goto append_phases
	:: else
	fi;

#ifdef M_TWO_CALLS
	c_code { append_part(&now.file, now.file.end, now.file.end + record_size(&now.file.record[now.file.count]), 99); };
	STEP;
#endif
#if defined(M_ONE_WRITE) || defined(M_TWO_CALLS)
	PART(now.file.end, append_reach(&now.file));
#else
	/* the header last: until it is there a reader finds the old guard */
	PART(now.file.end + HEADER, append_reach(&now.file));
	STEP;
	if
	:: partial -> goto undo
	:: else -> c_code { append_part(&now.file, now.file.end, now.file.end + HEADER, 99); }
	fi;
#endif
	goto appended;

append_phases:
	PART(key_sector(&now.file) + SECTOR, append_reach(&now.file));
	STEP;
	if
	:: partial -> goto undo
	:: !partial && !at_once -> SYNC
	:: else
	fi;
	STEP;
#ifdef M_ONE_WRITE
	c_code { append_part(&now.file, now.file.end, key_sector(&now.file) + SECTOR, 99); };
#else
	c_code { append_part(&now.file, now.file.end + HEADER, key_sector(&now.file) + SECTOR, 99); };
	STEP;
	c_code { append_part(&now.file, now.file.end, smaller(now.file.end + HEADER, key_sector(&now.file) + SECTOR), 99); };
#endif
	if
	:: true
	:: partial = true /* written, and yet an error */
	fi;
appended:
	STEP;
	if
	:: partial -> goto undo
	:: else -> c_code { append_done(&now.file); }
	fi;
	goto idle;

append_plain:
	c_code { append_part(&now.file, now.file.end, new_end(&now.file), 99); append_done(&now.file); };
	exposed = true;
	STEP;
	goto idle;

undo:
	/* What is there of the append is still to be reckoned with until the end. */
	c_code { now.i = now.file.known; guard_write(&now.file, 0, HEADER); now.file.known = now.i; };
	i = 0;
	STEP;
#ifndef M_UNDO_AT_ONCE
	if
	:: phases -> SYNC
	:: else
	fi;
	STEP;
#endif
	c_code {
		now.i = now.file.known;
		if (now.file.reach > now.file.end + HEADER)
			guard_write(&now.file, HEADER, now.file.reach - now.file.end);
		now.file.known = now.i;
	};
	i = 0;
	STEP;
	SYNC;
	c_code { now.file.known = now.file.count; now.file.reach = 0; };
	partial = false;
	phases = false;
	goto idle;

killed:
	c_code { file_read(&now.file); file_tell(&now.file, "killed"); };
	CHECK_FOUND(count);
	c_code { now.answer = now.file.verdict; };
	assert(answer != VERDICT_HARD);
	answer = 0;
	goto recover;

power_cut:
	atomic {
		i = 0;
		do
		:: c_expr { now.i < SECTORS } ->
			j = 0;
			do
			:: c_expr { now.j + 1 < now.file.versions[now.i] } -> j++
			:: break
			od;
			c_code { file_pick(&now.file, now.i, now.j); };
			i++
		:: else -> break
		od;
		j = 0;
		do
		:: c_expr { now.j + 1 < now.file.size_count } -> j++
		:: break
		od;
		c_code { now.file.size = now.file.sizes[now.j]; file_read(&now.file); file_tell(&now.file, "power cut"); };
		i = 0;
		j = 0;
		CHECK_FOUND(synced);
		c_code { now.answer = now.file.verdict; };
		if
		:: exposed && answer == VERDICT_HARD -> goto done
		:: else
		fi;
		assert(answer != VERDICT_HARD);
		answer = 0;
		c_code { now.file.count = now.file.known = now.file.found; file_sync(&now.file); };
		exposed = false
	}

recover:
	atomic {
		ahead = false;
		partial = false;
		phases = false;
		c_code {
			now.file.count = now.file.known = now.file.found;
			now.file.end = now.file.found_end;
			now.file.reach = 0;
		}
	}
	c_code { now.answer = now.file.size > now.file.end; };
	if
	:: answer -> answer = 0
	:: else -> goto idle
	fi;
#ifndef M_RECOVER_AT_ONCE
	c_code { now.answer = now.file.size >= now.file.end + HEADER; };
	if
	:: answer ->
		answer = 0;
		c_code { file_cut(&now.file, now.file.end + HEADER - 1); };
		STEP
#ifdef M_RECOVER_UNSYNCED
		;
		SYNC
#endif
	:: else
	fi;
	/* also if the tail was short: that may be a cut that is not on disk yet, of one who was killed */
#ifndef M_RECOVER_UNSYNCED
	SYNC;
#endif
	STEP;
#endif
	c_code { file_cut(&now.file, now.file.end); };
	STEP;
	SYNC;
	STEP;
	goto idle;
done:
	skip
}
