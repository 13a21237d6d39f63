/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * dirty.c - see dirty.h.
 */
#include "fs/volume/dirty.h"

#include <errno.h>
#include <utlist.h>

#include "fs/base/clock.h"
#include "fs/volume/xattrmem.h"

void volume_note_idle(struct volume *volume, struct cached *cached)
{
	if (cached->idle || !cached->capacity)
		return;
	cached->idle = true;
	(void)pthread_mutex_lock(&volume->dirty_lock);
	DL_APPEND2(volume->idle, cached, prev_idle, next_idle);
	(void)pthread_mutex_unlock(&volume->dirty_lock);
}

void volume_note_busy(struct volume *volume, struct cached *cached)
{
	if (!cached->idle)
		return;
	cached->idle = false;
	(void)pthread_mutex_lock(&volume->dirty_lock);
	DL_DELETE2(volume->idle, cached, prev_idle, next_idle);
	(void)pthread_mutex_unlock(&volume->dirty_lock);
}

void volume_mark_dirty(struct volume *volume, struct cached *cached)
{
	if (cached->dirty)
		return;
	volume_note_busy(volume, cached);
	cached->dirty = true;
	node_ref(cached->node);
	(void)pthread_mutex_lock(&volume->dirty_lock);
	cached->due_ms = clock_monotonic_ms() + volume->options.commit_ms;
	if (cached->due_ms < volume->wakes_ms) { /* once in a while: a wake-up costs us time */
		volume->wakes_ms = cached->due_ms;
		(void)pthread_cond_signal(&volume->wake);
	}
	DL_APPEND(volume->dirty, cached);
	(void)pthread_mutex_unlock(&volume->dirty_lock);
}

void volume_mark_clean(struct volume *volume, struct cached *cached)
{
	struct node *node = cached->node;

	if (!cached->dirty)
		return;
	(void)pthread_mutex_lock(&volume->dirty_lock);
	DL_DELETE(volume->dirty, cached);
	(void)pthread_mutex_unlock(&volume->dirty_lock);
	cached->dirty = false;
	cached->logged_error = cached->told_error = 0;
	cached->fresh = false;
	volume_unref(volume, node, 1);
}

int volume_get_cached(struct volume *volume, struct node *node, struct cached **ret)
{
	if (!node->cached) {
		node->cached = cached_new(node, &volume->room);
		if (!node->cached)
			return -ENOMEM;
		(void)pthread_mutex_lock(&volume->dirty_lock);
		DL_APPEND2(volume->all_cached, node->cached, prev_all, next_all);
		(void)pthread_mutex_unlock(&volume->dirty_lock);
	}
	*ret = node->cached;
	return 0;
}

void volume_free_cached(struct volume *volume, struct node *node)
{
	struct cached *cached = node->cached;

	if (!cached)
		return;
	volume_note_busy(volume, cached);
	(void)pthread_mutex_lock(&volume->dirty_lock);
	DL_DELETE2(volume->all_cached, cached, prev_all, next_all);
	(void)pthread_mutex_unlock(&volume->dirty_lock);
	if (cached_free(cached, volume->store)) {
		(void)pthread_mutex_lock(&volume->dirty_lock);
		(void)pthread_cond_signal(&volume->wake);
		(void)pthread_mutex_unlock(&volume->dirty_lock);
	}
	node->cached = NULL;
}

/* Of a node out of the tree it is all that there is, as long as anybody knows the node. */
void volume_drop_cached(struct volume *volume, struct node *node)
{
	struct cached *cached = node->cached;

	if (!cached || cached->dirty || !node_is_linked(node))
		return;
	if (!node->opens)
		volume_free_cached(volume, node);
	else if (cached->loaded)
		volume_note_idle(volume, cached);
}

void volume_unref(struct volume *volume, struct node *node, uint64_t count)
{
	struct node *parent = NULL;

	while (node && tree_unref(&volume->tree, node, count, &parent)) {
		if (!node_is_dir(node))
			volume_free_cached(volume, node);
		volume_drop_nameless_xattrs(volume, node);
		node_free(node);
		node = parent; /* which it counted on */
		count = 1;
	}
}

void volume_take_name(struct volume *volume, struct node *node)
{
	volume_unref(volume, tree_unlink(&volume->tree, node), 1);
}
