/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * atomicfile.c - see atomicfile.h.
 */
#include "disk/atomicfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

int atomicfile_init(struct atomicfile *file, struct io *io, int dirfd, const char *name,
		    const char *temporary, mode_t mode)
{
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW;

	*file = (struct atomicfile){.io = io, .dirfd = dirfd, .fd = -1};
	file->name = strdup(name);
	if (!file->name)
		return -ENOMEM;
	int rc = io->unlink(io, dirfd, temporary);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	rc = io->open(io, dirfd, temporary, flags, mode);
	if (rc < 0)
		return rc;
	file->fd = rc;
	file->temporary = strdup(temporary);
	if (!file->temporary) {
		(void)io->unlink(io, dirfd, temporary); /* out of memory is the error to tell */
		return -ENOMEM;
	}
	return 0;
}

/* The sync has less to wait for when the disk has been at work meanwhile. */
enum { WRITE_BACK_SIZE = 8 << 20 };

int atomicfile_write(struct atomicfile *file, const void *data, size_t size)
{
	struct io *io = file->io;
	int rc = io_write_full(io, file->fd, data, size, file->size);

	if (rc < 0)
		return rc;
	file->size += size;
	if (io->write_back && file->size - file->begun >= WRITE_BACK_SIZE) {
		io->write_back(io, file->fd, (off_t)file->begun, (off_t)(file->size - file->begun));
		file->begun = file->size;
	}
	return 0;
}

void atomicfile_skip(struct atomicfile *file, size_t size)
{
	file->size += size;
}

int atomicfile_sync(struct atomicfile *file)
{
	int rc = file->io->fdatasync(file->io, file->fd);

	if (rc < 0)
		return rc;
	rc = file->io->close(file->io, file->fd);
	file->fd = -1;
	return rc;
}

int atomicfile_commit(struct atomicfile *file, bool sync_directory)
{
	int rc = file->io->rename(file->io, file->dirfd, file->temporary, file->name);

	if (rc < 0)
		return rc;
	free(file->temporary);
	file->temporary = NULL;
	return sync_directory ? file->io->fsync(file->io, file->dirfd) : 0;
}

void atomicfile_release(struct atomicfile *file)
{
	if (file->fd >= 0)
		(void)file->io->close(file->io, file->fd); /* synced before, or given up */
	if (file->temporary) /* given up: a leftover is no harm, it is replaced or cleaned */
		(void)file->io->unlink(file->io, file->dirfd, file->temporary);
	free(file->temporary);
	free(file->name);
	*file = (struct atomicfile){.fd = -1};
}
