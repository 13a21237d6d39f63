/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * tree.h - removing directories with all that is in them.
 *
 * Nothing of another file system goes, and links are removed, not followed.
 */
#ifndef TOOLS_SOAK_TREE_H
#define TOOLS_SOAK_TREE_H

/* Remove a directory and all below it.  A missing one is fine.  0 or -errno. */
int tree_remove(const char *path);

/* The same of all below it, but not of the directory itself. */
int tree_clear(const char *path);

#endif
