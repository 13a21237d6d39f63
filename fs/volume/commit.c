/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * commit.c - see commit.h.
 */
#include "fs/volume/commit.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <syslog.h>
#include <utlist.h>

#include "fs/base/clock.h"
#include "fs/volume/dirty.h"
#include "fs/volume/journal.h"
#include "fs/volume/xattrmem.h"

enum { EARLY_TRIES = 8 };

/* The result of a commit, whichever step failed. */
static void note_result(struct volume *volume, struct node *node, int rc)
{
	char quoted[QUOTED_SIZE];
	struct cached *cached = node->cached;

	atomic_store(&volume->failing, rc < 0);
	if (rc == 0)
		return;
	(void)atomic_fetch_add(&volume->commits_failed, 1);
	if (cached && cached->logged_error == rc)
		return;
	volume_log(volume, LOG_ERR, "'%s' could not be committed: %s", volume_quote(node, quoted),
		   strerror(-rc));
	if (cached)
		cached->logged_error = rc;
}

void volume_note_lost(struct volume *volume, struct node *node, int rc, const char *after)
{
	char quoted[QUOTED_SIZE];
	int none = 0;

	(void)atomic_fetch_add(&volume->values_lost, 1);
	(void)atomic_compare_exchange_strong(&volume->loss, &none, rc); /* else there is one */
	volume_log(volume, LOG_CRIT, "'%s': the value written last, %u bytes, is lost (%s); %s",
		   volume_quote(node, quoted), (unsigned)atomic_load(&node->size), strerror(-rc),
		   after);
}

int volume_load_cached(struct volume *volume, struct node *node, struct cached **ret)
{
	struct key key;
	int rc = volume_get_cached(volume, node, ret);

	if (rc < 0 || (*ret)->loaded)
		return rc;
	rc = key_of_node(node, &key);
	if (!rc)
		rc = cached_load(*ret, volume->store, key_bytes(&key));
	key_release(&key);
	return rc;
}

bool volume_is_marker_name(const struct volume *volume, const struct node *node)
{
	return !volume->options.flat && node_is_linked(node) && !node_component(node).size &&
	       node->key->parent != volume->tree.root;
}

void volume_touch(struct volume *volume, struct node *node, struct cached *cached)
{
	cached->told_error = 0;
	cached->fresh = false;
	atomic_store(&node->pushed, false);
	atomic_store(&node->mtime_ns, clock_realtime_ns());
	if (node->attrs)
		attr_new_value(node->attrs);
	if (node_is_linked(node))
		volume_mark_dirty(volume, cached);
}

int volume_resize_locked(struct volume *volume, struct node *node, uint64_t size)
{
	struct cached *cached;
	int rc = 0;

	if (size > DW_VALUE_SIZE_MAX)
		return -EFBIG;
	if (!size && volume_is_marker_name(volume, node))
		return -EINVAL;
	if (size)
		rc = volume_load_cached(volume, node, &cached);
	else if (!(rc = volume_get_cached(volume, node, &cached)))
		cached->loaded = true; /* whatever was there counts no more */
	if (!rc && size > atomic_load(&node->size))
		rc = cached_reserve(cached, (size_t)size);
	if (rc < 0)
		return rc;
	atomic_store(&node->size, (uint32_t)size);
	volume_touch(volume, node, cached);
	return 0;
}

/* Put a value, with the attributes that are for it before and behind. */
static int put_value(struct volume *volume, struct node *node, struct dw_bytes value,
		     int64_t mtime_ns)
{
	struct dw_op op = {.type = DW_PUT, .value = value, .mtime_set = true, .mtime_ns = mtime_ns};
	char quoted[QUOTED_SIZE];
	struct key key;
	int rc = key_of_node(node, &key);

	op.key = key_bytes(&key);
	if (!rc)
		rc = journal_before_put(volume, node, op.key);
	if (!rc)
		rc = dw_batch(volume->store, &op, 1);
	if (!rc) {
		atomic_store(&node->logged, true);
		int kept = journal_after_put(volume, node, op.key);
		/* the value is there: only its times may be lost with the next mount */
		if (kept < 0)
			volume_log(volume, LOG_WARNING, "times of '%s' could not be kept: %s",
				   volume_quote(node, quoted), strerror(-kept));
	}
	if (node->cached && !rc)
		node->cached->committed_ms = clock_monotonic_ms();
	key_release(&key);
	note_result(volume, node, rc);
	return rc;
}

int volume_truncate_locked(struct volume *volume, struct node *node, uint64_t size)
{
	struct cached *cached;
	int64_t now = clock_realtime_ns();

	if (!size && volume_is_marker_name(volume, node))
		return -EINVAL;
	if (!node_is_linked(node))
		return volume_resize_locked(volume, node, size);
	int rc = volume_need_xattrs(volume, node);
	if (rc < 0) {
		note_result(volume, node, rc);
		return rc;
	}
	rc = size ? volume_load_cached(volume, node, &cached)
		  : volume_get_cached(volume, node, &cached);
	if (!rc && size > atomic_load(&node->size))
		rc = cached_reserve(cached, (size_t)size);
	if (rc < 0)
		return rc;
	const struct attrs old = node->attrs ? *node->attrs : (struct attrs){.set = 0};
	if (node->attrs)
		attr_new_value(node->attrs);
	rc = put_value(volume, node, (struct dw_bytes){cached->data, (size_t)size}, now);
	if (rc < 0) {
		/* nothing was changed; but privileges that went first stay away */
		if (node->attrs)
			attr_restore(node->attrs, &old);
		return rc;
	}
	cached->loaded = true;
	atomic_store(&node->pushed, false);
	atomic_store(&node->size, (uint32_t)size);
	atomic_store(&node->mtime_ns, now);
	volume_mark_clean(volume, cached);
	return 0;
}

int volume_commit_locked(struct volume *volume, struct node *node)
{
	struct cached *cached = node->cached;

	if (!cached || !cached->dirty)
		return 0;
	assert(node_is_linked(node) && cached->loaded);
	const struct dw_bytes value = {cached->data, atomic_load(&node->size)};
	int rc = 0;
	if (node->attrs && (node->attrs->unsaved || node->attrs->times_unsaved))
		rc = volume_need_xattrs(volume, node);
	if (rc < 0)
		note_result(volume, node, rc);
	else
		rc = put_value(volume, node, value, atomic_load(&node->mtime_ns));
	if (!rc)
		volume_mark_clean(volume, cached);
	volume_let_xattrs_go(node);
	return rc;
}

/* --- what is dirty --- */

/* Put off what could not be committed, behind all others. */
static void postpone(struct volume *volume, struct cached *cached)
{
	(void)pthread_mutex_lock(&volume->dirty_lock);
	DL_DELETE(volume->dirty, cached);
	DL_APPEND(volume->dirty, cached);
	cached->due_ms = clock_monotonic_ms() + volume->options.commit_ms;
	(void)pthread_mutex_unlock(&volume->dirty_lock);
}

int volume_commit_node(struct volume *volume, struct node *node)
{
	names_lock_read(volume);
	node_lock(volume, node);
	int rc = volume_commit_locked(volume, node);
	if (rc < 0 && node->cached && node->cached->dirty)
		postpone(volume, node->cached);
	volume_drop_cached(volume, node);
	node_unlock(volume, node);
	names_unlock(volume);
	return rc;
}

struct node *volume_take_due(struct volume *volume, int64_t now_ms)
{
	struct node *node = NULL;

	(void)pthread_mutex_lock(&volume->dirty_lock);
	if (volume->dirty && volume->dirty->due_ms <= now_ms)
		node = node_ref(volume->dirty->node);
	(void)pthread_mutex_unlock(&volume->dirty_lock);
	return node;
}

static size_t dirty_count(struct volume *volume)
{
	const struct cached *cached;
	size_t count = 0;

	(void)pthread_mutex_lock(&volume->dirty_lock);
	DL_COUNT(volume->dirty, cached, count);
	(void)pthread_mutex_unlock(&volume->dirty_lock);
	return count;
}

int volume_commit_all(struct volume *volume)
{
	struct node *node;
	int rc = 0;

	/* each once: a file that fails moves to the end of the list */
	for (size_t left = dirty_count(volume); left; left--) {
		node = volume_take_due(volume, INT64_MAX);
		if (!node)
			break;
		int one = volume_commit_node(volume, node);
		rc = rc ? rc : one;
		volume_unref(volume, node, 1);
	}
	return rc;
}

int volume_commit_early(struct volume *volume)
{
	int rc = 0;

	/* a file that fails moves to the end; a smaller one may still find space on the disk */
	for (int i = 0; i < EARLY_TRIES; i++) {
		struct node *node = volume_take_due(volume, INT64_MAX);
		if (!node)
			break;
		rc = volume_commit_node(volume, node);
		volume_unref(volume, node, 1);
		if (!rc) {
			(void)atomic_fetch_add(&volume->commits_early, 1);
			return 1;
		}
	}
	return rc;
}

int volume_sync(struct volume *volume)
{
	return journal_make_durable(volume);
}

/* A file of that directory that no log has yet, counted; NULL: none. */
static struct node *take_unlogged(struct volume *volume, const struct node *dir)
{
	struct cached *cached = NULL;
	struct node *node = NULL;

	names_lock_read(volume);
	(void)pthread_mutex_lock(&volume->dirty_lock);
	DL_FOREACH(volume->dirty, cached)
	{
		if (cached->node->key->parent != dir || atomic_load(&cached->node->logged))
			continue;
		node = node_ref(cached->node);
		break;
	}
	(void)pthread_mutex_unlock(&volume->dirty_lock);
	names_unlock(volume);
	return node;
}

int volume_fsync_dir(struct volume *volume, struct node *dir)
{
	struct node *node;
	int rc = 0;

	while (!rc && (node = take_unlogged(volume, dir))) {
		rc = volume_commit_node(volume, node);
		volume_unref(volume, node, 1);
	}
	return rc < 0 ? rc : volume_sync(volume);
}

int volume_current_value(struct volume *volume, struct node *node, struct dw_value *owned,
			 struct dw_bytes *ret)
{
	struct key key;

	if (node->cached && node->cached->loaded) {
		*ret = (struct dw_bytes){node->cached->data, atomic_load(&node->size)};
		return 0;
	}
	int rc = key_of_node(node, &key);
	if (!rc)
		rc = dw_get(volume->store, key_bytes(&key), owned);
	key_release(&key);
	if (!rc)
		*ret = (struct dw_bytes){owned->data, owned->size};
	return rc;
}
