/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * cached.c - see cached.h.
 */
#include "fs/tree/cached.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_MIN = 512 };

struct cached *cached_new(struct node *node, struct room *room)
{
	struct cached *cached = calloc(1, sizeof *cached);

	if (cached) {
		cached->node = node;
		cached->room = room;
	}
	return cached;
}

static void unpin(struct cached *cached, struct dw_store *store)
{
	if (cached->ref.segment)
		dw_ref_put(store, &cached->ref);
	free(cached->ref_key);
	cached->ref_key = NULL;
}

bool cached_free(struct cached *cached, struct dw_store *store)
{
	assert(!cached->dirty && !cached->idle);
	unpin(cached, store);
	bool kept = spare_give(&cached->room->spare, cached->data, cached->capacity);
	free(cached);
	return kept;
}

void cached_unload(struct cached *cached, struct dw_store *store)
{
	assert(!cached->dirty && !cached->idle);
	unpin(cached, store); /* a record from before the value was replaced */
	free(cached->data);
	room_count(cached->room, cached->capacity, 0);
	cached->data = NULL;
	cached->capacity = 0;
	cached->loaded = false;
}

/* A block for `size` bytes where there is one of `capacity`: twice as large each time, so that a
 * file that grows is not copied for each write. */
static size_t grown(size_t capacity, size_t size)
{
	if (!capacity)
		capacity = CAPACITY_MIN;
	while (capacity < size)
		capacity *= 2;
	return capacity < DW_VALUE_SIZE_MAX ? capacity : DW_VALUE_SIZE_MAX;
}

size_t cached_need(const struct node *node, size_t end)
{
	const struct cached *cached = node->cached;
	size_t size = atomic_load(&node->size);
	size_t have = cached ? cached->capacity : 0;

	if (cached && cached->loaded)
		return end > have ? grown(have, end) - have : 0;
	return end > size ? grown(size, end) : size;
}

/* Room for `size` bytes, of which the first `used` are there. */
static int grow(struct cached *cached, size_t used, size_t size)
{
	size_t capacity = grown(cached->capacity, size), before = cached->capacity;
	uint8_t *data = spare_take(&cached->room->spare, size, &capacity);

	assert(used <= before && size <= capacity);
	if (data) {
		if (used)
			memcpy(data, cached->data, used);
		free(cached->data);
		room_count(cached->room, before, 0); /* the spare block is counted already */
	} else {
		data = realloc(cached->data, capacity);
		if (!data)
			return -ENOMEM;
		room_count(cached->room, before, capacity);
	}
	cached->data = data;
	cached->capacity = capacity;
	return 0;
}

int cached_reserve_from(struct cached *cached, size_t offset, size_t size)
{
	size_t used = atomic_load(&cached->node->size);

	if (size > cached->capacity && grow(cached, used, size) < 0)
		return -ENOMEM;
	if (offset > used)
		memset(cached->data + used, 0, offset - used);
	return 0;
}

int cached_reserve(struct cached *cached, size_t size)
{
	return cached_reserve_from(cached, size, size);
}

int cached_pin(struct cached *cached, struct dw_store *store, struct dw_bytes key)
{
	if (cached->ref.segment)
		return 0;
	char *copy = malloc(key.size + 1);
	if (!copy)
		return -ENOMEM;
	int rc = dw_ref_get(store, key, &cached->ref);
	if (rc < 0) {
		free(copy);
		return rc;
	}
	if (key.size)
		memcpy(copy, key.data, key.size);
	cached->ref_key = copy;
	cached->ref_key_size = key.size;
	return 0;
}

static int load_bytes(struct cached *cached, struct dw_store *store, size_t size)
{
	struct dw_bytes key = {cached->ref_key, cached->ref_key_size};

	if (cached->ref.value_size != size)
		return -ESTALE; /* the store was changed behind our back */
	size_t capacity = size;
	uint8_t *data = spare_take(&cached->room->spare, size, &capacity);
	if (!data && (data = malloc(size)))
		room_count(cached->room, 0, size);
	if (!data)
		return -ENOMEM;
	ssize_t n = dw_ref_read(store, &cached->ref, key, data, size, 0);
	if (n != (ssize_t)size) {
		free(data);
		room_count(cached->room, capacity, 0);
		return n < 0 ? (int)n : -EIO;
	}
	cached->data = data;
	cached->capacity = capacity;
	return 0;
}

int cached_load(struct cached *cached, struct dw_store *store, struct dw_bytes key)
{
	size_t size = atomic_load(&cached->node->size);

	if (cached->loaded)
		return 0;
	if (size) {
		int rc = cached_pin(cached, store, key);
		if (!rc)
			rc = load_bytes(cached, store, size);
		if (rc < 0)
			return rc;
	}
	unpin(cached, store);
	cached->loaded = true;
	return 0;
}
