/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * stat.c - see stat.h.
 */
#include "fs/volume/stat.h"

#include <stdlib.h>

#include "fs/volume/journal.h"

enum { BLOCK_SIZE = 4096 };

static mode_t type_of(const struct node *node)
{
	if (node_is_dir(node))
		return S_IFDIR;
	return node->attrs && node->attrs->set & ATTR_SYMLINK ? S_IFLNK : S_IFREG;
}

void volume_fill_stat(struct volume *volume, struct node *node, struct stat *ret)
{
	uint32_t size = node_is_dir(node) ? 0 : atomic_load(&node->size);

	*ret = (struct stat){
		.st_ino = node->ino,
		.st_mode = type_of(node),
		.st_nlink = node_is_linked(node) ? 1 : 0,
		.st_size = size,
		.st_blksize = BLOCK_SIZE,
		.st_blocks = ((blkcnt_t)size + 511) / 512,
	};
	journal_check_times(volume, node);
	attr_fill(&volume->defaults, node->attrs, atomic_load(&node->mtime_ns), ret);
}

struct attrs *volume_own_attrs(struct node *node)
{
	if (!node->attrs)
		node->attrs = calloc(1, sizeof *node->attrs);
	return node->attrs;
}

void volume_stat_node(struct volume *volume, struct node *node, struct stat *ret)
{
	node_lock(volume, node);
	volume_fill_stat(volume, node, ret);
	node_unlock(volume, node);
}

void volume_fill_entry(struct volume *volume, struct node *node, struct volume_entry *ret)
{
	volume_stat_node(volume, node, &ret->st);
	ret->node = node;
}

int64_t volume_current_mtime(struct volume *volume, struct node *node)
{
	journal_check_times(volume, node);
	if (node->attrs && node->attrs->set & ATTR_MTIME)
		return node->attrs->mtime_ns;
	return atomic_load(&node->mtime_ns);
}
