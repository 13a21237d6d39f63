/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * create.h - new files, links and directories.
 */
#ifndef FS_VOLUME_CREATE_H
#define FS_VOLUME_CREATE_H

#include "fs/volume/core.h"

/* Owner and mode of something new below `parent`, where they differ from what the mount says.
 * `names` held, no node's lock. */
int volume_set_initial_attrs(struct volume *volume, const struct volume_cred *cred,
			     const struct node *parent, mode_t mode, struct node *node);

#endif
