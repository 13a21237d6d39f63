/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * checkpoint.h - what the index has in memory goes to disk, so that opening need not replay it.
 *
 * First the log, up to the end that the checkpoint covers; then a run; then the file `index`,
 * which names it.  So what is on disk of the index is never ahead of the log.  A checkpoint that
 * fails loses nothing but time: an older one counts, or all of the log is replayed.
 */
#ifndef STORE_CHECKPOINT_H
#define STORE_CHECKPOINT_H

#include "store/core.h"

/* Write one.  None of the store's locks is held.  `throttle` may be NULL.  0, -EROFS, -ECANCELED or
 * another -errno, reported. */
int checkpoint_write(struct core *core, struct throttle *throttle);

/* The same without a name: while a log is replayed, so that memory stays bounded. */
int checkpoint_write_unnamed(struct core *core);

/* Let `publish` give segments their names, and whatever becomes of that: what is on disk of the
 * index goes on being believed, for it was told of them before.  Nobody else writes one meanwhile.
 * No key is in them yet.  Returns what `publish` does. */
int checkpoint_around(struct core *core, const struct index_coming *coming, size_t count,
		      int (*publish)(void *context), void *context);

/* Whether so much is in memory that some of it should go.  log.lock is held. */
bool checkpoint_is_due_locked(struct core *core);

/* One is due: leave it to the background if that is there and keeps up, else write it here: a
 * writer that is faster than the disk has to wait for it.  None of the store's locks is held. */
void checkpoint_give_way(struct core *core);

/* Join runs until there are few.  0, -ECANCELED or another -errno: there are more than need be. */
int checkpoint_join(struct core *core, struct throttle *throttle);

/* Before inputs of a compaction go, in which no key is any more: let the file `index` tell so, or
 * take it away.  0; -errno: they must stay. */
int checkpoint_before_removal(struct core *core);

/* The store is about to be closed, and everything synced. */
void checkpoint_at_close(struct core *core);

#endif
