/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * faultio.c - see faultio.h.
 */
#include "tests/support/faultio.h"

#include <errno.h>

static struct faultio *self(struct io *io)
{
	return (struct faultio *)io;
}

/* Whether this call is the one. */
static bool is_turn(struct faultio *fault, const char *where)
{
	fault->calls++;
	if (fault->calls != fault->fail_at && !(fault->kind == FAULTIO_GONE && fault->hit))
		return false;
	if (fault->hit)
		return true;
	fault->hit = true;
	fault->where = where;
	return true;
}

static bool fails(struct io *io, const char *where)
{
	return is_turn(self(io), where) &&
	       (self(io)->kind == FAULTIO_ERROR || self(io)->kind == FAULTIO_GONE);
}

static int fault_open(struct io *io, int dirfd, const char *name, int flags, mode_t mode)
{
	if (fails(io, "open"))
		return -self(io)->error;
	return io_posix.open(&io_posix, dirfd, name, flags, mode);
}

static int fault_close(struct io *io, int fd)
{
	bool failed = fails(io, "close");
	int rc = io_posix.close(&io_posix, fd);

	return failed ? -self(io)->error : rc;
}

static ssize_t fault_preadv(struct io *io, int fd, const struct iovec *iov, int count, off_t offset)
{
	struct faultio *fault = self(io);

	if (is_turn(fault, "preadv") && fault->kind != FAULTIO_SHORT)
		return fault->kind == FAULTIO_EINTR ? -EINTR : -fault->error;
	return io_posix.preadv(&io_posix, fd, iov, count, offset);
}

/* Half of the first non-empty vector. */
static ssize_t write_half(int fd, const struct iovec *iov, int count, off_t offset)
{
	while (count > 1 && !iov->iov_len) {
		iov++;
		count--;
	}
	const struct iovec half = {iov->iov_base, (iov->iov_len + 1) / 2};
	return io_posix.pwritev(&io_posix, fd, &half, 1, offset);
}

static ssize_t fault_pwritev(struct io *io, int fd, const struct iovec *iov, int count,
			     off_t offset)
{
	struct faultio *fault = self(io);

	fault->pwritevs++;
	if (fault->follow) {
		fault->follow = false;
		fault->calls++;
		return -fault->error;
	}
	if (!is_turn(fault, "pwritev"))
		return io_posix.pwritev(&io_posix, fd, iov, count, offset);
	if (fault->kind == FAULTIO_EINTR)
		return -EINTR;
	if (fault->kind == FAULTIO_ERROR || fault->kind == FAULTIO_GONE)
		return -fault->error;
	fault->follow = fault->error;
	return write_half(fd, iov, count, offset);
}

static int fault_ftruncate(struct io *io, int fd, off_t size)
{
	if (fails(io, "ftruncate"))
		return -self(io)->error;
	return io_posix.ftruncate(&io_posix, fd, size);
}

static int fault_fdatasync(struct io *io, int fd)
{
	(void)fd; /* no machine crashes here */
	if (fails(io, "fdatasync"))
		return -self(io)->error;
	return 0;
}

static int fault_fsync(struct io *io, int fd)
{
	(void)fd; /* no machine crashes here */
	if (fails(io, "fsync"))
		return -self(io)->error;
	return 0;
}

static int fault_fstat(struct io *io, int fd, struct stat *ret)
{
	if (fails(io, "fstat"))
		return -self(io)->error;
	return io_posix.fstat(&io_posix, fd, ret);
}

static int fault_rename(struct io *io, int dirfd, const char *from, const char *to)
{
	if (fails(io, "rename"))
		return -self(io)->error;
	return io_posix.rename(&io_posix, dirfd, from, to);
}

static int fault_unlink(struct io *io, int dirfd, const char *name)
{
	if (fails(io, "unlink"))
		return -self(io)->error;
	return io_posix.unlink(&io_posix, dirfd, name);
}

static int fault_mkdir(struct io *io, int dirfd, const char *name, mode_t mode)
{
	if (fails(io, "mkdir"))
		return -self(io)->error;
	return io_posix.mkdir(&io_posix, dirfd, name, mode);
}

static int fault_rmdir(struct io *io, int dirfd, const char *name)
{
	if (fails(io, "rmdir"))
		return -self(io)->error;
	return io_posix.rmdir(&io_posix, dirfd, name);
}

static int fault_link(struct io *io, int from, const char *name, int to)
{
	if (fails(io, "link"))
		return -self(io)->error;
	return io_posix.link(&io_posix, from, name, to);
}

static int fault_flock(struct io *io, int fd, int operation)
{
	if (fails(io, "flock"))
		return -self(io)->error;
	return io_posix.flock(&io_posix, fd, operation);
}

static int fault_list(struct io *io, int dirfd, io_name_fn *visit, void *context)
{
	if (fails(io, "list"))
		return -self(io)->error;
	return io_posix.list(&io_posix, dirfd, visit, context);
}

void faultio_init(struct faultio *fault)
{
	*fault = (struct faultio){
		.io =
			{
				.open = fault_open,
				.close = fault_close,
				.preadv = fault_preadv,
				.pwritev = fault_pwritev,
				.ftruncate = fault_ftruncate,
				.fdatasync = fault_fdatasync,
				.fsync = fault_fsync,
				.fstat = fault_fstat,
				.rename = fault_rename,
				.unlink = fault_unlink,
				.mkdir = fault_mkdir,
				.rmdir = fault_rmdir,
				.link = fault_link,
				.flock = fault_flock,
				.list = fault_list,
			},
	};
}

void faultio_arm(struct faultio *fault, enum faultio_kind kind, int error, uint64_t fail_at)
{
	fault->kind = kind;
	fault->error = error;
	fault->fail_at = fault->calls + fail_at;
	fault->hit = fault->follow = false;
}
