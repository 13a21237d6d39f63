/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * memio.c - see memio.h.
 */
#include "tests/fuzz/memio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

static struct memio *enter(struct io *io)
{
	struct memio *mem = (struct memio *)io;

	(void)pthread_mutex_lock(&mem->lock); /* cannot fail */
	return mem;
}

static ssize_t leave(struct memio *mem, ssize_t result)
{
	(void)pthread_mutex_unlock(&mem->lock);
	return result;
}

/* --- names --- */

/* As the kernel reads a path: one slash for many, and no "." components. */
static int clean_path(const char *path, char ret[MEMIO_NAME])
{
	size_t size = 0;

	for (size_t n; *path; path += n) {
		path += strspn(path, "/");
		n = strcspn(path, "/");
		if (!n || (n == 1 && *path == '.'))
			continue;
		if (size + n + 2 > MEMIO_NAME)
			return -ENAMETOOLONG;
		ret[size++] = '/';
		memcpy(ret + size, path, n);
		size += n;
	}
	if (!size)
		ret[size++] = '/';
	ret[size] = '\0';
	return 0;
}

static int find_dir(const struct memio *mem, const char *path)
{
	char clean[MEMIO_NAME];
	int rc = clean_path(path, clean);

	if (rc < 0)
		return rc;
	for (int i = 0; i < mem->dir_count; i++)
		if (!strcmp(mem->dirs[i], clean))
			return i;
	return -ENOENT;
}

static struct memio_file *find_file(struct memio *mem, int dir, const char *name)
{
	for (int i = 0; i < mem->file_end; i++)
		if (mem->files[i].dir == dir && !strcmp(mem->files[i].name, name))
			return &mem->files[i];
	return NULL;
}

/* The directory behind a descriptor.  There are no relative paths. */
static int dir_of(const struct memio *mem, int dirfd)
{
	FUZZ_CHECK(dirfd >= 0 && dirfd < MEMIO_FDS && mem->fds[dirfd] < 0);
	return -mem->fds[dirfd] - 1;
}

static int path_at(const struct memio *mem, int dirfd, const char *name, char ret[MEMIO_NAME])
{
	const char *above = dirfd == AT_FDCWD ? "" : mem->dirs[dir_of(mem, dirfd)];
	int size = snprintf(ret, MEMIO_NAME, "%s/%s", above, name);

	return size < MEMIO_NAME ? 0 : -ENAMETOOLONG;
}

static struct memio_file *file_of(struct memio *mem, int fd)
{
	FUZZ_CHECK(fd >= 0 && fd < MEMIO_FDS && mem->fds[fd] > 0);
	return &mem->files[mem->fds[fd] - 1];
}

static void drop_if_unused(struct memio_file *file)
{
	if (file->dir < 0 && !file->opens)
		buf_release(&file->data);
}

static struct memio_file *new_file(struct memio *mem, int dir, const char *name)
{
	for (int i = 0; i < MEMIO_FILES; i++) {
		struct memio_file *file = &mem->files[i];
		if (file->dir >= 0 || file->opens)
			continue;
		*file = (struct memio_file){.dir = dir, .ino = ++mem->next_ino};
		(void)snprintf(file->name, sizeof file->name, "%s", name); /* checked before */
		if (i >= mem->file_end)
			mem->file_end = i + 1;
		return file;
	}
	fuzz_fail("room for a file", __FILE__, __LINE__);
}

/* --- calls --- */

static int new_fd(struct memio *mem, int what)
{
	for (int fd = 0; fd < MEMIO_FDS; fd++)
		if (!mem->fds[fd]) {
			mem->fds[fd] = what;
			return fd;
		}
	fuzz_fail("room for a descriptor", __FILE__, __LINE__);
}

static int open_file(struct memio *mem, int dir, const char *name, int flags)
{
	if (strlen(name) >= MEMIO_NAME)
		return -ENAMETOOLONG;
	struct memio_file *file = find_file(mem, dir, name);
	if (!file && !(flags & O_CREAT))
		return -ENOENT;
	if (file && flags & O_CREAT && flags & O_EXCL)
		return -EEXIST;
	if (!file)
		file = new_file(mem, dir, name);
	file->opens++;
	return new_fd(mem, (int)(file - mem->files) + 1);
}

static int mem_open(struct io *io, int dirfd, const char *name, int flags, mode_t mode)
{
	struct memio *mem = enter(io);
	char path[MEMIO_NAME];
	int rc;

	(void)mode;
	FUZZ_CHECK(dirfd != AT_FDCWD || flags & O_DIRECTORY);
	if (flags & O_DIRECTORY) {
		rc = path_at(mem, dirfd, name, path);
		rc = rc < 0 ? rc : find_dir(mem, path);
		rc = rc < 0 ? rc : new_fd(mem, -rc - 1);
	} else {
		rc = open_file(mem, dir_of(mem, dirfd), name, flags);
	}
	return (int)leave(mem, rc);
}

static int mem_close(struct io *io, int fd)
{
	struct memio *mem = enter(io);

	FUZZ_CHECK(fd >= 0 && fd < MEMIO_FDS && mem->fds[fd]);
	if (mem->fds[fd] > 0) {
		struct memio_file *file = file_of(mem, fd);
		file->opens--;
		drop_if_unused(file);
	}
	mem->fds[fd] = 0;
	return (int)leave(mem, 0);
}

static ssize_t mem_preadv(struct io *io, int fd, const struct iovec *iov, int count, off_t offset)
{
	struct memio *mem = enter(io);
	const struct buf *data = &file_of(mem, fd)->data;
	size_t at = (size_t)offset, done = 0;

	for (int i = 0; i < count && at < data->size; i++) {
		size_t n = data->size - at < iov[i].iov_len ? data->size - at : iov[i].iov_len;
		if (n)
			memcpy(iov[i].iov_base, data->data + at, n);
		at += n;
		done += n;
	}
	return leave(mem, (ssize_t)done);
}

static void resize(struct buf *data, size_t size)
{
	if (size > data->size) {
		FUZZ_CHECK(!buf_reserve(data, size - data->size));
		memset(data->data + data->size, 0, size - data->size);
	}
	data->size = size;
}

static ssize_t mem_pwritev(struct io *io, int fd, const struct iovec *iov, int count, off_t offset)
{
	struct memio *mem = enter(io);
	struct buf *data = &file_of(mem, fd)->data;
	size_t at = (size_t)offset;

	for (int i = 0; i < count; i++) {
		size_t n = iov[i].iov_len;
		if (at + n > data->size)
			resize(data, at + n);
		if (n)
			memcpy(data->data + at, iov[i].iov_base, n);
		at += n;
	}
	return leave(mem, (ssize_t)(at - (size_t)offset));
}

static int mem_ftruncate(struct io *io, int fd, off_t size)
{
	struct memio *mem = enter(io);

	resize(&file_of(mem, fd)->data, (size_t)size);
	return (int)leave(mem, 0);
}

static int mem_sync(struct io *io, int fd)
{
	(void)io;
	(void)fd;
	return 0;
}

static int mem_fstat(struct io *io, int fd, struct stat *ret)
{
	struct memio *mem = enter(io);

	FUZZ_CHECK(fd >= 0 && fd < MEMIO_FDS && mem->fds[fd]);
	*ret = (struct stat){
		.st_mode = S_IFDIR | 0700, .st_nlink = 1, .st_mtim = {MEMIO_MTIME_S, 0}};
	if (mem->fds[fd] < 0) {
		ret->st_ino = (ino_t)(1000000 - mem->fds[fd]);
	} else {
		const struct memio_file *file = file_of(mem, fd);
		ret->st_mode = S_IFREG | 0600;
		ret->st_nlink = file->dir >= 0;
		ret->st_ino = (ino_t)file->ino;
		ret->st_size = (off_t)file->data.size;
		ret->st_blocks = (blkcnt_t)((file->data.size + 511) / 512);
	}
	return (int)leave(mem, 0);
}

static void unname(struct memio_file *file)
{
	file->dir = -1;
	drop_if_unused(file);
}

static int mem_rename(struct io *io, int dirfd, const char *from, const char *to)
{
	struct memio *mem = enter(io);
	int dir = dir_of(mem, dirfd);
	struct memio_file *file = find_file(mem, dir, from), *there = find_file(mem, dir, to);

	if (!file || strlen(to) >= MEMIO_NAME)
		return (int)leave(mem, file ? -ENAMETOOLONG : -ENOENT);
	if (there && there != file)
		unname(there);
	(void)snprintf(file->name, sizeof file->name, "%s", to); /* it fits */
	return (int)leave(mem, 0);
}

static int mem_unlink(struct io *io, int dirfd, const char *name)
{
	struct memio *mem = enter(io);
	struct memio_file *file = find_file(mem, dir_of(mem, dirfd), name);

	if (file)
		unname(file);
	return (int)leave(mem, file ? 0 : -ENOENT);
}

static int mem_mkdir(struct io *io, int dirfd, const char *name, mode_t mode)
{
	struct memio *mem = enter(io);
	char path[MEMIO_NAME];
	int rc;

	(void)mode;
	rc = path_at(mem, dirfd, name, path);
	if (!rc && find_dir(mem, path) >= 0)
		rc = -EEXIST;
	else if (!rc && mem->dir_count == MEMIO_DIRS)
		rc = -ENOSPC;
	else if (!rc)
		rc = clean_path(path, mem->dirs[mem->dir_count++]);
	return (int)leave(mem, rc);
}

static int mem_flock(struct io *io, int fd, int operation)
{
	(void)io;
	(void)fd;
	(void)operation;
	return 0;
}

static int mem_list(struct io *io, int dirfd, io_name_fn *visit, void *context)
{
	struct memio *mem = enter(io);
	int dir = dir_of(mem, dirfd), rc = 0;

	for (int i = 0; !rc && i < mem->file_end; i++)
		if (mem->files[i].dir == dir)
			rc = visit(context, mem->files[i].name);
	return (int)leave(mem, rc);
}

/* --- for fuzzers --- */

struct memio *memio_fresh(void)
{
	static struct memio mem = {.lock = PTHREAD_MUTEX_INITIALIZER};
	static bool used;

	mem.io = (struct io){
		.open = mem_open,
		.close = mem_close,
		.preadv = mem_preadv,
		.pwritev = mem_pwritev,
		.ftruncate = mem_ftruncate,
		.fdatasync = mem_sync,
		.fsync = mem_sync,
		.fstat = mem_fstat,
		.rename = mem_rename,
		.unlink = mem_unlink,
		.mkdir = mem_mkdir,
		.flock = mem_flock,
		.list = mem_list,
	};
	FUZZ_CHECK(!used || memio_is_idle(&mem));
	used = true;
	for (int i = 0; i < MEMIO_FILES; i++) {
		buf_release(&mem.files[i].data);
		mem.files[i].dir = -1;
	}
	mem.dir_count = mem.file_end = 0;
	mem.next_ino = 0;
	(void)snprintf(mem.dirs[mem.dir_count++], MEMIO_NAME, "/");
	(void)snprintf(mem.dirs[mem.dir_count++], MEMIO_NAME, "/store");
	return &mem;
}

enum { STORE = 1 };

void memio_put(struct memio *mem, const char *name, const void *data, size_t size)
{
	struct memio_file *file = find_file(mem, STORE, name);

	if (!file)
		file = new_file(mem, STORE, name);
	file->data.size = 0;
	fuzz_add(&file->data, data, size);
}

const struct buf *memio_get(struct memio *mem, const char *name)
{
	const struct memio_file *file = find_file(mem, STORE, name);

	return file ? &file->data : NULL;
}

uint64_t *memio_inode(struct memio *mem, const char *name)
{
	struct memio_file *file = find_file(mem, STORE, name);

	FUZZ_CHECK(file);
	return &file->ino;
}

void memio_remove(struct memio *mem, const char *name)
{
	struct memio_file *file = find_file(mem, STORE, name);

	if (file)
		unname(file);
}

size_t memio_sizes(struct memio *mem, const char *part, const struct buf **last_ret)
{
	size_t size = 0;

	for (int i = 0; i < mem->file_end; i++)
		if (mem->files[i].dir == STORE && strstr(mem->files[i].name, part)) {
			size += mem->files[i].data.size;
			*last_ret = &mem->files[i].data;
		}
	return size;
}

bool memio_is_idle(struct memio *mem)
{
	for (int i = 0; i < MEMIO_FDS; i++)
		if (mem->fds[i])
			return false;
	return true;
}
