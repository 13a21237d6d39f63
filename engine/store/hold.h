/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * hold.h - what a writer holds its store by, and whether it still does.
 *
 * Taken in this order: `.lock`, the directory, the last segment.  The active segment stays locked
 * from then on (log/log.h).  A file can be unlinked while it is open, by any user that may write
 * the directory: later writes are lost when it is closed.  So before a sync says yes, and at the
 * end, the writer looks whether its files are still there.
 */
#ifndef STORE_HOLD_H
#define STORE_HOLD_H

#include "store/core.h"

/* Be the one writer, before a segment is looked at.  -EBUSY (DW_FINDING_LOCKED) or another
 * -errno, reported. */
int hold_directory(struct core *core, uint32_t wait_ms);

/* Tell (DW_FINDING_LOCAL_LOCKS) of a file system whose locks may keep out writers of this machine
 * only. */
void hold_warn(struct core *core);

/* Lock the last segment, once all are open, and see that no other writer has one.
 * -EAGAIN: the list of segments is not what it was; -EBUSY as above. */
int hold_segments(struct core *core);

/* Keep writers out of a store that is only read, without leaving a trace: no file is made.  -EBUSY
 * as above. */
int hold_quietly(struct core *core);

/* Whether the store is still there, and still ours; if not the writer is poisoned with the error.
 * -ESTALE: the directory, the active segment, or another one was removed (one other in turn with
 * each call); -EBUSY: `.lock` was removed and another process has the new one.
 * log.lock is not held, nor hold_lock. */
int hold_check(struct core *core);

#endif
