/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * open.c - opening and closing files, and what becomes of their pages.
 *
 * A file that is opened for writing only is written past the kernel's pages: it has
 * none to keep then, and does not ask before each write whether the file has capabilities to
 * lose.  Later openers bypass the pages as well, so that no process reads pages that another writes
 * past.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "fs/volume/commit.h"
#include "fs/volume/dirty.h"
#include "fs/volume/file.h"
#include "fs/volume/lost.h"
#include "fs/volume/opens.h"

void volume_allow_direct(struct volume *volume)
{
	atomic_store(&volume->direct, true);
}

enum volume_paging volume_paging(struct volume *volume, struct node *node)
{
	pthread_mutex_t *lock = volume_node_lock(volume, node);

	(void)pthread_mutex_lock(lock);
	enum volume_paging paging = node->direct    ? VOLUME_PAGES_DIRECT
				    : node->suspect ? VOLUME_PAGES_NEW
						    : VOLUME_PAGES_KEPT;
	(void)pthread_mutex_unlock(lock);
	return paging;
}

int volume_open_file(struct volume *volume, struct node *node, int flags)
{
	bool writes = (flags & O_ACCMODE) != O_RDONLY;
	int rc = 0;

	if (node_is_dir(node))
		return -EISDIR;
	if (volume->options.read_only && (writes || flags & O_TRUNC))
		return -EROFS;
	file_lock(volume, node);
	if (!node_is_linked(node) && !node->cached) {
		/* it went between the caller's lookup and now; the kernel looks again */
		file_unlock(volume, node);
		return -ESTALE;
	}
	volume_note_open(volume, node, flags);
	if (flags & O_TRUNC)
		rc = volume_resize_locked(volume, node, 0);
	if (flags & O_TRUNC && !rc && node->cached->dirty)
		node->cached->fresh = true; /* the log goes from the old value to the new one */
	if (rc < 0) {
		node->opens--; /* the kernel dropped no pages for it */
		volume_drop_cached(volume, node);
	} else {
		node_ref(node);
	}
	file_unlock(volume, node);
	return rc;
}

int volume_release(struct volume *volume, struct node *node)
{
	file_lock(volume, node);
	struct cached *cached = node->cached;
	/* a close that was told of the failure is not followed by a late success */
	bool told = cached && cached->dirty && cached->told_error && node->opens == 1;
	/* pages written through a mapping arrive after the last flush */
	int rc = told              ? cached->told_error
		 : node->opens > 1 ? volume_commit_close(volume, node)
				   : volume_commit_locked(volume, node);
	bool failed = rc < 0 && node->opens == 1;
	if (failed) {
		assert(cached); /* else there was nothing to commit */
		cached->told_error = rc;
	}
	if (!failed) {
		volume_note_close(node);
		volume_drop_cached(volume, node);
	}
	file_unlock(volume, node);
	bool lost = failed && volume_close_failed(volume, node, rc);
	volume_unref(volume, node, 1);
	return lost ? rc : 0;
}

/* --- pushing pages into the page cache --- */

/* The value in `data`, and a call of `push`; both locks are held. */
static void push_locked(struct volume *volume, struct node *node, void *data, volume_push_fn *push,
			void *context)
{
	struct key key = {.data = key.small};
	size_t size = atomic_load(&node->size);
	struct dw_ref ref;

	if (key_of_node(node, &key) < 0)
		return;
	if (!dw_ref_get(volume->store, key_bytes(&key), &ref)) {
		ssize_t n = dw_ref_read(volume->store, &ref, key_bytes(&key), data, size, 0);
		if (n == (ssize_t)size) {
			push(context, data, size);
			atomic_store(&node->pushed, true);
		}
		dw_ref_put(volume->store, &ref);
	}
	key_release(&key);
}

void volume_push(struct volume *volume, struct node *node, size_t size_max, volume_push_fn *push,
		 void *context)
{
	size_t size = atomic_load(&node->size);
	void *data = size && size <= size_max ? malloc(size) : NULL;

	if (!data)
		return;
	file_lock(volume, node);
	if (node->opens == 1 && !node->direct && !node->suspect && !atomic_load(&node->pushed) &&
	    !node->cached && node_is_linked(node) && atomic_load(&node->size) == size)
		push_locked(volume, node, data, push, context);
	file_unlock(volume, node);
	free(data);
}
