/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * unmount.h - datawalfs --unmount: until everything is on disk.
 */
#ifndef FS_DAEMON_UNMOUNT_H
#define FS_DAEMON_UNMOUNT_H

/* The exit status, after saying what is wrong. */
int unmount_and_wait(const char *mountpoint, unsigned timeout_s);

#endif
