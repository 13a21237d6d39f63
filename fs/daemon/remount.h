/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * remount.h - datawalfs STORE MOUNTPOINT -o remount, as mount(8) calls it.
 */
#ifndef FS_DAEMON_REMOUNT_H
#define FS_DAEMON_REMOUNT_H

#include "fs/daemon/settings.h"

/* Give the mount the flags that the options ask for; only what the kernel minds can be changed.
 * The exit status, after saying what is wrong. */
int remount(const struct settings *settings, const char *mountpoint);

#endif
