/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * iter.c - one moment of the store, in byte order of the keys.
 *
 * The places of all keys are copied while writers wait, and every segment is
 * referenced; values are read when asked for.  Keys lie one after another in one
 * buffer.  What is sorted is an array of numbers: the first eight bytes of each key,
 * big-endian, and which item it is; so keys themselves are seldom looked at.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bulk.h"
#include "store/store.h"

enum { AHEAD = 8 }; /* items whose records are fetched while one is read */

struct item {
	const uint8_t *key;
	uint32_t key_size;
	uint32_t value_size;
	uint64_t offset;
	int64_t mtime_ns;
	struct dw_segment *segment;
};

struct rank {
	uint64_t prefix; /* first bytes of the key, zero-padded */
	size_t item;
};

struct dw_iter {
	struct dw_store *store;
	struct segset segments; /* references of its own */
	struct item *items;
	struct rank *ranks; /* the items in order */
	size_t room;        /* items that there are places for */
	size_t count, next;
	uint8_t *keys;
	size_t keys_size;
	struct dw_ref ref; /* of the current item; borrows its segment */
};

static uint64_t prefix_of(struct dw_bytes key)
{
	uint8_t bytes[8] = {0};
	uint64_t prefix = 0;

	memcpy(bytes, key.data, key.size < 8 ? key.size : 8);
	for (int i = 0; i < 8; i++)
		prefix = prefix << 8 | bytes[i];
	return prefix;
}

static int compare_ranks(const void *a, const void *b, void *context)
{
	const struct rank *p = a, *q = b;
	const struct item *items = context, *x = &items[p->item], *y = &items[q->item];
	uint32_t least = x->key_size < y->key_size ? x->key_size : y->key_size;
	int order = memcmp(x->key, y->key, least);

	return order ? order : (x->key_size > y->key_size) - (x->key_size < y->key_size);
}

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS };

/* One pass of a radix sort, which keeps the order of what is equal.  False: all digits are
 * the same, and nothing was done. */
static bool sort_by_digit(const struct rank *from, struct rank *to, size_t count, unsigned shift)
{
	size_t starts[DIGITS] = {0}, at = 0;

	for (size_t i = 0; i < count; i++)
		starts[from[i].prefix >> shift & (DIGITS - 1)]++;
	if (starts[from[0].prefix >> shift & (DIGITS - 1)] == count)
		return false;
	for (size_t digit = 0; digit < DIGITS; digit++) {
		size_t n = starts[digit];
		starts[digit] = at;
		at += n;
	}
	for (size_t i = 0; i < count; i++)
		to[starts[from[i].prefix >> shift & (DIGITS - 1)]++] = from[i];
	return true;
}

/* By prefix, then whole keys where prefixes are equal: a third of the time of qsort(3). */
static int sort_ranks(struct dw_iter *iter)
{
	size_t size = iter->room * sizeof(struct rank);
	struct rank *other = iter->count ? bulk_alloc(size) : NULL;

	if (!iter->count)
		return 0;
	if (!other)
		return -ENOMEM;
	for (unsigned shift = 0; shift < 64; shift += DIGIT_BITS)
		if (sort_by_digit(iter->ranks, other, iter->count, shift)) {
			struct rank *sorted = other;
			other = iter->ranks;
			iter->ranks = sorted;
		}
	bulk_free(other, size);
	for (size_t start = 0, end; start < iter->count; start = end) {
		for (end = start + 1; end < iter->count; end++)
			if (iter->ranks[end].prefix != iter->ranks[start].prefix)
				break;
		if (end - start > 1)
			qsort_r(iter->ranks + start, end - start, sizeof *iter->ranks,
				compare_ranks, iter->items);
	}
	return 0;
}

static int take_locked(struct dw_store *store, struct dw_iter *iter)
{
	const struct segset *segments = &store_base(store)->segments;
	uint64_t count = dw_count(store), key_bytes = 0;
	struct snapshot_cursor cursor = {0};
	struct keydir_place place;
	struct dw_bytes key;

	while (store_next_locked(store, &cursor, &key, &place))
		key_bytes += key.size;
	iter->room = count + 1;
	iter->keys_size = key_bytes + 1;
	iter->items = bulk_alloc(iter->room * sizeof *iter->items);
	iter->ranks = bulk_alloc(iter->room * sizeof *iter->ranks);
	iter->keys = bulk_alloc(iter->keys_size);
	if (!iter->items || !iter->ranks || !iter->keys)
		return -ENOMEM;
	uint8_t *at = iter->keys;
	cursor = (struct snapshot_cursor){0};
	while (store_next_locked(store, &cursor, &key, &place)) {
		assert(iter->count < count);
		memcpy(at, key.data, key.size);
		iter->ranks[iter->count] = (struct rank){prefix_of(key), iter->count};
		iter->items[iter->count++] = (struct item){
			.key = at,
			.key_size = (uint32_t)key.size,
			.value_size = place.value_size,
			.offset = place.offset,
			.mtime_ns = place.mtime_ns,
			.segment = place.segment,
		};
		at += key.size;
	}
	/* a place that a snapshot noted may be in none of these: the note holds it */
	return segset_copy(segments, segments->count, &iter->segments);
}

int dw_iter_open(struct dw_store *store, struct dw_iter **ret)
{
	struct dw_iter *iter = calloc(1, sizeof *iter);

	if (!iter)
		return -ENOMEM;
	iter->store = store;
	log_lock(&store_base(store)->log);
	int rc = take_locked(store, iter);
	log_unlock(&store_base(store)->log);
	if (!rc)
		rc = sort_ranks(iter);
	if (rc < 0) {
		dw_iter_close(iter);
		return rc;
	}
	*ret = iter;
	return 0;
}

uint64_t dw_iter_count(const struct dw_iter *iter)
{
	return iter->count;
}

int dw_iter_next(struct dw_iter *iter, struct dw_item *ret)
{
	if (iter->next == iter->count)
		return 0;
	if (iter->next + 2 * AHEAD < iter->count)
		__builtin_prefetch(&iter->items[iter->ranks[iter->next + 2 * AHEAD].item]);
	if (iter->next + AHEAD < iter->count) {
		const struct item *later = &iter->items[iter->ranks[iter->next + AHEAD].item];
		__builtin_prefetch(later->key);
		segment_prefetch(later->segment, later->offset);
	}
	const struct item *item = &iter->items[iter->ranks[iter->next++].item];
	iter->ref = (struct dw_ref){
		.segment = item->segment,
		.offset = item->offset,
		.mtime_ns = item->mtime_ns,
		.key_size = item->key_size,
		.value_size = item->value_size,
	};
	*ret = (struct dw_item){
		.key = {item->key, item->key_size},
		.stat =
			{
				.size = item->value_size,
				.mtime_ns = item->mtime_ns,
				.segment = item->segment->id,
				.offset = item->offset,
			},
	};
	return 1;
}

ssize_t dw_iter_read(struct dw_iter *iter, void *ret, size_t size, uint64_t offset)
{
	const struct item *item = &iter->items[iter->ranks[iter->next - 1].item];

	return dw_ref_read(iter->store, &iter->ref, (struct dw_bytes){item->key, item->key_size},
			   ret, size, offset);
}

void dw_iter_close(struct dw_iter *iter)
{
	if (!iter)
		return;
	segset_release(&iter->segments);
	bulk_free(iter->items, iter->room * sizeof *iter->items);
	bulk_free(iter->ranks, iter->room * sizeof *iter->ranks);
	bulk_free(iter->keys, iter->keys_size);
	free(iter);
}
