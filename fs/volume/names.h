/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * names.h - names that are to be.
 *
 * `names` is held for writing.
 */
#ifndef FS_VOLUME_NAMES_H
#define FS_VOLUME_NAMES_H

#include "fs/volume/core.h"

/* Check a name that shall be created below `parent`, where none has it, and tell its component.
 * 0 or -errno. */
int volume_new_component(struct volume *volume, struct node *parent, const char *name, bool is_dir,
			 struct name *ret);
/* Check that no file has the key already, under whatever name.  0, -EEXIST or another -errno. */
int volume_check_key(struct volume *volume, struct node *parent, const struct name *component);
/* The names of a directory changed. */
void volume_touch_dir(struct volume *volume, struct node *dir);

#endif
