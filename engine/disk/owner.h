/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * owner.h - owner, group and mode of a store's files.
 *
 * A new store is its maker's alone.  Of one that is there, new files get the owner, group and
 * mode of its last segment, whichever user runs the writer and with whatever umask.
 */
#ifndef DISK_OWNER_H
#define DISK_OWNER_H

#include <stdbool.h>

#include "disk/io.h"

struct owner {
	bool known; /* false: there is no segment to go by */
	mode_t mode;
	uid_t uid;
	gid_t gid;
};

/* New files are made with this mode; owner_apply() then widens it. */
enum { OWNER_MODE_NEW = 0600 };

/* As the file is that `st` tells of. */
struct owner owner_of(const struct stat *st);

/* Give a file that was just made to the owner.  Where that is not allowed it stays private. */
void owner_apply(const struct owner *owner, struct io *io, int fd);

/* The same for the lock file, which may be an older one: readable only where the store may be
 * written, since a user that can read it can lock it. */
void owner_apply_lock(const struct owner *owner, struct io *io, int fd);

/* Of a directory for such files. */
mode_t owner_directory_mode(const struct owner *owner);

#endif
