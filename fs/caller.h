/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * caller.h - doing something with the rights of whoever asked for it.
 *
 * Linux has rights by thread: a thread of its own takes on the caller's user, groups
 * and what is missing of its capabilities for access to files (fsuid, fsgid), does
 * the work and ends; nothing is ever to be given back.  The kernel itself then
 * judges each step of each path, so there is no moment between a check and a use.
 * Only the ids for access to files change, so the caller can neither trace nor
 * signal that thread.
 */
#ifndef FS_CALLER_H
#define FS_CALLER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct caller {
	uid_t uid; /* those for access to files */
	gid_t gid;
	gid_t *groups; /* owned; the supplementary ones */
	size_t group_count;
	uint64_t capabilities; /* effective ones */
};

/* Learn all about a thread `pid` that waits for an answer of ours, and so can neither
 * end nor change meanwhile.  -EPERM: it cannot be seen, or it is not what the kernel
 * said (`uid`, `gid`). */
int caller_load(pid_t pid, uid_t uid, gid_t gid, struct caller *ret);
/* The same from the text of a /proc/PID/status. */
int caller_parse(const char *status, uid_t uid, gid_t gid, struct caller *ret);
void caller_release(struct caller *caller);

/* Call `work` with no more rights than `caller` has; its result, or -EPERM: this
 * process may not take on those rights and has others of its own. */
typedef int caller_work_fn(void *context);
int caller_run(const struct caller *caller, caller_work_fn *work, void *context);

#endif
