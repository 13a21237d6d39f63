/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * compact.pml - compaction in place: between any two steps the directory is a correct store.
 *
 * A store of two keys and a few segments; a writer that puts, deletes, syncs and rotates; a
 * compaction of the oldest sealed segments, all of them or some, whose outputs lie behind all
 * sealed segments and before the active one; failures that end a compaction early; kills and
 * power cuts.  After a kill every written record is there.  A power cut takes records from the
 * unsynced end of a file, and of the unsynced changes of names any subset.  Checked:
 *
 *   - after each crash replay finds what the log said when its highest txid was written, and
 *     that txid is not below the last one synced (none lost, if only the process died): so no
 *     key comes back, no older value shows, no txid is given out twice,
 *   - only the last segment has lost bytes,
 *   - with READER: one without the lock, whose listings are no moments, finds a state that the
 *     store had while it opened.
 *
 * M_... break one rule each; with them spin must find an error.
 */
#ifndef OPERATIONS
#define OPERATIONS 2
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef COMPACTIONS
#define COMPACTIONS 2
#endif
#define IDS 12     /* segments are 1 .. IDS-1 */
#define SLOTS 4    /* records in a segment, at most */
#define RESERVED 2 /* ids for outputs */
#define TXIDS (4 + OPERATIONS)

/* a record: txid, whether it is a tombstone, key; 0 is none */
#define RECORD(txid, tombstone, key) ((txid) * 4 + (tombstone) * 2 + (key))
#define TXID(r) ((r) / 4)
#define IS_TOMBSTONE(r) (((r) / 2) % 2)
#define KEY(r) ((r) % 2)

byte record[IDS * SLOTS];
byte size[IDS], synced_size[IDS];
bool named[IDS], named_on_disk[IDS]; /* outputs have content before they are named */
bool listed[IDS];                    /* the process knows of it */
byte written[TXIDS];                 /* what each txid said */
byte place[2];                       /* the view: where a key's record is; 0: nowhere */
byte next_txid = 1, synced, tail;
byte operations, rotations, crashes, compactions;

/* who is in the middle of a rotation, and how far; it holds log.lock */
byte rotation; /* 0 none, 1 old synced, 2 new created */
bool rotates_for_compaction;

byte step;                          /* of the compaction; 0: none runs */
bool input[IDS];
byte at, slot, first_output, output, last_txid;
bool locked; /* publishing */

/* scratch; 0 outside of atomic steps */
byte i, k, r, top, found[2], expected[2];
bool wrong;

/* The newest record of each key among the named segments. */
inline replay(is_there, length)
{
	top = 0;
	found[0] = 0;
	found[1] = 0;
	i = 1;
	do
	:: i < IDS ->
		if
		:: is_there ->
			k = 0;
			do
			:: k < length ->
				r = record[i * SLOTS + k];
				found[KEY(r)] = (IS_TOMBSTONE(r) -> 0 : TXID(r));
				top = (TXID(r) > top -> TXID(r) : top);
				k++
			:: else -> break
			od
		:: else
		fi;
		i++
	:: else -> break
	od
}

/* What the log said when `txid` was its highest. */
inline remember(txid)
{
	expected[0] = 0;
	expected[1] = 0;
	i = 1;
	do
	:: i <= txid ->
		expected[KEY(written[i])] = (IS_TOMBSTONE(written[i]) -> 0 : i);
		i++
	:: else -> break
	od
}

inline forget()
{
	i = 0; k = 0; r = 0; top = 0; wrong = false;
	found[0] = 0; found[1] = 0; expected[0] = 0; expected[1] = 0
}

inline append(tombstone, key)
{
	r = RECORD(next_txid, tombstone, key);
	record[tail * SLOTS + size[tail]] = r;
	place[key] = (tombstone -> 0 : tail * SLOTS + size[tail]);
	size[tail]++;
	written[next_txid] = r;
	next_txid++;
	r = 0
}

inline append_any()
{
	if
	:: append(0, 0)
	:: append(0, 1)
	:: append(1, 0)
	:: append(1, 1)
	fi
}

inline sync_active()
{
	synced_size[tail] = size[tail];
	synced = next_txid - 1
}

inline sync_directory()
{
	i = 1;
	do
	:: i < IDS -> named_on_disk[i] = named[i]; i++
	:: else -> break
	od;
	i = 0
}

inline create(id)
{
	tail = id;
	named[tail] = true;
	listed[tail] = true
}

#ifndef ROTATIONS
#define ROTATIONS 1
#endif

/* Segments 1 and 2 sealed, 3 active and empty; everything on disk. */
inline begin()
{
	tail = 1; named[1] = true; listed[1] = true;
	if /* which key is the first makes no difference */
	:: append(0, 0)
	:: append(1, 0)
	fi;
	append_any();
	sync_active();
	create(2);
	append_any();
	sync_active();
	create(3);
	sync_directory()
}

/* --- compaction --- */

inline choose_inputs()
{
	/* `top` is the last input; the active segment is sealed by the rotation that comes next */
	top = tail;
	do
	:: top > 1 -> top--
	:: break
	od;
	i = 1;
#ifdef M_NOT_OLDEST
	do
	:: i < top && i < 2 -> i++
	:: break
	od;
#endif
	do
	:: i <= top -> input[i] = listed[i]; i++
	:: else -> break
	od;
	first_output = tail + 1;
	output = first_output;
	last_txid = next_txid - 1;
	at = 1;
	slot = 0;
	top = 0;
	i = 0
}

#ifdef M_DROP_LAST_TXID
#define KEEPS_TOMBSTONE(r) false
#else
#define KEEPS_TOMBSTONE(r) (IS_TOMBSTONE(r) && TXID(r) == last_txid)
#endif

/* One record of the inputs; kept if it lives, or is a tombstone that carries the highest txid. */
inline copy_next()
{
	do
	:: at < IDS && (!input[at] || slot == size[at]) -> at++; slot = 0
	:: else -> break
	od;
	if
	:: at == IDS -> step = 3; at = 0
	:: else ->
		r = record[at * SLOTS + slot];
		if
		:: place[KEY(r)] == at * SLOTS + slot || KEEPS_TOMBSTONE(r) ->
			if
			:: size[output] > 0 && output + 1 < first_output + RESERVED -> output++
			:: else
			fi;
			record[output * SLOTS + size[output]] = r;
			size[output]++
		:: else
		fi;
		slot++;
		r = 0
	fi
}

inline sync_outputs()
{
	i = first_output;
	do
	:: i <= output -> synced_size[i] = size[i]; i++
	:: else -> break
	od;
	i = 0
}

/* A key whose record is still where a copy came from: it is now where the copy is. */
inline move_entries()
{
	i = first_output * SLOTS;
	do
	:: i < (output + 1) * SLOTS ->
		r = record[i];
		if
		:: i % SLOTS < size[i / SLOTS] && !IS_TOMBSTONE(r) ->
			k = place[KEY(r)];
			if
			:: k && input[k / SLOTS] && record[k] == r -> place[KEY(r)] = i
			:: else
			fi
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0; k = 0; r = 0
}

/* The next input to go, in `i`; 0: none is left. */
inline next_input()
{
#ifdef M_UNLINK_DESCENDING
	i = IDS - 1;
	do
	:: i > 0 && !input[i] -> i--
	:: else -> break
	od
#else
	i = 1;
	do
	:: i < IDS && !input[i] -> i++
	:: else -> break
	od;
	i = (i == IDS -> 0 : i)
#endif
}

inline compaction_end()
{
	i = 0;
	do
	:: i < IDS ->
		input[i] = false;
		if
		:: i && !named[i] && i != tail -> size[i] = 0; synced_size[i] = 0
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0; step = 0; at = 0; slot = 0; first_output = 0; output = 0; last_txid = 0; locked = false
}

/* --- crash --- */

/* Each name's change is on disk or not, each file's unsynced end is there as far as it is. */
inline lose_power()
{
	k = 0; /* the last segment that is left */
	top = IDS - 1;
	do
	:: top > 0 ->
		if
		:: named[top] != named_on_disk[top] -> named[top] = named_on_disk[top]
		:: true
		fi;
		if
		:: named[top] && !k -> k = top
		:: else
		fi;
		if
		:: named[top] ->
			do
			:: size[top] > synced_size[top] ->
				assert(top == k); /* else it is refused */
				size[top]--
			:: break
			od
		:: else
		fi;
		synced_size[top] = size[top];
		top--
	:: else -> break
	od;
	k = 0
}

inline recover()
{
	compaction_end();
	rotation = 0;
	rotates_for_compaction = false;
	place[0] = 0;
	place[1] = 0;
	tail = 0;
	i = 1;
	do
	:: i < IDS ->
		listed[i] = named[i];
		if
		:: named[i] ->
			tail = i;
			k = 0;
			do
			:: k < size[i] ->
				r = record[i * SLOTS + k];
				place[KEY(r)] = (IS_TOMBSTONE(r) -> 0 : i * SLOTS + k);
				k++
			:: else -> break
			od
		:: else -> size[i] = 0; synced_size[i] = 0
		fi;
		/* what is gone is not told apart from what never was */
		k = size[i];
		do
		:: k < SLOTS -> record[i * SLOTS + k] = 0; k++
		:: else -> break
		od;
		i++
	:: else -> break
	od;
	sync_directory()
}

inline crash(power)
{
	if
	:: power -> lose_power()
	:: else
	fi;
	d_step {
		replay(named[i], size[i]);
		r = top;
		remember(r);
		assert(r >= (power -> synced : next_txid - 1));
		assert(found[0] == expected[0] && found[1] == expected[1]);
		synced = (power -> r : synced);
		next_txid = r + 1;
		forget();
		recover();
		forget()
	}
}

#ifdef READER
byte reading; /* 0: to begin, 1, 2: first listing half done, done; 3: second half done; 4: over */
bool seen[2 * IDS]; /* the first listing, the second */
byte seen_size[IDS], split, opened, oldest_txid;
bool upwards;

/* readdir(3) is no moment: the ids below `split` and the others are read at two. */
inline list_half(listing, first)
{
	i = 1;
	do
	:: i < IDS ->
		if
		:: (i < split) == (upwards == first) -> seen[(listing) * IDS + i] = named[i]
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0
}

inline choose_listing()
{
	split = 1;
	do
	:: split < tail -> split++
	:: break
	od;
	if
	:: upwards = true
	:: upwards = false
	fi
}

inline close_reading(next)
{
	d_step {
		i = 0;
		do
		:: i < IDS -> seen[i] = false; seen[IDS + i] = false; seen_size[i] = 0; i++
		:: else -> break
		od;
		i = 0; k = 0; wrong = false; opened = 0; oldest_txid = 0; split = 0; upwards = false;
		reading = next
	}
}

inline check_reading()
{
	d_step {
		replay(seen[i], seen_size[i]);
		k = oldest_txid;
		wrong = true;
		do
		:: k < next_txid ->
			remember(k);
			wrong = wrong && !(found[0] == expected[0] && found[1] == expected[1]);
			k++
		:: else -> break
		od;
		assert(!wrong);
		forget()
	}
}

inline same_listing()
{
	i = 1;
	do
	:: i < IDS && seen[i] == seen[IDS + i] -> i++
	:: else -> break
	od;
	wrong = i < IDS;
	i = 0
}

active proctype reader()
{
	do
	:: atomic { reading == 0 && tail >= 3 ->
		oldest_txid = next_txid - 1;
		choose_listing();
		d_step { list_half(0, true) };
		reading = 1 }
	:: atomic { reading == 1 ->
		d_step { list_half(0, false); split = 0; upwards = false };
		opened = 1;
		reading = 2 }
	:: atomic { reading == 2 && opened < IDS ->
		do
		:: opened < IDS && !seen[opened] -> opened++
		:: else -> break
		od;
		if
		:: opened == IDS
		:: opened < IDS && !named[opened] -> close_reading(0)
		:: opened < IDS && named[opened] -> seen_size[opened] = size[opened]; opened++
		fi }
	:: atomic { reading == 2 && opened == IDS ->
#ifdef M_LIST_ONCE
		check_reading();
		close_reading(4)
#else
		choose_listing();
		d_step { list_half(1, true) };
		reading = 3
#endif
		}
	:: atomic { reading == 3 ->
		d_step { list_half(1, false); same_listing() };
		if
		:: wrong -> close_reading(0)
		:: else -> check_reading(); close_reading(4)
		fi }
	:: reading == 4 -> break
	od
}
#endif

active proctype store()
{
	atomic { begin() }
	do
	/* the writer */
	:: atomic { !rotation && !locked && operations < OPERATIONS ->
		operations++;
		append_any() }
	:: atomic { !rotation && !locked && synced < next_txid - 1 -> sync_active() }
	:: atomic { !rotation && !locked && rotations < ROTATIONS ->
		rotations++;
#ifndef M_ROTATE_UNSYNCED
		sync_active();
#endif
		rotation = 1 }
	:: atomic { rotation == 1 ->
		create(tail + 1 + (rotates_for_compaction -> RESERVED : 0));
		rotation = 2 }
	:: atomic { rotation == 2 ->
		sync_directory();
		rotates_for_compaction = false;
		rotation = 0 }

	/* the compaction */
	:: atomic { !step && !rotation && compactions < COMPACTIONS ->
		compactions++;
		choose_inputs();
		sync_active();
		rotates_for_compaction = true;
		rotation = 1;
		step = 2 }
	:: atomic { step == 2 && !rotates_for_compaction -> d_step { copy_next() } }
	:: atomic { step == 3 && !rotation ->
#ifndef M_RENAME_UNSYNCED
		sync_outputs();
#endif
		at = first_output;
		locked = true;
		step = 4 }
	:: atomic { step == 4 ->
		if
		:: at <= output && size[at] ->
			named[at] = true;
#ifndef M_FORGET_OUTPUT
			listed[at] = true;
#endif
			at++
		:: else -> locked = false; at = 0; step = 5
		fi }
	:: atomic { step == 5 ->
#ifndef M_NO_SYNC_OF_NAMES
		sync_directory();
#endif
		step = 6 }
	:: atomic { step == 6 -> d_step { move_entries() }; step = 7 }
	:: atomic { step == 7 && !rotation ->
#ifndef M_ACTIVE_UNSYNCED
		sync_active();
#endif
		step = 8 }
	:: atomic { step == 8 ->
		d_step { next_input() };
		if
		:: i -> named[i] = false; listed[i] = false; input[i] = false; step = 9; i = 0
		:: else -> d_step { compaction_end() }
		fi }
	:: atomic { step == 9 ->
#ifndef M_NO_SYNC_BETWEEN
		sync_directory();
#endif
		step = 8 }
	/* an error ends it, but between a rename and the next name in the list nothing can */
	:: d_step { step >= 2 && step != 7 && step != 9 && !rotation -> compaction_end() }

	/* the end of the process, the end of power */
	:: atomic { crashes < CRASHES -> crashes++; crash(false) }
	:: atomic { crashes < CRASHES -> crashes++; crash(true) }

	:: operations == OPERATIONS && compactions == COMPACTIONS && !step && !rotation && crashes == CRASHES -> break
	od
}
