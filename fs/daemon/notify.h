/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * notify.h - telling a service manager how the daemon is.
 *
 * systemd's protocol: assignments, a line each, as a datagram to the socket that
 * NOTIFY_SOCKET names.  Without that variable, silence.
 */
#ifndef FS_DAEMON_NOTIFY_H
#define FS_DAEMON_NOTIFY_H

/* Send e.g. "READY=1\nSTATUS=serving".  1: sent; 0: no supervisor asked for it; -errno. */
int notify_send(const char *state);

#endif
