/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * ending.h - how a daemon tells a process that waits for its end whether anything was lost.
 *
 * An exit status is for a parent only, and a daemon in the background has none left.  A
 * file in the store's directory would need the disk, which may be what failed.  So the
 * daemon keeps a few bytes in a file in memory (memfd_create(2)), writes its verdict there
 * last, and exits; the waiter has opened the file by /proc before, and waits for the
 * process by a descriptor of it.  A token tells that process from another one of its number,
 * as in another pid namespace.  One thread at a time.
 */
#ifndef FS_MOUNTED_ENDING_H
#define FS_MOUNTED_ENDING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct ending {
	int fd; /* -1: there is none */
	uint64_t token;
};

/* The daemon's side.  0 or -errno; then `*ret` is one that tells nothing. */
int ending_init(struct ending *ret);
/* The daemon ends now, and something was lost or not. */
void ending_tell(const struct ending *ending, bool lost);
void ending_release(struct ending *ending);

/* The waiter's side. */
struct ending_wait {
	int board, process; /* descriptors; -1: none */
};

/* 0, or -errno: this process cannot see the daemon's. */
int ending_open(pid_t pid, const struct ending *of, struct ending_wait *ret);
/* Until the daemon is gone; `timeout_ms` 0: only look.
 * 0; 1: something was lost; -EPIPE: it ended without a word; -EINTR: not in time. */
int ending_wait(const struct ending_wait *wait, int64_t timeout_ms);
void ending_close(struct ending_wait *wait);

#endif
