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
 * With `hangup_ends`, SIGHUP asks for the end. */
void signals_block(bool hangup_ends);

/* From now on signals that ask for the end (SIGTERM, SIGINT) wait for signals_start() as well, and
 * none ends what is left to do.  Before the first thread that lasts. */
void signals_block_ends(void);

struct signals;

/* A thread that reopens the log on SIGHUP, logs the store's figures on SIGUSR1, lets older volumes
 * go, and ends commands and session when it is asked to: in this order, so that requests are
 * answered while it, or a command, has the kernel forget names.  The kernel waits there for locks
 * that requests hold. */
int signals_start(struct mount *mount, struct signals **ret);
void signals_stop(struct signals *signals);

#endif
