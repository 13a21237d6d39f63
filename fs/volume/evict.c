/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * evict.c - memory for values, up to the mount's limit.
 *
 * While there is room, the value of a file that was written stays in memory as long as it is
 * open.  Then values leave: first those that the log has, those that were committed longest ago
 * before others, for they can be read again; then others are committed early.  Both happen in
 * the thread that wants memory: so writers wait for the disk when they are faster.  Files without a
 * name are in no log, and stay; they may take all room, and then writing is -ENOSPC.
 */
#include "fs/volume/evict.h"

#include <errno.h>
#include <utlist.h>

#include "fs/volume/commit.h"
#include "fs/volume/dirty.h"

/* One whose value is in the log, counted; NULL: none. */
static struct node *take_idle(struct volume *volume)
{
	struct cached *cached = NULL;
	struct node *node = NULL;

	(void)pthread_mutex_lock(&volume->dirty_lock);
	DL_FOREACH2(volume->idle, cached, next_idle)
	{
		/* the node of a value that is just leaving has no reference */
		node = node_ref_if_used(cached->node);
		if (node)
			break;
	}
	(void)pthread_mutex_unlock(&volume->dirty_lock);
	return node;
}

/* Take the value out of memory, if the log has it. */
static void let_go(struct volume *volume, struct node *node)
{
	file_lock(volume, node);
	struct cached *cached = node->cached;
	if (cached && cached->idle) {
		volume_note_busy(volume, cached);
		cached_unload(cached, volume->store);
	}
	volume_drop_cached(volume, node);
	file_unlock(volume, node);
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
	names_lock_write(volume);
	(void)pthread_mutex_lock(&volume->dirty_lock);
	bool could = volume->idle || volume->dirty;
	(void)pthread_mutex_unlock(&volume->dirty_lock);
	names_unlock(volume);
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

int file_lock_for(struct volume *volume, struct node *node, uint64_t end, size_t *taken_ret)
{
	struct room *room = &volume->room;
	size_t taken = 0;

	for (;;) {
		file_lock(volume, node);
		size_t needed = cached_need(node, (size_t)end);
		if (needed <= taken || room_take(room, needed - taken, NULL)) {
			*taken_ret = needed > taken ? needed : taken;
			return 0;
		}
		file_unlock(volume, node);
		/* with locks held others could not let go; with room taken they would wait */
		room_give(room, taken);
		int rc = volume_take_room(volume, needed);
		if (rc < 0)
			return rc;
		taken = needed;
	}
}

void file_unlock_for(struct volume *volume, struct node *node, size_t taken)
{
	file_unlock(volume, node);
	room_give(&volume->room, taken);
}
