/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * journal.h - the attribute journal: when attributes are written, so that no crash gives
 * a value those of another.
 *
 * `key` is that of the node, or will be; `names` and the node's lock are held, or `names` for
 * writing.
 */
#ifndef FS_VOLUME_JOURNAL_H
#define FS_VOLUME_JOURNAL_H

#include "fs/volume/core.h"

/* Write the attributes of a node; those that need its value on disk first are written with the
 * value. */
int journal_node(struct volume *volume, struct node *node);
/* Around each Put of a file's value. */
int journal_before_put(struct volume *volume, struct node *node, struct dw_bytes key);
int journal_after_put(struct volume *volume, struct node *node, struct dw_bytes key);
/* Around the records that give a node another key; `target`: the file that has it, or
 * NULL.  Undo: there were no such records. */
int journal_before_move(struct volume *volume, const struct node *node, const struct node *target,
			struct dw_bytes new_key);
void journal_undo_move(struct volume *volume, const struct node *node, struct node *target,
		       struct dw_bytes new_key);
void journal_after_move(struct volume *volume, struct node *node, struct dw_bytes old_key,
			struct dw_bytes new_key);
/* The same where another file has the old key from now on. */
void journal_moved(struct volume *volume, struct node *node, struct dw_bytes new_key);
/* Bring all values to disk, and forget what was kept for those that are gone. */
int journal_make_durable(struct volume *volume);
/* The key is gone. */
void journal_drop(struct volume *volume, bool is_dir, struct dw_bytes key);
/* Keep it under a key, whatever the log says. */
int journal_write(struct volume *volume, bool is_dir, struct dw_bytes key,
		  const struct attrs *attrs);
/* The same, when no older value of the key can come back. */
int journal_write_alone(struct volume *volume, bool is_dir, struct dw_bytes key,
			const struct attrs *attrs);
/* The same by a key; `attrs` may be NULL. */
void journal_check_key_times(struct volume *volume, struct attrs *attrs, struct dw_bytes key);
/* Forget times that were set on another value than the node has by now. */
void journal_check_times(struct volume *volume, struct node *node);

#endif
