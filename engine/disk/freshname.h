/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * freshname.h - a name by the time, for what is put aside beside a segment.
 */
#ifndef DISK_FRESHNAME_H
#define DISK_FRESHNAME_H

#include "codec/segname.h"
#include "disk/io.h"

typedef void freshname_format_fn(uint32_t segment, int64_t time_ns, char ret[SEGNAME_SIZE]);

/* A name that no file in `dirfd` has yet.  0 or -errno. */
int freshname(struct io *io, int dirfd, uint32_t segment, freshname_format_fn *format,
	      char ret[SEGNAME_SIZE]);

/* Give the hint of segment `id` such a name, under which nothing is taken from it.  The caller
 * syncs the directory.  0, -ENOENT or another -errno. */
int freshname_put_hint_aside(struct io *io, int dirfd, uint32_t id, char ret[SEGNAME_SIZE]);

#endif
