/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * stale.c - see stale.h.
 */
#include "store/stale.h"

#include <stdlib.h>

enum { ROOM_FIRST = 64 };

static void keep(struct stale *stale, const struct stale_range *range)
{
	if (stale->count == stale->room) {
		size_t room = stale->room ? 2 * stale->room : ROOM_FIRST;
		struct stale_range *grown = reallocarray(stale->ranges, room, sizeof *grown);
		if (!grown)
			return; /* then it stays in the cache */
		stale->ranges = grown;
		stale->room = room;
	}
	stale->ranges[stale->count++] = *range;
}

void stale_add(struct stale *stale, const struct dw_segment *active, struct dw_bytes key,
	       const struct keydir_place *place)
{
	if (!place->segment || place->value_size < STALE_SIZE_MIN)
		return;
	const struct stale_range range = {place->offset,
					  RECORD_OVERHEAD + key.size + place->value_size};
	if (place->segment == active)
		keep(stale, &range);
	else
		segment_uncache(place->segment, range.offset, range.size);
}

void stale_rotated(struct stale *stale, struct dw_segment *segment)
{
	for (size_t i = 0; i < stale->count; i++)
		segment_uncache(segment, stale->ranges[i].offset, stale->ranges[i].size);
	stale_release(stale);
}

void stale_release(struct stale *stale)
{
	free(stale->ranges);
	*stale = (struct stale){0};
}
