/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * repairplan.c - see repairplan.h.
 */
#include "whole/repairplan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "disk/guard.h"
#include "store/replay.h"

static int add_range(struct plan *plan, const struct range *range)
{
	if (plan->count == plan->capacity) {
		size_t capacity = plan->capacity ? 2 * plan->capacity : 16;
		struct range *ranges = reallocarray(plan->ranges, capacity, sizeof *ranges);
		if (!ranges)
			return -ENOMEM;
		plan->ranges = ranges;
		plan->capacity = capacity;
	}
	plan->ranges[plan->count++] = *range;
	return 0;
}

void plan_release(struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		free((void *)(uintptr_t)plan->ranges[i].key.data);
	free(plan->ranges);
}

/* Note the key that lost a record here, if it is known. */
static int note_key(struct segcheck *check, struct range *range)
{
	struct record_header header;
	struct dw_bytes key, told;
	bool by_hint = sidecar_key_at(&check->sidecar, range->offset, &key);

	if (!by_hint && !segcheck_own_word(&check->scan, &header, &key))
		return 0;
	told = (struct dw_bytes){malloc(key.size + 1), key.size};
	if (!told.data)
		return -ENOMEM;
	if (key.size)
		memcpy((void *)(uintptr_t)told.data, key.data, key.size);
	range->key = told;
	/* the hint's word will be noted when the damage has been stepped over */
	return by_hint ? 0 : loss_add(check->loss, check->segment, range->offset, &header, told);
}

/* Walk a segment to its end, over all damage. */
static int plan_records(struct segcheck *check, bool last, struct plan *plan)
{
	struct scan *scan = &check->scan;
	/* a record that is not found stays in quarantine: look harder than replay does */
	uint64_t budget = 4 * replay_search_budget(scan->end);
	struct scan_record record;
	int rc;

	for (;;) {
		while ((rc = segcheck_next(check, &record)) == 1) {
			plan->records++;
			plan->records_behind += plan->count > 0;
			plan->sound_bytes += record_size(&record.header);
		}
		plan->end = scan->offset;
		if (rc != -EBADMSG)
			return rc;
		rc = last ? guard_is_at(scan->io, scan->fd, scan->offset, scan->end) : 0;
		if (rc) /* preallocated zeros: if this writer does not cut them, the next one will
			 */
			return rc < 0 ? rc : 0;
		struct range range = {.offset = scan->offset, .damage = scan->damage};
		rc = note_key(check, &range);
		if (!rc)
			rc = segcheck_resync(check, &budget);
		range.end = scan->offset;
		int added = add_range(plan, &range);
		if (added < 0)
			free((void *)(uintptr_t)range.key.data);
		if (rc < 0 || added < 0)
			return rc < 0 ? rc : added;
	}
}

int plan_segment(struct dw_segment *segment, int fd, uint64_t size, bool last, struct loss *loss,
		 struct plan *plan)
{
	struct segcheck check;
	int rc = segcheck_init(&check, segment, fd, size, false, loss);

	if (!rc)
		rc = plan_records(&check, last, plan);
	plan->hinted = sidecar_exists(&check.sidecar);
	plan->foreign = sidecar_is_foreign(&check.sidecar);
	int is_short = rc ? 0 : segcheck_is_short(&check, plan->end, false);
	if (is_short == 1)
		rc = segcheck_name_missing(&check);
	else if (!rc)
		rc = is_short;
	plan->shortened = is_short == 1;
	plan->missing = segcheck_missing(&check);
	segcheck_release(&check);
	return rc;
}

int plan_see(const struct plan *plan, struct dw_segment *segment, struct loss *loss)
{
	struct scan_record record;
	struct scan scan;
	int fd = segment_pin(segment);

	if (fd < 0)
		return fd;
	int rc = scan_init(&scan, segment->pool->io, fd, 0, plan->end);
	scan.keys_only = true; /* each was checked */
	for (size_t i = 0; rc >= 0;) {
		if (i < plan->count && scan.offset == plan->ranges[i].offset)
			scan.offset = plan->ranges[i++].end;
		rc = scan_next(&scan, &record);
		if (rc != 1)
			break;
		loss_see(loss, segment->id, record.offset, &record.header, record.key);
	}
	scan_release(&scan);
	segment_unpin(segment);
	return rc;
}
