/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * dirlock.h - the one writer of a store: flock(2) on `.lock`, on the directory, and on what is
 * written.
 *
 * The lock is the flock, never the file: the file stays on disk and says which process took it
 * last.  The reference takes this one and no other, so the two exclude each other.  A file can be
 * removed, though; a writer that comes later would lock another one of the same name.  So the
 * directory is locked as well, unless others may read it: then anybody could hold that lock.  The
 * segment that is written has its own (disk/segment.h), which is what counts then.
 */
#ifndef DISK_DIRLOCK_H
#define DISK_DIRLOCK_H

#include <stdbool.h>

#include "disk/io.h"

enum { DIRLOCK_HOST_SIZE = 65 };

/* The holder of a lock, as far as it can be seen. */
struct dirlock_holder {
	pid_t pid;                    /* 0: unknown.  One that lives, if it is of this machine */
	char host[DIRLOCK_HOST_SIZE]; /* empty: unknown */
};

/* How long a lock may stay with a process that is at its end: the kernel closes its descriptors
 * one after the other. */
enum { DIRLOCK_GRACE_MS = 300, DIRLOCK_POLL_MS = 20 };

/* Lock a file or directory for this open description.  0; -EBUSY: another description has it;
 * also 0 where the file system has no such locks. */
int dirlock_try(struct io *io, int fd);

/* The same, trying again for `wait_ms`, and DIRLOCK_GRACE_MS at least. */
int dirlock_wait(struct io *io, int fd, uint32_t wait_ms);

/* Take the lock of the directory and write our pid into its file, waiting up to `wait_ms`, and
 * lock `dirfd` itself.  The descriptor that holds the former (closing both lets go), -EBUSY (then
 * `*holder_ret` is set) or -errno. */
int dirlock_take(struct io *io, int dirfd, uint32_t wait_ms, struct dirlock_holder *holder_ret);

/* Take the lock without a trace: no file is made, nothing written.  The descriptor,
 * -ENOENT (there is no lock file, so no writer), -EBUSY as above, or -errno. */
int dirlock_hold(struct io *io, int dirfd, struct dirlock_holder *holder_ret);

/* The holder of the lock of `fd`, which was refused; `dirfd` is the directory with `.lock`. */
struct dirlock_holder dirlock_holder(struct io *io, int dirfd, int fd);

#endif
