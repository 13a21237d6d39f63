/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * daemon.h - the datawalfs that a run mounts its store with.
 */
#ifndef TOOLS_SOAK_DAEMON_H
#define TOOLS_SOAK_DAEMON_H

#include <sys/types.h>

#include "tools/soak/backend.h"

/* Be told of the ends of daemons that are the children of others' children. */
void daemon_adopt(void);

/* Mount and return once the mount works.  0, or -1 after a message. */
int daemon_start(const char *program, const struct paths *paths, pid_t *ret);

/* Unmount, and wait for the daemon to end.  0, or -1 after a message. */
int daemon_stop(const struct paths *paths, pid_t pid);

/* Kill it, and clear its mount away. */
void daemon_kill(const struct paths *paths, pid_t pid);

/* True if it ended by itself, after a message; its mount is cleared away then. */
bool daemon_died(const struct paths *paths, pid_t pid);

/* Clear away what a run that was itself killed left mounted.  0, or -1 after a message:
 * its store is still in use. */
int daemon_clear(const struct paths *paths);

#endif
