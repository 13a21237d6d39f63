/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * walk.c - see walk.h.
 */
#include "store/walk.h"

#include <assert.h>

static int take_moment(struct walk *walk)
{
	struct core *core = walk->core;

	log_lock(&core->log);
	int rc = index_seal(&core->index, &core->segments, &walk->moment);
	log_unlock(&core->log);
	walk->owned = !rc;
	return rc;
}

int walk_init(struct walk *walk, struct dw_store *store, struct dw_bytes prefix)
{
	*walk = (struct walk){.core = store->core};
	if (store->snapshot)
		walk->moment = store->snapshot->moment;
	int rc = walk->moment ? 0 : take_moment(walk);
	if (rc < 0)
		return rc;
	walk->count = index_moment_count(walk->moment);
	rc = index_cursor_open(&store->core->index, &store->core->segments, walk->moment,
			       store_key(prefix), &walk->cursor);
	if (rc < 0) {
		walk_release(walk);
		return core_index_failed(store->core, rc);
	}
	return 0;
}

void walk_release(struct walk *walk)
{
	index_cursor_close(walk->cursor);
	if (walk->owned) {
		index_moment_close(walk->moment);
		core_tidy(walk->core);
	}
	*walk = (struct walk){0};
}

int walk_next(struct walk *walk, struct dw_bytes *key_ret, struct keydir_place *place_ret)
{
	assert(walk->cursor);
	int rc = index_cursor_next(walk->cursor, key_ret, place_ret);
	return rc < 0 ? core_index_failed(walk->core, rc) : rc;
}
