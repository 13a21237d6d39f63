/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * tree.c - see tree.h.
 */
#include "tools/soak/tree.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static int remove_below(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	return ftw->level ? remove_entry(path, st, kind, ftw) : 0;
}

static int walk(const char *path, __nftw_func_t remove)
{
	if (nftw(path, remove, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

int tree_remove(const char *path)
{
	return walk(path, remove_entry);
}

int tree_clear(const char *path)
{
	return walk(path, remove_below);
}
