/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * opens.c - see opens.h.
 */
#include "fs/volume/opens.h"

#include <assert.h>
#include <fcntl.h>

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
