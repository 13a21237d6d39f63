/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * recover.h - what a writer does before its first append.
 *
 * At no instant are bytes that a crash left in neither place: recover.c has the order.
 */
#ifndef STORE_RECOVER_H
#define STORE_RECOVER_H

#include "disk/atomicfile.h"
#include "store/core.h"

/* Copy the bytes `offset`..`end` of `fd` behind what `to` holds already. */
int recover_copy(struct io *io, int fd, uint64_t offset, uint64_t end, struct atomicfile *to);

/* Save the bytes `offset`..`end` of a segment, open as `fd`, to `NNNNNNNN.dwal.torn-T`
 * beside it, durably, without most of the zeros that they end in; `name_ret` is that name, at
 * least SEGNAME_SIZE bytes.  "": they are zeros alone, and nothing was saved. */
int recover_quarantine(struct core *core, uint32_t segment, int fd, uint64_t offset, uint64_t end,
		       char *name_ret);

/* Bring back to work what a crash left: quarantine (of a torn tail; of a guard there is
 * nothing to save), leftovers. */
int recover_tail(struct core *core, struct dw_segment *segment, uint64_t file_size, bool torn);
/* `keep_proofs`: hints of missing segments stay, whatever else is known. */
int recover_leftovers(struct core *core, bool keep_proofs);
/* Bring to disk what a writer that was killed left in the store of attributes.  Before anything
 * else of a store that is opened for writing is synced. */
int recover_first(struct core *core);
/* Give back blocks that a writer which was killed had preallocated: on a full disk they may
 * be all there is, also for a copy of a torn tail. */
void recover_blocks(struct core *core);

#endif
