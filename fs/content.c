/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * content.c - see content.h.
 */
#include "fs/content.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct content *content_new(struct node *node, struct spare *spare)
{
	struct content *content = calloc(1, sizeof *content);

	if (content) {
		content->node = node;
		content->spare = spare;
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
	assert(!content->dirty);
	unpin(content, store);
	bool kept = spare_give(content->spare, content->data, content->capacity);
	free(content);
	return kept;
}

/* Room for `size` bytes, of which the first `used` are there. */
static int grow(struct content *content, size_t used, size_t size)
{
	size_t capacity = content->capacity ? content->capacity : 512;
	uint8_t *data = spare_take(content->spare, size, &capacity);

	assert(used <= content->capacity);
	if (data) {
		if (used)
			memcpy(data, content->data, used);
		free(content->data);
	} else {
		while (capacity < size)
			capacity *= 2;
		data = realloc(content->data, capacity);
	}
	if (!data)
		return -ENOMEM;
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
	uint8_t *data = spare_take(content->spare, size, &capacity);
	if (!data)
		data = malloc(size);
	if (!data)
		return -ENOMEM;
	ssize_t n = dw_ref_read(store, &content->ref, key, data, size, 0);
	if (n != (ssize_t)size) {
		free(data);
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
