/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * datawal-soak_workdir.c - see datawal-soak_workdir.h.
 */
#include "tools/datawal-soak_workdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/datawal-soak_daemon.h"
#include "tools/datawal-soak_sample.h"
#include "tools/datawal-soak_say.h"

static void name_paths(char *work, struct paths *ret)
{
	*ret = (struct paths){
		.work = work,
		.store = soak_text("%s/store", work),
		.fresh = soak_text("%s/store.compact", work),
		.old = soak_text("%s/store.old", work),
		.mount = soak_text("%s/mnt", work),
		.lock = soak_text("%s/store/.lock", work),
		.owned = soak_text("%s/.datawal-soak", work),
	};
}

void workdir_release(struct paths *paths)
{
	free(paths->work);
	free(paths->store);
	free(paths->fresh);
	free(paths->old);
	free(paths->mount);
	free(paths->lock);
	free(paths->owned);
}

static bool is_empty(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	bool empty = dir != NULL;

	while (empty && (entry = readdir(dir)))
		empty = !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..");
	if (dir)
		(void)closedir(dir); /* fails only for a bad one */
	return empty;
}

/* Nobody's files but an earlier run's may be removed. */
static int mark(const struct paths *paths)
{
	struct stat st;

	if (lstat(paths->owned, &st) < 0 && !is_empty(paths->work))
		return soak_setup_error("DATAWAL_SOAK_WORK_DIR: '%s' is not empty and not of an "
					"earlier run; name another one",
					paths->work);
	/* stays open: the lock goes with the process */
	int fd = open(paths->owned, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
	if (fd < 0)
		return soak_setup_error("'%s': %s", paths->owned, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		(void)close(fd); /* nothing was written */
		return soak_setup_error("'%s' is in use by another run; name another one by "
					"DATAWAL_SOAK_WORK_DIR",
					paths->work);
	}
	return 0;
}

static int begin_anew(const struct paths *paths)
{
	int rc = daemon_clear(paths) < 0 ? SOAK_SETUP : 0;

	if (rc)
		return rc;
	rc = tree_remove(paths->store);
	if (!rc)
		rc = tree_remove(paths->fresh);
	if (!rc)
		rc = tree_remove(paths->old);
	if (!rc && rmdir(paths->mount) < 0 && errno != ENOENT)
		rc = -errno;
	if (!rc && (mkdir(paths->store, 0777) < 0 || mkdir(paths->mount, 0777) < 0))
		rc = -errno;
	return rc ? soak_setup_error("work directory '%s': %s", paths->work, strerror(-rc)) : 0;
}

int workdir_claim(const char *path, struct paths *ret)
{
	int rc = directory_make(path);

	if (rc)
		return rc;
	char *work = realpath(path, NULL);
	if (!work)
		return soak_setup_error("work directory '%s': %s", path, strerror(errno));
	name_paths(work, ret);
	rc = mark(ret);
	return rc ? rc : begin_anew(ret);
}
