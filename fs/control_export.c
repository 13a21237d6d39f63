/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * control_export.c - the command `export PATH`.
 *
 * The daemon may write where the caller may not.  So everything that has to do with
 * names (going to the directory, making the temporary file, renaming it) is done
 * with the caller's rights, and the file is the caller's; between these the daemon
 * only writes to a descriptor.  A directory is gone to once: a symlink that is put
 * in the way later changes nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/caller.h"
#include "fs/control_internal.h"

enum { EXPORT_BUFFER = 256 << 10 };

struct target {
	const char *directory, *name; /* of the path */
	int dir_fd, fd;
	char temporary[64];
};

/* With the caller's rights: the directory, and a file in it that nobody else has. */
static int create_temporary(void *context)
{
	static atomic_uint count;
	struct target *target = context;

	target->dir_fd = open(target->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (target->dir_fd < 0)
		return -errno;
	(void)snprintf(target->temporary, sizeof target->temporary, ".datawalfs-export-%ld-%u",
		       (long)getpid(), atomic_fetch_add(&count, 1));
	target->fd = openat(target->dir_fd, target->temporary,
			    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return target->fd < 0 ? -errno : 0;
}

/* With the caller's rights, for it may not be allowed to replace what is there. */
static int rename_temporary(void *context)
{
	const struct target *target = context;
	int rc = renameat(target->dir_fd, target->temporary, target->dir_fd, target->name);

	return rc < 0 ? -errno : 0;
}

static int remove_temporary(void *context)
{
	const struct target *target = context;

	return unlinkat(target->dir_fd, target->temporary, 0) < 0 ? -errno : 0;
}

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
		rc = write_all(fd, buffer, (size_t)n);
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

/* The new name must outlive the machine as well; done with our own rights, since the
 * caller may be allowed to write a directory and not to read it. */
static int sync_directory(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 || fsync(fd) < 0 ? -errno : 0;

	if (fd >= 0)
		(void)close(fd); /* was only read */
	/* there are file systems that cannot */
	return rc == -EINVAL || rc == -EACCES ? 0 : rc;
}

/* Inside the mount an export would become a part of what it exports; and the store's
 * directory is the engine's. */
static bool is_inside(const struct job *job, int dir_fd)
{
	struct stat dir, other;

	if (fstat(dir_fd, &dir) < 0)
		return true;
	int store_fd = dw_directory_fd(volume_store(job->volume));
	if (!fstat(store_fd, &other) && dir.st_dev == other.st_dev && dir.st_ino == other.st_ino)
		return true;
	if (!fstatat(store_fd, DW_ATTR_DIRECTORY, &other, 0) && dir.st_dev == other.st_dev &&
	    dir.st_ino == other.st_ino)
		return true;
	/* what is mounted there now is this mount, or it has nothing to fear */
	return !stat(job->control->mountpoint, &other) && dir.st_dev == other.st_dev &&
	       other.st_ino == 1;
}

/* A device or a fifo, whatever link leads there: it would be replaced. */
static bool is_special(const struct target *target)
{
	struct stat st;

	return !fstatat(target->dir_fd, target->name, &st, 0) && !S_ISREG(st.st_mode) &&
	       !S_ISDIR(st.st_mode);
}

static int export_to(struct job *job, const struct caller *caller, struct target *target)
{
	int rc = caller_run(caller, create_temporary, target);

	if (!rc && is_inside(job, target->dir_fd)) {
		(void)snprintf(job->detail, TEXT_SIZE,
			       "the path is inside the mount or the store; choose another one");
		rc = -EINVAL;
	}
	if (!rc && is_special(target)) {
		(void)snprintf(job->detail, TEXT_SIZE,
			       "the path is neither a file nor a directory; choose another one");
		rc = -EINVAL;
	}
	if (!rc)
		rc = write_export(job, target->fd);
	if (!rc)
		rc = caller_run(caller, rename_temporary, target);
	if (!rc)
		rc = sync_directory(target->dir_fd);
	else if (target->fd >= 0)
		(void)caller_run(caller, remove_temporary, target); /* else it stays */
	if (target->fd >= 0 && close(target->fd) < 0 && !rc)
		rc = -errno;
	if (target->dir_fd >= 0)
		(void)close(target->dir_fd); /* was only gone to */
	return rc;
}

/* Cut the path in two: "/" or what is before the last slash, and what is behind. */
static int split_path(char *path, struct target *ret)
{
	char *slash = strrchr(path, '/');

	if (*path != '/' || !slash[1] || !strcmp(slash, "/.") || !strcmp(slash, "/..") ||
	    strstr(path, "/../"))
		return -EINVAL;
	*slash = '\0';
	*ret = (struct target){slash == path ? "/" : path, slash + 1, -1, -1, ""};
	return 0;
}

static bool is_below(const char *path, const char *directory)
{
	size_t size = strlen(directory);

	return !strncmp(path, directory, size) && (path[size] == '/' || !path[size]);
}

int control_run_export(struct job *job)
{
	const struct control_caller *who = job->caller;
	struct caller caller = {0};
	struct target target;

	/* said by the path already: without a look at the mount, which looks at us */
	if (is_below(job->argument, job->control->mountpoint)) {
		(void)snprintf(job->detail, TEXT_SIZE,
			       "the path is inside the mount; choose one outside");
		return -EINVAL;
	}
	char *path = strdup(job->argument);
	if (!path)
		return -ENOMEM;
	int rc = split_path(path, &target);
	if (rc < 0) {
		(void)snprintf(job->detail, TEXT_SIZE,
			       "give the absolute path of a file, without '..'");
	} else {
		rc = caller_load(who->pid, who->uid, who->gid, &caller);
		if (!rc)
			rc = export_to(job, &caller, &target);
		if (rc == -EPERM)
			(void)snprintf(job->detail, TEXT_SIZE,
				       "the daemon cannot write there as you; read export.jsonl "
				       "instead");
	}
	if (!rc)
		(void)snprintf(job->detail, TEXT_SIZE, "wrote '%.400s'", job->argument);
	caller_release(&caller);
	free(path);
	return rc;
}
