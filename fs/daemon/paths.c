/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * paths.c - see paths.h.
 */
#include "fs/daemon/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datawal.h"
#include "fs/daemon/fail.h"
#include "fs/daemon/mounts.h"
#include "fs/mounted/export.h"

/* A file that need not exist, in a directory that does. */
static char *absolute(const char *path)
{
	char *ret = NULL, *here = *path == '/' ? strdup("") : getcwd(NULL, 0);

	if (here && asprintf(&ret, "%s%s%s", here, *path == '/' ? "" : "/", path) < 0)
		ret = NULL;
	free(here);
	return ret;
}

/* Nothing is behind the mount point any more.  0: cleared. */
static int clear_stale(const struct settings *settings, const char *mountpoint)
{
	char *path = mounts_resolve(mountpoint);
	int rc = 0;

	if (!path || !mounts_is_ours(path))
		rc = fail("'%s' is the stale mount of another file system; clear it with "
			  "'umount %s'",
			  mountpoint, mountpoint);
	else if (!settings->remount_stale)
		rc = fail("'%s' is the stale mount of a daemon that died; clear it with "
			  "'umount %s', or mount with -o remount_stale",
			  mountpoint, mountpoint);
	else if ((rc = mounts_unmount(path, true)) < 0)
		rc = fail("the stale mount '%s' could not be cleared: %s", mountpoint,
			  rc == -ECHILD ? "see above" : strerror(-rc));
	free(path);
	return rc;
}

static bool is_below(const char *path, const char *directory)
{
	size_t size = strlen(directory);

	return !strncmp(path, directory, size) && (path[size] == '/' || !path[size]);
}

/* Open the directory now, with the rights and the mount namespace of the operator: the path may
 * lead elsewhere for another user, or later. */
static int resolve_export(struct settings *settings)
{
	const char *given = settings->export_dir;

	if (!given)
		return asprintf(&settings->export_path, "%s/" EXPORT_DIRECTORY,
				settings->store_path) < 0
			       ? fail("export_dir: out of memory")
			       : 0;
	settings->export_path = realpath(given, NULL);
	if (settings->export_path)
		settings->export_fd =
			open(settings->export_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!settings->export_path || settings->export_fd < 0)
		return fail("export_dir '%s': %s", given, strerror(errno));
	if (is_below(settings->export_path, settings->mountpoint))
		return fail("export_dir '%s' would be hidden by the mount; choose one outside",
			    given);
	const char *inside = is_below(settings->export_path, settings->store_path)
				     ? settings->export_path + strlen(settings->store_path)
				     : NULL;
	if (inside && (!*inside || (inside[1] == '.' && strcmp(inside, "/" EXPORT_DIRECTORY))))
		return fail("export_dir '%s' is the store's; choose one outside", given);
	return 0;
}

/* A snapshot never changes. */
static void note_snapshot(struct settings *settings)
{
	int fd = open(settings->store_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return; /* opening the store says why */
	if (dw_snapshot_is(fd))
		settings->read_only = 1;
	(void)close(fd); /* was only looked at */
}

int paths_resolve(struct settings *settings, const char *mountpoint)
{
	struct stat st;

	settings->store_path = realpath(settings->store, NULL);
	if (!settings->store_path)
		return fail(
			"store '%s': %s; make an empty directory, or a store with 'datawal init'",
			settings->store, strerror(errno));
	note_snapshot(settings);
	/* there may be several, one on top of the other */
	while (mounts_is_dead(mountpoint))
		if (clear_stale(settings, mountpoint))
			return 1;
	settings->mountpoint = realpath(mountpoint, NULL);
	if (!settings->mountpoint)
		return fail("mount point '%s': %s", mountpoint, strerror(errno));
	if (stat(settings->mountpoint, &st) < 0 || !S_ISDIR(st.st_mode))
		return fail("mount point '%s' is no directory", mountpoint);
	if (settings->log) {
		char *path = absolute(settings->log);
		free(settings->log);
		settings->log = path;
		if (!path)
			return fail("log file: %s", strerror(errno));
	}
	return resolve_export(settings);
}
