/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * opendir.h - a store's directory: made, recognised, opened; and its segments without a view.
 *
 * Makes no file in a directory of another user or program.
 */
#ifndef STORE_OPENDIR_H
#define STORE_OPENDIR_H

#include "store/core.h"

/* Make the directory `path`, durably: else a crash could lose the store with all that was
 * synced inside.  0, also where there is one, or -errno. */
int directory_make(struct io *io, const char *path);
/* The same for `name` in the directory of `above`. */
int directory_make_below(const struct core *above, const char *name);

/* A core for the directory `path`; of a name in the directory `at`, if that is not AT_FDCWD, no
 * link is followed.  `above` is NULL, or the store that it is in.  Errors as dw_open() says of
 * directories. */
int directory_open(struct io *io, const struct core *above, int at, const char *path,
		   const struct dw_options *options, struct core **ret);

/* Lock (unless read only) and open the segments as of one moment, without reading or
 * changing them: for whatever walks the log itself.  There is no view.
 * `*sizes_ret`, owned by the caller: bytes of each segment's file.  For core_free().
 * Errors as dw_open(). */
int core_open_unread(struct io *io, const char *path, const struct dw_options *options,
		     uint64_t **sizes_ret, struct core **ret);

#endif
