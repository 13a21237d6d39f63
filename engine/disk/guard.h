/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * guard.h - what stands behind the last record of a segment that is longer than its
 * records: 24 bytes that every reader of the format takes for the header of a record
 * running past the end of the file, then zeros.
 *
 * docs/ARCHITECTURE.md, "Preallocation", has the argument why a crash between any two of
 * these steps, whatever it leaves of the sectors under way, is a torn tail to every
 * reader and never a damaged store.
 */
#ifndef DISK_GUARD_H
#define DISK_GUARD_H

#include <stdbool.h>

#include "base/limits.h"
#include "disk/io.h"

enum {
	GUARD_SIZE = RECORD_HEADER_SIZE,
	GUARD_SECTOR_SIZE = 512, /* the least that a disk writes as a whole */
};

/* "DWAL", version 1, a Raw record with txid 0, no key and 0x03FFFFFF bytes of payload. */
extern const uint8_t guard_bytes[GUARD_SIZE];

/* Whether from `offset` to the end of the file, `size`, there is a guard (its last byte
 * may be missing: zero, or not there) and nothing but zeros: 1, 0 or -errno. */
int guard_is_at(struct io *io, int fd, uint64_t offset, uint64_t size);

/* Make `end` the end of the file, durably, where a guard or the bytes of a torn record
 * stand at `end`.  -errno of a failed call. */
int guard_cut(struct io *io, int fd, uint64_t end, uint64_t size);

/* The same where anything may stand at `end`, whole records too: after an append that
 * failed. */
int guard_undo(struct io *io, int fd, uint64_t end, uint64_t size);

/* Put a guard and `size` zeros behind the end of the file, `end`, durably.
 * -errno; written bytes may stay, and guard_cut() removes them.  `*sync_failed_ret`: it was a
 * sync, so that the log must not go on, whatever the error: -ENOSPC, too, may mean pages of
 * records that the kernel could not write and dropped. */
int guard_extend(struct io *io, int fd, uint64_t end, uint64_t size, bool *sync_failed_ret);

/* Write zeros from `offset` to `end`. */
int guard_write_zeros(struct io *io, int fd, uint64_t offset, uint64_t end);

/* Whether a record or guard that starts at `boundary`, behind the `size` bytes of an
 * append ending there, may be met by a reader as something else than a torn record,
 * if a crash leaves some of the append's sectors unwritten. */
bool guard_is_awkward(uint64_t boundary, const uint8_t *bytes, size_t size);

/* Write `size` bytes, records and the guard behind them, at `offset`, where a guard
 * stands, within the file, so that at no instant a reader without the lock finds
 * anything but records, a torn one, or the end.  `awkward`: so that the first of them shows last,
 * with a sync in between.  `*sync_failed_ret`: that sync failed, so that the log must not go on. */
int guard_write_over(struct io *io, int fd, const uint8_t *bytes, size_t size, uint64_t offset,
		     bool awkward, bool *sync_failed_ret);

#endif
