/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * segset.c - see segset.h.
 */
#include "log/segset.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int add_id(void *context, const char *name)
{
	struct segset_ids *ids = context;
	uint32_t id;

	if (!segname_parse(name, &id))
		return 0;
	if (ids->count == ids->capacity) {
		size_t capacity = ids->capacity ? 2 * ids->capacity : 16;
		uint32_t *items = reallocarray(ids->items, capacity, sizeof *items);
		if (!items)
			return -ENOMEM;
		ids->items = items;
		ids->capacity = capacity;
	}
	ids->items[ids->count++] = id;
	return 0;
}

int segset_compare_ids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

int segset_list(struct io *io, int dirfd, struct segset_ids *ret)
{
	*ret = (struct segset_ids){0};
	int rc = io->list(io, dirfd, add_id, ret);
	if (rc < 0)
		return rc;
	if (ret->count)
		qsort(ret->items, ret->count, sizeof *ret->items, segset_compare_ids);
	return 0;
}

void segset_ids_release(struct segset_ids *ids)
{
	free(ids->items);
	*ids = (struct segset_ids){0};
}

int segset_reserve(struct segset *set, size_t extra)
{
	size_t need = set->count + extra, capacity = set->capacity ? set->capacity : 8;

	if (need <= set->capacity)
		return 0;
	while (capacity < need)
		capacity *= 2;
	struct dw_segment **items = reallocarray(set->items, capacity, sizeof(struct dw_segment *));
	if (!items)
		return -ENOMEM;
	set->items = items;
	set->capacity = capacity;
	return 0;
}

void segset_add(struct segset *set, struct dw_segment *segment)
{
	size_t at = set->count;

	assert(set->count < set->capacity);
	while (at && set->items[at - 1]->id > segment->id) {
		set->items[at] = set->items[at - 1];
		at--;
	}
	set->items[at] = segment;
	set->count++;
}

void segset_remove(struct segset *set, struct dw_segment *segment)
{
	size_t at = 0;

	while (at < set->count && set->items[at] != segment)
		at++;
	assert(at < set->count);
	set->count--;
	memmove(set->items + at, set->items + at + 1,
		(set->count - at) * sizeof(struct dw_segment *));
	segment_unref(segment);
}

struct dw_segment *segset_last(const struct segset *set)
{
	return set->count ? set->items[set->count - 1] : NULL;
}

bool segset_has(const struct segset *set, uint32_t id)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (set->items[middle]->id == id)
			return true;
		if (set->items[middle]->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

void segset_release(struct segset *set)
{
	for (size_t i = 0; i < set->count; i++)
		segment_unref(set->items[i]);
	free(set->items);
	*set = (struct segset){0};
}

int segset_copy(const struct segset *set, size_t count, struct segset *ret)
{
	struct segset copy = {0};
	int rc = segset_reserve(&copy, count);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < count; i++)
		segset_add(&copy, segment_ref(set->items[i]));
	*ret = copy;
	return 0;
}
