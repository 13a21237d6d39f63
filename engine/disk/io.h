/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * io.h - the system calls of the engine, as a table that tests swap.
 *
 * Every access to a store's files goes through a `struct io`: the crash and
 * fault tests put their own in its place.  Calls return a negative errno, never
 * errno; EINTR is dealt with here and nowhere else.
 */
#ifndef DISK_IO_H
#define DISK_IO_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "disk/mapping.h"

/* A name in a directory.  Non-zero ends the listing and is returned. */
typedef int io_name_fn(void *context, const char *name);

struct io {
	int (*open)(struct io *io, int dirfd, const char *name, int flags, mode_t mode);
	int (*close)(struct io *io, int fd);
	ssize_t (*preadv)(struct io *io, int fd, const struct iovec *iov, int count, off_t offset);
	ssize_t (*pwritev)(struct io *io, int fd, const struct iovec *iov, int count, off_t offset);
	int (*ftruncate)(struct io *io, int fd, off_t size);
	int (*fdatasync)(struct io *io, int fd);
	int (*fsync)(struct io *io, int fd);
	int (*fstat)(struct io *io, int fd, struct stat *ret);
	/* lstat(2) of a name.  NULL: not known. */
	int (*lookup)(struct io *io, int dirfd, const char *name, struct stat *ret);
	int (*rename)(struct io *io, int dirfd, const char *from, const char *to);
	int (*unlink)(struct io *io, int dirfd, const char *name);
	int (*mkdir)(struct io *io, int dirfd, const char *name, mode_t mode);
	/* NULL: directories stay. */
	int (*rmdir)(struct io *io, int dirfd, const char *name);
	/* A second name for a file, the same in another directory.  NULL: no file has two. */
	int (*link)(struct io *io, int from, const char *name, int to);
	/* Have the file `to` share all blocks of `fd`, as FICLONE does.  NULL: none can. */
	int (*clone)(struct io *io, int fd, int to);
	int (*flock)(struct io *io, int fd, int operation);
	/* Give a file to that owner and group, as far as the process may, and set its mode.
	 * NULL: it stays as it was made. */
	int (*own)(struct io *io, int fd, uid_t uid, gid_t gid, mode_t mode);
	/* The type of the file system that something lies on, as fstatfs(2) has it.  NULL: not
	 * known. */
	int (*filesystem)(struct io *io, int fd, uint32_t *type_ret);
	/* A few bytes beside a file, for people to read; as fsetxattr(2) and fgetxattr(2).  NULL:
	 * there are none. */
	int (*set_note)(struct io *io, int fd, const char *name, const void *data, size_t size);
	ssize_t (*get_note)(struct io *io, int fd, const char *name, void *ret, size_t size);
	int (*list)(struct io *io, int dirfd, io_name_fn *visit, void *context);
	/* Allocate blocks for these bytes and leave the size as it is.  -EOPNOTSUPP where
	 * the file system cannot.  NULL: none can. */
	int (*allocate)(struct io *io, int fd, off_t offset, off_t size);
	/* Give back the blocks behind the end of a file, open for writing, that fstat() told of;
	 * its size and mtime stay.  NULL: they stay, too. */
	int (*trim)(struct io *io, int fd, const struct stat *stat);
	/* Have the disk begin with what was written there; wait for nothing, promise nothing.
	 * NULL: it begins when it likes. */
	void (*write_back)(struct io *io, int fd, off_t offset, off_t size);
	/* Drop synced bytes from the page cache, because they will not be read.
	 * NULL: it goes when the room is needed. */
	void (*uncache)(struct io *io, int fd, off_t offset, off_t size);
	/* As mapping_init().  NULL: everything is read by preadv(). */
	int (*map)(struct io *io, int fd, size_t size, struct mapping *ret);
};

/* Whether a call failed because the disk is full, or the quota of the file's owner. */
static inline bool io_is_full(int rc)
{
	return rc == -ENOSPC || rc == -EDQUOT;
}

/* The kernel.  Any thread. */
extern struct io io_posix;

/* Read exactly `size` bytes.  0, -ENODATA when the file ends before, or -errno. */
int io_read_full(struct io *io, int fd, void *ret, size_t size, uint64_t offset);

/* Read as much as there is, up to `size`.  The number of bytes or -errno. */
ssize_t io_read_up_to(struct io *io, int fd, void *ret, size_t size, uint64_t offset);

/* Fill all vectors from the file; they are used up.  0, -ENODATA or -errno. */
int io_readv_full(struct io *io, int fd, struct iovec *iov, int count, uint64_t offset);

/* Write all of the vectors; they are used up.  0 or -errno (some may be written). */
int io_writev_full(struct io *io, int fd, struct iovec *iov, int count, uint64_t offset);

/* Write exactly `size` bytes.  0 or -errno (some may be written). */
int io_write_full(struct io *io, int fd, const void *data, size_t size, uint64_t offset);

#endif
