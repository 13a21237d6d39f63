/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * segments.c - see segments.h.
 */
#include "index/segments.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static bool is_same(const struct segset *a, const struct segset *b)
{
	return a->count == b->count &&
	       (!a->count || !memcmp(a->items, b->items, a->count * sizeof(struct dw_segment *)));
}

struct segments *segments_of(struct segments *known, const struct segset *set)
{
	if (known && is_same(&known->set, set))
		return segments_ref(known);
	struct segments *segments = calloc(1, sizeof *segments);
	if (!segments)
		return NULL;
	atomic_init(&segments->refs, 1);
	segments->ids = calloc(set->count + 1, sizeof *segments->ids);
	if (!segments->ids || segset_copy(set, set->count, &segments->set) < 0) {
		free(segments->ids);
		free(segments);
		return NULL;
	}
	for (size_t i = 0; i < set->count; i++)
		segments->ids[i] = set->items[i]->id;
	return segments;
}

struct segments *segments_ref(struct segments *segments)
{
	unsigned refs = atomic_fetch_add(&segments->refs, 1);

	assert(refs);
	return segments;
}

void segments_unref(struct segments *segments)
{
	if (!segments || atomic_fetch_sub(&segments->refs, 1) > 1)
		return;
	segset_release(&segments->set);
	free(segments->ids);
	free(segments);
}

struct dw_segment *segments_find(const struct segments *segments, uint32_t id)
{
	size_t low = 0, high = segments->set.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (segments->ids[middle] < id)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == segments->set.count || segments->ids[low] != id)
		return NULL;
	return segments->set.items[low];
}
