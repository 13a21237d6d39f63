/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * rename_dir.h - the keys of a directory that gets another name.
 *
 * `names` is held for writing.
 */
#ifndef FS_VOLUME_RENAME_DIR_H
#define FS_VOLUME_RENAME_DIR_H

#include "fs/volume/core.h"

/* Move all keys below `dir`, and the attributes of files and directories, to `prefix`, which ends
 * in a slash; `target` (may be NULL): the empty directory that has it.  On failure all is as
 * before. */
int rename_dir_keys(struct volume *volume, struct node *dir, struct node *target,
		    struct dw_bytes prefix);
/* And `dir` has its new name. */
void rename_dir_done(struct volume *volume, struct node *dir);

#endif
