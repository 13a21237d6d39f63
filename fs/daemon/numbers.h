/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * numbers.h - options that are numbers: their ranges, and reading them.
 */
#ifndef FS_DAEMON_NUMBERS_H
#define FS_DAEMON_NUMBERS_H

#include "fs/daemon/settings.h"

/* Read the option `arg` ("commit_ms=5").  0, or -1 after saying which numbers are possible. */
int numbers_take(struct settings *settings, enum number which, const char *arg);

#endif
