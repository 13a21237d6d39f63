/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * twin.c - see twin.h.
 */
#include "disk/twin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "disk/atomicfile.h"

enum { COPY_SIZE = 1 << 20 };

/* Whether link(2) failed because it cannot be done here: there are none, the file has as many as it
 * may, or is another user's. */
static bool has_no_links(int rc)
{
	return rc == -EPERM || rc == -EOPNOTSUPP || rc == -ENOSYS || rc == -EMLINK ||
	       rc == -EXDEV || rc == -EINVAL;
}

static int copy_bytes(struct io *io, int fd, struct atomicfile *to)
{
	uint8_t *bytes = malloc(COPY_SIZE);
	ssize_t n = bytes ? 1 : -ENOMEM;

	while (n > 0) {
		n = io_read_up_to(io, fd, bytes, COPY_SIZE, to->size);
		int rc = n > 0 ? atomicfile_write(to, bytes, (size_t)n) : 0;
		n = rc ? rc : n;
	}
	free(bytes);
	return (int)n;
}

static int fill(struct io *io, int fd, struct atomicfile *to, enum dw_snapshot_method *ret)
{
	if (io->clone && !io->clone(io, fd, to->fd)) {
		*ret = DW_SNAPSHOT_CLONE;
		return 0;
	}
	*ret = DW_SNAPSHOT_COPY; /* for whatever reason it is no clone */
	return copy_bytes(io, fd, to);
}

static int duplicate(struct io *io, int from, const char *name, int to, const struct owner *owner,
		     enum dw_snapshot_method *ret)
{
	struct atomicfile file = {.fd = -1};
	int fd = io->open(io, from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);

	if (fd < 0)
		return fd;
	int rc = atomicfile_init(&file, io, to, name, "copy.new", OWNER_MODE_NEW);
	if (!rc)
		owner_apply(owner, io, file.fd);
	if (!rc)
		rc = fill(io, fd, &file, ret);
	if (!rc)
		rc = atomicfile_sync(&file);
	if (!rc)
		rc = atomicfile_commit(&file, false);
	atomicfile_release(&file);
	(void)io->close(io, fd); /* it was only read */
	return rc;
}

int twin_make(struct io *io, int from, const char *name, int to, const struct owner *owner,
	      enum dw_snapshot_method *method)
{
	enum dw_snapshot_method taken = DW_SNAPSHOT_LINK;
	int rc = -EOPNOTSUPP;

	/* after the first file that had no link the others are not tried again */
	if (io->link && *method == DW_SNAPSHOT_LINK)
		rc = io->link(io, from, name, to);
	if (has_no_links(rc))
		rc = duplicate(io, from, name, to, owner, &taken);
	if (!rc && taken > *method)
		*method = taken;
	return rc;
}
