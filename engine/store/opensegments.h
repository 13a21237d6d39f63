/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * opensegments.h - all segments of a directory open, as of one moment; none is read.
 *
 * A writer holds the lock and owns the directory.  A reader holds nothing: it
 * opens every segment first and lists again, until both listings agree; the segments open by then
 * are one moment of the log, whatever a writer's compaction unlinks afterwards.
 */
#ifndef STORE_OPENSEGMENTS_H
#define STORE_OPENSEGMENTS_H

#include "store/core.h"

/* How often a reader starts over where a writer compacts. */
enum { OPEN_TRIES = 1000 };

/* `*sizes_ret`, owned by the caller: bytes of each segment's file.  A writer has its active
 * segment locked afterwards.  0, -EBUSY (another writer was faster OPEN_TRIES times; reported) or
 * another -errno. */
int segments_open(struct core *core, uint64_t **sizes_ret);

/* Whether `rc` is what a reader meets where a compaction has just removed a segment: no such name
 * or, on a network disk, a handle to what is no longer there.  It starts over. */
bool segments_gone(const struct core *core, int rc);

#endif
