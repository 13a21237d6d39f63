/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * snapshot.c - see snapshot.h.
 */
#include "store/snapshot.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

static void release(struct snapshot *snapshot)
{
	index_moment_close(snapshot->moment);
	free(snapshot->figures);
	free(snapshot);
}

static int freeze_locked(struct core *core, struct snapshot *snapshot)
{
	const struct segset *set = &core->segments;

	snapshot->figures = calloc(set->count + 1, sizeof *snapshot->figures);
	int rc = snapshot->figures ? index_seal(&core->index, set, &snapshot->moment) : -ENOMEM;
	if (rc < 0)
		return rc;
	assert(snapshot_segments(snapshot)->count == set->count);
	for (size_t i = 0; i < set->count; i++)
		snapshot->figures[i] =
			(struct segment_figures){set->items[i]->size, set->items[i]->live_bytes};
	snapshot->next_txid = core->log.next_txid;
	DL_PREPEND2(core->snapshots, snapshot, newer, older);
	return 0;
}

int snapshot_open(struct core *core, struct snapshot **ret)
{
	struct snapshot *snapshot = calloc(1, sizeof *snapshot);

	if (!snapshot)
		return -ENOMEM;
	snapshot->core = core;
	log_lock(&core->log);
	int rc = freeze_locked(core, snapshot);
	log_unlock(&core->log);
	if (rc < 0)
		release(snapshot);
	else
		*ret = snapshot;
	return rc;
}

void snapshot_close(struct snapshot *snapshot)
{
	struct core *core = snapshot->core;

	log_lock(&core->log);
	assert(core->snapshots);
	DL_DELETE2(core->snapshots, snapshot, newer, older);
	log_unlock(&core->log);
	release(snapshot);
	core_tidy(core);
	work_wake(&core->work); /* a compaction may free what it held */
}

bool snapshot_any(struct core *core)
{
	log_lock(&core->log);
	bool any = core->snapshots;
	log_unlock(&core->log);
	return any;
}

bool snapshot_holds_locked(const struct core *core, const struct dw_segment *segment)
{
	for (const struct snapshot *s = core->snapshots; s; s = s->older) {
		const struct segset *set = snapshot_segments(s);
		for (size_t i = 0; i < set->count; i++)
			if (set->items[i] == segment)
				return true;
	}
	return false;
}
