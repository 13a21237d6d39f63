/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * snapshots.c - see snapshots.h.
 */
#include "fs/mounted/snapshots.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/mounted/view_internal.h"
#include "fs/volume/internal.h"

_Static_assert(sizeof((struct snapshot_entry *)0)->name == NAME_SIZE_MAX + 1, "any file name");

static struct view *find_locked(struct views *views, const char *name)
{
	struct view *view = views->newest->next;

	while (view && !(view->name && !strcmp(view->name, name)))
		view = view->next;
	return view;
}

/* Freeze the volume under a name that nothing has; `reloading` is held. */
static int take(struct views *views, const char *name, struct volume_entry *ret)
{
	struct view *view = view_new(NULL, NULL);
	int rc = -ENOMEM;

	if (view)
		view->name = strdup(name);
	if (view && view->name)
		rc = volume_freeze(views->newest->volume, name, &view->volume);
	if (rc < 0) {
		if (view)
			free(view->name);
		free(view);
		return rc;
	}
	volume_enter(view->volume, ret);
	(void)pthread_mutex_lock(&views->lock);
	view->serial = ++views->snapshots;
	view->next = views->newest->next;
	views->newest->next = view;
	(void)pthread_mutex_unlock(&views->lock);
	return 0;
}

int snapshots_add(struct views *views, const char *name, struct volume_entry *ret)
{
	if (views_may_change(views))
		return -EROFS;
	if (strlen(name) > NAME_SIZE_MAX)
		return -ENAMETOOLONG;
	(void)pthread_mutex_lock(&views->reloading);
	(void)pthread_mutex_lock(&views->lock);
	bool there = find_locked(views, name) != NULL;
	(void)pthread_mutex_unlock(&views->lock);
	int rc = there ? -EEXIST : take(views, name, ret);
	(void)pthread_mutex_unlock(&views->reloading);
	return rc;
}

int snapshots_remove(struct views *views, const char *name)
{
	char *taken = NULL;

	(void)pthread_mutex_lock(&views->lock);
	struct view *view = find_locked(views, name);
	if (view) {
		taken = view->name;
		view->name = NULL;
	}
	(void)pthread_mutex_unlock(&views->lock);
	if (!taken)
		return -ENOENT;
	free(taken);
	views_say_left(views);
	return 0;
}

int snapshots_find(struct views *views, const char *name, struct volume_entry *ret)
{
	(void)pthread_mutex_lock(&views->lock);
	struct view *view = find_locked(views, name);
	if (view)
		view->holds++;
	(void)pthread_mutex_unlock(&views->lock);
	if (!view)
		return -ENOENT;
	/* outside of the lock: this waits while the names are read */
	volume_enter(view->volume, ret);
	views_drop(views, view);
	return 0;
}

int snapshots_next(struct views *views, uint64_t serial, struct snapshot_entry *ret)
{
	const struct view *found = NULL;

	(void)pthread_mutex_lock(&views->lock);
	/* the youngest stands first */
	for (const struct view *view = views->newest->next; view; view = view->next)
		if (view->name && view->serial > serial)
			found = view;
	if (found) {
		ret->serial = found->serial;
		ret->ino = found->volume->tree.root->ino;
		(void)snprintf(ret->name, sizeof ret->name, "%s", found->name); /* it fits */
	}
	(void)pthread_mutex_unlock(&views->lock);
	return found ? 0 : -ENOENT;
}

uint64_t snapshots_last(struct views *views)
{
	(void)pthread_mutex_lock(&views->lock);
	uint64_t last = views->snapshots;
	(void)pthread_mutex_unlock(&views->lock);
	return last;
}

size_t snapshots_count(struct views *views)
{
	size_t count = 0;

	(void)pthread_mutex_lock(&views->lock);
	for (const struct view *view = views->newest->next; view; view = view->next)
		count += view->name != NULL;
	(void)pthread_mutex_unlock(&views->lock);
	return count;
}
