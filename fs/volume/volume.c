/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * volume.c - a volume's life, and the thread that commits what stays open.
 */
#include "fs/base/clock.h"
#include "fs/base/thread.h"
#include "fs/volume/commit.h"
#include "fs/volume/dirty.h"
#include "fs/volume/journal.h"
#include "fs/volume/life.h"
#include "fs/volume/listing.h"
#include "fs/volume/lookup.h"
#include "fs/volume/sweep.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <utlist.h>

int volume_open(struct dw_store *store, const struct volume_options *options, struct volume **ret)
{
	struct volume *volume = NULL;
	int rc = volume_new(options, &volume);

	if (rc < 0)
		return rc;
	volume->store = store;
	rc = attrstore_open(store, options->read_only, options->log, options->context,
			    &volume->attrs);
	if (!rc)
		rc = volume_fill_root(volume);
	if (rc < 0) {
		volume_free(volume);
		return rc;
	}
	sweep_open(volume);
	*ret = volume;
	return 0;
}

struct dw_store *volume_store(struct volume *volume)
{
	return volume->store;
}

const struct volume_options *volume_get_options(const struct volume *volume)
{
	return &volume->options;
}

struct node *volume_root(struct volume *volume)
{
	return volume->tree.root;
}

/* --- committing in the background --- */

/* Wait until something is due; false: stop. */
static bool wait_due(struct volume *volume)
{
	(void)pthread_mutex_lock(&volume->dirty_lock);
	while (!volume->stopping) {
		int64_t now = clock_monotonic_ms();
		int64_t due = volume->dirty ? volume->dirty->due_ms : INT64_MAX;
		int64_t spare_due = spare_expire(&volume->room.spare, now);
		if (due <= now)
			break;
		due = due < spare_due ? due : spare_due;
		if (due < volume->wakes_ms || volume->wakes_ms <= now)
			volume->wakes_ms = due;
		if (volume->wakes_ms == INT64_MAX) {
			(void)pthread_cond_wait(&volume->wake, &volume->dirty_lock);
			continue;
		}
		const struct timespec until = {volume->wakes_ms / 1000,
					       volume->wakes_ms % 1000 * 1000000};
		(void)pthread_cond_timedwait(&volume->wake, &volume->dirty_lock, &until);
	}
	bool go_on = !volume->stopping;
	(void)pthread_mutex_unlock(&volume->dirty_lock);
	return go_on;
}

static void *committer(void *context)
{
	struct volume *volume = context;
	struct node *node;

	while (wait_due(volume))
		while ((node = volume_take_due(volume, clock_monotonic_ms()))) {
			(void)volume_commit_node(volume, node); /* logged there, and tried again */
			volume_unref(volume, node, 1);
		}
	return NULL;
}

int volume_start(struct volume *volume)
{
	int rc = thread_start(&volume->committer, committer, volume);

	volume->running = !rc;
	return rc ? rc : sweep_start(volume);
}

static void stop_committer(struct volume *volume)
{
	(void)pthread_mutex_lock(&volume->dirty_lock);
	volume->stopping = true;
	(void)pthread_cond_signal(&volume->wake);
	(void)pthread_mutex_unlock(&volume->dirty_lock);
	if (volume->running)
		(void)pthread_join(volume->committer, NULL); /* fails only if there is none */
	volume->running = false;
}

/* Files may still be open, also some that are in no tree: drop their pins in the log before the
 * store is closed. */
static void release_cached(struct volume *volume)
{
	struct cached *cached = NULL, *next = NULL;

	DL_FOREACH_SAFE2(volume->all_cached, cached, next, next_all)
	{
		if (cached->dirty)
			volume_note_lost(volume, cached->node, cached->logged_error,
					 "it is still open, and the mount ends");
		struct node *node = node_ref(cached->node); /* a dirty value may count alone */
		node->opens = 0;
		volume_mark_clean(volume, cached);
		volume_free_cached(volume, node);
		volume_unref(volume, node, 1);
	}
}

int volume_close(struct volume *volume)
{
	if (!volume)
		return 0;
	sweep_stop(volume);
	listing_release_kept(volume);
	stop_committer(volume);
	int rc = volume_commit_all(volume);
	release_cached(volume);
	int synced = volume->options.read_only ? 0 : volume_sync(volume);
	rc = rc ? rc : synced;
	int attrs = attrstore_close(volume->attrs);
	volume->attrs = NULL;
	int closed = dw_close(volume->store);
	int lost = atomic_load(&volume->loss);
	volume_free(volume);
	rc = rc ? rc : attrs ? attrs : closed;
	return rc ? rc : lost;
}

uint32_t volume_generation(const struct node *node)
{
	return node->generation;
}

int volume_statfs(struct volume *volume, struct statvfs *ret)
{
	struct statvfs below;

	if (fstatvfs(dw_directory_fd(volume->store), &below) < 0)
		return -errno;
	below.f_namemax = NAME_SIZE_MAX;
	*ret = below;
	return 0;
}
