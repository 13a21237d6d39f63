/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * snapdir.c - see snapdir.h.
 *
 * A snapshot comes and goes by one rename: whatever has no snapshot's name is a leftover.
 */
#include "store/snapdir.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "codec/segname.h"

enum { DEPTH_MAX = 4 }; /* of directories in a snapshot: the attributes are in one */

static void close_fd(struct io *io, int fd)
{
	if (fd >= 0)
		(void)io->close(io, fd); /* nothing was written through it */
}

int snapdir_open(struct io *io, int dirfd, const char *name)
{
	int fd = io->open(io, dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);

	return fd == -ELOOP ? -ENOTDIR : fd;
}

int snapdir_make(struct io *io, int dirfd, const char *name, const struct owner *owner)
{
	mode_t mode = owner_directory_mode(owner);
	int rc = io->mkdir(io, dirfd, name, mode);

	if (rc < 0 && rc != -EEXIST)
		return rc;
	int fd = snapdir_open(io, dirfd, name);
	if (!rc && fd >= 0 && owner->known && io->own)
		(void)io->own(io, fd, owner->uid, owner->gid, mode); /* else it is the maker's */
	return fd;
}

/* --- removing --- */

struct names {
	char **items; /* owned */
	size_t count, capacity;
	bool (*wanted)(const char *name);
};

static bool is_ours(const char *name)
{
	return snapmark_is_leftover(name) || snapmark_may_name(name);
}

static bool is_no_dot(const char *name)
{
	return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int note_name(void *context, const char *name)
{
	struct names *names = context;

	if (!names->wanted(name))
		return 0;
	if (names->count == names->capacity) {
		size_t capacity = names->capacity ? 2 * names->capacity : 64;
		char **items = reallocarray(names->items, capacity, sizeof *items);
		if (!items)
			return -ENOMEM;
		names->items = items;
		names->capacity = capacity;
	}
	names->items[names->count] = strdup(name);
	return names->items[names->count] ? (names->count++, 0) : -ENOMEM;
}

static void names_release(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->items[i]);
	free(names->items);
}

static int clear(struct io *io, int dirfd, const char *name, int depth);

static int clear_name(struct io *io, int fd, const char *name, int depth)
{
	int rc = io->unlink(io, fd, name);

	if (rc == -EISDIR || rc == -EPERM) /* a directory, as Linux and POSIX say it */
		rc = depth < DEPTH_MAX ? clear(io, fd, name, depth + 1) : -ELOOP;
	return rc == -ENOENT ? 0 : rc;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as DEPTH_MAX */
static int clear(struct io *io, int dirfd, const char *name, int depth)
{
	struct names names = {.wanted = is_no_dot};
	int fd = snapdir_open(io, dirfd, name);

	if (fd < 0)
		return fd;
	int rc = io->list(io, fd, note_name, &names);
	for (size_t i = 0; !rc && i < names.count; i++)
		rc = clear_name(io, fd, names.items[i], depth);
	names_release(&names);
	close_fd(io, fd);
	if (!rc)
		rc = io->rmdir ? io->rmdir(io, dirfd, name) : -ENOSYS;
	return rc;
}

int snapdir_clear(struct io *io, int dirfd, const char *name)
{
	int rc = clear(io, dirfd, name, 0);

	return rc == -ENOENT ? 0 : rc;
}

int snapdir_remove(struct io *io, int fd, const char *name)
{
	char gone[SNAPMARK_NAME_SIZE];
	int64_t time_ns = clock_now_ns();
	int rc = -EEXIST, dir = snapdir_open(io, fd, name);

	assert(snapmark_may_name(name));
	if (dir < 0)
		return dir;
	close_fd(io, dir);
	while (rc == -EEXIST || rc == -ENOTEMPTY) { /* another one is being removed */
		snapmark_format_removing(time_ns++, gone);
		rc = io->rename(io, fd, name, gone);
	}
	/* before the first of its files goes: a crash must not bring half of it back */
	if (!rc)
		rc = io->fsync(io, fd);
	return rc ? rc : snapdir_clear(io, fd, gone);
}

/* One of a writer that is gone. */
static bool is_brief(struct io *io, int fd, const char *name)
{
	struct snapmark mark = {.brief = false};
	int dir = snapdir_open(io, fd, name);

	if (dir >= 0)
		(void)snapdir_read_mark(io, dir, &mark); /* without a mark it stays */
	close_fd(io, dir);
	return mark.brief;
}

static int remove_leftover(struct io *io, int fd, const char *name)
{
	if (snapmark_is_leftover(name))
		return snapdir_clear(io, fd, name);
	return is_brief(io, fd, name) ? snapdir_remove(io, fd, name) : 0;
}

void snapdir_leftovers(struct core *core)
{
	struct io *io = core->io;
	struct names names = {.wanted = is_ours};
	int fd = snapdir_open(io, core->dirfd, DW_SNAPSHOT_DIRECTORY);

	assert(!core->read_only);
	if (fd == -ENOENT)
		return;
	int rc = fd < 0 ? fd : io->list(io, fd, note_name, &names);
	for (size_t i = 0; i < names.count; i++) {
		int one = remove_leftover(io, fd, names.items[i]);
		rc = rc ? rc : one;
	}
	names_release(&names);
	close_fd(io, fd);
	if (rc < 0)
		core_report_io(core, rc, 0, "removing what is left in " DW_SNAPSHOT_DIRECTORY);
}

/* --- the mark --- */

int snapdir_read_mark(struct io *io, int fd, struct snapmark *ret)
{
	char text[SNAPMARK_SIZE + 1];
	int file = io->open(io, fd, SNAPMARK_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);

	if (file < 0)
		return file == -ELOOP || file == -ENXIO ? -EBADMSG : file;
	ssize_t n = io_read_up_to(io, file, text, sizeof text - 1, 0);
	close_fd(io, file);
	if (n < 0)
		return n == -EISDIR ? -EBADMSG : (int)n;
	text[n] = '\0';
	return snapmark_parse(text, ret);
}

/* --- figures --- */

struct figures {
	struct io *io;
	int fd;
	struct dw_snapshot_info *info;
};

enum { BLOCK_SIZE = 512 }; /* of st_blocks */

static int add_file(void *context, const char *name)
{
	struct figures *figures = context;
	struct io *io = figures->io;
	struct stat st;
	uint32_t id;
	int rc = io->lookup(io, figures->fd, name, &st);

	if (rc < 0 || !S_ISREG(st.st_mode))
		return rc == -ENOENT ? 0 : rc; /* removed meanwhile */
	if (segname_parse(name, &id)) {
		figures->info->segments++;
		figures->info->bytes += (uint64_t)st.st_size;
	}
	if (st.st_nlink == 1)
		figures->info->alone_bytes += (uint64_t)st.st_blocks * BLOCK_SIZE;
	return 0;
}

static int add_directory(struct io *io, int fd, struct dw_snapshot_info *info)
{
	struct figures figures = {io, fd, info};

	return io->lookup ? io->list(io, fd, add_file, &figures) : 0;
}

/* The figures of the directory `fd`, and of the attributes in it. */
static int add_all(struct io *io, int fd, struct dw_snapshot_info *info)
{
	int rc = add_directory(io, fd, info);
	int inside = rc ? rc : snapdir_open(io, fd, DW_ATTR_DIRECTORY);

	if (inside < 0)
		return inside == -ENOENT || inside == -ENOTDIR ? 0 : inside;
	rc = add_directory(io, inside, info);
	close_fd(io, inside);
	return rc;
}

int snapdir_look(struct io *io, int dirfd, const char *name, struct dw_snapshot_info *ret)
{
	struct dw_snapshot_info info = {.segments = 0};
	struct snapmark mark = {.txid = 0};
	struct stat st;
	int fd = snapdir_open(io, dirfd, name);

	assert(snapmark_may_name(name));
	if (fd < 0)
		return fd;
	int rc = snapdir_read_mark(io, fd, &mark);
	if (rc == -ENOENT || rc == -EBADMSG) { /* somebody's copy without it */
		rc = io->fstat(io, fd, &st);
		mark.time_ns = rc ? 0 : clock_ns_of(st.st_mtim);
		mark.method = DW_SNAPSHOT_COPY;
	}
	if (!rc)
		rc = add_all(io, fd, &info);
	close_fd(io, fd);
	if (rc < 0)
		return rc;
	memcpy(info.name, name, strlen(name) + 1);
	info.time_ns = mark.time_ns;
	info.txid = mark.txid;
	info.method = mark.method;
	info.brief = mark.brief;
	*ret = info;
	return 0;
}
