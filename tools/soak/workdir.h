/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * workdir.h - the directory that a run has for itself.
 */
#ifndef TOOLS_SOAK_WORKDIR_H
#define TOOLS_SOAK_WORKDIR_H

#include "tools/soak/backend.h"

/* Make the work directory an empty store, and a mount point beside it.  Files of an earlier run are
 * removed; a directory with other things in it is refused, and one that another run uses.  The
 * claim ends with the process. 0, or SOAK_SETUP after a message. */
int workdir_claim(const char *path, struct paths *ret);

/* Mark a store as one that a run made, so that a later one may remove it.  0 or -errno. */
int workdir_mark(const char *store);

/* Remove the mount point and free.  `{0}` is fine. */
void workdir_release(struct paths *paths);

#endif
