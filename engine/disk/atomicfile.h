/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * atomicfile.h - a file that appears whole or not at all.
 *
 * Written under a temporary name beside the final one, synced, renamed, the
 * directory synced.
 */
#ifndef DISK_ATOMICFILE_H
#define DISK_ATOMICFILE_H

#include <stdbool.h>

#include "disk/io.h"

struct atomicfile {
	struct io *io;
	int dirfd;       /* the caller's */
	int fd;          /* -1: not open */
	uint64_t size;   /* bytes written so far */
	uint64_t begun;  /* of these, bytes whose write-back was started */
	char *temporary; /* owned */
	char *name;      /* owned */
};

/* Start writing what will be `name` in `dirfd`, as `temporary` (at first; a
 * leftover of that name is replaced).  Release it whether this succeeds or not. */
int atomicfile_init(struct atomicfile *file, struct io *io, int dirfd, const char *name,
		    const char *temporary, mode_t mode);

int atomicfile_write(struct atomicfile *file, const void *data, size_t size);

/* Have `size` zeros next that take no room.  Something must be written after them. */
void atomicfile_skip(struct atomicfile *file, size_t size);

/* fdatasync what was written, and close: from here on it may be renamed. */
int atomicfile_sync(struct atomicfile *file);

/* Rename and sync the directory; the file must be synced.  With
 * `sync_directory` false the caller does the latter for many. */
int atomicfile_commit(struct atomicfile *file, bool sync_directory);

/* Remove the temporary file unless committed; free.  `{.fd = -1}` is fine. */
void atomicfile_release(struct atomicfile *file);

#endif
