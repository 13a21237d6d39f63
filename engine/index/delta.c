/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * delta.c - see delta.h.
 */
#include "index/delta.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bulk.h"
#include "index/sort.h"

struct delta *delta_new(struct keydir_lock *locks, bool listed)
{
	struct delta *delta = calloc(1, sizeof *delta);

	if (!delta)
		return NULL;
	if (keydir_init(&delta->keydir, locks) < 0) {
		keydir_release(&delta->keydir);
		free(delta);
		return NULL;
	}
	int rc = pthread_mutex_init(&delta->lock, NULL);
	assert(!rc); /* glibc's takes nothing that could be missing */
	dirs_init(&delta->dirs);
	atomic_init(&delta->refs, 1);
	atomic_init(&delta->listed, listed);
	atomic_init(&delta->counted, listed);
	return delta;
}

struct delta *delta_ref(struct delta *delta)
{
	unsigned refs = atomic_fetch_add(&delta->refs, 1);

	assert(refs);
	return delta;
}

static size_t sorted_size(const struct delta *delta)
{
	return (delta->sorted_count + 1) * sizeof *delta->sorted;
}

static void drop_sorted(struct delta *delta)
{
	bulk_free(delta->sorted, delta->sorted ? sorted_size(delta) : 0);
	delta->sorted = NULL;
	delta->sorted_count = 0;
}

void delta_unref(struct delta *delta)
{
	if (!delta || atomic_fetch_sub(&delta->refs, 1) > 1)
		return;
	drop_sorted(delta);
	segments_unref(delta->segments);
	dirs_release(&delta->dirs);
	keydir_release(&delta->keydir);
	(void)pthread_mutex_destroy(&delta->lock); /* fails only in use */
	free(delta);
}

void delta_unseal(struct delta *delta)
{
	drop_sorted(delta);
	segments_unref(delta->segments);
	delta->segments = NULL;
	if (!atomic_load(&delta->listed) && atomic_load(&delta->counted)) {
		/* `dirs` was filled while it was sealed; new entries would be missing */
		dirs_release(&delta->dirs);
		dirs_init(&delta->dirs);
		atomic_store(&delta->counted, false);
	}
}

/* --- sorting and counting what is there --- */

static struct dw_bytes item_key(const struct keydir *keydir, const struct sort_item *item)
{
	return keydir_entry_key(keydir, item->slot->entry);
}

static int sort_locked(struct delta *delta)
{
	struct keydir_cursor cursor = {0};
	size_t at = 0;

	delta->sorted_count = delta_count(delta);
	struct sort_item *items = bulk_alloc(sorted_size(delta));
	int rc = items ? 0 : -ENOMEM;
	while (!rc && (items[at].slot = keydir_next_slot(&delta->keydir, &cursor)))
		at++;
	assert(rc || at == delta->sorted_count);
	if (!rc)
		rc = sort_items(&delta->keydir, items, at, item_key);
	if (rc < 0)
		bulk_free(items, sorted_size(delta));
	else
		delta->sorted = items;
	return rc;
}

static int change_of(const struct keydir_place *place)
{
	return (place->segment != NULL) - place->hides;
}

static int64_t newest_of(const struct keydir_place *place)
{
	return place->segment ? place->mtime_ns : INT64_MIN;
}

static int count_all(struct delta *delta)
{
	struct keydir_cursor cursor = {0};
	struct keydir_place place;
	struct dw_bytes key;
	int rc = 0;

	while (!rc && keydir_next(&delta->keydir, &cursor, &key, &place)) {
		size_t depth = dirs_depth(key);
		rc = dirs_reserve(&delta->dirs, depth);
		if (rc < 0)
			break;
		dirs_add(&delta->dirs, key, change_of(&place), newest_of(&place));
		dirs_keep(&delta->dirs, depth);
	}
	if (rc < 0) { /* none of it */
		dirs_release(&delta->dirs);
		dirs_init(&delta->dirs);
	}
	return rc;
}

/* A node for each; they get their places when the first key is sought. */
static int order_all(struct delta *delta)
{
	const struct keydir_slot *slot;
	struct keydir_cursor cursor = {0};

	while ((slot = keydir_next_slot(&delta->keydir, &cursor))) {
		const struct keydir_prepared prepared = {
			keydir_entry_hash(&delta->keydir, slot->entry), slot->entry};
		uint32_t node = order_prepare(&delta->keydir, &prepared);
		if (!node) {
			/* the nodes made so far are lost in the arena until the delta goes */
			memset(&delta->order, 0, sizeof delta->order);
			return -ENOMEM;
		}
		order_add(&delta->order, &delta->keydir, node);
	}
	return 0;
}

int delta_list(struct delta *delta)
{
	int rc = 0;

	if (atomic_load(&delta->listed))
		return 0;
	(void)pthread_mutex_lock(&delta->lock);
	if (!atomic_load(&delta->counted))
		rc = count_all(delta);
	if (!rc) {
		atomic_store(&delta->counted, true);
		rc = order_all(delta);
	}
	if (!rc)
		atomic_store(&delta->listed, true);
	(void)pthread_mutex_unlock(&delta->lock);
	return rc;
}

/* --- changing --- */

int delta_prepare(struct delta *delta, struct dw_bytes key, struct delta_prepared *ret)
{
	/* not a copy of all at the end, which would wait for these stores to reach the cache */
	int rc = keydir_prepare(&delta->keydir, key, &ret->prepared);

	if (rc < 0)
		return rc;
	ret->node = ret->depth = 0;
	if (atomic_load_explicit(&delta->listed, memory_order_relaxed)) {
		ret->node = order_prepare(&delta->keydir, &ret->prepared);
		rc = ret->node ? dirs_reserve(&delta->dirs, dirs_depth(key)) : -ENOMEM;
		if (rc < 0)
			delta_drop(delta, ret);
		else
			ret->depth = (uint32_t)dirs_depth(key);
	}
	return rc;
}

void delta_drop(struct delta *delta, struct delta_prepared *prepared)
{
	if (!prepared->prepared.entry)
		return;
	dirs_keep(&delta->dirs, prepared->depth);
	order_drop(&delta->keydir, &prepared->prepared, prepared->node);
	keydir_drop(&delta->keydir, &prepared->prepared);
	*prepared = (struct delta_prepared){.depth = 0};
}

bool delta_set(struct delta *delta, struct delta_prepared *prepared,
	       const struct keydir_place *place, struct keydir_place *old_ret)
{
	struct keydir *keydir = &delta->keydir;
	struct dw_bytes key = keydir_entry_key(keydir, prepared->prepared.entry);
	struct keydir_prepared entry = prepared->prepared;

	assert(entry.entry);
	assert(!prepared->node == !atomic_load_explicit(&delta->listed, memory_order_relaxed));
	/* `key` stays as it is when its entry is given back, until another one gets the block */
	bool known = keydir_set(keydir, &entry, place, old_ret);
	if (prepared->node) {
		bool was = known ? old_ret->segment != NULL : place->hides;
		dirs_add(&delta->dirs, key, (place->segment != NULL) - was, newest_of(place));
		if (known)
			order_drop(keydir, &prepared->prepared, prepared->node);
		else
			order_add(&delta->order, keydir, prepared->node);
		atomic_fetch_add(&delta->changes, 1);
		dirs_keep(&delta->dirs, prepared->depth);
	}
	*prepared = (struct delta_prepared){.depth = 0};
	return known;
}

bool delta_remove(struct delta *delta, struct delta_prepared *prepared, int64_t mtime_ns,
		  bool hides, struct keydir_place *old_ret)
{
	struct keydir *keydir = &delta->keydir;
	const struct keydir_prepared entry = prepared->prepared;
	struct dw_bytes key = keydir_entry_key(keydir, entry.entry);
	const struct keydir_place gone = {.mtime_ns = mtime_ns, .hides = hides};
	bool known = keydir_get_locked(keydir, key, entry.hash, false, old_ret);

	if (known ? old_ret->hides || prepared->node : hides)
		return delta_set(delta, prepared, &gone, old_ret);
	if (known)                                         /* nothing below, and no cursor on it */
		(void)keydir_remove(keydir, key, old_ret); /* it is there */
	delta_drop(delta, prepared);
	return known;
}

/* --- keys in order --- */

int delta_cursor_init(struct delta_cursor *cursor, struct delta *delta)
{
	int rc = 0;

	*cursor = (struct delta_cursor){.delta = delta};
	if (!atomic_load(&delta->listed)) {
		(void)pthread_mutex_lock(&delta->lock);
		rc = delta->sorted ? 0 : sort_locked(delta);
		(void)pthread_mutex_unlock(&delta->lock);
	}
	return rc;
}

void delta_cursor_release(struct delta_cursor *cursor)
{
	segment_unref(cursor->pinned);
	cursor->pinned = NULL;
}

static struct dw_bytes sorted_key(const struct delta *delta, size_t at)
{
	return item_key(&delta->keydir, &delta->sorted[at]);
}

static void catch_up(struct delta *delta)
{
	if (!order_is_behind(&delta->order, &delta->keydir))
		return;
	(void)pthread_mutex_lock(&delta->lock);
	order_catch_up(&delta->order, &delta->keydir);
	(void)pthread_mutex_unlock(&delta->lock);
}

void delta_cursor_seek(struct delta_cursor *cursor, struct dw_bytes key)
{
	struct delta *delta = cursor->delta;

	if (!delta->sorted) {
		catch_up(delta);
		cursor->node = order_seek(&delta->order, &delta->keydir, key);
		return;
	}
	size_t low = 0, high = delta->sorted_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (keydir_compare(sorted_key(delta, middle), key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	cursor->at = low;
}

static bool next_listed(struct delta_cursor *cursor, struct delta_entry *ret)
{
	struct delta *delta = cursor->delta;

	if (!cursor->node)
		return false;
	delta_cursor_release(cursor);
	ret->key = order_key(&delta->keydir, cursor->node);
	bool known = keydir_get(&delta->keydir, ret->key, true, &ret->place);
	assert(known); /* nothing is ever taken out */
	cursor->pinned = ret->place.segment;
	cursor->node = order_next(&delta->order, &delta->keydir, cursor->node);
	return true;
}

bool delta_cursor_next(struct delta_cursor *cursor, struct delta_entry *ret)
{
	enum { AHEAD = 8 };
	const struct delta *delta = cursor->delta;

	if (!delta->sorted)
		return next_listed(cursor, ret);
	if (cursor->at == delta->sorted_count)
		return false;
	/* first a slot, then, when that is there, its entry */
	if (cursor->at + 2 * AHEAD < delta->sorted_count)
		__builtin_prefetch(delta->sorted[cursor->at + 2 * AHEAD].slot);
	if (cursor->at + AHEAD < delta->sorted_count)
		keydir_prefetch_entry(&delta->keydir,
				      delta->sorted[cursor->at + AHEAD].slot->entry);
	keydir_slot_get(&delta->keydir, delta->sorted[cursor->at++].slot, &ret->key, &ret->place);
	return true;
}

int delta_get_below(struct delta *delta, struct dw_bytes prefix, int64_t *change,
		    int64_t *newest_ns)
{
	if (!atomic_load(&delta->counted)) {
		(void)pthread_mutex_lock(&delta->lock);
		int rc = atomic_load(&delta->counted) ? 0 : count_all(delta);
		if (!rc)
			atomic_store(&delta->counted, true);
		(void)pthread_mutex_unlock(&delta->lock);
		if (rc < 0)
			return rc;
	}
	dirs_get(&delta->dirs, prefix, change, newest_ns);
	return 0;
}
