/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * commit.h - values and the log: reading one into memory, committing it.
 *
 * Of a file; `names` (at least for reading) and the node's lock are held, unless a call says
 * otherwise.
 */
#ifndef FS_VOLUME_COMMIT_H
#define FS_VOLUME_COMMIT_H

#include "fs/volume/core.h"

int volume_load_cached(struct volume *volume, struct node *node, struct cached **ret);
/* There is a new value in memory. */
void volume_touch(struct volume *volume, struct node *node, struct cached *cached);
int volume_resize_locked(struct volume *volume, struct node *node, uint64_t size);
/* The same, committed: on failure nothing is changed. */
int volume_truncate_locked(struct volume *volume, struct node *node, uint64_t size);
int volume_commit_locked(struct volume *volume, struct node *node);

/* Whether an empty value of this file would read as its directory's marker. */
bool volume_is_marker_name(const struct volume *volume, const struct node *node);

/* The value of a file as its openers see it; `owned` holds what the caller frees. */
int volume_current_value(struct volume *volume, struct node *node, struct dw_value *owned,
			 struct dw_bytes *ret);

/* Count and log a value that is lost; `after` says what the file is now. */
void volume_note_lost(struct volume *volume, struct node *node, int rc, const char *after);

/* No lock is held: */

/* The oldest dirty node due by `now_ms`, counted; NULL: none. */
struct node *volume_take_due(struct volume *volume, int64_t now_ms);
/* Commit one; put off what could not be committed, after all others. */
int volume_commit_node(struct volume *volume, struct node *node);
/* Commit what was written first, before its time.  1: done; 0: nothing is to be committed; or
 * -errno. */
int volume_commit_early(struct volume *volume);

#endif
