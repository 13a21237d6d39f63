/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * dirlock.h - the one writer of a store: flock(2) on `.lock`.
 *
 * The lock is the flock, never the file: the file stays on disk and tells who
 * took the lock last.  The reference does the same, so the two exclude each other.
 */
#ifndef DISK_DIRLOCK_H
#define DISK_DIRLOCK_H

#include "disk/io.h"

/* Take the lock of the directory and write our pid into its file, waiting up to
 * `wait_ms`.  The descriptor that holds it (closing it lets go), -EBUSY (then
 * `*holder_ret` is the pid found in the file, 0 when it tells none) or -errno. */
int dirlock_take(struct io *io, int dirfd, uint32_t wait_ms, pid_t *holder_ret);

/* Take the lock without a trace: no file is made, nothing written.  The descriptor,
 * -ENOENT (there is no lock file: nobody writes), -EBUSY as above, or -errno. */
int dirlock_hold(struct io *io, int dirfd, pid_t *holder_ret);

#endif
