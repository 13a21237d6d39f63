/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * main_unmount.c - datawalfs --unmount: until everything is on disk.
 *
 * umount(8) returns when the kernel has let go; the daemon then commits and syncs what
 * is left, and gives up the writer's lock last.  That lock is what is waited for.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "fs/info.h"
#include "fs/main.h"
#include "fs/mounts.h"

static void on_alarm(int number)
{
	(void)number; /* it has done its work by interrupting flock() */
}

/* 0, or -EINTR: not in time; or another -errno. */
static int wait_for_lock(int fd, unsigned timeout_s)
{
	const struct sigaction action = {.sa_handler = on_alarm}; /* no SA_RESTART */
	struct sigaction before;

	if (!flock(fd, LOCK_SH | LOCK_NB))
		return 0;
	if (!timeout_s)
		return -EINTR;
	(void)sigaction(SIGALRM, &action, &before); /* these fail only for bad arguments */
	(void)alarm(timeout_s);
	int rc = flock(fd, LOCK_SH) < 0 ? -errno : 0;
	(void)alarm(0);
	(void)sigaction(SIGALRM, &before, NULL);
	return rc;
}

/* The writer's lock of the store, opened; -ENOENT: the daemon takes none. */
static int open_lock(const char *mountpoint, const char *store)
{
	struct mount_info info = {.read_only = 0};
	char *path = NULL;
	int root = open(mountpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (root < 0 || ioctl(root, MOUNT_INFO_IOCTL, &info) < 0) {
		int rc = -errno;
		if (root >= 0)
			(void)close(root); /* was only asked */
		return rc;
	}
	(void)close(root);
	if (info.read_only)
		return -ENOENT;
	if (asprintf(&path, "%s/.lock", store) < 0)
		return -ENOMEM;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int rc = fd < 0 ? -errno : fd;
	free(path);
	return rc;
}

static int explain_unmount(const char *mountpoint, int rc)
{
	switch (-rc) {
	case EBUSY:
		return fail("'%s' is in use; 'fuser -vm %s' shows by whom", mountpoint, mountpoint);
	case ECHILD: return fail("'%s' could not be unmounted (see above)%s", mountpoint, "");
	default: return fail("'%s' could not be unmounted: %s", mountpoint, strerror(-rc));
	}
}

static int wait_for_end(const char *store, int lock, unsigned timeout_s)
{
	char seconds[32];
	int rc = wait_for_lock(lock, timeout_s);

	(void)snprintf(seconds, sizeof seconds, "%u", timeout_s);
	if (rc == -EINTR)
		return fail("unmounted, but after %s s the daemon is still writing to '%s'; "
			    "wait for it, or for 'flock STORE/.lock true'",
			    seconds, store);
	if (rc < 0)
		return fail("waiting for the lock of '%s': %s", store, strerror(-rc));
	return 0;
}

static int take_down(const char *mountpoint, const char *store, unsigned timeout_s)
{
	/* of a daemon that died nothing is to be waited for */
	bool dead = mounts_is_dead(mountpoint);
	int lock = dead ? -ENOENT : open_lock(mountpoint, store);
	int rc = mounts_unmount(mountpoint, dead);

	if (rc < 0)
		rc = explain_unmount(mountpoint, rc);
	else if (lock >= 0)
		rc = wait_for_end(store, lock, timeout_s);
	else if (lock != -ENOENT)
		rc = fail("'%s' is unmounted, but whether all is on disk cannot be seen: %s",
			  mountpoint, strerror(-lock));
	if (lock >= 0)
		(void)close(lock); /* and with it goes our share of the lock */
	return rc;
}

int unmount_and_wait(const char *mountpoint, unsigned timeout_s)
{
	char *path = mounts_resolve(mountpoint);
	char *store = path ? mounts_store_at(path) : NULL;
	int rc;

	if (!path)
		rc = fail("mount point '%s': %s", mountpoint, strerror(errno));
	else if (!store)
		rc = fail("'%s' is no mount of datawalfs%s", path, "");
	else
		rc = take_down(path, store, timeout_s);
	free(path);
	free(store);
	return rc;
}
