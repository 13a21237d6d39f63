/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * spaceio.c - see spaceio.h.
 */
#include "tests/support/spaceio.h"

#include <errno.h>
#include <fcntl.h>

static struct spaceio *lock(struct io *io)
{
	struct spaceio *space = (struct spaceio *)io;

	(void)pthread_mutex_lock(&space->lock);
	return space;
}

static void unlock(struct spaceio *space)
{
	(void)pthread_mutex_unlock(&space->lock);
}

static int refuse(struct spaceio *space)
{
	space->refused++;
	return -ENOSPC;
}

/* Bytes of a file that is open, or by name; 0: there is none. */
static int64_t size_of_fd(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : st.st_size;
}

static int64_t size_of_name(const struct spaceio *space, int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0
								  : st.st_size + space->file_cost;
}

static int space_open(struct io *io, int dirfd, const char *name, int flags, mode_t mode)
{
	struct spaceio *space = lock(io);
	struct stat st;
	bool fresh = flags & O_CREAT && fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0;
	int rc;

	if (fresh && space->room < space->file_cost)
		rc = refuse(space);
	else
		rc = io_posix.open(&io_posix, dirfd, name, flags, mode);
	if (fresh && rc >= 0)
		space->room -= space->file_cost;
	unlock(space);
	return rc;
}

static int space_close(struct io *io, int fd)
{
	(void)io;
	return io_posix.close(&io_posix, fd);
}

static ssize_t space_preadv(struct io *io, int fd, const struct iovec *iov, int count, off_t offset)
{
	(void)io;
	return io_posix.preadv(&io_posix, fd, iov, count, offset);
}

/* As much of the first vector that is not empty as there is room for. */
static ssize_t write_part(struct spaceio *space, int fd, const struct iovec *iov, int count,
			  off_t offset)
{
	int64_t fits = space->room + size_of_fd(fd) - offset;

	while (count > 1 && !iov->iov_len) {
		iov++;
		count--;
	}
	if (fits <= 0)
		return refuse(space);
	struct iovec part = {iov->iov_base, iov->iov_len};
	if ((int64_t)part.iov_len > fits)
		part.iov_len = (size_t)fits;
	return io_posix.pwritev(&io_posix, fd, &part, 1, offset);
}

static ssize_t space_pwritev(struct io *io, int fd, const struct iovec *iov, int count,
			     off_t offset)
{
	struct spaceio *space = lock(io);
	int64_t size = size_of_fd(fd), end = offset;
	ssize_t rc;

	for (int i = 0; i < count; i++)
		end += (int64_t)iov[i].iov_len;
	if (end - size > space->room)
		rc = write_part(space, fd, iov, count, offset);
	else
		rc = io_posix.pwritev(&io_posix, fd, iov, count, offset);
	if (rc > 0) {
		space->room -= size_of_fd(fd) - size;
		space->written += (uint64_t)rc;
	}
	unlock(space);
	return rc;
}

static int space_ftruncate(struct io *io, int fd, off_t size)
{
	struct spaceio *space = lock(io);
	int64_t before = size_of_fd(fd);
	int rc = size - before > space->room ? refuse(space)
					     : io_posix.ftruncate(&io_posix, fd, size);

	if (!rc)
		space->room -= size - before;
	unlock(space);
	return rc;
}

static int space_sync(struct io *io, int fd)
{
	(void)io;
	(void)fd; /* no machine crashes here */
	return 0;
}

static int space_fstat(struct io *io, int fd, struct stat *ret)
{
	(void)io;
	return io_posix.fstat(&io_posix, fd, ret);
}

static int space_rename(struct io *io, int dirfd, const char *from, const char *to)
{
	struct spaceio *space = lock(io);
	int64_t replaced = size_of_name(space, dirfd, to);
	int rc = io_posix.rename(&io_posix, dirfd, from, to);

	if (!rc)
		space->room += replaced;
	unlock(space);
	return rc;
}

static int space_unlink(struct io *io, int dirfd, const char *name)
{
	struct spaceio *space = lock(io);
	int64_t gone = size_of_name(space, dirfd, name);
	int rc = io_posix.unlink(&io_posix, dirfd, name);

	if (!rc)
		space->room += gone;
	unlock(space);
	return rc;
}

static int space_mkdir(struct io *io, int dirfd, const char *name, mode_t mode)
{
	(void)io;
	return io_posix.mkdir(&io_posix, dirfd, name, mode);
}

static int space_flock(struct io *io, int fd, int operation)
{
	(void)io;
	return io_posix.flock(&io_posix, fd, operation);
}

static int space_list(struct io *io, int dirfd, io_name_fn *visit, void *context)
{
	(void)io;
	return io_posix.list(&io_posix, dirfd, visit, context);
}

void spaceio_init(struct spaceio *space)
{
	*space = (struct spaceio){
		.io =
			{
				.open = space_open,
				.close = space_close,
				.preadv = space_preadv,
				.pwritev = space_pwritev,
				.ftruncate = space_ftruncate,
				.fdatasync = space_sync,
				.fsync = space_sync,
				.fstat = space_fstat,
				.rename = space_rename,
				.unlink = space_unlink,
				.mkdir = space_mkdir,
				.flock = space_flock,
				.list = space_list,
			},
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.room = INT64_MAX / 2,
	};
}
