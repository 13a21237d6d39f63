/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * deadpages.c - see deadpages.h.
 */
#include "store/deadpages.h"

#include <stdlib.h>

enum { ROOM_FIRST = 64 };

/* False: no memory; then it stays in the cache. */
static bool keep(struct dead_list *list, const struct dead_range *range)
{
	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : ROOM_FIRST;
		struct dead_range *grown = reallocarray(list->ranges, room, sizeof *grown);
		if (!grown)
			return false;
		list->ranges = grown;
		list->room = room;
	}
	list->ranges[list->count++] = *range;
	return true;
}

void dead_pages_add(struct dead_pages *dead_pages, const struct dw_segment *active,
		    struct dw_bytes key, const struct keydir_place *place)
{
	if (!place->segment || place->value_size < DEAD_SIZE_MIN)
		return;
	const struct dead_range range = {place->segment, place->offset,
					 RECORD_OVERHEAD + key.size + place->value_size};
	if (place->segment == active)
		(void)keep(&dead_pages->active, &range);
	else if (keep(&dead_pages->ready, &range))
		(void)segment_ref(place->segment);
}

void dead_pages_rotated(struct dead_pages *dead_pages, struct dw_segment *segment)
{
	for (size_t i = 0; i < dead_pages->active.count; i++)
		if (keep(&dead_pages->ready, &dead_pages->active.ranges[i]))
			(void)segment_ref(segment);
	free(dead_pages->active.ranges);
	dead_pages->active = (struct dead_list){0};
}

struct dead_list dead_pages_take(struct dead_pages *dead_pages)
{
	struct dead_list list = dead_pages->ready;

	if (list.count)
		dead_pages->ready = (struct dead_list){0};
	return list;
}

static void release(struct dead_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		segment_unref(list->ranges[i].segment);
	free(list->ranges);
}

void dead_pages_drop(struct dead_list *list)
{
	if (!list->count)
		return;
	for (size_t i = 0; i < list->count; i++)
		segment_uncache(list->ranges[i].segment, list->ranges[i].offset,
				list->ranges[i].size);
	release(list);
}

void dead_pages_release(struct dead_pages *dead_pages)
{
	free(dead_pages->active.ranges);
	release(&dead_pages->ready);
	*dead_pages = (struct dead_pages){0};
}
