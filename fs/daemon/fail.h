/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fail.h - saying on standard error what is wrong.
 */
#ifndef FS_DAEMON_FAIL_H
#define FS_DAEMON_FAIL_H

/* One line.  1, an exit status. */
int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
