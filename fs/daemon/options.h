/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * options.h - the command line.
 */
#ifndef FS_DAEMON_OPTIONS_H
#define FS_DAEMON_OPTIONS_H

#include "fs/daemon/settings.h"
#include "fs/fuse/mount.h"

/* Parse the command line; libfuse's options end up in `args` and `opts`.
 * 0, or the exit status after saying what is wrong (2), or that all is done (0 with
 * *done_ret). */
int options_parse(struct fuse_args *args, struct settings *settings, struct fuse_cmdline_opts *opts,
		  bool *done_ret);
/* Add options for the kernel's table of mounts.  0, or -1 without memory. */
int options_add_mount(struct fuse_args *args, const struct settings *settings);

#endif
