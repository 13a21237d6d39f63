/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * iter.c - one moment of the store, in byte order of the keys.
 *
 * The places of all keys are copied while writers wait, and every segment is
 * referenced; values are read when asked for.  Items lie one after another in one
 * buffer, each with its key behind it.  What is sorted is an array of their addresses and
 * the first eight bytes of each key, big-endian; so items themselves are seldom looked at.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bulk.h"
#include "base/prefault.h"
#include "store/store.h"
#include "whole/iter.h"

enum { AHEAD = 8 }; /* items whose records are fetched while one is read */

struct item {
	struct dw_segment *segment;
	uint64_t offset;
	int64_t mtime_ns;
	uint32_t key_size;
	uint32_t value_size;
	uint8_t key[];
};

struct rank {
	uint64_t prefix; /* first bytes of the key, zero-padded */
	const struct item *item;
};

struct dw_iter {
	struct dw_store *store;
	struct segset segments; /* references of its own */
	struct rank *ranks;     /* the items in order */
	struct rank *other;     /* as many, until they are sorted */
	size_t room;            /* ranks that there are places for */
	size_t count, next;
	uint8_t *items;
	size_t items_size;
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

static int compare_ranks(const void *a, const void *b)
{
	const struct rank *p = a, *q = b;
	const struct item *x = p->item, *y = q->item;

	if (p->prefix != q->prefix) /* most often, and nothing else is in the cache */
		return p->prefix < q->prefix ? -1 : 1;
	uint32_t least = x->key_size < y->key_size ? x->key_size : y->key_size;
	int order = memcmp(x->key, y->key, least);
	return order ? order : (x->key_size > y->key_size) - (x->key_size < y->key_size);
}

static void sort_few(struct rank *ranks, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		const struct rank rank = ranks[i];
		size_t at = i;
		for (; at && compare_ranks(&ranks[at - 1], &rank) > 0; at--)
			ranks[at] = ranks[at - 1];
		ranks[at] = rank;
	}
}

enum { FEW = 32, MANY = 1 << 16, DIGIT_BITS = 8, LARGE_DIGIT_BITS = 11 };

/* Sort those whose prefixes are the same above the lower `bits` bits: parted by the digit
 * there, then each part for itself, which soon fits into the processor's cache. */
static void sort_part(struct rank *ranks, struct rank *other, size_t count, unsigned bits)
{
	unsigned digit = count < MANY ? DIGIT_BITS : LARGE_DIGIT_BITS;
	size_t ends[1 << LARGE_DIGIT_BITS], at = 0;

	if (count <= FEW) {
		sort_few(ranks, count);
		return;
	}
	if (!bits) {
		qsort(ranks, count, sizeof *ranks, compare_ranks);
		return;
	}
	digit = digit < bits ? digit : bits;
	const unsigned shift = bits - digit;
	const uint64_t mask = (UINT64_C(1) << digit) - 1;
	memset(ends, 0, sizeof *ends << digit);
	for (size_t i = 0; i < count; i++)
		ends[ranks[i].prefix >> shift & mask]++;
	for (size_t d = 0; d <= mask; d++) {
		size_t n = ends[d];
		ends[d] = at;
		at += n;
	}
	for (size_t i = 0; i < count; i++)
		other[ends[ranks[i].prefix >> shift & mask]++] = ranks[i];
	memcpy(ranks, other, count * sizeof *ranks);
	at = 0;
	for (size_t d = 0; d <= mask; at = ends[d++])
		if (ends[d] - at > 1)
			sort_part(ranks + at, other + at, ends[d] - at, shift);
}

static void sort_ranks(struct dw_iter *iter)
{
	sort_part(iter->ranks, iter->other, iter->count, 64);
	bulk_free(iter->other, iter->room * sizeof *iter->other);
	iter->other = NULL;
}

static size_t item_size(size_t key_size)
{
	const size_t align = _Alignof(struct item);

	return (sizeof(struct item) + key_size + align - 1) / align * align;
}

/* Memory for all keys of the store; a snapshot's are at most its base's and its notes'. */
static int get_memory(struct dw_store *store, struct dw_iter *iter)
{
	uint64_t key_bytes = store->core->keydir.key_bytes;

	if (store->snapshot)
		key_bytes += store->snapshot->notes.key_bytes;
	iter->room = dw_count(store) + 1;
	iter->items_size =
		key_bytes + iter->room * item_size(0) + iter->room * _Alignof(struct item);
	iter->items = bulk_alloc(iter->items_size);
	iter->ranks = bulk_alloc(iter->room * sizeof *iter->ranks);
	iter->other = bulk_alloc(iter->room * sizeof *iter->other);
	return iter->items && iter->ranks && iter->other ? 0 : -ENOMEM;
}

static void take_items_locked(struct dw_store *store, struct dw_iter *iter)
{
	struct snapshot_cursor cursor = {0};
	struct keydir_place place;
	struct dw_bytes key;
	uint8_t *at = iter->items;
	while (store_next_locked(store, &cursor, &key, &place)) {
		struct item *item = (struct item *)(void *)at;
		at += item_size(key.size);
		assert(iter->count + 1 < iter->room && at <= iter->items + iter->items_size);
		*item = (struct item){
			.segment = place.segment,
			.offset = place.offset,
			.mtime_ns = place.mtime_ns,
			.key_size = (uint32_t)key.size,
			.value_size = place.value_size,
		};
		if (key.size)
			memcpy(item->key, key.data, key.size);
		iter->ranks[iter->count++] = (struct rank){prefix_of(key), item};
	}
}

static int take_locked(struct dw_store *store, struct dw_iter *iter)
{
	const struct segset *segments = &store->core->segments;
	int rc = get_memory(store, iter);

	if (rc < 0)
		return rc;
	size_t ranks_size = iter->room * sizeof *iter->ranks;
	/* what will be used of them; of a snapshot's keys only so much is known */
	size_t items_size =
		iter->room * item_size(0) + (store->snapshot ? 0 : store->core->keydir.key_bytes);
	/* what is needed last comes first: the rest is being filled meanwhile */
	struct prefault prefault = {
		.ranges = {{iter->other, ranks_size},
			   {iter->items, items_size},
			   {iter->ranks, ranks_size}},
	};
	prefault_start(&prefault);
	take_items_locked(store, iter);
	prefault_stop(&prefault);
	/* a place that a snapshot noted may be in none of these: the note holds it */
	return segset_copy(segments, segments->count, &iter->segments);
}

int dw_iter_open(struct dw_store *store, struct dw_iter **ret)
{
	struct dw_iter *iter = calloc(1, sizeof *iter);

	if (!iter)
		return -ENOMEM;
	iter->store = store;
	log_lock(&store->core->log);
	int rc = take_locked(store, iter);
	log_unlock(&store->core->log);
	if (rc < 0) {
		dw_iter_close(iter);
		return rc;
	}
	sort_ranks(iter);
	*ret = iter;
	return 0;
}

uint64_t dw_iter_count(const struct dw_iter *iter)
{
	return iter->count;
}

void iter_at(const struct dw_iter *iter, size_t index, struct dw_item *ret, struct dw_ref *ref_ret)
{
	assert(index < iter->count);
	if (index + 2 * AHEAD < iter->count)
		__builtin_prefetch(iter->ranks[index + 2 * AHEAD].item);
	if (index + AHEAD < iter->count) {
		const struct item *later = iter->ranks[index + AHEAD].item;
		__builtin_prefetch(later->key);
		segment_prefetch(later->segment, later->offset);
	}
	const struct item *item = iter->ranks[index].item;
	*ref_ret = (struct dw_ref){
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
}

int dw_iter_next(struct dw_iter *iter, struct dw_item *ret)
{
	if (iter->next == iter->count)
		return 0;
	iter_at(iter, iter->next++, ret, &iter->ref);
	return 1;
}

ssize_t dw_iter_read(struct dw_iter *iter, void *ret, size_t size, uint64_t offset)
{
	const struct item *item = iter->ranks[iter->next - 1].item;

	return dw_ref_read(iter->store, &iter->ref, (struct dw_bytes){item->key, item->key_size},
			   ret, size, offset);
}

void dw_iter_close(struct dw_iter *iter)
{
	if (!iter)
		return;
	segset_release(&iter->segments);
	bulk_free(iter->items, iter->items_size);
	bulk_free(iter->ranks, iter->room * sizeof *iter->ranks);
	bulk_free(iter->other, iter->room * sizeof *iter->other);
	free(iter);
}
