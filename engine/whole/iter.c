/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * iter.c - one moment of the store, in byte order of the keys.
 *
 * A walk of the index, which holds the segments of the moment; values are read when asked for.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "store/walk.h"

struct dw_iter {
	struct dw_store *store;
	struct walk walk;
	struct dw_bytes key; /* of the current item; the walk's */
	struct dw_ref ref;   /* of its value; borrows the segment */
};

int dw_iter_open(struct dw_store *store, struct dw_iter **ret)
{
	struct dw_iter *iter = calloc(1, sizeof *iter);

	if (!iter)
		return -ENOMEM;
	iter->store = store;
	int rc = walk_init(&iter->walk, store, (struct dw_bytes){0});
	if (rc < 0)
		free(iter);
	else
		*ret = iter;
	return rc;
}

uint64_t dw_iter_count(const struct dw_iter *iter)
{
	return iter->walk.count;
}

int dw_iter_next(struct dw_iter *iter, struct dw_item *ret)
{
	struct keydir_place place;
	int rc = walk_next(&iter->walk, &iter->key, &place);

	if (rc != 1)
		return rc;
	iter->ref = walk_ref(iter->key, &place);
	*ret = (struct dw_item){
		.key = iter->key,
		.stat =
			{
				.size = place.value_size,
				.mtime_ns = place.mtime_ns,
				.segment = place.segment->id,
				.offset = place.offset,
			},
	};
	return 1;
}

ssize_t dw_iter_read(struct dw_iter *iter, void *ret, size_t size, uint64_t offset)
{
	assert(iter->ref.segment);
	return dw_ref_read(iter->store, &iter->ref, iter->key, ret, size, offset);
}

void dw_iter_close(struct dw_iter *iter)
{
	if (!iter)
		return;
	walk_release(&iter->walk);
	free(iter);
}
