/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * walk.h - all keys of one moment of a store, in byte order.
 *
 * The store goes on meanwhile; writers do not wait.  Of a snapshot it is its moment.
 */
#ifndef STORE_WALK_H
#define STORE_WALK_H

#include "store/store.h"

struct walk {
	struct core *core;
	struct index_moment *moment; /* a snapshot's is borrowed */
	bool owned;
	struct index_cursor *cursor;
	uint64_t count; /* keys of the moment */
};

/* Keys that begin with `prefix`.  0 or -errno, and nothing is to be released. */
int walk_init(struct walk *walk, struct dw_store *store, struct dw_bytes prefix);
/* `{0}` is fine. */
void walk_release(struct walk *walk);

/* The next key and its place, both valid until the next call.  1; 0 at the end; -EIO: the index is
 * damaged; or another -errno.  One thread at a time. */
int walk_next(struct walk *walk, struct dw_bytes *key_ret, struct keydir_place *place_ret);

/* A ref of the value of a key that was walked to; it borrows the moment's segment: for
 * dw_ref_read(), never for dw_ref_put(). */
static inline struct dw_ref walk_ref(struct dw_bytes key, const struct keydir_place *place)
{
	return (struct dw_ref){
		.segment = place->segment,
		.offset = place->offset,
		.mtime_ns = place->mtime_ns,
		.key_size = (uint32_t)key.size,
		.value_size = place->value_size,
	};
}

#endif
