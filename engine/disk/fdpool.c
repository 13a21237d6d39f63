/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fdpool.c - see fdpool.h.
 */
#include "disk/fdpool.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <utlist.h>

enum { LIMIT_MIN = 8, LIMIT_MAX = 1 << 16 };

static uint32_t default_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur / 2 < LIMIT_MIN)
		return LIMIT_MIN;
	return limit.rlim_cur / 2 < LIMIT_MAX ? (uint32_t)(limit.rlim_cur / 2) : LIMIT_MAX;
}

int fdpool_init(struct fdpool *pool, struct io *io, int dirfd, uint32_t limit)
{
	*pool = (struct fdpool){.io = io, .dirfd = dirfd};
	pool->limit = limit ? limit : default_limit();
	return -pthread_mutex_init(&pool->lock, NULL);
}

void fdpool_release(struct fdpool *pool)
{
	assert(!pool->open_count);
	(void)pthread_mutex_destroy(&pool->lock); /* fails only while locked */
}

void fdpool_file_init(struct fdpool_file *file, uint32_t segment_id)
{
	*file = (struct fdpool_file){.fd = -1};
	segname_format(segment_id, file->name);
}

static void close_locked(struct fdpool *pool, struct fdpool_file *file)
{
	assert(!file->pins);
	(void)pool->io->close(pool->io, file->fd); /* its writes are synced by name later */
	file->fd = -1;
	pool->open_count--;
}

static void make_room_locked(struct fdpool *pool)
{
	while (pool->open_count >= pool->limit && pool->idle) {
		struct fdpool_file *oldest = pool->idle;
		DL_DELETE(pool->idle, oldest);
		close_locked(pool, oldest);
	}
}

static bool is_idle(const struct fdpool_file *file)
{
	return file->fd >= 0 && !file->pins && !file->keep;
}

static int open_locked(struct fdpool *pool, struct fdpool_file *file)
{
	struct stat st;

	make_room_locked(pool);
	/* O_NONBLOCK: a FIFO of that name must not hang us; a file ignores it */
	int flags = (file->writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK;
	int fd = pool->io->open(pool->io, pool->dirfd, file->name, flags, 0);
	if (fd < 0)
		return fd;
	int rc = pool->io->fstat(pool->io, fd, &st);
	if (!rc && !S_ISREG(st.st_mode))
		rc = -EINVAL;
	if (!rc && file->known && (st.st_dev != file->dev || st.st_ino != file->ino))
		rc = -ESTALE;
	if (rc < 0) {
		(void)pool->io->close(pool->io, fd); /* only looked at */
		return rc;
	}
	file->dev = st.st_dev;
	file->ino = st.st_ino;
	file->known = true;
	file->fd = fd;
	pool->open_count++;
	return 0;
}

void fdpool_adopt(struct fdpool *pool, struct fdpool_file *file, int fd, bool writable)
{
	(void)pthread_mutex_lock(&pool->lock);
	assert(file->fd < 0);
	file->fd = fd;
	file->writable = writable;
	file->pins++; /* until the next line, so that it is in no list */
	pool->open_count++;
	(void)pthread_mutex_unlock(&pool->lock);
	fdpool_unpin(pool, file);
}

int fdpool_pin(struct fdpool *pool, struct fdpool_file *file)
{
	int rc = 0;

	(void)pthread_mutex_lock(&pool->lock);
	if (is_idle(file))
		DL_DELETE(pool->idle, file);
	else if (file->fd < 0)
		rc = open_locked(pool, file);
	if (!rc) {
		file->pins++;
		rc = file->fd;
	}
	(void)pthread_mutex_unlock(&pool->lock);
	return rc;
}

void fdpool_unpin(struct fdpool *pool, struct fdpool_file *file)
{
	(void)pthread_mutex_lock(&pool->lock);
	assert(file->pins);
	file->pins--;
	if (is_idle(file)) {
		DL_APPEND(pool->idle, file);
		if (pool->open_count > pool->limit)
			make_room_locked(pool);
	}
	(void)pthread_mutex_unlock(&pool->lock);
}

int fdpool_keep(struct fdpool *pool, struct fdpool_file *file)
{
	int rc = 0;

	(void)pthread_mutex_lock(&pool->lock);
	if (is_idle(file))
		DL_DELETE(pool->idle, file);
	else if (file->fd < 0)
		rc = open_locked(pool, file);
	if (!rc)
		file->keep = true;
	(void)pthread_mutex_unlock(&pool->lock);
	return rc;
}

void fdpool_forget(struct fdpool *pool, struct fdpool_file *file)
{
	(void)pthread_mutex_lock(&pool->lock);
	if (is_idle(file))
		DL_DELETE(pool->idle, file);
	if (file->fd >= 0)
		close_locked(pool, file);
	(void)pthread_mutex_unlock(&pool->lock);
}
