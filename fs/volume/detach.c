/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * detach.c - see detach.h.
 */
#include "fs/volume/detach.h"

#include "fs/volume/dirty.h"
#include "fs/volume/xattrmem.h"

int volume_preserve(struct volume *volume, struct node *node)
{
	struct cached *cached;
	struct key key;

	/* the caller has one reference; another holder may still open it */
	if (atomic_load(&node->refs) <= 1)
		return 0;
	(void)volume_need_xattrs(volume, node); /* removing goes on without them */
	if (node->cached && node->cached->loaded)
		return 0;
	int rc = volume_get_cached(volume, node, &cached);
	if (rc < 0)
		return rc;
	rc = key_of_node(node, &key);
	if (!rc)
		rc = cached_pin(cached, volume->store, key_bytes(&key));
	key_release(&key);
	return rc;
}

void volume_detach(struct volume *volume, struct node *node)
{
	volume_keep_nameless_xattrs(volume, node);
	volume_take_name(volume, node);
	/* its key may soon belong to another file: their inode numbers must differ */
	tree_forget_ino(&volume->tree, node);
	atomic_store(&node->logged, false);
	if (node->cached) {
		volume_mark_clean(volume, node->cached);
		volume_note_busy(volume, node->cached); /* it is in no log now */
	}
}
