/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * stores.c - see stores.h.
 */
#include "tests/support/stores.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store.h"

struct dw_bytes stores_bytes(const char *text)
{
	return (struct dw_bytes){text, strlen(text)};
}

const char *stores_dir(void)
{
	static char paths[16][128];
	static unsigned next;
	char *path = paths[next++ % 16];

	(void)snprintf(path, sizeof paths[0], "%s", check_dir());
	return path;
}

const char *stores_path(const char *dir, const char *name)
{
	static char paths[4][1200];
	static int next;
	char *path = paths[next++ % 4];

	(void)snprintf(path, sizeof paths[0], "%s/%s", dir, name);
	return path;
}

struct dw_store *stores_open(const char *dir, uint64_t segment_size)
{
	const struct dw_options options = {.create = true, .segment_size = segment_size};
	struct dw_store *store = NULL;

	CHECK_EQ(dw_open(dir, &options, NULL, &store), 0);
	return store;
}

struct dw_store *stores_open_reader(const char *dir)
{
	const struct dw_options options = {.read_only = true};
	struct dw_store *store = NULL;

	CHECK_EQ(dw_open(dir, &options, NULL, &store), 0);
	return store;
}

void stores_kill(struct dw_store *store)
{
	struct core *core = store->core;

	store_drop(store);
	core_free(core);
}

void stores_close(struct dw_store *store)
{
	CHECK_EQ(dw_close(store), 0);
}

void stores_put(struct dw_store *store, const char *key, const char *value)
{
	CHECK_EQ(dw_put(store, stores_bytes(key), stores_bytes(value)), 0);
}

void stores_delete(struct dw_store *store, const char *key)
{
	CHECK_EQ(dw_delete(store, stores_bytes(key)), 0);
}

static bool same_bytes(struct dw_bytes a, struct dw_bytes b)
{
	return a.size == b.size && (!a.size || !memcmp(a.data, b.data, a.size));
}

bool stores_holds(struct dw_store *store, struct dw_bytes key, struct dw_bytes value)
{
	struct dw_value got;

	if (dw_get(store, key, &got))
		return false;
	bool same = same_bytes((struct dw_bytes){got.data, got.size}, value);
	free(got.data);
	return same;
}

void stores_expect(struct dw_store *store, const char *key, const char *value)
{
	CHECK_EQ(dw_contains(store, stores_bytes(key)), value != NULL);
	if (value)
		CHECK(stores_holds(store, stores_bytes(key), stores_bytes(value)));
}

uint8_t *stores_noise(uint64_t seed, size_t size)
{
	struct rng rng = {seed};
	uint8_t *data = malloc(size + 8);

	CHECK(data != NULL);
	for (size_t i = 0; i < size; i += 8) {
		uint64_t x = rng_next(&rng);
		memcpy(data + i, &x, 8);
	}
	return data;
}

int stores_fd_count(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	CHECK(dir != NULL);
	while (readdir(dir))
		count++;
	(void)closedir(dir);
	return count;
}

/* --- model --- */

static struct dw_bytes copy_bytes(struct dw_bytes from)
{
	void *data = malloc(from.size + 1);

	CHECK(data != NULL);
	if (from.size)
		memcpy(data, from.data, from.size);
	return (struct dw_bytes){data, from.size};
}

static struct model_item *find(const struct model *model, struct dw_bytes key)
{
	for (size_t i = 0; i < model->count; i++)
		if (same_bytes(model->items[i].key, key))
			return &model->items[i];
	return NULL;
}

const struct model_item *model_find(const struct model *model, struct dw_bytes key)
{
	return find(model, key);
}

void model_put(struct model *model, struct dw_bytes key, struct dw_bytes value)
{
	struct model_item *item = find(model, key);

	if (item) {
		free((void *)item->value.data);
		item->value = copy_bytes(value);
		return;
	}
	model->items = reallocarray(model->items, model->count + 1, sizeof *model->items);
	CHECK(model->items != NULL);
	model->items[model->count++] = (struct model_item){copy_bytes(key), copy_bytes(value)};
}

void model_delete(struct model *model, struct dw_bytes key)
{
	struct model_item *item = find(model, key);

	if (!item)
		return;
	free((void *)item->key.data);
	free((void *)item->value.data);
	*item = model->items[--model->count];
}

static int compare_keys(struct dw_bytes a, struct dw_bytes b)
{
	size_t least = a.size < b.size ? a.size : b.size;
	int order = least ? memcmp(a.data, b.data, least) : 0;

	return order ? order : (a.size > b.size) - (a.size < b.size);
}

void model_check(const struct model *model, struct dw_store *store)
{
	struct dw_bytes last = {NULL, 0};
	struct dw_iter *iter = NULL;
	struct dw_item item;
	size_t seen = 0;

	CHECK_EQ(dw_count(store), model->count);
	CHECK_EQ(dw_iter_open(store, &iter), 0);
	while (dw_iter_next(iter, &item) == 1) {
		const struct model_item *want = find(model, item.key);
		CHECK(want != NULL);
		CHECK(stores_holds(store, want->key, want->value));
		CHECK(!seen || compare_keys(last, item.key) < 0);
		last = want->key;
		seen++;
	}
	CHECK_EQ(seen, model->count);
	dw_iter_close(iter);
}

void model_copy(const struct model *from, struct model *to)
{
	*to = (struct model){0};
	for (size_t i = 0; i < from->count; i++)
		model_put(to, from->items[i].key, from->items[i].value);
}

void model_release(struct model *model)
{
	for (size_t i = 0; i < model->count; i++) {
		free((void *)model->items[i].key.data);
		free((void *)model->items[i].value.data);
	}
	free(model->items);
	*model = (struct model){0};
}
