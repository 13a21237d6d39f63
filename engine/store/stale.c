/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * stale.c - see stale.h.
 */
#include "store/stale.h"

#include <stdlib.h>

enum { ROOM_FIRST = 64 };

/* False: no memory; then it stays in the cache. */
static bool keep(struct stale_list *list, const struct stale_range *range)
{
	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : ROOM_FIRST;
		struct stale_range *grown = reallocarray(list->ranges, room, sizeof *grown);
		if (!grown)
			return false;
		list->ranges = grown;
		list->room = room;
	}
	list->ranges[list->count++] = *range;
	return true;
}

void stale_add(struct stale *stale, const struct dw_segment *active, struct dw_bytes key,
	       const struct keydir_place *place)
{
	if (!place->segment || place->value_size < STALE_SIZE_MIN)
		return;
	const struct stale_range range = {place->segment, place->offset,
					  RECORD_OVERHEAD + key.size + place->value_size};
	if (place->segment == active)
		(void)keep(&stale->active, &range);
	else if (keep(&stale->ready, &range))
		(void)segment_ref(place->segment);
}

void stale_rotated(struct stale *stale, struct dw_segment *segment)
{
	for (size_t i = 0; i < stale->active.count; i++)
		if (keep(&stale->ready, &stale->active.ranges[i]))
			(void)segment_ref(segment);
	free(stale->active.ranges);
	stale->active = (struct stale_list){0};
}

struct stale_list stale_take(struct stale *stale)
{
	struct stale_list list = stale->ready;

	if (list.count)
		stale->ready = (struct stale_list){0};
	return list;
}

static void release(struct stale_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		segment_unref(list->ranges[i].segment);
	free(list->ranges);
}

void stale_let_go(struct stale_list *list)
{
	if (!list->count)
		return;
	for (size_t i = 0; i < list->count; i++)
		segment_uncache(list->ranges[i].segment, list->ranges[i].offset,
				list->ranges[i].size);
	release(list);
}

void stale_release(struct stale *stale)
{
	free(stale->active.ranges);
	release(&stale->ready);
	*stale = (struct stale){0};
}
