/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * paths.h - the paths of the settings.
 */
#ifndef FS_DAEMON_PATHS_H
#define FS_DAEMON_PATHS_H

#include "fs/daemon/settings.h"

/* Make paths absolute, open the directory for exports, and see whether the mount point can
 * be one.  0, or 1 after saying what is wrong. */
int paths_resolve(struct settings *settings, const char *mountpoint);

#endif
