/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * names.h - names that are to be.
 */
#ifndef FS_VOLUME_NAMES_H
#define FS_VOLUME_NAMES_H

#include "fs/volume/core.h"

/* Check a name that shall be created below `parent`, and tell its component: `beside`
 * says that it is the key of a file whose name a directory has.  `names` held. */
int volume_new_component(struct volume *volume, struct node *parent, const char *name, bool is_dir,
			 struct name *ret, bool *beside_ret);
/* Whether a file has the key already, under whatever name. */
bool volume_key_is_taken(struct volume *volume, struct node *parent, const struct name *component);
/* Whether a file has the key of this directory's name, in the end. */
void volume_update_conflict(struct volume *volume, struct node *dir);
/* The names of a directory changed. */
void volume_touch_dir(struct volume *volume, struct node *dir);

#endif
