/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * view.c - see view.h.
 */
#include "fs/mounted/view_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fs/volume/internal.h"

struct view *view_new(struct volume *volume, struct view *older)
{
	struct view *view = calloc(1, sizeof *view);

	if (view)
		*view = (struct view){.volume = volume, .next = older};
	return view;
}

int views_new(struct volume *first, const struct views_config *config, struct views **ret)
{
	struct views *views = calloc(1, sizeof *views);

	if (!views)
		return -ENOMEM;
	views->config = *config;
	views->left_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int rc = views->left_fd < 0 ? -errno : 0;
	if (!rc)
		rc = -pthread_mutex_init(&views->reloading, NULL);
	if (!rc)
		rc = -pthread_mutex_init(&views->lock, NULL);
	if (!rc) {
		views->newest = view_new(first, NULL);
		rc = views->newest ? 0 : -ENOMEM;
	}
	if (rc < 0) {
		if (views->left_fd >= 0)
			(void)close(views->left_fd); /* nothing is in it */
		free(views);
	} else {
		*ret = views;
	}
	return rc;
}

/* Close the views of a list. */
static int close_all(struct view *view)
{
	int rc = 0;

	while (view) {
		struct view *next = view->next;
		int closed = volume_close(view->volume);
		rc = rc ? rc : closed;
		free(view->name);
		free(view);
		view = next;
	}
	return rc;
}

int views_free(struct views *views)
{
	if (!views)
		return 0;
	/* snapshots before what they are of */
	int older = close_all(views->newest->next);
	views->newest->next = NULL;
	int rc = close_all(views->newest);
	rc = rc ? rc : older;
	(void)close(views->left_fd);               /* nothing is in it that counts */
	(void)pthread_mutex_destroy(&views->lock); /* fails only while it is held */
	(void)pthread_mutex_destroy(&views->reloading);
	free(views);
	return rc;
}

bool views_may_change(const struct views *views)
{
	return views->config.open != NULL;
}

static const struct node *root_of(const struct node *node)
{
	while (node->key->parent)
		node = node->key->parent;
	return node;
}

struct view *views_hold(struct views *views, const struct node *node)
{
	if (!views_may_change(views) && !(node && node->frozen))
		return views->newest;
	const struct node *root = node ? root_of(node) : NULL;
	(void)pthread_mutex_lock(&views->lock);
	struct view *view = views->newest;
	while (root && view->volume->tree.root != root)
		view = view->next;
	view->holds++;
	(void)pthread_mutex_unlock(&views->lock);
	return view;
}

void views_drop(struct views *views, struct view *view)
{
	if (!views_may_change(views) && view == views->newest)
		return;
	(void)pthread_mutex_lock(&views->lock);
	assert(view->holds);
	view->holds--;
	(void)pthread_mutex_unlock(&views->lock);
}

bool views_is_newest(struct views *views, const struct volume *volume)
{
	if (!views_may_change(views))
		return true;
	(void)pthread_mutex_lock(&views->lock);
	bool newest = views->newest->volume == volume;
	(void)pthread_mutex_unlock(&views->lock);
	return newest;
}

/* Whether the kernel or an open file counts on a node; the tree itself does once. */
static bool is_known(const struct volume *volume)
{
	const struct node *node;
	size_t at = 0;

	if (atomic_load(&volume->tree.root->refs) > 1)
		return true;
	while ((node = nodetable_next(&volume->tree.table, &at)))
		if (atomic_load(&node->refs) > 1)
			return true;
	return false;
}

size_t views_collect(struct views *views)
{
	struct view *unused = NULL;
	size_t left = 0;

	(void)pthread_mutex_lock(&views->lock);
	for (struct view **at = &views->newest->next; *at;) {
		struct view *view = *at;
		if (view->name) {
			at = &view->next;
			continue;
		}
		/* nobody who holds nothing of it can ask for something of it */
		if (view->holds || is_known(view->volume)) {
			left++;
			at = &view->next;
			continue;
		}
		*at = view->next;
		view->next = unused;
		unused = view;
	}
	(void)pthread_mutex_unlock(&views->lock);
	(void)close_all(unused); /* nothing was written to it */
	return left;
}

/* Hold the first of a list that waits to be closed; NULL: none.  The lock is held. */
static struct view *hold_left(struct view *view)
{
	while (view && view->name)
		view = view->next;
	if (view)
		view->holds++;
	return view;
}

void views_for_left(struct views *views, volume_known_fn *visit, void *context)
{
	(void)pthread_mutex_lock(&views->lock);
	struct view *view = hold_left(views->newest->next);
	while (view) {
		(void)pthread_mutex_unlock(&views->lock);
		volume_for_known(view->volume, visit, context);
		(void)pthread_mutex_lock(&views->lock);
		struct view *next = hold_left(view->next);
		view->holds--;
		view = next;
	}
	(void)pthread_mutex_unlock(&views->lock);
}

void views_say_left(struct views *views)
{
	(void)eventfd_write(views->left_fd, 1); /* fails only for a full counter */
}

int views_left_fd(const struct views *views)
{
	return views->left_fd;
}

int views_reload(struct views *views)
{
	struct volume *volume = NULL;

	if (!views_may_change(views))
		return -EINVAL;
	(void)pthread_mutex_lock(&views->reloading);
	int rc = views->config.open(views->config.open_context, &volume);
	struct view *view = rc ? NULL : view_new(volume, views->newest);
	if (!rc && !view) {
		(void)volume_close(volume); /* nothing was written to it */
		rc = -ENOMEM;
	}
	if (!rc) {
		struct view *old = view->next;
		(void)pthread_mutex_lock(&views->lock);
		old->holds++;
		views->newest = view;
		(void)pthread_mutex_unlock(&views->lock);
		if (views->config.changed)
			views->config.changed(views->config.changed_context, old->volume);
		views_drop(views, old);
		if (views_collect(views))
			views_say_left(views); /* the rest when it is forgotten */
	}
	(void)pthread_mutex_unlock(&views->reloading);
	return rc;
}
