/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * ops_watch.c - each request as seen from outside: how long it takes, and which
 * volume it is about.
 *
 * The functions of ops_table are told a session and node ids.  Here each of them is
 * wrapped: before it runs, the volume of its node is held and made this thread's;
 * behind it the time is counted.  A request that is answered by another thread later
 * (a command of the control file) counts with the time that it took to start it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/base/clock.h"
#include "fs/fuse/ops_internal.h"
#include "fs/mounted/info.h"

_Thread_local struct volume *ops_volume;

struct watch {
	struct mount *mount; /* the request is gone when it was answered */
	struct generation *generation;
	enum metric_op op;
	int64_t started_ns;
};

/* The node of an id that is no root's and no control file's; those are the newest generation's. */
static const struct node *node_of_id(fuse_ino_t ino)
{
	bool is_node = ino && ino != FUSE_ROOT_ID && !control_owns(ino);

	return is_node ? (const struct node *)ino : NULL;
}

/* `generation`: NULL, or one that an open directory holds. */
static struct watch watch_begin(fuse_req_t req, enum metric_op op, fuse_ino_t ino,
				struct generation *generation)
{
	struct watch watch = {mount_of(req), generation, op, clock_monotonic_ns()};

	if (!generation)
		watch.generation = generations_hold(watch.mount->generations, node_of_id(ino));
	ops_volume = watch.generation->volume;
	return watch;
}

static void watch_end(const struct watch *watch, bool drop)
{
	ops_volume = NULL;
	if (drop)
		generations_drop(watch->mount->generations, watch->generation);
	metrics_add_op(watch->mount->metrics, watch->op, clock_monotonic_ns() - watch->started_ns);
}

#define WATCH(name, metric, ino, params, args)                                                     \
	static void watch_##name params                                                            \
	{                                                                                          \
		const struct watch watch = watch_begin(req, metric, ino, NULL);                    \
		ops_table.name args;                                                               \
		watch_end(&watch, true);                                                           \
	}

typedef struct fuse_file_info info;

WATCH(lookup, METRIC_LOOKUP, parent, (fuse_req_t req, fuse_ino_t parent, const char *name),
      (req, parent, name))
WATCH(forget, METRIC_FORGET, ino, (fuse_req_t req, fuse_ino_t ino, uint64_t count),
      (req, ino, count))
WATCH(getattr, METRIC_GETATTR, ino, (fuse_req_t req, fuse_ino_t ino, info *fi), (req, ino, fi))
WATCH(setattr, METRIC_SETATTR, ino,
      (fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, info *fi),
      (req, ino, attr, to_set, fi))
WATCH(readlink, METRIC_READLINK, ino, (fuse_req_t req, fuse_ino_t ino), (req, ino))
WATCH(mknod, METRIC_MKNOD, parent,
      (fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev),
      (req, parent, name, mode, rdev))
WATCH(mkdir, METRIC_MKDIR, parent,
      (fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode), (req, parent, name, mode))
WATCH(unlink, METRIC_UNLINK, parent, (fuse_req_t req, fuse_ino_t parent, const char *name),
      (req, parent, name))
WATCH(rmdir, METRIC_RMDIR, parent, (fuse_req_t req, fuse_ino_t parent, const char *name),
      (req, parent, name))
WATCH(symlink, METRIC_SYMLINK, parent,
      (fuse_req_t req, const char *target, fuse_ino_t parent, const char *name),
      (req, target, parent, name))
WATCH(rename, METRIC_RENAME, parent,
      (fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
       const char *new_name, unsigned flags),
      (req, parent, name, new_parent, new_name, flags))
WATCH(link, METRIC_LINK, ino, (fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name),
      (req, ino, parent, name))
WATCH(open, METRIC_OPEN, ino, (fuse_req_t req, fuse_ino_t ino, info *fi), (req, ino, fi))
WATCH(read, METRIC_READ, ino, (fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, info *fi),
      (req, ino, size, offset, fi))
WATCH(write, METRIC_WRITE, ino,
      (fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t offset, info *fi),
      (req, ino, buf, size, offset, fi))
WATCH(write_buf, METRIC_WRITE, ino,
      (fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *buf, off_t offset, info *fi),
      (req, ino, buf, offset, fi))
WATCH(flush, METRIC_FLUSH, ino, (fuse_req_t req, fuse_ino_t ino, info *fi), (req, ino, fi))
WATCH(release, METRIC_RELEASE, ino, (fuse_req_t req, fuse_ino_t ino, info *fi), (req, ino, fi))
WATCH(fsync, METRIC_FSYNC, ino, (fuse_req_t req, fuse_ino_t ino, int datasync, info *fi),
      (req, ino, datasync, fi))
WATCH(fsyncdir, METRIC_FSYNCDIR, ino, (fuse_req_t req, fuse_ino_t ino, int datasync, info *fi),
      (req, ino, datasync, fi))
WATCH(statfs, METRIC_STATFS, ino, (fuse_req_t req, fuse_ino_t ino), (req, ino))
WATCH(setxattr, METRIC_SETXATTR, ino,
      (fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags),
      (req, ino, name, value, size, flags))
WATCH(getxattr, METRIC_GETXATTR, ino,
      (fuse_req_t req, fuse_ino_t ino, const char *name, size_t size), (req, ino, name, size))
WATCH(listxattr, METRIC_LISTXATTR, ino, (fuse_req_t req, fuse_ino_t ino, size_t size),
      (req, ino, size))
WATCH(removexattr, METRIC_REMOVEXATTR, ino, (fuse_req_t req, fuse_ino_t ino, const char *name),
      (req, ino, name))
WATCH(create, METRIC_CREATE, parent,
      (fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, info *fi),
      (req, parent, name, mode, fi))
WATCH(fallocate, METRIC_FALLOCATE, ino,
      (fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t size, info *fi),
      (req, ino, mode, offset, size, fi))
WATCH(lseek, METRIC_LSEEK, ino,
      (fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, info *fi),
      (req, ino, offset, whence, fi))
WATCH(copy_file_range, METRIC_COPY_FILE_RANGE, ino,
      (fuse_req_t req, fuse_ino_t ino, off_t offset, info *fi, fuse_ino_t to_ino, off_t to_offset,
       info *to_fi, size_t size, int flags),
      (req, ino, offset, fi, to_ino, to_offset, to_fi, size, flags))

/* Nodes of several volumes may be forgotten together. */
static void watch_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	struct watch watch = watch_begin(req, METRIC_FORGET, FUSE_ROOT_ID, NULL);
	struct generations *generations = watch.mount->generations;

	for (size_t i = 0; i < count; i++) {
		struct node *node = (struct node *)node_of_id(forgets[i].ino);
		if (!node)
			continue;
		struct generation *generation = generations_hold(generations, node);
		volume_forget(generation->volume, node, forgets[i].nlookup);
		generations_drop(generations, generation);
	}
	fuse_reply_none(req);
	watch_end(&watch, true);
}

/* --- directories: a listing of the root goes on in the volume that it began in --- */

static void close_dir(struct generations *generations, struct open_dir *dir)
{
	if (dir->generation)
		generations_drop(generations, dir->generation);
	free(dir);
}

static void open_dir(fuse_req_t req, fuse_ino_t ino, info *fi)
{
	const struct watch watch = watch_begin(req, METRIC_OPENDIR, ino, NULL);
	struct open_dir *dir = calloc(1, sizeof *dir);
	bool kept = dir && generations_may_change(watch.mount->generations) && !control_owns(ino);

	/* who begins at a place of an earlier opening (nfsd) lists all that is behind it */
	if (dir)
		atomic_init(&dir->end, UINT64_MAX);
	if (kept)
		dir->generation = watch.generation;
	fi->fh = (uintptr_t)dir;
	if (!dir)
		reply_err(req, -ENOMEM);
	else if (fuse_reply_open(req, fi) == -ENOENT)
		close_dir(watch.mount->generations, dir); /* nobody got it */
	watch_end(&watch, !kept);
}

static void release_dir(fuse_req_t req, fuse_ino_t ino, info *fi)
{
	(void)ino;
	close_dir(mount_of(req)->generations, open_dir_of(fi));
	(void)fuse_reply_err(req, 0); /* nothing is held for it */
}

#define WATCH_LISTING(name)                                                                        \
	static void watch_##name(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,        \
				 info *fi)                                                         \
	{                                                                                          \
		struct generation *kept = open_dir_of(fi)->generation;                             \
		const struct watch watch = watch_begin(req, METRIC_READDIR, ino, kept);            \
		ops_table.name(req, ino, size, offset, fi);                                        \
		watch_end(&watch, !kept);                                                          \
	}

WATCH_LISTING(readdir)
WATCH_LISTING(readdirplus)

/* --- what the daemon tells of itself --- */

static void answer_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned command, void *arg, info *fi,
			 unsigned flags, const void *in, size_t in_size, size_t out_size)
{
	const struct mount *mount = mount_of(req);
	struct mount_info about = {
		.pid = (uint32_t)getpid(),
		.read_only = mount->read_only,
		.ending_token = mount->ending.token,
		.ending_fd = mount->ending.fd,
	};

	/* a path that realpath(3) gave has at most PATH_MAX bytes, the NUL among them */
	(void)snprintf(about.store, sizeof about.store, "%s", mount->store_path);
	(void)arg;
	(void)fi;
	(void)flags;
	(void)in;
	(void)in_size;
	if (ino != FUSE_ROOT_ID || command != (unsigned)MOUNT_INFO_IOCTL)
		(void)fuse_reply_err(req, ENOTTY); /* nothing is held for it */
	else if (out_size < sizeof about)
		(void)fuse_reply_err(req, EINVAL);
	else
		(void)fuse_reply_ioctl(req, 0, &about, sizeof about);
}

/* --- the table --- */

/* Only what ops_table has: for the rest the kernel knows what to do without us. */
#define TAKE(name)                                                                                 \
	do {                                                                                       \
		if (ops_table.name)                                                                \
			table.name = watch_##name;                                                 \
	} while (0)

const struct fuse_lowlevel_ops *ops_table_watched(void)
{
	static struct fuse_lowlevel_ops table;

	table = ops_table;
	TAKE(lookup);
	TAKE(forget);
	TAKE(getattr);
	TAKE(setattr);
	TAKE(readlink);
	TAKE(mknod);
	TAKE(mkdir);
	TAKE(unlink);
	TAKE(rmdir);
	TAKE(symlink);
	TAKE(rename);
	TAKE(link);
	TAKE(open);
	TAKE(read);
	TAKE(write);
	TAKE(write_buf);
	TAKE(flush);
	TAKE(release);
	TAKE(fsync);
	TAKE(readdir);
	TAKE(readdirplus);
	TAKE(fsyncdir);
	TAKE(statfs);
	TAKE(setxattr);
	TAKE(getxattr);
	TAKE(listxattr);
	TAKE(removexattr);
	TAKE(create);
	TAKE(fallocate);
	TAKE(lseek);
	TAKE(copy_file_range);
	table.forget_multi = watch_forget_multi;
	table.opendir = open_dir;
	table.releasedir = release_dir;
	table.ioctl = answer_ioctl;
	return &table;
}

/* --- another volume --- */

static int forget_name(void *context, const char *name, struct node *node, const struct stat *st,
		       uint64_t next)
{
	const struct mount *mount = context;

	(void)st;
	(void)next;
	/* -ENOENT: the kernel does not know it */
	if (node)
		(void)fuse_lowlevel_notify_inval_entry(mount->session, FUSE_ROOT_ID, name,
						       strlen(name));
	return 0;
}

void ops_forget_volume(void *mount_arg, struct volume *old)
{
	struct mount *mount = mount_arg;

	/* all else hangs on these names, and goes with them or stays with who uses it */
	(void)volume_readdir(old, volume_root(old), 0, UINT64_MAX, false, forget_name, mount);
	(void)fuse_lowlevel_notify_inval_inode(mount->session, FUSE_ROOT_ID, 0, 0);
}

static void forget_known(void *context, struct node *parent, const char *name)
{
	struct mount *mount = context;

	/* the names of a root that another one took the place of are forgotten, and its id is
	 * the other's now; -ENOENT: nobody uses it */
	if (volume_is_frozen(parent) || !volume_is_root(parent))
		(void)fuse_lowlevel_notify_inval_entry(mount->session, (fuse_ino_t)parent, name,
						       strlen(name));
}

void ops_forget_left(struct mount *mount)
{
	/* A name that is taken back goes with what nobody uses below it.  What is in use stays
	 * known, with its own name, which would keep it after its last use. */
	generations_for_left(mount->generations, forget_known, mount);
}
