/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * logger.h - where the daemon's messages go: standard error, syslog, or a file.
 *
 * One for the process, since a process has one of each.  Any thread may log.
 */
#ifndef FS_DAEMON_LOGGER_H
#define FS_DAEMON_LOGGER_H

#include <stdbool.h>

/* Log to the file `path` (absolute), made if it is missing, a line a message with
 * time and priority.  0 or -errno: then nothing changed. */
int logger_open_file(const char *path);

/* Open the file of that name again, after the old one was moved away.
 * On failure the old one stays in use.  Without a file: 0. */
int logger_reopen(void);

/* From now on no more to standard error, where messages go until then whether there is
 * a file or not; to syslog, if there is none. */
void logger_leave_terminal(void);

/* `priority` is one of syslog's; `context` is not used (volume_log_fn). */
void logger_log(void *context, int priority, const char *text);

/* The same with a format; a long text is cut. */
void logger_printf(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Let the file go. */
void logger_close(void);

#endif
