/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * forget.h - having the kernel forget names of volumes that shall go.
 *
 * Never from a request: the kernel waits for the lock of a directory, which another request may
 * hold until it is answered.
 */
#ifndef FS_FUSE_FORGET_H
#define FS_FUSE_FORGET_H

#include "fs/fuse/mount.h"

/* What it knows of the root of `old`, whose place another volume took
 * (generations_config.changed).  `mount` is a struct mount. */
void forget_volume(void *mount, struct volume *old);

/* What has been known longest, where so much is known that it takes memory. */
void forget_surplus(struct mount *mount);

/* What nobody uses of older generations and removed snapshots. */
void forget_left(struct mount *mount);

#endif
