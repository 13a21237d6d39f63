/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * shown.h - the names that keys are shown by, where these depend on other keys of their directory.
 *
 * fs/name/name.h encodes a component by itself.  Two rules are left (docs/FORMAT.md): a component
 * that is a file's and a directory's is in conflict, and the file is shown with %=; a name that
 * reads like that of a directory in conflict and one or more %= gets one %= more.  Whether there
 * is a conflict is asked of the store, so no name costs memory.
 *
 * A name must stay the same while it may be known.  So a conflict that ends through the
 * mount, since the file or the directory goes, is remembered until the next mount; of a great many,
 * those that ended last.
 *
 * `names` is held; where conflicts are remembered, for writing.
 */
#ifndef FS_VOLUME_SHOWN_H
#define FS_VOLUME_SHOWN_H

#include "fs/volume/core.h"

/* The name that shows a component of `dir`.  0 or -errno. */
int shown_name(struct volume *volume, struct node *dir, struct dw_bytes component, bool is_dir,
	       struct name *ret);
/* The same for one that is known to be in conflict, or not to be. */
int shown_name_as(struct volume *volume, struct node *dir, struct dw_bytes component, bool is_dir,
		  bool conflict, struct name *ret);

/* The component that a name of `dir` stands for; `beside`: that of a file whose name a directory
 * has.  0; -ENAMETOOLONG: the name stands for a longer component; or another -errno. */
int shown_component(struct volume *volume, struct node *dir, const char *name, struct name *ret,
		    bool *beside_ret);

/* Whether a component of `dir` is in conflict.  1, 0 or -errno. */
int shown_conflict(struct volume *volume, struct node *dir, struct dw_bytes component);
/* Whether one is that was remembered.  No I/O. */
bool shown_was_conflict(struct volume *volume, struct node *dir, struct dw_bytes component);
/* The file or directory of that component is about to go. */
void shown_remember(struct volume *volume, struct node *dir, struct dw_bytes component);
/* A file of that component comes that is shown by the name of the directory that went. */
void shown_forget(struct volume *volume, struct node *dir, struct dw_bytes component);
void shown_release(struct volume *volume);

#endif
