/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * readers.h - the newest version of the index: its readers are counted in and out, and another
 * version takes its place.
 *
 * It must never free a version that has readers, nor keep an older one that has none.
 */
#ifndef INDEX_READERS_H
#define INDEX_READERS_H

#include "index/index.h"

/* Readers find `version` from now on, shard by shard. */
void readers_show(struct index *index, struct version *version);

/* Count in for a look below the active delta; the lock of the shard is held.  NULL: there is
 * nothing below. */
struct version *readers_count_in_locked(struct index *index, unsigned shard);
/* Afterwards; `version` may be gone then.  No lock of a shard is held. */
void readers_count_out(struct index *index, unsigned shard, struct version *version);

/* `version` is the newest from now on; the one before goes when it has no readers.  `change` is
 * held. */
void index_replace(struct index *index, struct version *version);

/* The newest version, for as long as the caller likes: a copy of his own.  NULL: no memory. */
struct version *index_hold(struct index *index);

#endif
