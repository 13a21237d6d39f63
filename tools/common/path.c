/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * path.c - see path.h.
 */
#include "tools/common/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_directory(const char *path)
{
	struct stat st;

	if (!mkdir(path, 0777))
		return 0;
	int rc = -errno;
	/* on a read-only file system what is there already counts, whatever mkdir(2) says */
	return !stat(path, &st) && S_ISDIR(st.st_mode) ? 0 : rc;
}

FILE *path_create(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

	if (fd >= 0 && !file)
		(void)close(fd); /* nothing was written */
	return file;
}

int path_make_parents(const char *path)
{
	char *copy = strdup(path);
	int rc = copy ? 0 : -ENOMEM;

	for (char *slash = copy; !rc && *slash && (slash = strchr(slash + 1, '/'));) {
		*slash = '\0';
		rc = make_directory(copy);
		*slash = '/';
	}
	free(copy);
	return rc == -EEXIST ? -ENOTDIR : rc;
}

int path_make_directory(const char *path)
{
	int rc = path_make_parents(path);

	return rc ? rc : make_directory(path);
}

int path_is_empty(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	bool empty = true;

	if (!dir)
		return -errno;
	do {
		errno = 0;
		entry = readdir(dir);
		if (entry && strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
		    strcmp(entry->d_name, "lost+found"))
			empty = false;
	} while (entry && empty);
	int rc = entry ? 0 : -errno;
	(void)closedir(dir); /* fails only for a bad one */
	return rc ? rc : empty;
}
