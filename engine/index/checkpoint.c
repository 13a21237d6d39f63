/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * checkpoint.c - the index on disk, see index.h.
 *
 * There are no runs yet: nothing is written, and all of the log is replayed.
 */
#include <assert.h>

#include "index/index.h"

int index_open(struct index *index, const struct segset *segments, bool writes,
	       struct index_position *position_ret)
{
	assert(index->version && segments);
	(void)writes;
	*position_ret = (struct index_position){0};
	return 0;
}

bool index_is_full(const struct index *index)
{
	(void)index;
	return false;
}

int index_checkpoint_begin(struct index *index, const struct segset *segments,
			   const struct index_position *position)
{
	assert(index->version && segments && position->segment);
	return 0;
}

int index_checkpoint_write(struct index *index, struct throttle *throttle)
{
	(void)index;
	(void)throttle;
	return 0;
}

int index_disown(struct index *index)
{
	(void)index;
	return 0;
}

int index_join(struct index *index, struct throttle *throttle)
{
	(void)index;
	(void)throttle;
	return 0;
}

bool index_is_damaged(const struct index *index)
{
	(void)index;
	return false;
}

/* Without runs nothing counts ahead: a walk over the keys. */
int index_below(struct index *index, struct dw_bytes prefix, struct index_below *ret)
{
	struct index_below below = {.newest_ns = INT64_MIN};
	struct index_cursor *cursor;
	struct keydir_place place;
	struct dw_bytes key;
	int rc = index_cursor_open(index, &index->version->segments->set, NULL, prefix, &cursor);

	if (rc < 0)
		return rc;
	while ((rc = index_cursor_next(cursor, &key, &place)) == 1) {
		below.keys++;
		if (place.mtime_ns > below.newest_ns)
			below.newest_ns = place.mtime_ns;
	}
	index_cursor_close(cursor);
	if (!rc)
		*ret = below;
	return rc;
}
