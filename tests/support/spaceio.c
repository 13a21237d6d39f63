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
	return space->error ? -space->error : -ENOSPC;
}

/* The allocation of a file after its end; NULL: none, and `add` is false. */
static struct spaceio_ahead *ahead_of(struct spaceio *space, ino_t ino, bool add)
{
	struct spaceio_ahead *unused = NULL;

	for (size_t i = 0; i < SPACEIO_FILES; i++) {
		if (space->ahead[i].ino == ino)
			return &space->ahead[i];
		if (!space->ahead[i].ino && !unused)
			unused = &space->ahead[i];
	}
	if (!add || !unused)
		return NULL;
	unused->ino = ino;
	return unused;
}

/* A file is now `size` bytes long and has nothing behind that. */
static void drop_ahead(struct spaceio *space, ino_t ino, int64_t size)
{
	struct spaceio_ahead *ahead = ahead_of(space, ino, false);

	if (ahead && ahead->end > size)
		space->room += ahead->end - size;
	if (ahead)
		*ahead = (struct spaceio_ahead){0};
}

/* The room that a file takes, up to its end and after it. */
static int64_t charged(struct spaceio *space, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return 0;
	const struct spaceio_ahead *ahead = ahead_of(space, st.st_ino, false);
	return ahead && ahead->end > st.st_size ? ahead->end : st.st_size;
}

/* Unlinking a name frees the bytes of its file; blocks allocated after them go at once. */
static int64_t release_name(struct spaceio *space, int dirfd, const char *name, bool gone)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (gone)
		drop_ahead(space, st.st_ino, st.st_size);
	return st.st_size + space->file_cost;
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
	int64_t fits = space->room + charged(space, fd) - offset;

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
	int64_t size = charged(space, fd), end = offset;
	ssize_t rc;

	for (int i = 0; i < count; i++)
		end += (int64_t)iov[i].iov_len;
	if (end - size > space->room)
		rc = write_part(space, fd, iov, count, offset);
	else
		rc = io_posix.pwritev(&io_posix, fd, iov, count, offset);
	if (rc > 0) {
		space->room -= charged(space, fd) - size;
		space->written += (uint64_t)rc;
	}
	unlock(space);
	return rc;
}

static int space_ftruncate(struct io *io, int fd, off_t size)
{
	struct spaceio *space = lock(io);
	int64_t before = charged(space, fd);
	int rc = size - before > space->room ? refuse(space)
					     : io_posix.ftruncate(&io_posix, fd, size);
	struct stat st;

	if (!rc && size > before)
		space->room -= size - before;
	if (!rc && size < before && !fstat(fd, &st)) {
		struct spaceio_ahead *ahead = ahead_of(space, st.st_ino, false);
		space->room += before - size;
		if (ahead)
			*ahead = (struct spaceio_ahead){0};
	}
	unlock(space);
	return rc;
}

static int space_allocate(struct io *io, int fd, off_t offset, off_t size)
{
	struct spaceio *space = lock(io);
	int64_t before = charged(space, fd), end = offset + size;
	struct stat st;
	int rc = 0;

	if (end - before > space->room)
		rc = refuse(space);
	else if (end > before && !fstat(fd, &st)) {
		struct spaceio_ahead *ahead = ahead_of(space, st.st_ino, true);
		if (ahead) {
			ahead->end = end;
			space->room -= end - before;
		}
	}
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
	int64_t replaced = release_name(space, dirfd, to, false);
	int rc = io_posix.rename(&io_posix, dirfd, from, to);

	if (!rc)
		space->room += replaced;
	unlock(space);
	return rc;
}

static int space_unlink(struct io *io, int dirfd, const char *name)
{
	struct spaceio *space = lock(io);
	int64_t gone = release_name(space, dirfd, name, true);
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

void spaceio_allocates(struct spaceio *space)
{
	space->io.allocate = space_allocate;
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
