/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * loss.c - see loss.h.
 */
#include "store/loss.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int loss_add(struct loss *loss, uint32_t segment, uint64_t offset,
	     const struct record_header *header, struct dw_bytes key)
{
	assert(!loss->sorted);
	loss->records++;
	if (loss->limit && loss->count >= loss->limit)
		return 0;
	if (loss->count == loss->capacity) {
		size_t capacity = loss->capacity ? 2 * loss->capacity : 64;
		struct loss_item *items = reallocarray(loss->items, capacity, sizeof *items);
		if (!items)
			return -ENOMEM;
		loss->items = items;
		loss->capacity = capacity;
	}
	void *copy = malloc(key.size + 1);
	if (!copy)
		return -ENOMEM;
	if (key.size)
		memcpy(copy, key.data, key.size);
	struct loss_item *item = &loss->items[loss->count++];
	*item = (struct loss_item){.header = *header, .segment = segment, .offset = offset};
	item->key.data = copy;
	item->key.size = key.size;
	return 0;
}

static void free_item(struct loss_item *item)
{
	free((void *)(uintptr_t)item->key.data);
}

void loss_take_back(struct loss *loss, size_t count, uint64_t records)
{
	while (loss->count > count)
		free_item(&loss->items[--loss->count]);
	loss->records = records;
	loss->sorted = loss->sorted && count;
}

void loss_release(struct loss *loss)
{
	loss_take_back(loss, 0, 0);
	free(loss->items);
	*loss = (struct loss){0};
}

static int compare_keys(struct dw_bytes a, struct dw_bytes b)
{
	size_t size = a.size < b.size ? a.size : b.size;
	int order = memcmp(a.data, b.data, size);

	return order ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_places(uint32_t segment, uint64_t offset, uint32_t to_segment,
			  uint64_t to_offset)
{
	if (segment != to_segment)
		return segment < to_segment ? -1 : 1;
	return (offset > to_offset) - (offset < to_offset);
}

static int compare_items(const void *a, const void *b)
{
	const struct loss_item *x = a, *y = b;
	int order = compare_keys(x->key, y->key);

	return order ? order : compare_places(x->segment, x->offset, y->segment, y->offset);
}

void loss_sort(struct loss *loss)
{
	size_t kept = 0;

	if (loss->count)
		qsort(loss->items, loss->count, sizeof *loss->items, compare_items);
	for (size_t i = 0; i < loss->count; i++) {
		bool last = i + 1 == loss->count ||
			    compare_keys(loss->items[i].key, loss->items[i + 1].key) != 0;
		if (last && loss->items[i].header.type != DW_RAW)
			loss->items[kept++] = loss->items[i];
		else
			free_item(&loss->items[i]);
	}
	loss->count = kept;
	loss->sorted = true;
}

static struct loss_item *find(const struct loss *loss, struct dw_bytes key)
{
	size_t low = 0, high = loss->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare_keys(key, loss->items[middle].key);
		if (!order)
			return &loss->items[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

void loss_see(struct loss *loss, uint32_t segment, uint64_t offset,
	      const struct record_header *header, struct dw_bytes key)
{
	struct loss_item *item = header->type == DW_RAW ? NULL : find(loss, key);

	assert(loss->sorted);
	if (!item)
		return;
	if (compare_places(segment, offset, item->segment, item->offset) > 0) {
		item->superseded = true;
		return;
	}
	item->left_is_put = header->type == DW_PUT;
	item->left_size = header->payload_size;
}

static enum dw_left left_of(const struct loss *loss, const struct loss_item *item)
{
	if (!loss->seen)
		return DW_LEFT_UNKNOWN;
	if (item->header.type == DW_DELETE)
		return DW_LEFT_UNDELETED;
	if (!item->left_is_put)
		return DW_LEFT_NOTHING;
	return item->left_size ? DW_LEFT_OLDER : DW_LEFT_EMPTY;
}

void loss_report(struct loss *loss, dw_finding_fn *found, void *context)
{
	if (loss->count && !loss->sorted)
		loss_sort(loss);
	for (size_t i = 0; found && i < loss->count; i++) {
		const struct loss_item *item = &loss->items[i];
		/* where its removal was lost and nothing comes back, nothing changed */
		if (item->superseded ||
		    (loss->seen && item->header.type == DW_DELETE && !item->left_is_put))
			continue;
		const struct dw_finding finding = {
			.kind = DW_FINDING_LOST,
			.segment = item->segment,
			.offset = item->offset,
			.size = item->left_size,
			.key = item->key,
			.left = left_of(loss, item),
		};
		found(context, &finding);
	}
}
