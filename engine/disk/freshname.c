/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * freshname.c - see freshname.h.
 */
#include "disk/freshname.h"

#include <errno.h>
#include <fcntl.h>

#include "base/clock.h"

int freshname(struct io *io, int dirfd, uint32_t segment, freshname_format_fn *format,
	      char ret[SEGNAME_SIZE])
{
	int fd;

	for (int64_t ns = clock_now_ns();; ns++) {
		format(segment, ns, ret);
		fd = io->open(io, dirfd, ret, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
		if (fd < 0)
			return fd == -ENOENT ? 0 : fd;
		(void)io->close(io, fd); /* nothing was written through it */
	}
}

int freshname_put_hint_aside(struct io *io, int dirfd, uint32_t id, char ret[SEGNAME_SIZE])
{
	char name[SEGNAME_SIZE];
	int rc = freshname(io, dirfd, id, segname_format_hint_lost, ret);

	segname_format_hint(id, name);
	return rc ? rc : io->rename(io, dirfd, name, ret);
}
