/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * keys.h - what the store has of the keys in a directory.
 *
 * `names` is held.
 */
#ifndef FS_VOLUME_KEYS_H
#define FS_VOLUME_KEYS_H

#include "fs/volume/core.h"

/* All keys that begin with that of a directory, itself included, its marker. */
int keys_from(struct volume *volume, struct dw_bytes directory, struct dw_below_info *ret);

/* A file of `dir`.  -ENOENT also of the key that is the marker of `dir`. */
int keys_stat_file(struct volume *volume, struct node *dir, struct dw_bytes component,
		   struct dw_stat *ret);
/* A directory of `dir`: -ENOENT if no key is below it, its marker included. */
int keys_stat_dir(struct volume *volume, struct node *dir, struct dw_bytes component,
		  struct dw_below_info *ret);
/* The keys below a directory, its marker included. */
int keys_below(struct volume *volume, const struct node *dir, struct dw_below_info *ret);
/* Whether a directory has a marker.  1, 0 or -errno; the root needs none. */
int keys_has_marker(struct volume *volume, const struct node *dir);
/* Whether nothing is in a directory.  1, 0 or -errno.  `names` is held for writing. */
int keys_is_empty(struct volume *volume, const struct node *dir);
/* Whether nothing else in the log keeps `parent` but the key of `node`, a file in the log, or what
 * is below it, a directory.  1, 0 or -errno. */
int keys_is_last(struct volume *volume, const struct node *parent, const struct node *node);

#endif
