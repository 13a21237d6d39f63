/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * room.c - memory for values, up to the mount's limit.
 *
 * While there is room, the value of a file that was written stays in memory as long as it is
 * open.  Then values leave: first those that the log has, those that were committed longest ago
 * before others, for they can be read again; then others are committed early.  Both happen in
 * the thread that wants memory: so writers wait for the disk when they are faster.  What has no
 * name is in no log, and stays; it may take all there is, and then writing is -ENOSPC.
 */
#include <errno.h>
#include <utlist.h>

#include "fs/volume/internal.h"

/* --- values that could leave --- */

void volume_note_idle(struct volume *volume, struct content *content)
{
	if (content->idle || !content->capacity)
		return;
	content->idle = true;
	(void)pthread_mutex_lock(&volume->dirty_lock);
	DL_APPEND2(volume->idle, content, prev_idle, next_idle);
	(void)pthread_mutex_unlock(&volume->dirty_lock);
}

void volume_note_busy(struct volume *volume, struct content *content)
{
	if (!content->idle)
		return;
	content->idle = false;
	(void)pthread_mutex_lock(&volume->dirty_lock);
	DL_DELETE2(volume->idle, content, prev_idle, next_idle);
	(void)pthread_mutex_unlock(&volume->dirty_lock);
}

/* One whose value is in the log, counted; NULL: none. */
static struct node *take_idle(struct volume *volume)
{
	struct content *content = NULL;
	struct node *node = NULL;

	(void)pthread_mutex_lock(&volume->dirty_lock);
	DL_FOREACH2(volume->idle, content, next_idle)
	{
		/* nobody counts on the node of one that is just going */
		node = node_ref_if_used(content->node);
		if (node)
			break;
	}
	(void)pthread_mutex_unlock(&volume->dirty_lock);
	return node;
}

/* Take the value out of memory, if the log has it. */
static void let_go(struct volume *volume, struct node *node)
{
	volume_lock_file(volume, node);
	struct content *content = node->content;
	if (content && content->idle) {
		volume_note_busy(volume, content);
		content_unload(content, volume->store);
	}
	volume_drop_content(volume, node);
	volume_unlock_file(volume, node);
	volume_unref(volume, node, 1);
}

/* Have one value leave memory.  1: done; 0: none could; or -errno: none could be committed. */
static int shrink(struct volume *volume)
{
	struct node *node = take_idle(volume);

	if (!node) {
		int rc = volume_commit_early(volume);
		if (rc <= 0)
			return rc;
		node = take_idle(volume);
	}
	if (node)
		let_go(volume, node);
	return 1; /* or it left by its last close */
}

/* Whether a value could leave memory after all.  While a request is at a value it may be in
 * neither list; no request is at any with `names` held for writing. */
static bool could_shrink(struct volume *volume)
{
	(void)pthread_rwlock_wrlock(&volume->names);
	(void)pthread_mutex_lock(&volume->dirty_lock);
	bool could = volume->idle || volume->dirty;
	(void)pthread_mutex_unlock(&volume->dirty_lock);
	(void)pthread_rwlock_unlock(&volume->names);
	return could;
}

int volume_take_room(struct volume *volume, size_t size)
{
	struct room *room = &volume->room;
	uint64_t seen;
	int rc = room_take(room, size, NULL);

	while (!rc) {
		spare_drop(&room->spare);
		if (room_take(room, size, &seen))
			return 0;
		int shrunk = shrink(volume);
		if (shrunk > 0 || (!shrunk && could_shrink(volume)))
			continue;
		rc = room_take_or_wait(room, size, seen);
		if (rc == -ENOSPC && shrunk < 0)
			rc = shrunk;
	}
	return rc < 0 ? rc : 0;
}

/* --- before a change --- */

int volume_lock_for(struct volume *volume, struct node *node, uint64_t end, size_t *taken_ret)
{
	struct room *room = &volume->room;
	size_t taken = 0;

	for (;;) {
		volume_lock_file(volume, node);
		size_t needed = content_need(node, (size_t)end);
		if (needed <= taken || room_take(room, needed - taken, NULL)) {
			*taken_ret = needed > taken ? needed : taken;
			return 0;
		}
		volume_unlock_file(volume, node);
		/* with locks held others could not let go; with room taken they would wait */
		room_give(room, taken);
		int rc = volume_take_room(volume, needed);
		if (rc < 0)
			return rc;
		taken = needed;
	}
}

void volume_unlock_for(struct volume *volume, struct node *node, size_t taken)
{
	volume_unlock_file(volume, node);
	room_give(&volume->room, taken);
}
