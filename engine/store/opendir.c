/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * opendir.c - see opendir.h.
 */
#include "store/opendir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "store/hold.h"
#include "store/opensegments.h"
#include "store/place.h"
#include "store/recover.h"
#include "store/snapdir.h"

enum { DIRECTORY_MODE = 0700 };

static void close_fd(struct io *io, int fd)
{
	if (fd >= 0)
		(void)io->close(io, fd); /* a directory: nothing to lose */
}

int directory_make(struct io *io, const char *path)
{
	char *parent = strdup(path);

	if (!parent)
		return -ENOMEM;
	size_t size = strlen(parent);
	while (size > 1 && parent[size - 1] == '/')
		parent[--size] = '\0';
	char *slash = strrchr(parent, '/');
	int rc = io->mkdir(io, AT_FDCWD, parent, DIRECTORY_MODE);
	if (!rc) {
		const char *above = !slash ? "." : slash == parent ? "/" : parent;
		if (slash)
			*slash = '\0';
		int fd = io->open(io, AT_FDCWD, above, O_RDONLY | O_DIRECTORY, 0);
		rc = fd < 0 ? fd : io->fsync(io, fd);
		close_fd(io, fd);
	}
	free(parent);
	return rc == -EEXIST ? 0 : rc;
}

int directory_make_below(const struct core *above, const char *name)
{
	mode_t mode = owner_directory_mode(&above->pool.owner);
	int rc = above->io->mkdir(above->io, above->dirfd, name, mode);

	if (!rc)
		rc = above->io->fsync(above->io, above->dirfd);
	return rc == -EEXIST ? 0 : rc;
}

/* Whether there is a store, or may be one from now on: before the first file is made, for
 * among other people's files none is to be left. */
static int check_place(struct io *io, int dirfd, const struct dw_options *options)
{
	enum place place;
	int rc = place_look(io, dirfd, &place);

	if (rc < 0 || place == PLACE_STORE)
		return rc;
	if (place == PLACE_OTHER && (options->read_only || !options->among_files))
		return -ENOMEDIUM;
	return options->read_only || options->must_exist ? -ENOENT : 0;
}

static bool is_snapshot(const struct core *core)
{
	struct snapmark mark;

	return !snapdir_read_mark(core->io, core->dirfd, &mark);
}

int directory_open(struct io *io, const struct core *above, int at, const char *path,
		   const struct dw_options *options, struct core **ret)
{
	int flags = O_RDONLY | O_DIRECTORY | (at == AT_FDCWD ? 0 : O_NOFOLLOW);
	int dirfd = io->open(io, at, path, flags, 0);

	if (dirfd < 0)
		return dirfd;
	int rc = check_place(io, dirfd, options);
	if (rc < 0) {
		close_fd(io, dirfd);
		return rc;
	}
	rc = core_new(io, dirfd, options, ret);
	if (!rc && above)
		(*ret)->pool.owner = above->pool.owner;
	if (!rc && !options->read_only && is_snapshot(*ret)) {
		core_report_io(*ret, -EROFS, 0,
			       "opening a snapshot for writing (it never changes; a copy without "
			       "its file '" SNAPMARK_NAME "' may)");
		core_free(*ret);
		rc = -EROFS;
	}
	return rc;
}

static int open_unread_once(struct io *io, const char *path, const struct dw_options *options,
			    uint64_t **sizes_ret, struct core **ret)
{
	struct core *core = NULL;
	int rc = directory_open(io, NULL, AT_FDCWD, path, options, &core);

	if (rc < 0)
		return rc;
	if (!core->read_only)
		rc = hold_directory(core, options->lock_wait_ms);
	if (!rc && !core->read_only)
		rc = recover_first(core);
	if (!rc)
		rc = segments_open(core, sizes_ret);
	if (rc < 0)
		core_free(core);
	else
		*ret = core;
	return rc;
}

int core_open_unread(struct io *io, const char *path, const struct dw_options *options,
		     uint64_t **sizes_ret, struct core **ret)
{
	int rc = -ESTALE;

	for (int i = 0; rc == -ESTALE && i < (options->read_only ? OPEN_TRIES : 1); i++)
		rc = open_unread_once(io, path, options, sizes_ret, ret);
	return rc;
}
