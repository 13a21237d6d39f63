/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * room.c - see room.h.
 */
#include "fs/tree/room.h"

#include <assert.h>
#include <errno.h>

int room_init(struct room *room, size_t max)
{
	room->max = max;
	room->taken = 0;
	room->gives = 0;
	atomic_init(&room->held, 0);
	int rc = -pthread_mutex_init(&room->lock, NULL);
	if (!rc)
		rc = -pthread_cond_init(&room->given, NULL);
	return rc ? rc : spare_init(&room->spare, &room->held);
}

void room_release(struct room *room)
{
	spare_release(&room->spare);
	(void)pthread_cond_destroy(&room->given); /* these fail only while in use */
	(void)pthread_mutex_destroy(&room->lock);
}

size_t room_held(const struct room *room)
{
	return atomic_load(&room->held);
}

static bool take_locked(struct room *room, size_t size)
{
	if (atomic_load(&room->held) + room->taken + size > room->max)
		return false;
	room->taken += size;
	return true;
}

bool room_take(struct room *room, size_t size, uint64_t *seen_ret)
{
	(void)pthread_mutex_lock(&room->lock);
	bool taken = take_locked(room, size);
	if (seen_ret)
		*seen_ret = room->gives;
	(void)pthread_mutex_unlock(&room->lock);
	return taken;
}

int room_take_or_wait(struct room *room, size_t size, uint64_t seen)
{
	int rc = -ENOSPC;

	(void)pthread_mutex_lock(&room->lock);
	if (take_locked(room, size)) {
		rc = 1;
	} else if (room->gives != seen) {
		rc = 0; /* a value that takes the room may be one that can leave */
	} else if (room->taken) {
		rc = 0;
		(void)pthread_cond_wait(&room->given, &room->lock);
	}
	(void)pthread_mutex_unlock(&room->lock);
	return rc;
}

void room_give(struct room *room, size_t size)
{
	if (!size)
		return;
	(void)pthread_mutex_lock(&room->lock);
	assert(room->taken >= size);
	room->taken -= size;
	room->gives++;
	(void)pthread_cond_broadcast(&room->given);
	(void)pthread_mutex_unlock(&room->lock);
}

void room_count(struct room *room, size_t before, size_t now)
{
	if (now >= before)
		(void)atomic_fetch_add(&room->held, now - before);
	else
		(void)atomic_fetch_sub(&room->held, before - now);
}
