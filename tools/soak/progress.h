/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * progress.h - how far the worker got, in memory shared with its supervisor.
 */
#ifndef TOOLS_SOAK_PROGRESS_H
#define TOOLS_SOAK_PROGRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

/* Numbers count operations from the first of the run. */
struct progress {
	_Atomic uint64_t started, done; /* equal, or started = done + 1: one is under way */
	_Atomic uint64_t synced;        /* those before this number are synced */
	_Atomic bool stop;              /* set by the supervisor: end the loop */
	_Atomic bool killing;           /* set by the supervisor: errors are its doing */
};

/* Once the daemon is being killed calls fail as they may; the worker is next. */
static inline void progress_await_kill(const struct progress *progress)
{
	while (atomic_load(&progress->killing))
		(void)pause();
}

#endif
