/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * dirlock.c - see dirlock.h.
 */
#include "disk/dirlock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "disk/owner.h"

static const char lock_name[] = ".lock";
/* Of the lock file: the machine of the pid in it.  The file itself has the form that the reference
 * gives it. */
static const char host_note[] = "user.datawal.host";

/* --- locking --- */

int dirlock_try(struct io *io, int fd)
{
	int rc = io->flock(io, fd, LOCK_EX | LOCK_NB);

	if (rc == -EWOULDBLOCK)
		return -EBUSY;
	/* NFS wants a descriptor for writing, which no directory has */
	return rc == -EBADF || rc == -EOPNOTSUPP || rc == -ENOLCK || rc == -EINVAL || rc == -ENOSYS
		       ? 0
		       : rc;
}

static int wait_for(struct io *io, int fd, uint32_t wait_ms, int (*try)(struct io *io, int fd))
{
	const struct timespec pause = {0, DIRLOCK_POLL_MS * 1000000L};

	for (uint32_t waited = 0;; waited += DIRLOCK_POLL_MS) {
		int rc = try(io, fd);
		if (rc != -EBUSY || waited >= wait_ms)
			return rc;
		(void)nanosleep(&pause, NULL); /* woken early: asked again earlier */
	}
}

int dirlock_wait(struct io *io, int fd, uint32_t wait_ms)
{
	return wait_for(io, fd, wait_ms < DIRLOCK_GRACE_MS ? DIRLOCK_GRACE_MS : wait_ms,
			dirlock_try);
}

/* Of `.lock`: a file system without it has no store. */
static int try_file(struct io *io, int fd)
{
	int rc = io->flock(io, fd, LOCK_EX | LOCK_NB);

	return rc == -EWOULDBLOCK ? -EBUSY : rc;
}

/* The process that had the lock may be ending, and have closed `.lock` already. */
static int lock_directory(struct io *io, int dirfd, uint32_t wait_ms)
{
	struct stat st;
	int rc = io->fstat(io, dirfd, &st);

	if (rc < 0 || st.st_mode & (S_IRGRP | S_IROTH))
		return rc;
	return dirlock_wait(io, dirfd, wait_ms);
}

/* Opening a fifo would wait for its other end. */
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

/* --- the holder --- */

static struct dirlock_holder this_process(void)
{
	struct dirlock_holder here = {.pid = getpid()};

	if (gethostname(here.host, sizeof here.host - 1) < 0)
		here.host[0] = '\0';
	return here;
}

/* Not synced: after a crash of the machine no process holds the lock. */
static int write_holder(struct io *io, int fd)
{
	const struct dirlock_holder here = this_process();
	char text[32];
	int size = snprintf(text, sizeof text, "%ld\n", (long)here.pid);
	int rc = io->ftruncate(io, fd, 0);

	if (!rc)
		rc = io_write_full(io, fd, text, (size_t)size, 0);
	if (io->set_note) /* where the file system has no place for it, without */
		(void)io->set_note(io, fd, host_note, here.host, strlen(here.host));
	/* it is a courtesy; a full disk must still open */
	return io_is_full(rc) ? 0 : rc;
}

/* As the file tells. */
static struct dirlock_holder read_holder(struct io *io, int fd)
{
	struct dirlock_holder holder = {.pid = 0};
	char text[32];
	ssize_t n = io_read_up_to(io, fd, text, sizeof text - 1, 0);

	if (n > 0) {
		text[n] = '\0';
		long pid = strtol(text, NULL, 10);
		holder.pid = pid > 0 && pid <= INT32_MAX ? (pid_t)pid : 0;
	}
	n = io->get_note ? io->get_note(io, fd, host_note, holder.host, sizeof holder.host - 1) : 0;
	holder.host[n > 0 ? n : 0] = '\0';
	return holder;
}

/* The process that the kernel has down for a lock of that file, and that lives; 0: none is seen
 * from here.  Some file systems tell programs another device than the kernel goes by: there the
 * pid in the lock file decides between files of one number. */
static pid_t find_in_kernel(const struct stat *st, pid_t told)
{
	FILE *locks = fopen("/proc/locks", "re");
	pid_t found = 0;
	char line[256];

	while (locks && !found && fgets(line, sizeof line, locks)) {
		unsigned long long ino;
		unsigned major, minor;
		int pid;
		if (sscanf(line, "%*d: FLOCK %*s %*s %d %x:%x:%llu", &pid, &major, &minor, &ino) !=
			    4 ||
		    pid <= 0 || ino != st->st_ino)
			continue;
		bool same = major == major(st->st_dev) && minor == minor(st->st_dev);
		if ((same || pid == told) && (!kill(pid, 0) || errno == EPERM))
			found = pid;
	}
	if (locks)
		(void)fclose(locks); /* only read */
	return found;
}

struct dirlock_holder dirlock_holder(struct io *io, int dirfd, int fd)
{
	struct dirlock_holder told = {.pid = 0}, here = this_process();
	int lock = open_lock(io, dirfd, O_RDONLY);
	struct stat st;

	if (lock >= 0) {
		told = read_holder(io, lock);
		(void)io->close(io, lock); /* only read */
	}
	pid_t pid = io->fstat(io, fd, &st) < 0 ? 0 : find_in_kernel(&st, told.pid);
	if (pid) {
		here.pid = pid;
		return here;
	}
	/* of this machine it would have been found, if it lived */
	if (!*told.host || !strcmp(told.host, here.host))
		return (struct dirlock_holder){.pid = 0};
	return told;
}

/* --- */

static int refuse(struct io *io, int dirfd, int fd, int busy, int rc, struct dirlock_holder *ret)
{
	if (rc == -EBUSY)
		*ret = dirlock_holder(io, dirfd, busy);
	(void)io->close(io, fd); /* the error at hand is the one to tell */
	return rc;
}

/* Whether the file was removed between its opening and its lock. */
static bool is_stale(struct io *io, int fd)
{
	struct stat st;

	return !io->fstat(io, fd, &st) && !st.st_nlink;
}

int dirlock_take(struct io *io, int dirfd, uint32_t wait_ms, struct dirlock_holder *holder_ret)
{
	int fd, rc;

	for (;;) {
		fd = open_lock(io, dirfd, O_RDWR | O_CREAT);
		if (fd < 0)
			return fd;
		rc = wait_for(io, fd, wait_ms, try_file);
		if (rc < 0)
			return refuse(io, dirfd, fd, fd, rc, holder_ret);
		if (!is_stale(io, fd))
			break;
		(void)io->close(io, fd); /* nothing was written through it */
	}
	rc = lock_directory(io, dirfd, wait_ms);
	if (!rc)
		rc = write_holder(io, fd);
	return rc < 0 ? refuse(io, dirfd, fd, dirfd, rc, holder_ret) : fd;
}

int dirlock_hold(struct io *io, int dirfd, struct dirlock_holder *holder_ret)
{
	int fd = open_lock(io, dirfd, O_RDONLY);

	if (fd < 0)
		return fd;
	int rc = try_file(io, fd);
	return rc < 0 ? refuse(io, dirfd, fd, fd, rc, holder_ret) : fd;
}
