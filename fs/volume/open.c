/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * open.c - opening and closing files, and what becomes of their pages.
 *
 * A file that is opened for writing only is written past the kernel's pages: it has
 * none to keep then, and does not ask before each write whether the file has capabilities to
 * lose.  Whoever opens it meanwhile goes the same way, so that nobody reads pages
 * that others write past.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "fs/volume/internal.h"

void volume_note_open(struct volume *volume, struct node *node, int flags)
{
	bool only_writes = (flags & O_ACCMODE) == O_WRONLY;

	if (!node->opens++) {
		node->direct = only_writes && atomic_load(&volume->direct);
		node->renewed = node->suspect && !node->direct;
	} else if (node->direct && !only_writes) {
		node->suspect =
			true; /* by mmap or splice it may get a page that is being written */
	}
}

void volume_suspect_pages(struct volume *volume, struct node *node)
{
	pthread_mutex_t *lock = volume_node_lock(volume, node);

	(void)pthread_mutex_lock(lock);
	node->suspect = true;
	node->renewed = false;
	(void)pthread_mutex_unlock(lock);
}

void volume_note_close(struct node *node)
{
	assert(node->opens);
	/* the last of those whose opening dropped the pages of before */
	if (!--node->opens && node->renewed)
		node->suspect = node->renewed = false;
}

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
	volume_lock_file(volume, node);
	if (!node_is_linked(node) && !node->content) {
		/* it went between the caller's lookup and now; the kernel looks again */
		volume_unlock_file(volume, node);
		return -ESTALE;
	}
	volume_note_open(volume, node, flags);
	if (flags & O_TRUNC)
		rc = volume_resize_locked(volume, node, 0);
	if (flags & O_TRUNC && !rc && node->content->dirty)
		node->content->fresh = true; /* the log goes from the old value to the new one */
	if (rc < 0) {
		node->opens--; /* the kernel dropped no pages for it */
		volume_drop_content(volume, node);
	} else {
		node_ref(node);
	}
	volume_unlock_file(volume, node);
	return rc;
}

int volume_release(struct volume *volume, struct node *node)
{
	volume_lock_file(volume, node);
	struct content *content = node->content;
	/* a close that was told of the failure is not followed by a late success */
	bool told = content && content->dirty && content->told_error && node->opens == 1;
	/* pages written through a mapping arrive after the last flush */
	int rc = told              ? content->told_error
		 : node->opens > 1 ? volume_commit_close(volume, node)
				   : volume_commit_locked(volume, node);
	bool failed = rc < 0 && node->opens == 1;
	if (failed) {
		assert(content); /* else there was nothing to commit */
		content->told_error = rc;
	}
	if (!failed) {
		volume_note_close(node);
		volume_drop_content(volume, node);
	}
	volume_unlock_file(volume, node);
	bool lost = failed && volume_close_failed(volume, node, rc);
	volume_unref(volume, node, 1);
	return lost ? rc : 0;
}

/* --- giving pages --- */

/* The value in `data`, and a call of `give`; both locks are held. */
static void give_locked(struct volume *volume, struct node *node, void *data, volume_give_fn *give,
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
			give(context, data, size);
			atomic_store(&node->given, true);
		}
		dw_ref_put(volume->store, &ref);
	}
	key_release(&key);
}

void volume_give(struct volume *volume, struct node *node, size_t size_max, volume_give_fn *give,
		 void *context)
{
	size_t size = atomic_load(&node->size);
	void *data = size && size <= size_max ? malloc(size) : NULL;

	if (!data)
		return;
	volume_lock_file(volume, node);
	if (node->opens == 1 && !node->direct && !node->suspect && !atomic_load(&node->given) &&
	    !node->content && node_is_linked(node) && atomic_load(&node->size) == size)
		give_locked(volume, node, data, give, context);
	volume_unlock_file(volume, node);
	free(data);
}
