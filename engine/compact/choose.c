/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * choose.c - which segments are compacted, and where the copies go.
 *
 * Always a run that begins with the oldest segment: a tombstone may go only together
 * with all that it hides, which lies before it.
 *
 * With a threshold it is the longest run of which at least that share is dead, and the
 * last segment of which has that share, too.  Not "up to the last segment
 * that is over the threshold": that could copy a hundred live segments for the sake of
 * one dead one behind them.  So each byte freed has a bounded price, and since copies go
 * behind, what has lived long gathers at the end and segments that die come to the front.
 */
#include <errno.h>
#include <stdlib.h>

#include "compact/compact.h"

/* Beside the copies: new files and their names, and what file systems round up by. */
enum { ROOM_BESIDE = 1 << 20 };

static uint64_t kept_bytes(const struct dw_segment *segment)
{
	uint64_t kept = segment->live_bytes + segment->raw_bytes;

	return kept < segment->size ? kept : segment->size;
}

/* Whether the record with the highest txid is in a segment: it stays, be it a tombstone. */
static bool holds_last(const struct dw_store *store, const struct dw_segment *segment)
{
	return segment->size && segment->last_txid == store->log.next_txid - 1;
}

/* Whether a snapshot keeps the file of a segment, whatever a compaction does. */
static bool is_held(const struct dw_store *store, const struct dw_segment *segment)
{
	for (const struct dw_store *s = store->snapshots; s; s = s->snapshot.older)
		for (size_t i = 0; i < s->segments.count; i++)
			if (s->segments.items[i] == segment)
				return true;
	return false;
}

/* Whether `dead` bytes are so many percent of all. */
static bool is_dead_enough(uint64_t dead, uint64_t bytes, unsigned percent)
{
	return (double)dead * 100 >= (double)bytes * percent;
}

/* Nothing is dead, and nothing to join. */
static bool is_compact(const struct dw_store *store, const struct compact_run *all)
{
	uint64_t bytes = all->copied + all->freed;

	return !all->freed && store->segments.count <= bytes / store->log.segment_size + 2;
}

void compact_choose_locked(struct dw_store *store, const struct compact_limits *limits,
			   struct compact_run *ret)
{
	struct compact_run run = {0}, best = {0};

	for (size_t i = 0; i < store->segments.count; i++) {
		const struct dw_segment *segment = store->segments.items[i];
		uint64_t kept = kept_bytes(segment), dead = segment->size - kept;
		if (limits->background && dead && is_held(store, segment))
			dead = 0;
		if (segment == store->log.active && !segment->size)
			break; /* there is nothing to seal */
		run.count++;
		run.active = segment == store->log.active;
		run.copied += kept;
		run.freed += dead;
		/* sealing takes a new file, too */
		run.writes = run.writes || kept || run.active || holds_last(store, segment);
		if (run.copied > limits->copy_max || (run.writes && !limits->copy_max))
			break;
		if (dead && is_dead_enough(dead, segment->size, limits->dead_percent) &&
		    is_dead_enough(run.freed, run.copied + run.freed, limits->dead_percent))
			best = run;
	}
	if (!limits->dead_percent && limits->copy_max == UINT64_MAX)
		best = run;
	if (best.count == run.count && is_compact(store, &run))
		best.count = 0;
	if (best.freed < limits->freed_min)
		best.count = 0;
	*ret = best;
}

/* Ids for so many outputs: free ones behind the last sealed segment if there are enough,
 * else by a rotation that leaves them free. */
static int reserve_ids_locked(struct compaction *c, uint64_t most)
{
	struct dw_store *store = c->store;
	const struct segset *all = &store->segments;
	uint32_t active = store->log.active->id;
	uint32_t sealed = all->count > 1 ? all->items[all->count - 2]->id : 0;

	if (!c->run.active && active - sealed - 1 >= most) {
		c->first_id = sealed + 1;
		c->last_id = active - 1;
		return 0;
	}
	if (active + most >= SEGMENT_ID_MAX)
		most = SEGMENT_ID_MAX > active + 1 ? SEGMENT_ID_MAX - active - 1 : 0;
	if (!most)
		return -EOVERFLOW;
	int rc = store_rotate_locked(store, (uint32_t)most);
	if (rc < 0)
		return rc;
	c->first_id = active + 1;
	c->last_id = active + (uint32_t)most;
	return 0;
}

static int begin_locked(struct compaction *c, const struct compact_limits *limits)
{
	struct dw_store *store = c->store;
	int rc = log_check(&store->log);

	if (rc < 0)
		return rc;
	compact_choose_locked(store, limits, &c->run);
	if (!c->run.count)
		return 0;
	/* Outputs are closed when the next record would exceed the segment size, so any
	 * two in a row exceed it together; and there may be a tombstone to keep. */
	uint64_t most = 2 * (c->run.copied / store->log.segment_size) + 2;
	rc = segset_copy(&store->segments, c->run.count, &c->inputs);
	/* Before a record is looked at: what is written from now on is behind the outputs. */
	if (!rc && c->run.writes)
		rc = reserve_ids_locked(c, most);
	if (rc < 0)
		return rc;
	c->last_txid = store->log.next_txid - 1;
	c->capacity = c->first_id ? c->last_id - c->first_id + 1 : 0;
	if (c->capacity > most)
		c->capacity = most;
	c->outputs = calloc(c->capacity + 1, sizeof *c->outputs);
	return c->outputs ? 0 : -ENOMEM;
}

uint64_t compact_room_locked(const struct dw_store *store)
{
	uint64_t copied = 0;

	for (size_t i = 0; i < store->segments.count; i++) {
		copied += kept_bytes(store->segments.items[i]);
		if (store->segments.items[i]->size > kept_bytes(store->segments.items[i]))
			break;
	}
	return copied + ROOM_BESIDE;
}

int compact_begin(struct compaction *c, const struct compact_limits *limits)
{
	log_lock(&c->store->log);
	int rc = begin_locked(c, limits);
	store_unlock_log(c->store); /* it may have rotated */
	return rc;
}
