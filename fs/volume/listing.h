/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * listing.h - open directories; entries may be renamed while they are listed.
 */
#ifndef FS_VOLUME_LISTING_H
#define FS_VOLUME_LISTING_H

#include "fs/volume/core.h"

/* An entry of `dir` gets another name there, perhaps that of an entry which goes.  `names` is held
 * for writing. */
struct listing_rename {
	struct node *dir;
	bool is_dir;
	struct dw_bytes from;  /* component */
	const struct name *to; /* name, and: */
	struct dw_bytes to_component;
};
void listing_renamed(struct volume *volume, const struct listing_rename *rename);

/* Free those that were closed before their end and are kept, since a process that has no open
 * directory (nfsd) opens it anew for each part of a listing. */
void listing_release_kept(struct volume *volume);

#endif
