/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * dirlock.c - see dirlock.h.
 */
#include "disk/dirlock.h"
#include "disk/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { POLL_MS = 20 };

static const char lock_name[] = ".lock";

static pid_t holder_of(struct io *io, int fd)
{
	char text[32];
	ssize_t n = io_read_up_to(io, fd, text, sizeof text - 1, 0);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	long pid = strtol(text, NULL, 10);
	return pid > 0 && pid <= INT32_MAX ? (pid_t)pid : 0;
}

static int take(struct io *io, int fd, uint32_t wait_ms)
{
	const struct timespec pause = {0, POLL_MS * 1000000L};

	for (uint32_t waited = 0;; waited += POLL_MS) {
		int rc = io->flock(io, fd, LOCK_EX | LOCK_NB);
		if (rc != -EWOULDBLOCK)
			return rc;
		if (waited >= wait_ms)
			return -EBUSY;
		(void)nanosleep(&pause, NULL); /* woken early: asked again earlier */
	}
}

/* A fifo would have us wait for somebody. */
static int open_lock(struct io *io, int dirfd, int flags)
{
	int fd = io->open(io, dirfd, lock_name, flags | O_NOFOLLOW | O_NONBLOCK, OWNER_MODE_NEW);
	struct stat st;

	if (fd < 0)
		return fd == -ELOOP ? -EEXIST : fd;
	int rc = io->fstat(io, fd, &st);
	if (!rc && !S_ISREG(st.st_mode))
		rc = -EEXIST;
	if (!rc)
		return fd;
	(void)io->close(io, fd); /* nothing was written through it */
	return rc;
}

int dirlock_take(struct io *io, int dirfd, uint32_t wait_ms, pid_t *holder_ret)
{
	char text[32];
	int fd = open_lock(io, dirfd, O_RDWR | O_CREAT);

	if (fd < 0)
		return fd;
	int rc = take(io, fd, wait_ms);
	if (rc == -EBUSY)
		*holder_ret = holder_of(io, fd);
	if (!rc) {
		/* not synced: after a crash of the machine nobody holds the lock */
		int size = snprintf(text, sizeof text, "%ld\n", (long)getpid());
		rc = io->ftruncate(io, fd, 0);
		if (!rc)
			rc = io_write_full(io, fd, text, (size_t)size, 0);
		if (io_is_full(rc))
			rc = 0; /* who holds it is a courtesy; a full disk must still open */
	}
	if (rc < 0) {
		(void)io->close(io, fd); /* the error at hand is the one to tell */
		return rc;
	}
	return fd;
}

int dirlock_hold(struct io *io, int dirfd, pid_t *holder_ret)
{
	int fd = open_lock(io, dirfd, O_RDONLY);

	if (fd < 0)
		return fd;
	int rc = take(io, fd, 0);
	if (rc == -EBUSY)
		*holder_ret = holder_of(io, fd);
	if (rc < 0) {
		(void)io->close(io, fd); /* the error at hand is the one to tell */
		return rc;
	}
	return fd;
}
