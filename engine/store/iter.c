/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * iter.c - one moment of the store, in byte order of the keys.
 *
 * The places of all keys are copied while writers wait, and every segment is
 * referenced; values are read when asked for.  Keys lie one after another in one
 * buffer; the first eight bytes of each, as a big-endian number, stand beside
 * its place, so that sorting seldom has to look at the keys themselves.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "store/store.h"

struct item {
	uint64_t prefix; /* first bytes of the key, big-endian, zero-padded */
	const uint8_t *key;
	uint32_t key_size;
	uint32_t value_size;
	uint64_t offset;
	int64_t mtime_ns;
	struct dw_segment *segment;
};

struct dw_iter {
	struct dw_store *store;
	struct segset segments; /* references of its own */
	struct item *items;
	size_t count, next;
	uint8_t *keys;
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

static int compare_items(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->prefix != y->prefix)
		return x->prefix < y->prefix ? -1 : 1;
	uint32_t least = x->key_size < y->key_size ? x->key_size : y->key_size;
	int order = memcmp(x->key, y->key, least);
	return order ? order : (x->key_size > y->key_size) - (x->key_size < y->key_size);
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
	iter->items = calloc(count + 1, sizeof *iter->items);
	iter->keys = malloc(key_bytes + 1);
	if (!iter->items || !iter->keys)
		return -ENOMEM;
	uint8_t *at = iter->keys;
	cursor = (struct snapshot_cursor){0};
	while (store_next_locked(store, &cursor, &key, &place)) {
		assert(iter->count < count);
		memcpy(at, key.data, key.size);
		iter->items[iter->count++] = (struct item){
			.prefix = prefix_of(key),
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
	if (rc < 0) {
		dw_iter_close(iter);
		return rc;
	}
	qsort(iter->items, iter->count, sizeof *iter->items, compare_items);
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
	const struct item *item = &iter->items[iter->next++];
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
	const struct item *item = &iter->items[iter->next - 1];

	return dw_ref_read(iter->store, &iter->ref, (struct dw_bytes){item->key, item->key_size},
			   ret, size, offset);
}

void dw_iter_close(struct dw_iter *iter)
{
	if (!iter)
		return;
	segset_release(&iter->segments);
	free(iter->items);
	free(iter->keys);
	free(iter);
}
