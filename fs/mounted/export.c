/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * export.c - see export.h.
 */
#include "fs/mounted/export.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXPORT_BUFFER = 256 << 10 };

static const char temporary[] = ".export.tmp";

static int write_all(int fd, const char *data, size_t size)
{
	while (size) {
		ssize_t n = write(fd, data, size);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			data += n;
			size -= (size_t)n;
		}
	}
	return 0;
}

static int write_export(struct job *job, int fd)
{
	struct dw_export *export = NULL;
	char *buffer = malloc(EXPORT_BUFFER);
	ssize_t n = 0;
	int rc = buffer ? volume_commit_all(job->volume) : -ENOMEM;

	if (!rc)
		rc = dw_export_open(volume_store(job->volume), &export);
	while (!rc && (n = dw_export_read(export, buffer, EXPORT_BUFFER)) > 0) {
		rc = atomic_load(&job->cancelled) ? -ECANCELED : write_all(fd, buffer, (size_t)n);
		atomic_fetch_add(&job->done_bytes, (uint64_t)n);
	}
	if (!rc && n < 0)
		rc = (int)n;
	/* the name must not come to disk before what it names */
	if (!rc && fsync(fd) < 0)
		rc = -errno;
	dw_export_close(export);
	free(buffer);
	return rc;
}

/* Only a file is replaced. */
static int check_target(struct job *job, int dir_fd, const char *name)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	return S_ISREG(st.st_mode) ? 0
				   : job_explain(job, -EEXIST,
						 "that name is there and no file; choose another");
}

/* With the directory's lock held: a temporary file is a leftover. */
static int export_locked(struct job *job, int dir_fd, const char *name)
{
	int rc = check_target(job, dir_fd, name);

	if (rc < 0)
		return rc;
	if (unlinkat(dir_fd, temporary, 0) < 0 && errno != ENOENT)
		return -errno;
	int fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			0600);
	if (fd < 0)
		return -errno;
	rc = write_export(job, fd);
	if (close(fd) < 0 && !rc)
		rc = -errno;
	if (!rc && renameat(dir_fd, temporary, dir_fd, name) < 0)
		rc = -errno;
	if (rc < 0)
		(void)unlinkat(dir_fd, temporary, 0);  /* else the next export removes it */
	else if (fsync(dir_fd) < 0 && errno != EINVAL) /* some file systems cannot */
		rc = -errno;
	return rc;
}

/* `.export`, made if it is missing.  A descriptor or -errno. */
static int open_default(struct job *job)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int store_fd = dw_directory_fd(volume_store(job->volume));
	int fd = openat(store_fd, EXPORT_DIRECTORY, flags);

	if (fd < 0 && errno == ENOENT) {
		if (mkdirat(store_fd, EXPORT_DIRECTORY, 0700) < 0 && errno != EEXIST)
			return job_explain(job, -errno,
					   "no directory '.export' can be made in the store; mount "
					   "with -o export_dir=DIR");
		if (fsync(store_fd) < 0)
			return -errno;
		fd = openat(store_fd, EXPORT_DIRECTORY, flags);
	}
	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return job_explain(job, -ENOTDIR,
				   "'.export' in the store is no directory; move it away");
	return fd < 0 ? -errno : fd;
}

/* The directory with its lock, which ends with the descriptor.  Another mount of the store may
 * export to it as well. */
static int open_locked(struct job *job, int given)
{
	int fd = given < 0 ? open_default(job)
			   : openat(given, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return given < 0 ? fd : -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int rc = errno == EWOULDBLOCK ? job_explain(job, -EBUSY, "an export is under way")
					      : -errno;
		(void)close(fd); /* was only opened */
		return rc;
	}
	return fd;
}

/* The rest of an absolute path after the directory that it begins with; else NULL. */
static const char *name_below(const char *path, const char *directory)
{
	size_t size = directory ? strlen(directory) : 0;

	if (!size || strncmp(path, directory, size) || path[size] != '/')
		return NULL;
	return path + size + strspn(path + size, "/");
}

/* The name that the argument gives; NULL: none. */
static const char *name_of(const struct job *job, const struct export_target *target)
{
	const char *name = job->argument;

	if (*name == '/')
		name = name_below(job->argument, target->path);
	if (!name && *job->argument == '/')
		name = name_below(job->argument, target->given);
	/* a hidden file is never an export: the temporary one, or something that a shell reads */
	return name && *name && *name != '.' && !strchr(name, '/') && strlen(name) <= NAME_MAX
		       ? name
		       : NULL;
}

int export_run(struct job *job, const struct export_target *target)
{
	const char *name = name_of(job, target);

	if (!name)
		return job_explain(
			job, -EINVAL,
			"export NAME writes a file of that name to '%.200s'; for another place: "
			"cat MNT/%.100s/export.jsonl > PATH",
			target->path, target->control);
	int dir_fd = open_locked(job, target->fd);
	if (dir_fd < 0)
		return dir_fd;
	int rc = export_locked(job, dir_fd, name);
	(void)close(dir_fd); /* was only read */
	return rc ? rc : job_explain(job, 0, "wrote '%.300s/%.150s'", target->path, name);
}
