/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * path.h - files and directories that the tools make or look into.
 */
#ifndef TOOLS_COMMON_PATH_H
#define TOOLS_COMMON_PATH_H

#include <stdbool.h>
#include <stdio.h>

/* Make a directory and those above it.  0 or -errno. */
int path_make_directory(const char *path);

/* Make the directories above `path`.  0 or -errno. */
int path_make_parents(const char *path);

/* A file to write from its beginning; NULL and errno, ELOOP where a link stands in its place. */
FILE *path_create(const char *path);

/* Whether a directory has no entries; a `lost+found`, with which a new file system begins, is
 * not counted.  1, 0, or -errno. */
int path_is_empty(const char *path);

#endif
