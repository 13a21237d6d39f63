/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * entries.h - the names that a listing keeps, by numbers that stay.
 *
 * Added in the order of keys; a name then is another one, or gone, and keeps its number.  Some 24
 * bytes an entry and its name.  No lock.
 */
#ifndef FS_VOLUME_ENTRIES_H
#define FS_VOLUME_ENTRIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datawal.h"
#include "fs/name/name.h"

/* `{0}` has none. */
struct entries {
	char *bytes; /* owned */
	size_t used, capacity;
	uint64_t *places; /* of entries in `bytes`, by the order of keys; owned */
	size_t count, places_capacity;
	size_t *moved; /* numbers of those that were renamed; owned */
	size_t moved_count;
};

void entries_release(struct entries *entries);

/* Add one after all others.  0 or -ENOMEM. */
int entries_add(struct entries *entries, const struct name *name, struct dw_bytes component,
		bool is_dir);
/* Show one by another name, before any was renamed.  0 or -ENOMEM. */
int entries_set_name(struct entries *entries, size_t number, const struct name *name);

/* The component that one was added with; valid until the next change. */
struct dw_bytes entries_component(const struct entries *entries, size_t number);

struct entry_found {
	struct name name;
	struct dw_bytes component; /* valid until the next change */
	bool is_dir;
};
/* The current state of one entry.  False: it is gone. */
bool entries_get(const struct entries *entries, size_t number, struct entry_found *ret);

/* Rename the entry with the component `from`; an entry that has the new name goes.  A name that is
 * there throughout keeps its number.  Without memory the renamed entry is gone. */
void entries_rename(struct entries *entries, bool is_dir, struct dw_bytes from,
		    const struct name *to, struct dw_bytes to_component);

#endif
