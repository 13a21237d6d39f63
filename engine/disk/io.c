/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * io.c - see io.h.
 */
#include "disk/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define RETRY(result, call)                                                                        \
	do {                                                                                       \
		(result) = (call);                                                                 \
	} while ((result) < 0 && errno == EINTR)

static int status(int result)
{
	return result < 0 ? -errno : result;
}

static int posix_open(struct io *io, int dirfd, const char *name, int flags, mode_t mode)
{
	int fd;

	(void)io;
	RETRY(fd, openat(dirfd, name, flags | O_CLOEXEC, mode));
	return status(fd);
}

static int posix_close(struct io *io, int fd)
{
	(void)io;
	/* Linux lets the descriptor go even on EINTR: never again. */
	return close(fd) < 0 && errno != EINTR ? -errno : 0;
}

static ssize_t posix_preadv(struct io *io, int fd, const struct iovec *iov, int count, off_t offset)
{
	ssize_t n;

	(void)io;
	RETRY(n, preadv(fd, iov, count, offset));
	return n < 0 ? -errno : n;
}

/* A larger write has the page cache look for larger pieces of memory than there may be at
 * hand: 60 MiB at once were written at 0.3 to 5 GB/s, by the MiB always at 3 to 5. */
enum { WRITE_MAX = 1 << 20 };

/* The vectors up to the one with which they hold WRITE_MAX bytes or more. */
static int first_vectors(const struct iovec *iov, int count)
{
	size_t size = 0;
	int n = 0;

	while (n < count && size < WRITE_MAX)
		size += iov[n++].iov_len;
	/* a large one begins by itself */
	return n > 1 && size > WRITE_MAX ? n - 1 : n;
}

/* It may be a part of what there is. */
static ssize_t posix_pwritev(struct io *io, int fd, const struct iovec *iov, int count,
			     off_t offset)
{
	ssize_t n;

	(void)io;
	count = first_vectors(iov, count);
	/* most are one piece, which costs the kernel less */
	if (count == 1)
		RETRY(n, pwrite(fd, iov->iov_base,
				iov->iov_len < WRITE_MAX ? iov->iov_len : WRITE_MAX, offset));
	else
		RETRY(n, pwritev(fd, iov, count, offset));
	return n < 0 ? -errno : n;
}

static int posix_ftruncate(struct io *io, int fd, off_t size)
{
	int rc;

	(void)io;
	RETRY(rc, ftruncate(fd, size));
	return status(rc);
}

static int posix_fdatasync(struct io *io, int fd)
{
	int rc;

	(void)io;
	RETRY(rc, fdatasync(fd));
	return status(rc);
}

static int posix_fsync(struct io *io, int fd)
{
	int rc;

	(void)io;
	RETRY(rc, fsync(fd));
	return status(rc);
}

static int posix_fstat(struct io *io, int fd, struct stat *ret)
{
	(void)io;
	return status(fstat(fd, ret));
}

static int posix_lookup(struct io *io, int dirfd, const char *name, struct stat *ret)
{
	(void)io;
	return status(fstatat(dirfd, name, ret, AT_SYMLINK_NOFOLLOW));
}

static int posix_rename(struct io *io, int dirfd, const char *from, const char *to)
{
	(void)io;
	return status(renameat(dirfd, from, dirfd, to));
}

static int posix_unlink(struct io *io, int dirfd, const char *name)
{
	(void)io;
	return status(unlinkat(dirfd, name, 0));
}

static int posix_mkdir(struct io *io, int dirfd, const char *name, mode_t mode)
{
	(void)io;
	return status(mkdirat(dirfd, name, mode));
}

static int posix_rmdir(struct io *io, int dirfd, const char *name)
{
	(void)io;
	return status(unlinkat(dirfd, name, AT_REMOVEDIR));
}

static int posix_link(struct io *io, int from, const char *name, int to)
{
	(void)io;
	return status(linkat(from, name, to, name, 0));
}

static int posix_clone(struct io *io, int fd, int to)
{
	(void)io;
	return status(ioctl(to, FICLONE, fd));
}

static int posix_flock(struct io *io, int fd, int operation)
{
	int rc;

	(void)io;
	RETRY(rc, flock(fd, operation));
	return status(rc);
}

static int posix_own(struct io *io, int fd, uid_t uid, gid_t gid, mode_t mode)
{
	struct stat st;
	int rc = posix_fstat(io, fd, &st);

	if (rc < 0)
		return rc;
	/* each by itself: a process that may not give a file away may still choose among its
	 * groups */
	if (st.st_uid != uid && fchown(fd, uid, (gid_t)-1) < 0)
		rc = -errno;
	if (st.st_gid != gid && fchown(fd, (uid_t)-1, gid) < 0) {
		rc = -errno;
		mode &= ~(mode_t)S_IRWXG; /* meant for another group */
	}
	if ((st.st_mode & 07777) != mode && fchmod(fd, mode) < 0)
		rc = -errno;
	return rc;
}

static int posix_filesystem(struct io *io, int fd, uint32_t *type_ret)
{
	struct statfs st;

	(void)io;
	if (fstatfs(fd, &st) < 0)
		return -errno;
	*type_ret = (uint32_t)st.f_type;
	return 0;
}

static int posix_set_note(struct io *io, int fd, const char *name, const void *data, size_t size)
{
	(void)io;
	return status(fsetxattr(fd, name, data, size, 0));
}

static ssize_t posix_get_note(struct io *io, int fd, const char *name, void *ret, size_t size)
{
	(void)io;
	ssize_t n = fgetxattr(fd, name, ret, size);
	return n < 0 ? -errno : n;
}

static int posix_list(struct io *io, int dirfd, io_name_fn *visit, void *context)
{
	struct dirent *entry;
	int rc = 0;

	/* a description of its own: the offset of `dirfd` is not touched */
	int fd = posix_open(io, dirfd, ".", O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return fd;
	DIR *dir = fdopendir(fd);
	if (!dir) {
		rc = -errno;
		(void)close(fd); /* nothing was written through it */
		return rc;
	}
	for (errno = 0; !rc && (entry = readdir(dir)); errno = 0)
		rc = visit(context, entry->d_name);
	/* a listing cut short must not pass for a whole one */
	if (!rc && errno)
		rc = -errno;
	(void)closedir(dir); /* nothing was written through it */
	return rc;
}

static int posix_allocate(struct io *io, int fd, off_t offset, off_t size)
{
	int rc;

	(void)io;
	RETRY(rc, fallocate(fd, FALLOC_FL_KEEP_SIZE, offset, size));
	return status(rc);
}

static int posix_trim(struct io *io, int fd, const struct stat *stat)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, stat->st_mtim};
	int rc = posix_ftruncate(io, fd, stat->st_size);

	return rc ? rc : status(futimens(fd, times));
}

static void posix_write_back(struct io *io, int fd, off_t offset, off_t size)
{
	(void)io;
	(void)sync_file_range(fd, offset, size, SYNC_FILE_RANGE_WRITE); /* a sync will tell */
}

static void posix_uncache(struct io *io, int fd, off_t offset, off_t size)
{
	(void)io;
	(void)posix_fadvise(fd, offset, size, POSIX_FADV_DONTNEED); /* advice */
}

static int posix_map(struct io *io, int fd, size_t size, struct mapping *ret)
{
	(void)io;
	return mapping_init(ret, fd, size);
}

struct io io_posix = {
	.open = posix_open,
	.close = posix_close,
	.preadv = posix_preadv,
	.pwritev = posix_pwritev,
	.ftruncate = posix_ftruncate,
	.fdatasync = posix_fdatasync,
	.fsync = posix_fsync,
	.fstat = posix_fstat,
	.lookup = posix_lookup,
	.rename = posix_rename,
	.unlink = posix_unlink,
	.mkdir = posix_mkdir,
	.rmdir = posix_rmdir,
	.link = posix_link,
	.clone = posix_clone,
	.flock = posix_flock,
	.own = posix_own,
	.filesystem = posix_filesystem,
	.set_note = posix_set_note,
	.get_note = posix_get_note,
	.list = posix_list,
	.allocate = posix_allocate,
	.trim = posix_trim,
	.write_back = posix_write_back,
	.uncache = posix_uncache,
	.map = posix_map,
};

/* Drop the first `n` bytes of the vectors; returns how many vectors are left. */
static int advance(struct iovec **iov, int count, size_t n)
{
	while (count && n >= (*iov)->iov_len) {
		n -= (*iov)->iov_len;
		(*iov)++;
		count--;
	}
	if (count) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + n;
		(*iov)->iov_len -= n;
	}
	return count;
}

int io_readv_full(struct io *io, int fd, struct iovec *iov, int count, uint64_t offset)
{
	count = advance(&iov, count, 0);
	while (count) {
		ssize_t n = io->preadv(io, fd, iov, count, (off_t)offset);
		if (n == -EINTR)
			continue;
		if (n < 0)
			return (int)n;
		if (n == 0)
			return -ENODATA;
		offset += (uint64_t)n;
		count = advance(&iov, count, (size_t)n);
	}
	return 0;
}

int io_read_full(struct io *io, int fd, void *ret, size_t size, uint64_t offset)
{
	struct iovec iov = {ret, size};

	return io_readv_full(io, fd, &iov, 1, offset);
}

ssize_t io_read_up_to(struct io *io, int fd, void *ret, size_t size, uint64_t offset)
{
	size_t done = 0;

	while (done < size) {
		struct iovec iov = {(char *)ret + done, size - done};
		ssize_t n = io->preadv(io, fd, &iov, 1, (off_t)(offset + done));
		if (n == -EINTR)
			continue;
		if (n < 0)
			return n;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int io_writev_full(struct io *io, int fd, struct iovec *iov, int count, uint64_t offset)
{
	count = advance(&iov, count, 0);
	while (count) {
		ssize_t n = io->pwritev(io, fd, iov, count, (off_t)offset);
		if (n == -EINTR)
			continue;
		if (n < 0)
			return (int)n;
		if (n == 0)
			return -EIO; /* a regular file takes at least a byte or says why not */
		offset += (uint64_t)n;
		count = advance(&iov, count, (size_t)n);
	}
	return 0;
}

int io_write_full(struct io *io, int fd, const void *data, size_t size, uint64_t offset)
{
	struct iovec iov = {(void *)data, size}; /* only read */

	return io_writev_full(io, fd, &iov, 1, offset);
}
