/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * sweep.h - all records of attributes looked at once a mount.
 *
 * Records of keys that vanished while nothing was mounted go, or a new file of that name would have
 * them; records that a crash left behind are written anew (fs/volume/mend.h).  Nothing depends on
 * when: each record is looked at as well when a node is made.
 */
#ifndef FS_VOLUME_SWEEP_H
#define FS_VOLUME_SWEEP_H

#include "fs/volume/core.h"

/* A few records at once, when a volume is opened; more are left to sweep_start(). */
void sweep_open(struct volume *volume);
/* In a thread, until it is done or sweep_stop().  0 or -errno. */
int sweep_start(struct volume *volume);
void sweep_stop(struct volume *volume);

#endif
