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
 * one dead one behind them.  So each byte freed has a bounded price, and since copies go to the
 * end, long-lived records gather there and dying segments come to the front.
 */
#include <errno.h>
#include <stdlib.h>

#include "compact/compact.h"
#include "store/snapshot.h"

/* Beside the copies: new files and their names, and what file systems round up by. */
enum { ROOM_BESIDE = 1 << 20 };

static uint64_t kept_bytes(const struct dw_segment *segment)
{
	uint64_t kept = segment->live_bytes + segment->raw_bytes;

	return kept < segment->size ? kept : segment->size;
}

/* Whether the record with the highest txid is in a segment: it stays, be it a tombstone. */
static bool holds_last(const struct core *core, const struct dw_segment *segment)
{
	return segment->size && segment->last_txid == core->log.next_txid - 1;
}

/* Whether `dead` bytes are so many percent of all. */
static bool is_dead_enough(uint64_t dead, uint64_t bytes, unsigned percent)
{
	return (double)dead * 100 >= (double)bytes * percent;
}

/* Nothing is dead, and nothing to join. */
static bool is_compact(const struct core *core, const struct compact_run *all)
{
	uint64_t bytes = all->copied + all->freed;

	return !all->freed && core->segments.count <= bytes / core->log.segment_size + 2;
}

void compact_choose_locked(struct core *core, const struct compact_limits *limits,
			   struct compact_run *ret)
{
	struct compact_run run = {0}, best = {0};

	for (size_t i = 0; i < core->segments.count; i++) {
		const struct dw_segment *segment = core->segments.items[i];
		uint64_t kept = kept_bytes(segment), dead = segment->size - kept;
		if (limits->background && dead && snapshot_holds_locked(core, segment))
			dead = 0;
		if (segment == core->log.active && !segment->size)
			break; /* there is nothing to seal */
		run.count++;
		run.active = segment == core->log.active;
		run.copied += kept;
		run.freed += dead;
		/* sealing takes a new file, too */
		run.writes = run.writes || kept || run.active || holds_last(core, segment);
		if (run.copied > limits->copy_max || (run.writes && !limits->copy_max))
			break;
		if (dead && is_dead_enough(dead, segment->size, limits->dead_percent) &&
		    is_dead_enough(run.freed, run.copied + run.freed, limits->dead_percent))
			best = run;
	}
	if (!limits->dead_percent && limits->copy_max == UINT64_MAX)
		best = run;
	if (best.count == run.count && is_compact(core, &run))
		best.count = 0;
	if (best.freed < limits->freed_min)
		best.count = 0;
	*ret = best;
}

/* Ids for so many outputs: free ones behind the last sealed segment if there are enough,
 * else by a rotation that leaves them free. */
static int reserve_ids_locked(struct compaction *c, uint64_t most)
{
	struct core *core = c->core;
	const struct segset *all = &core->segments;
	uint32_t active = core->log.active->id;
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
	int rc = core_rotate_locked(core, (uint32_t)most);
	if (rc < 0)
		return rc;
	c->first_id = active + 1;
	c->last_id = active + (uint32_t)most;
	return 0;
}

static int begin_locked(struct compaction *c, const struct compact_limits *limits)
{
	struct core *core = c->core;
	int rc = log_check(&core->log);

	if (rc < 0)
		return rc;
	compact_choose_locked(core, limits, &c->run);
	if (!c->run.count)
		return 0;
	/* Outputs are closed when the next record would exceed the segment size, so any
	 * two in a row exceed it together; and there may be a tombstone to keep. */
	uint64_t most = 2 * (c->run.copied / core->log.segment_size) + 2;
	rc = segset_copy(&core->segments, c->run.count, &c->inputs);
	/* Before any record is read: later appends go to segments after the outputs. */
	if (!rc && c->run.writes)
		rc = reserve_ids_locked(c, most);
	if (rc < 0)
		return rc;
	c->last_txid = core->log.next_txid - 1;
	c->capacity = c->first_id ? c->last_id - c->first_id + 1 : 0;
	if (c->capacity > most)
		c->capacity = most;
	c->outputs = calloc(c->capacity + 1, sizeof *c->outputs);
	return c->outputs ? 0 : -ENOMEM;
}

uint64_t compact_room_locked(const struct core *core, bool *dead_ret)
{
	uint64_t copied = 0;
	bool dead = false;

	for (size_t i = 0; !dead && i < core->segments.count; i++) {
		const struct dw_segment *segment = core->segments.items[i];
		copied += kept_bytes(segment);
		dead = segment->size > kept_bytes(segment);
	}
	*dead_ret = dead;
	return copied + ROOM_BESIDE;
}

int compact_begin(struct compaction *c, const struct compact_limits *limits)
{
	log_lock(&c->core->log);
	int rc = begin_locked(c, limits);
	core_unlock_log(c->core); /* it may have rotated */
	return rc;
}

bool compact_is_behind(struct core *core, uint64_t dead_bytes_min)
{
	log_lock(&core->log);
	const struct segment_figures sum = core_sum_locked(core);
	log_unlock(&core->log);
	return (sum.size - sum.live_bytes) / 4 > dead_bytes_min + sum.live_bytes / 4;
}
