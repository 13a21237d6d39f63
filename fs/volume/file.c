/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * file.c - reading, writing and committing values.
 *
 * A file that nobody writes has no state here: a read asks the store.  The first
 * write takes the value into memory, where all openers see it; close, fsync and
 * the committer put it into the log whole.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <utlist.h>

#include "fs/base/clock.h"
#include "fs/volume/internal.h"

/* Values up to this size are read and checked with one call at every read; larger
 * ones are pinned and checked once while their file is open. */
enum { SMALL_VALUE = 128 << 10 };

/* Closes of one of several descriptors commit at once while the records that they appended, as
 * long as the file is open, stay within so many times its size, and as many bytes more. */
enum { SPENT_FACTOR = 3, SPENT_FREE = 64 << 10, RECORD_OVERHEAD = 28 };
/* Space that must be left on the disk for a commit to wait: later nobody may be there to hear
 * that it failed. */
enum { ROOM_MIN = 16 << 20 };

/* --- contents --- */

int volume_get_content(struct volume *volume, struct node *node, struct content **ret)
{
	if (!node->content) {
		node->content = content_new(node, &volume->room);
		if (!node->content)
			return -ENOMEM;
		(void)pthread_mutex_lock(&volume->dirty_lock);
		DL_APPEND2(volume->contents, node->content, prev_all, next_all);
		(void)pthread_mutex_unlock(&volume->dirty_lock);
	}
	*ret = node->content;
	return 0;
}

void volume_free_content(struct volume *volume, struct node *node)
{
	struct content *content = node->content;

	if (!content)
		return;
	volume_note_busy(volume, content);
	(void)pthread_mutex_lock(&volume->dirty_lock);
	DL_DELETE2(volume->contents, content, prev_all, next_all);
	(void)pthread_mutex_unlock(&volume->dirty_lock);
	if (content_free(content, volume->store)) {
		(void)pthread_mutex_lock(&volume->dirty_lock);
		(void)pthread_cond_signal(&volume->wake);
		(void)pthread_mutex_unlock(&volume->dirty_lock);
	}
	node->content = NULL;
}

/* Of a node out of the tree it is all that there is, as long as anybody knows the node. */
void volume_drop_content(struct volume *volume, struct node *node)
{
	struct content *content = node->content;

	if (!content || content->dirty || !node_is_linked(node))
		return;
	if (!node->opens)
		volume_free_content(volume, node);
	else if (content->loaded)
		volume_note_idle(volume, content);
}

void volume_unref(struct volume *volume, struct node *node, uint64_t count)
{
	if (!node_release(node, count))
		return;
	if (!node_is_dir(node))
		volume_free_content(volume, node);
	volume_drop_nameless_xattrs(volume, node);
	node_free(node);
}

int volume_load_content(struct volume *volume, struct node *node, struct content **ret)
{
	struct key key;
	int rc = volume_get_content(volume, node, ret);

	if (rc < 0 || (*ret)->loaded)
		return rc;
	rc = key_of_node(node, &key);
	if (!rc)
		rc = content_load(*ret, volume->store, key_bytes(&key));
	key_release(&key);
	return rc;
}

bool volume_is_marker_name(const struct volume *volume, const struct node *node)
{
	return !volume->options.flat && node_is_linked(node) && !node_component(node).size &&
	       node->key->parent != volume->tree.root;
}

static void touch(struct volume *volume, struct node *node, struct content *content)
{
	content->told_error = 0;
	content->fresh = false;
	atomic_store(&node->given, false);
	atomic_store(&node->mtime_ns, clock_realtime_ns());
	if (node->attrs)
		attr_new_value(node->attrs);
	if (node_is_linked(node))
		volume_mark_dirty(volume, content);
}

int volume_resize_locked(struct volume *volume, struct node *node, uint64_t size)
{
	struct content *content;
	int rc = 0;

	if (size > DW_VALUE_SIZE_MAX)
		return -EFBIG;
	if (!size && volume_is_marker_name(volume, node))
		return -EINVAL;
	if (size)
		rc = volume_load_content(volume, node, &content);
	else if (!(rc = volume_get_content(volume, node, &content)))
		content->loaded = true; /* whatever was there counts no more */
	if (!rc && size > atomic_load(&node->size))
		rc = content_reserve(content, (size_t)size);
	if (rc < 0)
		return rc;
	atomic_store(&node->size, (uint32_t)size);
	touch(volume, node, content);
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
		rc = volume_keep_before_put(volume, node, op.key);
	if (!rc)
		rc = dw_batch(volume->store, &op, 1);
	if (!rc) {
		node_set_logged(node, true);
		int kept = volume_keep_after_put(volume, node, op.key);
		/* the value is there: only its times may be lost with the next mount */
		if (kept < 0)
			volume_log(volume, LOG_WARNING, "times of '%s' could not be kept: %s",
				   volume_quote(node, quoted), strerror(-kept));
	}
	if (node->content && !rc)
		node->content->committed_ms = clock_monotonic_ms();
	key_release(&key);
	atomic_store(&volume->failing, rc < 0);
	if (rc < 0)
		volume_note_failed(volume, node, rc);
	return rc;
}

int volume_truncate_locked(struct volume *volume, struct node *node, uint64_t size)
{
	struct content *content;
	int64_t now = clock_realtime_ns();

	if (!size && volume_is_marker_name(volume, node))
		return -EINVAL;
	if (!node_is_linked(node))
		return volume_resize_locked(volume, node, size);
	int rc = volume_need_xattrs(volume, node);
	if (rc < 0)
		return rc;
	rc = size ? volume_load_content(volume, node, &content)
		  : volume_get_content(volume, node, &content);
	if (!rc && size > atomic_load(&node->size))
		rc = content_reserve(content, (size_t)size);
	if (rc < 0)
		return rc;
	const struct attrs old = node->attrs ? *node->attrs : (struct attrs){.set = 0};
	if (node->attrs)
		attr_new_value(node->attrs);
	rc = put_value(volume, node, (struct dw_bytes){content->data, (size_t)size}, now);
	if (rc < 0) {
		/* nothing was changed; but privileges that went first stay away */
		if (node->attrs)
			attr_restore(node->attrs, &old);
		return rc;
	}
	content->loaded = true;
	atomic_store(&node->given, false);
	atomic_store(&node->size, (uint32_t)size);
	atomic_store(&node->mtime_ns, now);
	volume_mark_clean(volume, content);
	return 0;
}

int volume_commit_locked(struct volume *volume, struct node *node)
{
	struct content *content = node->content;

	if (!content || !content->dirty)
		return 0;
	assert(node_is_linked(node) && content->loaded);
	const struct dw_bytes value = {content->data, atomic_load(&node->size)};
	int rc = 0;
	if (node->attrs && (node->attrs->unsaved || node->attrs->times_unsaved))
		rc = volume_need_xattrs(volume, node);
	if (!rc)
		rc = put_value(volume, node, value, atomic_load(&node->mtime_ns));
	if (!rc)
		volume_mark_clean(volume, content);
	volume_let_xattrs_go(node);
	return rc;
}

/* --- leaving the tree --- */

int volume_preserve(struct volume *volume, struct node *node)
{
	struct content *content;
	struct key key;

	/* the tree and the caller count on it; whoever else does may open it yet */
	if (atomic_load(&node->refs) <= 2)
		return 0;
	(void)volume_need_xattrs(volume, node); /* removing goes on without them */
	if (node->content && node->content->loaded)
		return 0;
	int rc = volume_get_content(volume, node, &content);
	if (rc < 0)
		return rc;
	rc = key_of_node(node, &key);
	if (!rc)
		rc = content_pin(content, volume->store, key_bytes(&key));
	key_release(&key);
	return rc;
}

void volume_detach(struct volume *volume, struct node *node)
{
	volume_keep_nameless_xattrs(volume, node);
	tree_unlink(&volume->tree, node);
	/* its key may be another file's soon: whoever compares numbers must see two */
	tree_forget_ino(&volume->tree, node);
	atomic_store(&node->logged, false);
	if (node->content) {
		volume_mark_clean(volume, node->content);
		volume_note_busy(volume, node->content); /* it is in no log now */
	}
}

/* --- reading --- */

static ssize_t copy_out(const struct content *content, size_t have, void *ret, size_t size,
			uint64_t offset)
{
	if (offset >= have)
		return 0;
	if (size > have - offset)
		size = (size_t)(have - offset);
	memcpy(ret, content->data + offset, size);
	return (ssize_t)size;
}

/* From the record that the content pins; the node's lock is held. */
static ssize_t read_pinned(struct volume *volume, struct content *content, void *ret, size_t size,
			   uint64_t offset)
{
	struct dw_bytes key = {content->ref_key, content->ref_key_size};

	return dw_ref_read(volume->store, &content->ref, key, ret, size, offset);
}

/* A small value: one call to the store, with no lock held. */
static ssize_t read_small(struct volume *volume, struct dw_ref *ref, const struct key *key,
			  void *ret, size_t size, uint64_t offset)
{
	ssize_t n = dw_ref_read(volume->store, ref, key_bytes(key), ret, size, offset);

	dw_ref_put(volume->store, ref);
	return n;
}

/* Find what a file's bytes are to be read from, while its key cannot change: nothing
 * when they are in memory, a pin that `*content_ret` keeps, or one of the caller's. */
static int find_value(struct volume *volume, struct node *node, struct key *key,
		      struct content **content_ret, struct dw_ref *ref_ret)
{
	struct content *content = node->content;
	int rc = 0;

	*content_ret = content;
	if (content && (content->loaded || content->ref.segment))
		return 0;
	if (!node_is_linked(node))
		return -ESTALE;
	rc = key_of_node(node, key);
	if (rc < 0)
		return rc;
	if (atomic_load(&node->size) <= SMALL_VALUE) {
		*content_ret = NULL;
		return dw_ref_get(volume->store, key_bytes(key), ref_ret);
	}
	rc = volume_get_content(volume, node, content_ret);
	return rc ? rc : content_pin(*content_ret, volume->store, key_bytes(key));
}

ssize_t volume_read(struct volume *volume, struct node *node, void *ret, size_t size,
		    uint64_t offset)
{
	struct key key = {.data = key.small};
	struct content *content;
	struct dw_ref ref;

	if (node_is_dir(node))
		return -EISDIR;
	volume_lock_file(volume, node);
	ssize_t n = find_value(volume, node, &key, &content, &ref);
	/* the node's lock is enough from here on: no name waits for the disk */
	(void)pthread_rwlock_unlock(&volume->names);
	bool small = !n && !content;
	if (!n && content && content->loaded)
		n = copy_out(content, atomic_load(&node->size), ret, size, offset);
	else if (!n && content)
		n = read_pinned(volume, content, ret, size, offset);
	(void)pthread_mutex_unlock(volume_node_lock(volume, node));
	if (small)
		n = read_small(volume, &ref, &key, ret, size, offset);
	key_release(&key);
	return n;
}

int volume_readlink(struct volume *volume, struct node *node, char **ret)
{
	char *target = calloc(1, PATH_MAX + 1);
	struct stat st;

	if (!target)
		return -ENOMEM;
	int rc = volume_getattr(volume, node, &st);
	if (!rc && !S_ISLNK(st.st_mode))
		rc = -EINVAL;
	ssize_t n = rc ? rc : volume_read(volume, node, target, PATH_MAX, 0);
	if (n < 0) {
		free(target);
		return (int)n;
	}
	*ret = target;
	return 0;
}

/* --- writing --- */

static int write_locked(struct volume *volume, struct node *node, const void *data, size_t size,
			uint64_t offset)
{
	struct content *content;
	size_t end = (size_t)offset + size;
	int rc = volume_load_content(volume, node, &content);

	if (!rc && end > atomic_load(&node->size))
		rc = content_reserve_from(content, (size_t)offset, end);
	if (rc < 0)
		return rc;
	if (size)
		memcpy(content->data + offset, data, size);
	if (end > atomic_load(&node->size))
		atomic_store(&node->size, (uint32_t)end);
	touch(volume, node, content);
	return 0;
}

ssize_t volume_write(struct volume *volume, struct node *node, const void *data, size_t size,
		     uint64_t offset)
{
	size_t taken = 0;

	if (volume->options.read_only)
		return -EROFS;
	if (node_is_dir(node))
		return -EISDIR;
	if (!size)
		return 0;
	if (offset >= DW_VALUE_SIZE_MAX)
		return -EFBIG;
	if (size > DW_VALUE_SIZE_MAX - offset)
		size = (size_t)(DW_VALUE_SIZE_MAX - offset);
	int rc = volume_lock_for(volume, node, offset + size, &taken);
	if (!rc) {
		rc = write_locked(volume, node, data, size, offset);
		volume_drop_content(volume, node);
		volume_unlock_for(volume, node, taken);
	}
	if (rc < 0) /* what came from a mapping stays in the kernel's pages */
		volume_suspect_pages(volume, node);
	return rc < 0 ? rc : (ssize_t)size;
}

static int zero_range(struct volume *volume, struct node *node, uint64_t offset, uint64_t size)
{
	struct content *content;
	uint64_t have = atomic_load(&node->size);

	if (offset >= have)
		return 0;
	int rc = volume_load_content(volume, node, &content);
	if (rc < 0)
		return rc;
	memset(content->data + offset, 0, (size_t)(size < have - offset ? size : have - offset));
	touch(volume, node, content);
	return 0;
}

int volume_fallocate(struct volume *volume, struct node *node, int mode, uint64_t offset,
		     uint64_t size)
{
	bool zeroes = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
	bool keeps = mode & FALLOC_FL_KEEP_SIZE;
	size_t taken = 0;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	if (volume->options.read_only)
		return -EROFS;
	if (offset > DW_VALUE_SIZE_MAX || size > DW_VALUE_SIZE_MAX - offset)
		return -EFBIG;
	int rc = volume_lock_for(volume, node, keeps ? 0 : offset + size, &taken);
	if (rc < 0)
		return rc;
	/* growing first: on failure nothing was zeroed either */
	if (!keeps && offset + size > atomic_load(&node->size))
		rc = volume_resize_locked(volume, node, offset + size);
	if (!rc && zeroes)
		rc = zero_range(volume, node, offset, size);
	volume_drop_content(volume, node);
	volume_unlock_for(volume, node, taken);
	return rc;
}

/* --- committing --- */

static bool is_roomy(struct volume *volume, uint64_t size)
{
	struct statvfs disk;

	return !atomic_load(&volume->failing) && !volume_statfs(volume, &disk) &&
	       (uint64_t)disk.f_bavail * disk.f_frsize >= ROOM_MIN + 2 * size;
}

/* Whether the commit may be left to the last close, a sync or the timer. */
static bool may_wait(struct volume *volume, struct node *node)
{
	const struct content *content = node->content;
	uint64_t size = atomic_load(&node->size);

	if (!content || !content->dirty)
		return true;
	bool cheap = content->spent + size <= SPENT_FACTOR * size + SPENT_FREE ||
		     clock_monotonic_ms() - content->committed_ms >= volume->options.commit_ms;
	return (content->fresh || !cheap) && is_roomy(volume, size);
}

int volume_commit_close(struct volume *volume, struct node *node)
{
	struct content *content = node->content;

	if (may_wait(volume, node))
		return 0;
	int rc = volume_commit_locked(volume, node);
	/* syncs are asked for, and must not put off the only close of a descriptor */
	if (!rc)
		content->spent += node_key_size(node) + atomic_load(&node->size) + RECORD_OVERHEAD;
	return rc;
}

static int commit(struct volume *volume, struct node *node, bool closes)
{
	if (node_is_dir(node) || volume->options.read_only)
		return 0;
	volume_lock_file(volume, node);
	int rc = closes ? volume_commit_close(volume, node) : volume_commit_locked(volume, node);
	if (rc < 0)
		node->content->told_error = rc;
	volume_drop_content(volume, node);
	volume_unlock_file(volume, node);
	return rc;
}

int volume_flush(struct volume *volume, struct node *node)
{
	return commit(volume, node, true);
}

int volume_commit(struct volume *volume, struct node *node)
{
	return commit(volume, node, false);
}

int volume_fsync(struct volume *volume, struct node *node)
{
	int rc = volume_commit(volume, node);

	return rc < 0 ? rc : volume_sync(volume);
}

int volume_sync(struct volume *volume)
{
	return volume_settle(volume);
}
