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

/* Have the kernel forget the root of `old`, which another volume replaced
 * (generations_config.changed).  `mount` is a struct mount. */
void forget_volume(void *mount, struct volume *old);

/* Forget the names known for longest, if the kernel knows so many that they take much memory. */
void forget_surplus(struct mount *mount);

/* Forget the unused nodes of older generations and removed snapshots. */
void forget_left(struct mount *mount);

#endif
