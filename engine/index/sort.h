/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * sort.h - putting entries of a key directory into byte order of their keys.
 */
#ifndef INDEX_SORT_H
#define INDEX_SORT_H

#include "index/keydir.h"

/* An entry, as the caller names it. */
struct sort_item {
	uint64_t prefix; /* the key's first bytes; set while they are sorted */
	union {
		const struct keydir_slot *slot;
		uint32_t node; /* of an order */
	};
};

/* The key of an item. */
typedef struct dw_bytes sort_key_fn(const struct keydir *keydir, const struct sort_item *item);

/* 0; -ENOMEM: they are in the order in which they came. */
int sort_items(const struct keydir *keydir, struct sort_item *items, size_t count,
	       sort_key_fn *key_of);

#endif
