/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * volume.c - a volume's life, and the thread that commits what stays open.
 */
#include "fs/base/clock.h"
#include "fs/base/thread.h"
#include "fs/tree/memory.h"
#include "fs/volume/internal.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <utlist.h>

enum { COMMIT_MS_DEFAULT = 5000, DIRTY_SHARE = 8, DIRTY_MAX_DEFAULT = 256 << 20, EARLY_TRIES = 8 };

void volume_log(struct volume *volume, int priority, const char *format, ...)
{
	char text[512];
	va_list args;

	if (!volume->options.log)
		return;
	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args); /* cut is good enough */
	va_end(args);
	volume->options.log(volume->options.context, priority, text);
}

pthread_mutex_t *volume_node_lock(struct volume *volume, const struct node *node)
{
	uint64_t mixed = (uint64_t)(uintptr_t)node * 0x9e3779b97f4a7c15u;

	return &volume->node_locks[mixed >> 56];
}
_Static_assert(NODE_LOCKS == 1 << 8, "eight bits choose the lock");

void volume_lock_file(struct volume *volume, struct node *node)
{
	(void)pthread_rwlock_rdlock(&volume->names);
	(void)pthread_mutex_lock(volume_node_lock(volume, node));
}

void volume_unlock_file(struct volume *volume, struct node *node)
{
	(void)pthread_mutex_unlock(volume_node_lock(volume, node));
	(void)pthread_rwlock_unlock(&volume->names);
}

/* --- keys --- */

int key_reserve(struct key *key, size_t size)
{
	key->size = size;
	key->data = size <= sizeof key->small ? key->small : malloc(size);
	return key->data ? 0 : -ENOMEM;
}

int key_of_node(const struct node *node, struct key *ret)
{
	int rc = key_reserve(ret, node_key_size(node));

	if (!rc)
		node_key_write(node, ret->data);
	return rc;
}

int key_of_child(const struct node *parent, struct dw_bytes component, bool is_dir, struct key *ret)
{
	size_t above = node_key_size(parent), size = above + component.size + is_dir;

	ret->data = ret->small;
	if (size > DW_KEY_SIZE_MAX)
		return -ENAMETOOLONG;
	int rc = key_reserve(ret, size);
	if (rc < 0)
		return rc;
	node_key_write(parent, ret->data);
	if (component.size)
		memcpy(ret->data + above, component.data, component.size);
	if (is_dir)
		ret->data[size - 1] = '/';
	return 0;
}

void key_release(struct key *key)
{
	if (key->data != key->small)
		free(key->data);
	key->data = key->small;
}

/* --- life --- */

static int init_locks(struct volume *volume)
{
	pthread_condattr_t clock;
	pthread_rwlockattr_t fair;
	int rc = 0;

	/* else a stream of readers would keep every create and unlink waiting */
	(void)pthread_rwlockattr_init(&fair);
	(void)pthread_rwlockattr_setkind_np(&fair, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	rc = -pthread_rwlock_init(&volume->names, &fair);
	(void)pthread_rwlockattr_destroy(&fair);
	for (size_t i = 0; !rc && i < NODE_LOCKS; i++)
		rc = -pthread_mutex_init(&volume->node_locks[i], NULL);
	if (!rc)
		rc = -pthread_mutex_init(&volume->dirty_lock, NULL);
	(void)pthread_condattr_init(&clock);
	(void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	if (!rc)
		rc = -pthread_cond_init(&volume->wake, &clock);
	(void)pthread_condattr_destroy(&clock);
	if (!rc)
		rc = room_init(&volume->room, (size_t)volume->options.dirty_max);
	return rc;
}

void volume_free(struct volume *volume)
{
	tree_release(&volume->tree);
	room_release(&volume->room);
	(void)attrstore_close(volume->attrs); /* here only what was not written to */
	free((void *)volume->options.reserved);
	free(volume);
}

/* A share of the memory that there is, not to be noticed on a large machine. */
static uint64_t dirty_max_default(void)
{
	uint64_t share = memory_limit() / DIRTY_SHARE;

	if (share > DIRTY_MAX_DEFAULT)
		return DIRTY_MAX_DEFAULT;
	return share > DW_VALUE_SIZE_MAX ? share : DW_VALUE_SIZE_MAX;
}

int volume_new(const struct volume_options *options, struct volume **ret)
{
	struct volume *volume = calloc(1, sizeof *volume);

	if (!volume)
		return -ENOMEM;
	volume->options = *options;
	volume->wakes_ms = INT64_MAX;
	volume->options.reserved = strdup(options->reserved ? options->reserved : "");
	if (!volume->options.commit_ms)
		volume->options.commit_ms = COMMIT_MS_DEFAULT;
	if (!volume->options.dirty_max)
		volume->options.dirty_max = dirty_max_default();
	volume->defaults = (struct attr_defaults){options->uid, options->gid, options->umask};
	const struct name_rules rules = {options->flat, volume->options.reserved};
	int rc = rules.reserved ? init_locks(volume) : -ENOMEM;
	if (!rc)
		rc = tree_init(&volume->tree, &rules, volume->options.ino_secret);
	if (rc < 0)
		volume_free(volume);
	else
		*ret = volume;
	return rc;
}

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
		rc = volume_load(volume);
	if (rc < 0) {
		volume_free(volume);
		return rc;
	}
	atomic_store(&volume->loaded, true);
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

void volume_mark_dirty(struct volume *volume, struct content *content)
{
	if (content->dirty)
		return;
	volume_note_busy(volume, content);
	content->dirty = true;
	node_ref(content->node);
	(void)pthread_mutex_lock(&volume->dirty_lock);
	content->due_ms = clock_monotonic_ms() + volume->options.commit_ms;
	if (content->due_ms < volume->wakes_ms) { /* once in a while: a wake-up costs us time */
		volume->wakes_ms = content->due_ms;
		(void)pthread_cond_signal(&volume->wake);
	}
	DL_APPEND(volume->dirty, content);
	(void)pthread_mutex_unlock(&volume->dirty_lock);
}

void volume_mark_clean(struct volume *volume, struct content *content)
{
	struct node *node = content->node;

	if (!content->dirty)
		return;
	(void)pthread_mutex_lock(&volume->dirty_lock);
	DL_DELETE(volume->dirty, content);
	(void)pthread_mutex_unlock(&volume->dirty_lock);
	content->dirty = false;
	content->logged_error = content->told_error = 0;
	content->fresh = false;
	node_unref(node, 1);
}

/* Put off what could not be committed, behind all others. */
static void postpone(struct volume *volume, struct content *content)
{
	(void)pthread_mutex_lock(&volume->dirty_lock);
	DL_DELETE(volume->dirty, content);
	DL_APPEND(volume->dirty, content);
	content->due_ms = clock_monotonic_ms() + volume->options.commit_ms;
	(void)pthread_mutex_unlock(&volume->dirty_lock);
}

static int commit_node(struct volume *volume, struct node *node)
{
	(void)pthread_rwlock_rdlock(&volume->names);
	(void)pthread_mutex_lock(volume_node_lock(volume, node));
	int rc = volume_commit_locked(volume, node);
	if (rc < 0 && node->content && node->content->dirty)
		postpone(volume, node->content);
	volume_drop_content(volume, node);
	(void)pthread_mutex_unlock(volume_node_lock(volume, node));
	(void)pthread_rwlock_unlock(&volume->names);
	return rc;
}

/* The oldest dirty node due by `now_ms`, counted; NULL: none. */
static struct node *take_due(struct volume *volume, int64_t now_ms)
{
	struct node *node = NULL;

	(void)pthread_mutex_lock(&volume->dirty_lock);
	if (volume->dirty && volume->dirty->due_ms <= now_ms)
		node = node_ref(volume->dirty->node);
	(void)pthread_mutex_unlock(&volume->dirty_lock);
	return node;
}

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
		while ((node = take_due(volume, clock_monotonic_ms()))) {
			(void)commit_node(volume, node); /* logged there, and tried again */
			volume_unref(volume, node, 1);
		}
	return NULL;
}

int volume_start(struct volume *volume)
{
	int rc = thread_start(&volume->committer, committer, volume);

	volume->running = !rc;
	return rc;
}

static size_t dirty_count(struct volume *volume)
{
	const struct content *content;
	size_t count = 0;

	(void)pthread_mutex_lock(&volume->dirty_lock);
	DL_COUNT(volume->dirty, content, count);
	(void)pthread_mutex_unlock(&volume->dirty_lock);
	return count;
}

int volume_commit_all(struct volume *volume)
{
	struct node *node;
	int rc = 0;

	/* each once: what fails goes behind all others */
	for (size_t left = dirty_count(volume); left; left--) {
		node = take_due(volume, INT64_MAX);
		if (!node)
			break;
		int one = commit_node(volume, node);
		rc = rc ? rc : one;
		volume_unref(volume, node, 1);
	}
	return rc;
}

int volume_commit_early(struct volume *volume)
{
	int rc = 0;

	/* what fails goes behind all others; a smaller one may find space on the disk */
	for (int i = 0; i < EARLY_TRIES; i++) {
		struct node *node = take_due(volume, INT64_MAX);
		if (!node)
			break;
		rc = commit_node(volume, node);
		volume_unref(volume, node, 1);
		if (!rc) {
			(void)atomic_fetch_add(&volume->commits_early, 1);
			return 1;
		}
	}
	return rc;
}

/* A file of that directory that no log has yet, counted; NULL: none. */
static struct node *take_unlogged(struct volume *volume, const struct node *dir)
{
	struct content *content = NULL;
	struct node *node = NULL;

	(void)pthread_rwlock_rdlock(&volume->names);
	(void)pthread_mutex_lock(&volume->dirty_lock);
	DL_FOREACH(volume->dirty, content)
	{
		if (content->node->key->parent != dir || atomic_load(&content->node->logged))
			continue;
		node = node_ref(content->node);
		break;
	}
	(void)pthread_mutex_unlock(&volume->dirty_lock);
	(void)pthread_rwlock_unlock(&volume->names);
	return node;
}

int volume_fsync_dir(struct volume *volume, struct node *dir)
{
	struct node *node;
	int rc = 0;

	while (!rc && (node = take_unlogged(volume, dir))) {
		rc = commit_node(volume, node);
		volume_unref(volume, node, 1);
	}
	return rc < 0 ? rc : volume_sync(volume);
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

/* Files may still be open, also some that are in no tree: what they pin in the log
 * must be let go before the store is. */
static void release_contents(struct volume *volume)
{
	struct content *content = NULL, *next = NULL;

	DL_FOREACH_SAFE2(volume->contents, content, next, next_all)
	{
		if (content->dirty)
			volume_note_lost(volume, content->node, content->logged_error,
					 "it is still open, and the mount ends");
		content->node->opens = 0;
		volume_mark_clean(volume, content);
		volume_free_content(volume, content->node);
	}
}

int volume_close(struct volume *volume)
{
	if (!volume)
		return 0;
	stop_committer(volume);
	int rc = volume_commit_all(volume);
	release_contents(volume);
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
