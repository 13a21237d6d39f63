/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * store.h - from the settings to a volume: opening, repairing, and why not.
 */
#ifndef FS_DAEMON_STORE_H
#define FS_DAEMON_STORE_H

#include "fs/daemon/settings.h"
#include "fs/volume/volume.h"

/* Compaction in the background, as the settings say; whether it is to go on from the start. */
struct dw_maintain_options store_maintenance(const struct settings *settings);
bool store_is_maintained(const struct settings *settings);

/* Open it as the settings say, with repair if they say so.  0, or 1 after saying why
 * not. */
int store_open_volume(const struct settings *settings, struct volume **ret);
/* The same for a volume that takes the place of another (generations_config.open; `settings`
 * is a struct settings): 0 or -errno. */
int store_reopen_volume(void *settings, struct volume **ret);
/* Open a snapshot of the store in directory `dirfd` (generations_config.open_snapshot). */
int store_open_snapshot(void *settings, int dirfd, const char *name, struct volume **ret);

#endif
