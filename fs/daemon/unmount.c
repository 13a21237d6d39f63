/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * unmount.c - see unmount.h.
 *
 * umount(8) returns when the kernel has let go; the daemon then commits and syncs what
 * is left, gives up the writer's lock, and ends.  The lock is what the next mount needs, so
 * it is waited for first; then the daemon's end, which tells whether anything was lost.
 */
#include "fs/daemon/unmount.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "fs/daemon/fail.h"
#include "fs/daemon/mounts.h"
#include "fs/mounted/ending.h"
#include "fs/mounted/info.h"

static void on_alarm(int number)
{
	(void)number; /* it has done its work by interrupting flock() */
}

/* 0, or -EINTR: not in time; or another -errno.  The lock is not kept: if it was removed and made
 * again, the daemon takes it once more before it ends. */
static int wait_for_lock(int fd, unsigned timeout_s)
{
	const struct sigaction action = {.sa_handler = on_alarm}; /* no SA_RESTART */
	struct sigaction before;

	if (!flock(fd, LOCK_SH | LOCK_NB))
		return flock(fd, LOCK_UN) < 0 ? -errno : 0;
	if (!timeout_s)
		return -EINTR;
	(void)sigaction(SIGALRM, &action, &before); /* these fail only for bad arguments */
	(void)alarm(timeout_s);
	int rc = flock(fd, LOCK_SH) < 0 || flock(fd, LOCK_UN) < 0 ? -errno : 0;
	(void)alarm(0);
	(void)sigaction(SIGALRM, &before, NULL);
	return rc;
}

/* The events to wait for; a descriptor is -1 where there is none. */
struct waiting {
	int lock; /* the writer's lock of the store, opened */
	struct ending_wait ending;
	int lock_error, ending_error; /* -errno: why one cannot be waited for */
	struct mount_info info;
	dev_t dev; /* of the mount */
	unsigned timeout_s;
};

static int open_lock(const char *store)
{
	int dir = open(store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = dir < 0 ? -1 : openat(dir, ".lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int rc = fd < 0 ? -errno : fd;

	if (dir >= 0)
		(void)close(dir); /* was only passed */
	return rc;
}

/* Before unmounting: afterwards no process can be asked. */
static void waiting_init(const char *mountpoint, struct waiting *waiting)
{
	const struct mount_info *info = &waiting->info;
	int rc = info_ask(mountpoint, &waiting->info, &waiting->dev);

	waiting->lock_error = waiting->ending_error = rc;
	if (rc < 0)
		return;
	const struct ending ending = {info->ending_fd, info->ending_token};
	rc = ending_open((pid_t)info->pid, &ending, &waiting->ending);
	if (info->read_only) /* a reader takes no lock, and loses nothing */
		return;
	waiting->ending_error = rc;
	waiting->lock = open_lock(info->store);
	waiting->lock_error = waiting->lock < 0 ? waiting->lock : 0;
	/* it was removed; the daemon's end tells as much */
	if (waiting->lock_error == -ENOENT && !waiting->ending_error)
		waiting->lock_error = 0;
}

static void waiting_release(struct waiting *waiting)
{
	if (waiting->lock >= 0)
		(void)close(waiting->lock); /* was only waited for */
	ending_close(&waiting->ending);
}

static int explain_unmount(const char *mountpoint, int rc)
{
	switch (-rc) {
	case EBUSY:
		return fail("'%s' is in use; 'fuser -vm %s' shows by whom", mountpoint, mountpoint);
	case ECHILD: return fail("'%s' could not be unmounted (see above)", mountpoint);
	default: return fail("'%s' could not be unmounted: %s", mountpoint, strerror(-rc));
	}
}

static int too_late(const char *store, unsigned timeout_s)
{
	return fail("unmounted, but after %u s the daemon is still writing to '%s'; "
		    "wait for it, or for 'flock STORE/.lock true'",
		    timeout_s, store);
}

/* The daemon serves on where its mount is seen from another namespace: said before the wait.
 * Whether it is so. */
static bool tell_elsewhere(const char *mountpoint, const struct waiting *waiting)
{
	pid_t pid = mounts_elsewhere(waiting->dev);

	if (pid)
		(void)fail("'%s' is unmounted here, but process %ld has it in another mount "
			   "namespace; waiting for that, at most %u s",
			   mountpoint, (long)pid, waiting->timeout_s);
	return pid != 0;
}

/* A reader has nothing to lose; but a caller that unmounts its disk next would find that in use. */
static void wait_for_reader(const struct waiting *waiting)
{
	if (waiting->ending.board >= 0 && !mounts_elsewhere(waiting->dev))
		(void)ending_wait(&waiting->ending, (int64_t)waiting->timeout_s * 1000);
}

static int wait_for_end(const char *mountpoint, const struct waiting *waiting)
{
	const char *store = waiting->info.store;
	int rc = waiting->lock < 0 ? 0 : wait_for_lock(waiting->lock, 0);

	if (rc == -EINTR) {
		bool elsewhere = tell_elsewhere(mountpoint, waiting);
		rc = wait_for_lock(waiting->lock, waiting->timeout_s);
		if (rc == -EINTR && elsewhere)
			return fail("the daemon still serves '%s' in another mount namespace",
				    store);
	}
	if (rc == -EINTR)
		return too_late(store, waiting->timeout_s);
	if (rc < 0)
		return fail("waiting for the lock of '%s': %s", store, strerror(-rc));
	if (waiting->ending.board < 0)
		return 0;
	/* nothing is left to do for it but to free its memory and exit */
	rc = ending_wait(&waiting->ending, 1000 + (int64_t)waiting->timeout_s * 1000);
	if (rc == -EINTR)
		return too_late(store, waiting->timeout_s);
	if (rc > 0)
		return fail("unmounted, but values that were written to '%s' are lost or not on "
			    "disk; the log of the daemon names them",
			    store);
	if (rc < 0)
		return fail("unmounted, but the daemon of '%s' ended without saying whether "
			    "everything was committed; see its log",
			    store);
	return 0;
}

static int take_down(const char *mountpoint, unsigned timeout_s)
{
	struct waiting waiting = {.lock = -1, .ending = {-1, -1}, .timeout_s = timeout_s};
	/* of a daemon that died nothing is to be waited for */
	bool dead = mounts_is_dead(mountpoint);

	if (!dead)
		waiting_init(mountpoint, &waiting);
	int rc = mounts_unmount(mountpoint, dead);
	if (rc < 0)
		rc = explain_unmount(mountpoint, rc);
	else if (waiting.info.read_only)
		wait_for_reader(&waiting);
	else
		rc = wait_for_end(mountpoint, &waiting);
	int unseen = waiting.lock_error ? waiting.lock_error : waiting.ending_error;
	if (!rc && unseen)
		rc = fail("'%s' is unmounted, but whether all was committed and is on disk cannot "
			  "be seen from here (%s); the log of the daemon tells",
			  mountpoint, strerror(-unseen));
	waiting_release(&waiting);
	return rc;
}

int unmount_and_wait(const char *mountpoint, unsigned timeout_s)
{
	char *path = mounts_resolve_ours(mountpoint);
	int rc = path ? take_down(path, timeout_s) : 1;

	free(path);
	return rc;
}
