/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * snapdir.h - the directory `.snapshots` of a store, and what a crash leaves in it.
 *
 * Nothing that has a snapshot's own name is touched here, but to take that name away.
 */
#ifndef STORE_SNAPDIR_H
#define STORE_SNAPDIR_H

#include "codec/snapmark.h"
#include "store/core.h"

/* Open the directory `name` in `dirfd`, no link.  A descriptor; -ENOENT, -ENOTDIR or another
 * -errno.
 */
int snapdir_open(struct io *io, int dirfd, const char *name);

/* Make it, as the files of `owner` are, if it is not there, and open it. */
int snapdir_make(struct io *io, int dirfd, const char *name, const struct owner *owner);

/* Remove the directory `name` in `dirfd` with all that it holds; it is nobody's any more.  Other
 * processes may be at it, too.  0, also if it is gone; or -errno. */
int snapdir_clear(struct io *io, int dirfd, const char *name);

/* Take the name of a snapshot away, durably, and remove it.  `fd`: of `.snapshots`.  -ENOENT,
 * -ENOTDIR or another -errno; once its name is gone, what cannot be removed is a leftover. */
int snapdir_remove(struct io *io, int fd, const char *name);

/* Remove those that are half made or half removed, and brief ones.  Failures are reported, no more:
 * they cost room, and the next writer tries again. */
void snapdir_leftovers(struct core *core);

/* The mark of the snapshot in the directory `fd`.  0; -ENOENT: it has none; -EBADMSG: another file;
 * or another -errno. */
int snapdir_read_mark(struct io *io, int fd, struct snapmark *ret);

/* What the snapshot `name` in `dirfd` is.  0, -ENOENT, -ENOTDIR or another -errno. */
int snapdir_look(struct io *io, int dirfd, const char *name, struct dw_snapshot_info *ret);

#endif
