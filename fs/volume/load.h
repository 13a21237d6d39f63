/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * load.h - from keys to the tree.
 */
#ifndef FS_VOLUME_LOAD_H
#define FS_VOLUME_LOAD_H

#include "fs/volume/core.h"

/* Read all keys into the tree. */
int volume_load(struct volume *volume);
/* The same for a snapshot, once. */
int volume_load_late(struct volume *volume);

/* Before the first look at a name.  `names` not held. */
static inline int volume_need_names(struct volume *volume)
{
	return atomic_load(&volume->loaded) ? 0 : volume_load_late(volume);
}

/* What was kept, while keys are read into the tree (fs/volume/load_attr.c). */
struct attr_table;
int attr_table_read(struct volume *volume, struct attr_table **ret);
bool attr_table_is_empty(const struct attr_table *table);
/* The hash of the root, and of what is below a directory with that of the directory: a key
 * is looked up by the hash of its components, one after the other. */
uint64_t attr_table_root(const struct attr_table *table);
uint64_t attr_table_extend(uint64_t above, struct dw_bytes component);
/* The same of a whole key. */
uint64_t attr_table_hash(const struct attr_table *table, bool is_dir, struct dw_bytes key);
/* The caller's from now on; NULL: none. */
struct attrs *attr_table_take(struct attr_table *table, bool is_dir, struct dw_bytes key,
			      uint64_t hash);
/* Drop the records of keys that vanished; free.  NULL is fine. */
void attr_table_finish(struct attr_table *table);
void attr_table_free(struct attr_table *table);

#endif
