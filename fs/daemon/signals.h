/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * signals.h - signals, and what the daemon does beside serving.
 */
#ifndef FS_DAEMON_SIGNALS_H
#define FS_DAEMON_SIGNALS_H

#include "fs/fuse/mount.h"

/* Let no signal end the daemon but those that ask for its end, or tell of a fault. */
void signals_ignore(void);

/* From now on, SIGHUP and SIGUSR1 wait for signals_start(): before the first thread.
 * With `hangup_ends`, SIGHUP is left to libfuse, whom it ends. */
void signals_block(bool hangup_ends);

/* Signals that ask for the end are obeyed by now: no further one ends what is left to do. */
void signals_finish(void);

struct signals;

/* A thread that reopens the log on SIGHUP, logs the store's figures on SIGUSR1, and lets
 * older volumes go. */
int signals_start(struct mount *mount, struct signals **ret);
void signals_stop(struct signals *signals);

#endif
