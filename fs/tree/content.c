/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * content.c - see content.h.
 */
#include "fs/tree/content.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_MIN = 512 };

struct content *content_new(struct node *node, struct room *room)
{
	struct content *content = calloc(1, sizeof *content);

	if (content) {
		content->node = node;
		content->room = room;
	}
	return content;
}

static void unpin(struct content *content, struct dw_store *store)
{
	if (content->ref.segment)
		dw_ref_put(store, &content->ref);
	free(content->ref_key);
	content->ref_key = NULL;
}

bool content_free(struct content *content, struct dw_store *store)
{
	assert(!content->dirty && !content->idle);
	unpin(content, store);
	bool kept = spare_give(&content->room->spare, content->data, content->capacity);
	free(content);
	return kept;
}

void content_unload(struct content *content, struct dw_store *store)
{
	assert(!content->dirty && !content->idle);
	unpin(content, store); /* a record from before the value was replaced */
	free(content->data);
	room_count(content->room, content->capacity, 0);
	content->data = NULL;
	content->capacity = 0;
	content->loaded = false;
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

size_t content_need(const struct node *node, size_t end)
{
	const struct content *content = node->content;
	size_t size = atomic_load(&node->size);
	size_t have = content ? content->capacity : 0;

	if (content && content->loaded)
		return end > have ? grown(have, end) - have : 0;
	return end > size ? grown(size, end) : size;
}

/* Room for `size` bytes, of which the first `used` are there. */
static int grow(struct content *content, size_t used, size_t size)
{
	size_t capacity = grown(content->capacity, size), before = content->capacity;
	uint8_t *data = spare_take(&content->room->spare, size, &capacity);

	assert(used <= before && size <= capacity);
	if (data) {
		if (used)
			memcpy(data, content->data, used);
		free(content->data);
		room_count(content->room, before, 0); /* what was the spare one counts already */
	} else {
		data = realloc(content->data, capacity);
		if (!data)
			return -ENOMEM;
		room_count(content->room, before, capacity);
	}
	content->data = data;
	content->capacity = capacity;
	return 0;
}

int content_reserve_from(struct content *content, size_t offset, size_t size)
{
	size_t used = atomic_load(&content->node->size);

	if (size > content->capacity && grow(content, used, size) < 0)
		return -ENOMEM;
	if (offset > used)
		memset(content->data + used, 0, offset - used);
	return 0;
}

int content_reserve(struct content *content, size_t size)
{
	return content_reserve_from(content, size, size);
}

int content_pin(struct content *content, struct dw_store *store, struct dw_bytes key)
{
	if (content->ref.segment)
		return 0;
	char *copy = malloc(key.size + 1);
	if (!copy)
		return -ENOMEM;
	int rc = dw_ref_get(store, key, &content->ref);
	if (rc < 0) {
		free(copy);
		return rc;
	}
	if (key.size)
		memcpy(copy, key.data, key.size);
	content->ref_key = copy;
	content->ref_key_size = key.size;
	return 0;
}

static int load_bytes(struct content *content, struct dw_store *store, size_t size)
{
	struct dw_bytes key = {content->ref_key, content->ref_key_size};

	if (content->ref.value_size != size)
		return -ESTALE; /* the store was changed behind our back */
	size_t capacity = size;
	uint8_t *data = spare_take(&content->room->spare, size, &capacity);
	if (!data && (data = malloc(size)))
		room_count(content->room, 0, size);
	if (!data)
		return -ENOMEM;
	ssize_t n = dw_ref_read(store, &content->ref, key, data, size, 0);
	if (n != (ssize_t)size) {
		free(data);
		room_count(content->room, capacity, 0);
		return n < 0 ? (int)n : -EIO;
	}
	content->data = data;
	content->capacity = capacity;
	return 0;
}

int content_load(struct content *content, struct dw_store *store, struct dw_bytes key)
{
	size_t size = atomic_load(&content->node->size);

	if (content->loaded)
		return 0;
	if (size) {
		int rc = content_pin(content, store, key);
		if (!rc)
			rc = load_bytes(content, store, size);
		if (rc < 0)
			return rc;
	}
	unpin(content, store);
	content->loaded = true;
	return 0;
}
