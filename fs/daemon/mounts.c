/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * mounts.c - see mounts.h.
 */
#include "fs/daemon/mounts.h"

#include <dirent.h>
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
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/daemon/fail.h"

static const char fs_type[] = "fuse.datawalfs";

enum {
	/* of a line: two paths, of which each byte may be written as four, and options */
	MOUNTS_LINE_SIZE = 2 * 4 * PATH_MAX + 4096,
	LINKS_MAX = 40, /* as the kernel has it */
};

/* The absolute path whose last component is not looked into; NULL and errno. */
static char *resolve_parent(const char *path)
{
	char *copy = strdup(path), *copy2 = strdup(path), *parent = NULL, *ret = NULL;

	/* a path that ends in one of these is not resolved by its parent; a dead mount is seldom
	 * named so */
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

/* Where the symlink `link` (absolute) leads to, one step; NULL and errno: it is none. */
static char *follow(const char *link)
{
	char target[PATH_MAX], *copy, *path = NULL;
	ssize_t size = readlink(link, target, sizeof target - 1);

	if (size < 0)
		return NULL;
	target[size] = '\0';
	if (*target == '/')
		return resolve_parent(target);
	copy = strdup(link);
	if (copy && asprintf(&path, "%s/%s", dirname(copy), target) < 0)
		path = NULL;
	free(copy);
	char *ret = path ? resolve_parent(path) : NULL;
	free(path);
	return ret;
}

char *mounts_resolve(const char *path)
{
	char *ret = resolve_parent(path), *next;

	/* the root of a mount is no link for readlink(2), whether its daemon lives or not */
	for (int i = 0; ret && i < LINKS_MAX && (next = follow(ret)); i++) {
		free(ret);
		ret = next;
	}
	return ret;
}

/* The last mount for which one column is as given, for of several at one place the last is on
 * top: its other column; NULL: another program serves it. */
static char *find(const char *fsname, const char *dir)
{
	struct mntent entry;
	char *found = NULL, *line = malloc(MOUNTS_LINE_SIZE);
	FILE *mounts = line ? setmntent("/proc/self/mounts", "re") : NULL;

	while (mounts && getmntent_r(mounts, &entry, line, MOUNTS_LINE_SIZE)) {
		if (dir && strcmp(entry.mnt_dir, dir))
			continue;
		bool ours = !strcmp(entry.mnt_type, fs_type);
		if (!dir && (!ours || strcmp(entry.mnt_fsname, fsname)))
			continue;
		free(found);
		found = ours ? strdup(dir ? entry.mnt_fsname : entry.mnt_dir) : NULL;
	}
	if (mounts)
		(void)endmntent(mounts);
	free(line);
	return found;
}

bool mounts_is_ours(const char *path)
{
	char *fsname = find(NULL, path);

	free(fsname);
	return fsname != NULL;
}

char *mounts_resolve_ours(const char *mountpoint)
{
	char *path = mounts_resolve(mountpoint);

	if (path && mounts_is_ours(path))
		return path;
	if (path)
		(void)fail("'%s' is no mount of datawalfs", path);
	else
		(void)fail("mount point '%s': %s", mountpoint, strerror(errno));
	free(path);
	return NULL;
}

char *mounts_find_store(const char *store_path)
{
	return find(store_path, NULL);
}

/* Whether a process sees the mount of `dev`: a line of its table begins with two numbers, and
 * then the device. */
static bool is_seen_by(const char *pid, dev_t dev)
{
	char path[64];
	char *line = NULL;
	size_t size = 0;
	unsigned major_id, minor_id;
	bool found = false;

	(void)snprintf(path, sizeof path, "/proc/%.20s/mountinfo", pid);
	FILE *table = fopen(path, "re");
	while (table && !found && getline(&line, &size, table) > 0)
		found = sscanf(line, "%*u %*u %u:%u", &major_id, &minor_id) == 2 &&
			makedev(major_id, minor_id) == dev;
	free(line);
	if (table)
		(void)fclose(table); /* was only read */
	return found;
}

/* The name of a process's mount namespace.  false: it may not be seen. */
static bool namespace_of(const char *pid, char ret[64])
{
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/%.20s/ns/mnt", pid);
	ssize_t size = readlink(path, ret, 63);
	ret[size < 0 ? 0 : size] = '\0';
	return size > 0;
}

pid_t mounts_elsewhere(dev_t dev)
{
	char own[64], its[64], last[64] = "";
	struct dirent *entry;
	pid_t found = 0;
	DIR *processes = namespace_of("self", own) ? opendir("/proc") : NULL;

	while (processes && !found && (entry = readdir(processes))) {
		if (*entry->d_name < '1' || *entry->d_name > '9' ||
		    !namespace_of(entry->d_name, its) || !strcmp(its, own) || !strcmp(its, last))
			continue;
		(void)strcpy(last, its); /* of the same size */
		if (is_seen_by(entry->d_name, dev))
			found = (pid_t)strtol(entry->d_name, NULL, 10);
	}
	if (processes)
		(void)closedir(processes);
	return found;
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
