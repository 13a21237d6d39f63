/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * cursor.c - the keys of a store or a snapshot in byte order, and how many are below a
 * directory.
 *
 * A cursor of a store that goes on holds no moment of it: it goes on behind its last key, whatever
 * changed.  It must never hold up a writer: log.lock is taken once in the life of a store, when
 * the index is asked for order for the first time.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "store/walk.h"

struct dw_cursor {
	struct dw_store *store;
	struct index_cursor *keys;
	struct dw_bytes key; /* of the current item; the index's */
	struct dw_ref ref;   /* of its value; borrows the segment.  NULL in it: there is none */
};

/* Have the index know its keys in order. */
static int list(struct core *core)
{
	if (index_is_listed(&core->index))
		return 0;
	log_lock(&core->log);
	int rc = index_list(&core->index);
	log_unlock(&core->log);
	return rc;
}

int dw_cursor_open(struct dw_store *store, struct dw_bytes prefix, struct dw_cursor **ret)
{
	struct dw_cursor *cursor = calloc(1, sizeof *cursor);
	struct core *core = store->core;
	struct index_moment *moment = store->snapshot ? store->snapshot->moment : NULL;
	int rc = !cursor ? -ENOMEM : moment ? 0 : list(core);

	if (!rc)
		rc = index_cursor_open(&core->index, NULL, moment, store_key(prefix),
				       &cursor->keys);
	if (rc < 0) {
		free(cursor);
		return core_index_failed(core, rc);
	}
	cursor->store = store;
	*ret = cursor;
	return 0;
}

int dw_cursor_next(struct dw_cursor *cursor, struct dw_item *ret)
{
	struct keydir_place place;
	int rc = index_cursor_next(cursor->keys, &cursor->key, &place);

	cursor->ref.segment = NULL;
	if (rc != 1)
		return rc ? core_index_failed(cursor->store->core, rc) : 0;
	assert(place.segment);
	cursor->ref = walk_ref(cursor->key, &place);
	*ret = (struct dw_item){
		.key = cursor->key,
		.stat = {.size = place.value_size,
			 .mtime_ns = place.mtime_ns,
			 .segment = place.segment->id,
			 .offset = place.offset},
	};
	return 1;
}

int dw_cursor_seek(struct dw_cursor *cursor, struct dw_bytes key)
{
	int rc = index_cursor_seek(cursor->keys, store_key(key));

	cursor->ref.segment = NULL;
	return rc ? core_index_failed(cursor->store->core, rc) : 0;
}

ssize_t dw_cursor_read(struct dw_cursor *cursor, void *ret, size_t size, uint64_t offset)
{
	if (!cursor->ref.segment)
		return -EINVAL;
	return dw_ref_read(cursor->store, &cursor->ref, cursor->key, ret, size, offset);
}

void dw_cursor_close(struct dw_cursor *cursor)
{
	if (!cursor)
		return;
	index_cursor_close(cursor->keys);
	free(cursor);
}

int dw_below(struct dw_store *store, struct dw_bytes prefix, struct dw_below_info *ret)
{
	struct core *core = store->core;
	struct index_below below;
	int rc;

	prefix = store_key(prefix);
	if (store->snapshot) {
		rc = index_moment_below(store->snapshot->moment, prefix, &below);
	} else {
		rc = list(core);
		if (!rc)
			rc = index_below(&core->index, prefix, &below);
	}
	if (rc < 0)
		return core_index_failed(core, rc);
	*ret = (struct dw_below_info){below.keys, below.newest_ns};
	return 0;
}
