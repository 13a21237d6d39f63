/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * delta.c - see version.h.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "index/version.h"

struct delta *delta_new(void)
{
	struct delta *delta = calloc(1, sizeof *delta);

	if (!delta)
		return NULL;
	if (keydir_init(&delta->keydir) < 0) {
		keydir_release(&delta->keydir);
		free(delta);
		return NULL;
	}
	int rc = pthread_mutex_init(&delta->sorting, NULL);
	assert(!rc);                      /* glibc's takes nothing that could be missing */
	delta->keydir.keeps_live = false; /* the index does, which knows what is below */
	atomic_init(&delta->refs, 1);
	return delta;
}

struct delta *delta_ref(struct delta *delta)
{
	unsigned refs = atomic_fetch_add(&delta->refs, 1);

	assert(refs);
	return delta;
}

void delta_unref(struct delta *delta)
{
	if (!delta || atomic_fetch_sub(&delta->refs, 1) > 1)
		return;
	free(delta->sorted);
	segments_unref(delta->segments);
	keydir_release(&delta->keydir);
	(void)pthread_mutex_destroy(&delta->sorting); /* fails only in use */
	free(delta);
}

static int compare_items(const void *a, const void *b)
{
	const struct delta_item *x = a, *y = b;
	size_t least = x->key.size < y->key.size ? x->key.size : y->key.size;
	int order = least ? memcmp(x->key.data, y->key.data, least) : 0;

	return order ? order : (x->key.size > y->key.size) - (x->key.size < y->key.size);
}

static int sort_locked(struct delta *delta)
{
	size_t count = delta_count(delta), i = 0;
	struct delta_item *items = malloc((count + 1) * sizeof *items);
	struct keydir_cursor cursor = {0};

	if (!items)
		return -ENOMEM;
	while (keydir_next(&delta->keydir, &cursor, &items[i].key, &items[i].place))
		i++;
	assert(i == count);
	qsort(items, count, sizeof *items, compare_items);
	delta->sorted = items;
	delta->sorted_count = count;
	return 0;
}

int delta_sort(struct delta *delta)
{
	(void)pthread_mutex_lock(&delta->sorting);
	int rc = delta->sorted ? 0 : sort_locked(delta);
	(void)pthread_mutex_unlock(&delta->sorting);
	return rc;
}
