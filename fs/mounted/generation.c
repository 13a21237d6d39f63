/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * generation.c - see generation.h.
 */
#include "fs/mounted/generation.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fs/base/clock.h"
#include "fs/volume/core.h"

/* When the kernel is asked to forget a snapshot, and how many of them may be open before those that
 * were not used for longest are asked sooner: each holds descriptors and mappings of all its
 * segments. */
enum { IDLE_MS = 5 * 60 * 1000, OPEN_MAX = 16 };
/* How often to look whether the kernel forgot something: where it was asked to, else. */
enum { ASKED_MS = 1000, OPEN_MS = 10000 };

/* A volume knows more nodes than it should. */
static void on_crowd(void *generations)
{
	generations_say_left(generations);
}

void generations_watch(struct generations *generations, struct volume *volume)
{
	volume_on_crowd(volume, on_crowd, generations);
}

struct generation *generation_new(struct volume *volume, struct generation *older)
{
	struct generation *generation = calloc(1, sizeof *generation);

	if (generation)
		*generation = (struct generation){.volume = volume, .next = older};
	return generation;
}

int generations_new(struct volume *first, const struct generations_config *config,
		    struct generations **ret)
{
	struct generations *generations = calloc(1, sizeof *generations);

	if (!generations)
		return -ENOMEM;
	generations->config = *config;
	if (!generations->config.idle_ms)
		generations->config.idle_ms = IDLE_MS;
	generations->left_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int rc = generations->left_fd < 0 ? -errno : 0;
	if (!rc)
		rc = -pthread_mutex_init(&generations->reloading, NULL);
	if (!rc)
		rc = -pthread_mutex_init(&generations->opening, NULL);
	if (!rc)
		rc = -pthread_mutex_init(&generations->lock, NULL);
	if (!rc) {
		generations->newest = generation_new(first, NULL);
		rc = generations->newest ? 0 : -ENOMEM;
	}
	if (rc < 0) {
		if (generations->left_fd >= 0)
			(void)close(generations->left_fd); /* nothing is in it */
		free(generations);
	} else {
		generations_watch(generations, first);
		*ret = generations;
	}
	return rc;
}

/* Close the generations of a list. */
static int close_all(struct generation *generation)
{
	int rc = 0;

	while (generation) {
		struct generation *next = generation->next;
		int closed = volume_close(generation->volume);
		rc = rc ? rc : closed;
		free(generation->name);
		free(generation);
		generation = next;
	}
	return rc;
}

int generations_free(struct generations *generations)
{
	if (!generations)
		return 0;
	int older = close_all(generations->newest->next);
	generations->newest->next = NULL;
	int rc = close_all(generations->newest);
	rc = rc ? rc : older;
	for (struct brief_snapshot *brief = generations->briefs, *next; brief; brief = next) {
		next = brief->next;
		free(brief);
	}
	(void)close(generations->left_fd);               /* nothing is in it that counts */
	(void)pthread_mutex_destroy(&generations->lock); /* fails only while it is held */
	(void)pthread_mutex_destroy(&generations->opening);
	(void)pthread_mutex_destroy(&generations->reloading);
	free(generations);
	return rc;
}

bool generations_may_change(const struct generations *generations)
{
	return generations->config.open != NULL;
}

static const struct node *root_of(const struct node *node)
{
	while (node->key->parent)
		node = node->key->parent;
	return node;
}

struct generation *generations_hold(struct generations *generations, const struct node *node)
{
	if (!generations_may_change(generations) && !(node && node->in_snapshot))
		return generations->newest;
	const struct node *root = node ? root_of(node) : NULL;
	(void)pthread_mutex_lock(&generations->lock);
	struct generation *generation = generations->newest;
	while (root && generation->volume->tree.root != root)
		generation = generation->next;
	generation->holds++;
	(void)pthread_mutex_unlock(&generations->lock);
	return generation;
}

void generations_drop(struct generations *generations, struct generation *generation)
{
	if (!generations_may_change(generations) && generation == generations->newest)
		return;
	(void)pthread_mutex_lock(&generations->lock);
	assert(generation->holds);
	generation->holds--;
	if (generation->name)
		generation->used_ms = clock_monotonic_ms();
	(void)pthread_mutex_unlock(&generations->lock);
}

bool generations_is_newest(struct generations *generations, const struct volume *volume)
{
	if (!generations_may_change(generations))
		return true;
	(void)pthread_mutex_lock(&generations->lock);
	bool newest = generations->newest->volume == volume;
	(void)pthread_mutex_unlock(&generations->lock);
	return newest;
}

/* --- letting go --- */

/* The snapshot that was not used for longest of those that stay; NULL: none. */
static struct generation *oldest_staying(struct generation *generation)
{
	struct generation *oldest = NULL;

	for (; generation; generation = generation->next)
		if (generation->name && !generation->leaving &&
		    (!oldest || generation->used_ms < oldest->used_ms))
			oldest = generation;
	return oldest;
}

/* Which snapshots the kernel is to be asked to forget.  `lock` is held. */
static void mark_leaving_locked(struct generations *generations, int64_t now)
{
	struct generation *snapshots = generations->newest->next, *oldest;
	size_t open = 0;

	for (struct generation *at = snapshots; at; at = at->next) {
		open += at->name != NULL;
		at->leaving = at->name && now - at->used_ms >= generations->config.idle_ms;
	}
	for (; open > OPEN_MAX && (oldest = oldest_staying(snapshots)); open--) {
		if (now - oldest->used_ms < ASKED_MS)
			break; /* it is in use, or was asked just now */
		oldest->leaving = true;
	}
}

/* Whether the kernel is to forget what it knows of a generation. */
static bool is_left(const struct generation *generation)
{
	return !generation->name || generation->leaving;
}

/* A request can only refer to a generation that the kernel holds nodes of; or to a snapshot by its
 * name, and then it opens the snapshot anew. */
static bool is_unused(const struct generation *generation, int64_t now)
{
	if (generation->holds || volume_is_known(generation->volume))
		return false;
	return !generation->name || now - generation->used_ms >= ASKED_MS;
}

size_t generations_collect(struct generations *generations)
{
	const int64_t now = clock_monotonic_ms();
	struct generation *unused = NULL;
	size_t left = 0;

	(void)pthread_mutex_lock(&generations->lock);
	mark_leaving_locked(generations, now);
	for (struct generation **at = &generations->newest->next; *at;) {
		struct generation *generation = *at;
		if (!is_unused(generation, now)) {
			left += is_left(generation);
			at = &generation->next;
			continue;
		}
		*at = generation->next;
		generation->next = unused;
		unused = generation;
	}
	(void)pthread_mutex_unlock(&generations->lock);
	(void)close_all(unused); /* nothing was written to it */
	return left;
}

int generations_look_ms(struct generations *generations, size_t left)
{
	bool open = false;

	if (left)
		return ASKED_MS;
	(void)pthread_mutex_lock(&generations->lock);
	for (const struct generation *at = generations->newest->next; at; at = at->next)
		open = open || at->name;
	(void)pthread_mutex_unlock(&generations->lock);
	return open ? OPEN_MS : -1;
}

/* Hold the first of a list that waits to be closed; NULL: none.  The lock is held. */
static struct generation *hold_left(struct generation *generation)
{
	while (generation && !is_left(generation))
		generation = generation->next;
	if (generation)
		generation->holds++;
	return generation;
}

void generations_for_left(struct generations *generations, volume_known_fn *visit, void *context)
{
	(void)pthread_mutex_lock(&generations->lock);
	struct generation *generation = hold_left(generations->newest->next);
	while (generation) {
		/* asked once, or a process that only stands in it would lose its path for good */
		char *name =
			generation->leaving && generation->name ? strdup(generation->name) : NULL;
		generation->leaving = false;
		generation->used_ms = clock_monotonic_ms();
		(void)pthread_mutex_unlock(&generations->lock);
		volume_for_known(generation->volume, visit, context);
		if (name)
			visit(context, NULL, name);
		free(name);
		(void)pthread_mutex_lock(&generations->lock);
		struct generation *next = hold_left(generation->next);
		generation->holds--;
		generation = next;
	}
	(void)pthread_mutex_unlock(&generations->lock);
}

void generations_for_surplus(struct generations *generations, volume_known_fn *visit, void *context)
{
	(void)pthread_mutex_lock(&generations->lock);
	struct generation *generation = generations->newest;
	while (generation) {
		generation->holds++;
		(void)pthread_mutex_unlock(&generations->lock);
		volume_for_surplus(generation->volume, visit, context);
		(void)pthread_mutex_lock(&generations->lock);
		generation->holds--;
		generation = generation->next;
	}
	(void)pthread_mutex_unlock(&generations->lock);
}

void generations_say_left(struct generations *generations)
{
	(void)eventfd_write(generations->left_fd, 1); /* fails only for a full counter */
}

int generations_left_fd(const struct generations *generations)
{
	return generations->left_fd;
}

int generations_reload(struct generations *generations)
{
	struct volume *volume = NULL;

	if (!generations_may_change(generations))
		return -EINVAL;
	(void)pthread_mutex_lock(&generations->reloading);
	int rc = generations->config.open(generations->config.open_context, &volume);
	struct generation *generation = rc ? NULL : generation_new(volume, generations->newest);
	if (!rc && !generation) {
		(void)volume_close(volume); /* nothing was written to it */
		rc = -ENOMEM;
	}
	if (!rc) {
		struct generation *old = generation->next;
		generations_watch(generations, volume);
		(void)pthread_mutex_lock(&generations->lock);
		old->holds++;
		generations->newest = generation;
		(void)pthread_mutex_unlock(&generations->lock);
		if (generations->config.changed)
			generations->config.changed(generations->config.changed_context,
						    old->volume);
		generations_drop(generations, old);
		if (generations_collect(generations))
			generations_say_left(generations); /* the rest when it is forgotten */
	}
	(void)pthread_mutex_unlock(&generations->reloading);
	return rc;
}
