/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * cursor.c - the keys of the index in byte order, see index.h.
 *
 * Each part of the index is a source of keys in order.  The least key among the next ones of all
 * sources is the next; of those that have it the newest tells, the others step over it.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "index/moment.h"

struct source {
	const struct delta *delta;
	size_t at;
};

struct index_cursor {
	struct index_moment *moment;
	struct dw_bytes prefix; /* owned */
	size_t count;
	struct source sources[]; /* the newest first */
};

static int compare(struct dw_bytes a, struct dw_bytes b)
{
	size_t least = a.size < b.size ? a.size : b.size;
	int order = least ? memcmp(a.data, b.data, least) : 0;

	return order ? order : (a.size > b.size) - (a.size < b.size);
}

static bool begins_with(struct dw_bytes key, struct dw_bytes prefix)
{
	return key.size >= prefix.size &&
	       (!prefix.size || !memcmp(key.data, prefix.data, prefix.size));
}

static void source_seek(struct source *source, struct dw_bytes key)
{
	size_t low = 0, high = source->delta->sorted_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare(source->delta->sorted[middle].key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	source->at = low;
}

int index_cursor_seek(struct index_cursor *cursor, struct dw_bytes key)
{
	if (compare(key, cursor->prefix) < 0)
		key = cursor->prefix;
	for (size_t i = 0; i < cursor->count; i++)
		source_seek(&cursor->sources[i], key);
	return 0;
}

static const struct delta_item *peek(const struct source *source)
{
	return source->at < source->delta->sorted_count ? &source->delta->sorted[source->at] : NULL;
}

int index_cursor_next(struct index_cursor *cursor, struct dw_bytes *key_ret,
		      struct keydir_place *place_ret)
{
	for (;;) {
		const struct delta_item *least = NULL, *item;
		for (size_t i = 0; i < cursor->count; i++)
			if ((item = peek(&cursor->sources[i])) &&
			    (!least || compare(item->key, least->key) < 0))
				least = item;
		if (!least || !begins_with(least->key, cursor->prefix))
			return 0;
		for (size_t i = 0; i < cursor->count; i++)
			if ((item = peek(&cursor->sources[i])) && !compare(item->key, least->key))
				cursor->sources[i].at++;
		if (!least->place.segment)
			continue;
		*key_ret = least->key;
		*place_ret = least->place;
		return 1;
	}
}

static int cursor_new(struct index_moment *moment, struct dw_bytes prefix,
		      struct index_cursor **ret)
{
	size_t count = moment->version->sealed_count;
	struct index_cursor *cursor = calloc(1, sizeof *cursor + count * sizeof *cursor->sources);
	void *copy = malloc(prefix.size + 1);
	int rc = cursor && copy ? 0 : -ENOMEM;

	for (size_t i = 0; !rc && i < count; i++) {
		rc = delta_sort(moment->version->sealed[i]);
		cursor->sources[i].delta = moment->version->sealed[i];
	}
	if (rc < 0) {
		free(copy);
		free(cursor);
		return rc;
	}
	if (prefix.size)
		memcpy(copy, prefix.data, prefix.size);
	cursor->prefix = (struct dw_bytes){copy, prefix.size};
	cursor->count = count;
	cursor->moment = moment_ref(moment);
	*ret = cursor;
	return index_cursor_seek(cursor, prefix);
}

int index_cursor_open(struct index *index, const struct segset *segments,
		      struct index_moment *moment, struct dw_bytes prefix,
		      struct index_cursor **ret)
{
	struct index_moment *now = NULL;
	int rc = moment ? 0 : index_seal(index, segments, &now);

	if (!rc)
		rc = cursor_new(moment ? moment : now, prefix, ret);
	index_moment_close(now);
	return rc;
}

void index_cursor_close(struct index_cursor *cursor)
{
	if (!cursor)
		return;
	index_moment_close(cursor->moment);
	free((void *)(uintptr_t)cursor->prefix.data);
	free(cursor);
}
