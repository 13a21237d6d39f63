/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * mounts.c - see mounts.h.
 */
#include "fs/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <mntent.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

static const char fs_type[] = "fuse.datawalfs";

char *mounts_resolve(const char *path)
{
	char *copy = strdup(path), *copy2 = strdup(path), *parent = NULL, *ret = NULL;

	/* what ends in one of these is not resolved by its parent; a dead mount is
	 * seldom named so */
	const char *name = copy ? basename(copy) : "";
	if (!strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, "/")) {
		ret = realpath(path, NULL);
	} else if (copy2 && (parent = realpath(dirname(copy2), NULL))) {
		const char *slash = strcmp(parent, "/") ? "/" : "";
		if (asprintf(&ret, "%s%s%s", parent, slash, name) < 0)
			ret = NULL;
	}
	free(copy);
	free(copy2);
	free(parent);
	return ret;
}

/* The other column of the last of our mounts in which one column is as given: of
 * several at one place the last is on top. */
static char *find(const char *fsname, const char *dir)
{
	struct mntent *entry;
	char *found = NULL;
	FILE *mounts = setmntent("/proc/self/mounts", "re");

	if (!mounts)
		return NULL;
	while ((entry = getmntent(mounts))) {
		if (dir && strcmp(entry->mnt_dir, dir))
			continue;
		bool ours = !strcmp(entry->mnt_type, fs_type);
		if (!dir && (!ours || strcmp(entry->mnt_fsname, fsname)))
			continue;
		free(found);
		found = ours ? strdup(dir ? entry->mnt_fsname : entry->mnt_dir) : NULL;
	}
	(void)endmntent(mounts);
	return found;
}

char *mounts_store_at(const char *path)
{
	return find(NULL, path);
}

char *mounts_find_store(const char *store_path)
{
	return find(store_path, NULL);
}

bool mounts_is_dead(const char *path)
{
	struct statvfs st;

	/* the kernel may still know the attributes of a dead mount, but not its disk */
	return statvfs(path, &st) < 0 && errno == ENOTCONN;
}

/* fusermount3 is setuid: the kernel lets no user unmount. */
static int unmount_as_user(const char *path, bool lazy)
{
	char *const argv[] = {(char *)"fusermount3", (char *)(lazy ? "-uz" : "-u"), (char *)"--",
			      (char *)path, NULL}; /* not changed by it */
	int status = 0;
	pid_t pid;
	int rc = -posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);

	if (rc < 0)
		return rc;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -ECHILD;
}

int mounts_unmount(const char *path, bool lazy)
{
	/* a mount point is no symlink; where one stands, something else is meant */
	if (!umount2(path, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)))
		return 0;
	return errno == EPERM ? unmount_as_user(path, lazy) : -errno;
}
