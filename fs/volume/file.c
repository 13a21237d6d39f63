/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * file.c - reading, writing and committing values.
 *
 * A file without a writer has no state here: a read asks the store.  The first
 * write takes the value into memory, where all openers see it; close, fsync and
 * the committer put it into the log whole.
 */
#include "fs/volume/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <utlist.h>

#include "fs/base/clock.h"
#include "fs/volume/commit.h"
#include "fs/volume/dirty.h"
#include "fs/volume/evict.h"
#include "fs/volume/opens.h"

/* Values up to this size are read and checked with one call at every read; larger
 * ones are pinned and checked once while their file is open. */
enum { SMALL_VALUE = 128 << 10 };

/* Closes of one of several descriptors commit at once while the records that they appended, as
 * long as the file is open, stay within so many times its size, and as many bytes more. */
enum { SPENT_FACTOR = 3, SPENT_FREE = 64 << 10, RECORD_OVERHEAD = 28 };
/* Space that must be left on the disk for a commit to wait: later no caller may be there to hear
 * that it failed. */
enum { ROOM_MIN = 16 << 20 };

/* --- reading --- */

static ssize_t copy_out(const struct cached *cached, size_t have, void *ret, size_t size,
			uint64_t offset)
{
	if (offset >= have)
		return 0;
	if (size > have - offset)
		size = (size_t)(have - offset);
	memcpy(ret, cached->data + offset, size);
	return (ssize_t)size;
}

/* From the record that the cached value pins; the node's lock is held. */
static ssize_t read_pinned(struct volume *volume, struct cached *cached, void *ret, size_t size,
			   uint64_t offset)
{
	struct dw_bytes key = {cached->ref_key, cached->ref_key_size};

	return dw_ref_read(volume->store, &cached->ref, key, ret, size, offset);
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
 * when they are in memory, a pin that `*cached_ret` keeps, or one of the caller's. */
static int find_value(struct volume *volume, struct node *node, struct key *key,
		      struct cached **cached_ret, struct dw_ref *ref_ret)
{
	struct cached *cached = node->cached;
	int rc = 0;

	*cached_ret = cached;
	if (cached && (cached->loaded || cached->ref.segment))
		return 0;
	if (!node_is_linked(node))
		return -ESTALE;
	rc = key_of_node(node, key);
	if (rc < 0)
		return rc;
	if (atomic_load(&node->size) <= SMALL_VALUE) {
		*cached_ret = NULL;
		return dw_ref_get(volume->store, key_bytes(key), ref_ret);
	}
	rc = volume_get_cached(volume, node, cached_ret);
	return rc ? rc : cached_pin(*cached_ret, volume->store, key_bytes(key));
}

ssize_t volume_read(struct volume *volume, struct node *node, void *ret, size_t size,
		    uint64_t offset)
{
	struct key key = {.data = key.small};
	struct cached *cached;
	struct dw_ref ref;

	if (node_is_dir(node))
		return -EISDIR;
	file_lock(volume, node);
	ssize_t n = find_value(volume, node, &key, &cached, &ref);
	/* the node's lock is enough from here on: no name waits for the disk */
	names_unlock(volume);
	bool small = !n && !cached;
	if (!n && cached && cached->loaded)
		n = copy_out(cached, atomic_load(&node->size), ret, size, offset);
	else if (!n && cached)
		n = read_pinned(volume, cached, ret, size, offset);
	node_unlock(volume, node);
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
	struct cached *cached;
	size_t end = (size_t)offset + size;
	int rc = volume_load_cached(volume, node, &cached);

	if (!rc && end > atomic_load(&node->size))
		rc = cached_reserve_from(cached, (size_t)offset, end);
	if (rc < 0)
		return rc;
	if (size)
		memcpy(cached->data + offset, data, size);
	if (end > atomic_load(&node->size))
		atomic_store(&node->size, (uint32_t)end);
	volume_touch(volume, node, cached);
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
	int rc = file_lock_for(volume, node, offset + size, &taken);
	if (!rc) {
		rc = write_locked(volume, node, data, size, offset);
		volume_drop_cached(volume, node);
		file_unlock_for(volume, node, taken);
	}
	if (rc < 0) /* bytes written through a mapping stay in the kernel's pages */
		volume_suspect_pages(volume, node);
	return rc < 0 ? rc : (ssize_t)size;
}

static int zero_range(struct volume *volume, struct node *node, uint64_t offset, uint64_t size)
{
	struct cached *cached;
	uint64_t have = atomic_load(&node->size);

	if (offset >= have)
		return 0;
	int rc = volume_load_cached(volume, node, &cached);
	if (rc < 0)
		return rc;
	memset(cached->data + offset, 0, (size_t)(size < have - offset ? size : have - offset));
	volume_touch(volume, node, cached);
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
	int rc = file_lock_for(volume, node, keeps ? 0 : offset + size, &taken);
	if (rc < 0)
		return rc;
	/* growing first: on failure nothing was zeroed either */
	if (!keeps && offset + size > atomic_load(&node->size))
		rc = volume_resize_locked(volume, node, offset + size);
	if (!rc && zeroes)
		rc = zero_range(volume, node, offset, size);
	volume_drop_cached(volume, node);
	file_unlock_for(volume, node, taken);
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
	const struct cached *cached = node->cached;
	uint64_t size = atomic_load(&node->size);

	if (!cached || !cached->dirty)
		return true;
	bool cheap = cached->spent + size <= SPENT_FACTOR * size + SPENT_FREE ||
		     clock_monotonic_ms() - cached->committed_ms >= volume->options.commit_ms;
	return (cached->fresh || !cheap) && is_roomy(volume, size);
}

int volume_commit_close(struct volume *volume, struct node *node)
{
	struct cached *cached = node->cached;

	if (may_wait(volume, node))
		return 0;
	int rc = volume_commit_locked(volume, node);
	/* syncs are asked for, and must not put off the only close of a descriptor */
	if (!rc)
		cached->spent += node_key_size(node) + atomic_load(&node->size) + RECORD_OVERHEAD;
	return rc;
}

static int commit(struct volume *volume, struct node *node, bool closes)
{
	if (node_is_dir(node) || volume->options.read_only)
		return 0;
	file_lock(volume, node);
	int rc = closes ? volume_commit_close(volume, node) : volume_commit_locked(volume, node);
	if (rc < 0)
		node->cached->told_error = rc;
	volume_drop_cached(volume, node);
	file_unlock(volume, node);
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
