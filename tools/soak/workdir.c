/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * workdir.c - see workdir.h.
 */
#include "tools/soak/workdir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/common/path.h"
#include "tools/soak/daemon.h"
#include "tools/soak/sample.h"
#include "tools/soak/say.h"
#include "tools/soak/tree.h"

/* In the store; no reader of stores looks at it. */
static const char mark_name[] = ".datawal-soak";

static void name_paths(char *store, struct paths *ret)
{
	const char *slash = strrchr(store, '/');

	*ret = (struct paths){
		.store = store,
		.fresh = soak_text("%s.soak-new", store),
		.old = soak_text("%s.soak-old", store),
		.mount = soak_text("%s.soak-mnt", store),
		.busy = soak_text("%s.soak-lock", store),
		.above = slash > store ? soak_text("%.*s", (int)(slash - store), store)
				       : soak_text("/"),
		.lock = soak_text("%s/.lock", store),
	};
}

void workdir_release(struct paths *paths)
{
	if (paths->mount)
		(void)rmdir(paths->mount); /* an empty directory is all that could be left */
	free(paths->store);
	free(paths->fresh);
	free(paths->old);
	free(paths->mount);
	free(paths->busy);
	free(paths->above);
	free(paths->lock);
}

int workdir_mark(const char *store)
{
	char *path = soak_text("%s/%s", store, mark_name);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int rc = fd < 0 ? -errno : 0;

	if (fd >= 0)
		(void)close(fd); /* its name says all */
	free(path);
	return rc;
}

/* One run at a time: 0, or SOAK_SETUP after a message. */
static int take_lock(const struct paths *paths)
{
	/* stays open: the lock goes with the process */
	int fd = open(paths->busy, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return soak_setup_error("'%s': %s", paths->busy, strerror(errno));
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return 0;
	(void)close(fd); /* nothing was written */
	return soak_setup_error("'%s' is in use by another run; name another one by "
				"DATAWAL_SOAK_WORK_DIR",
				paths->store);
}

/* Only files of an earlier run may be removed. */
static int check_owned(const struct paths *paths)
{
	char *mark = soak_text("%s/%s", paths->store, mark_name);
	struct stat st;
	bool owned = !lstat(mark, &st) || path_is_empty(paths->store) == 1;

	free(mark);
	return owned ? 0
		     : soak_setup_error(
			       "no store here: DATAWAL_SOAK_WORK_DIR '%s' is not empty and "
			       "not of an earlier run; name another one",
			       paths->store);
}

static int make_store(const struct paths *paths)
{
	struct dw_store *store = NULL;
	int rc = dw_open(paths->store, NULL, NULL, &store);

	if (!rc)
		rc = dw_close(store);
	/* last: in a directory with files and no segment no store is begun */
	return rc ? rc : workdir_mark(paths->store);
}

static int begin_anew(const struct paths *paths)
{
	if (daemon_clear(paths) < 0)
		return SOAK_SETUP;
	int rc = tree_clear(paths->store);
	if (!rc)
		rc = tree_remove(paths->fresh);
	if (!rc)
		rc = tree_remove(paths->old);
	if (!rc && rmdir(paths->mount) < 0 && errno != ENOENT)
		rc = -errno;
	if (!rc && mkdir(paths->mount, 0700) < 0)
		rc = -errno;
	if (!rc)
		rc = make_store(paths);
	return rc ? soak_setup_error("work directory '%s': %s", paths->store, strerror(-rc)) : 0;
}

int workdir_claim(const char *path, struct paths *ret)
{
	int rc = directory_make(path);

	if (rc)
		return rc;
	char *store = realpath(path, NULL);
	if (!store)
		return soak_setup_error("work directory '%s': %s", path, strerror(errno));
	name_paths(store, ret);
	rc = take_lock(ret);
	if (!rc)
		rc = check_owned(ret);
	return rc ? rc : begin_anew(ret);
}
