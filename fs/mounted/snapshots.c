/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * snapshots.c - see snapshots.h.
 */
#include "fs/mounted/snapshots.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/volume/core.h"

_Static_assert(sizeof((struct snapshot_entry *)0)->name == NAME_SIZE_MAX + 1, "any file name");

static struct generation *find_locked(struct generations *generations, const char *name)
{
	struct generation *generation = generations->newest->next;

	while (generation && !(generation->name && !strcmp(generation->name, name)))
		generation = generation->next;
	return generation;
}

/* Freeze the volume under a name that nothing has; `reloading` is held. */
static int take(struct generations *generations, const char *name, struct volume_entry *ret)
{
	struct generation *generation = generation_new(NULL, NULL);
	int rc = -ENOMEM;

	if (generation)
		generation->name = strdup(name);
	if (generation && generation->name)
		rc = volume_snapshot(generations->newest->volume, name, &generation->volume);
	if (rc < 0) {
		if (generation)
			free(generation->name);
		free(generation);
		return rc;
	}
	generations_watch(generations, generation->volume);
	volume_enter(generation->volume, ret);
	(void)pthread_mutex_lock(&generations->lock);
	generation->serial = ++generations->snapshots;
	generation->next = generations->newest->next;
	generations->newest->next = generation;
	(void)pthread_mutex_unlock(&generations->lock);
	return 0;
}

int snapshots_add(struct generations *generations, const char *name, struct volume_entry *ret)
{
	if (generations_may_change(generations))
		return -EROFS;
	if (strlen(name) > NAME_SIZE_MAX)
		return -ENAMETOOLONG;
	(void)pthread_mutex_lock(&generations->reloading);
	(void)pthread_mutex_lock(&generations->lock);
	bool there = find_locked(generations, name) != NULL;
	(void)pthread_mutex_unlock(&generations->lock);
	int rc = there ? -EEXIST : take(generations, name, ret);
	(void)pthread_mutex_unlock(&generations->reloading);
	return rc;
}

int snapshots_remove(struct generations *generations, const char *name)
{
	char *taken = NULL;

	(void)pthread_mutex_lock(&generations->lock);
	struct generation *generation = find_locked(generations, name);
	if (generation) {
		taken = generation->name;
		generation->name = NULL;
	}
	(void)pthread_mutex_unlock(&generations->lock);
	if (!taken)
		return -ENOENT;
	free(taken);
	generations_say_left(generations);
	return 0;
}

int snapshots_find(struct generations *generations, const char *name, struct volume_entry *ret)
{
	(void)pthread_mutex_lock(&generations->lock);
	struct generation *generation = find_locked(generations, name);
	if (generation)
		generation->holds++;
	(void)pthread_mutex_unlock(&generations->lock);
	if (!generation)
		return -ENOENT;
	/* outside of the lock: this waits while the names are read */
	volume_enter(generation->volume, ret);
	generations_drop(generations, generation);
	return 0;
}

int snapshots_next(struct generations *generations, uint64_t serial, struct snapshot_entry *ret)
{
	const struct generation *found = NULL;

	(void)pthread_mutex_lock(&generations->lock);
	/* the youngest stands first */
	for (const struct generation *generation = generations->newest->next; generation;
	     generation = generation->next)
		if (generation->name && generation->serial > serial)
			found = generation;
	if (found) {
		ret->serial = found->serial;
		ret->ino = found->volume->tree.root->ino;
		(void)snprintf(ret->name, sizeof ret->name, "%s", found->name); /* it fits */
	}
	(void)pthread_mutex_unlock(&generations->lock);
	return found ? 0 : -ENOENT;
}

uint64_t snapshots_last(struct generations *generations)
{
	(void)pthread_mutex_lock(&generations->lock);
	uint64_t last = generations->snapshots;
	(void)pthread_mutex_unlock(&generations->lock);
	return last;
}

size_t snapshots_count(struct generations *generations)
{
	size_t count = 0;

	(void)pthread_mutex_lock(&generations->lock);
	for (const struct generation *generation = generations->newest->next; generation;
	     generation = generation->next)
		count += generation->name != NULL;
	(void)pthread_mutex_unlock(&generations->lock);
	return count;
}
