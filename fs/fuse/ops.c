/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * ops.c - see ops.h.  No policy here: what a file system does is the volume's.
 *
 * A node id is the address of its node, but for the root and the control files.
 * The daemon is the only writer, so the kernel may keep names, attributes and pages
 * for as long as it likes; what control files say changes by itself and is not kept.
 */
#include "fs/fuse/ops_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { REQUEST_MAX = 1 << 20, GIVEN_MAX = 64 << 10 };

static fuse_ino_t ino_of(fuse_req_t req, struct node *node)
{
	return node == volume_root(volume_of(req)) ? FUSE_ROOT_ID : (fuse_ino_t)node;
}

/* The kernel has one generation of the root, whatever it is told. */
static uint32_t inode_generation(fuse_req_t req, const struct node *node)
{
	return node == volume_root(volume_of(req)) ? 0 : volume_generation(node);
}

static struct fuse_entry_param entry_param(fuse_req_t req, const struct volume_entry *entry)
{
	return (struct fuse_entry_param){
		.ino = ino_of(req, entry->node),
		.generation = inode_generation(req, entry->node),
		.attr = entry->st,
		.attr_timeout = attr_seconds(&entry->st),
		.entry_timeout = KEEP_SECONDS,
	};
}

/* A reply that the kernel did not take (the request was interrupted) took no count. */
static void reply_entry(fuse_req_t req, int rc, const struct volume_entry *entry)
{
	struct volume *volume = volume_of(req);

	if (rc < 0) {
		reply_err(req, rc);
		return;
	}
	struct fuse_entry_param param = entry_param(req, entry);
	if (fuse_reply_entry(req, &param) == -ENOENT)
		volume_forget(volume, entry->node, 1);
}

/* --- names --- */

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct volume_entry entry;

	if (control_answers_lookup(req, parent, name))
		return;
	int rc = volume_lookup(volume_of(req), node_of(req, parent), name, &entry);
	if (rc == -ENOENT) {
		/* that there is no such name may be kept as well; but not of a root that
		 * a newer one may replace, which can tell the kernel only of its own names */
		bool kept = parent != FUSE_ROOT_ID ||
			    !generations_may_change(mount_of(req)->generations);
		const struct fuse_entry_param none = {.entry_timeout = kept ? KEEP_SECONDS : 0};
		(void)fuse_reply_entry(req, &none);
		return;
	}
	reply_entry(req, rc, &entry);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	if (ino != FUSE_ROOT_ID && !control_owns(ino))
		volume_forget(volume_of(req), node_of(req, ino), count);
	fuse_reply_none(req);
}

static void set_open_flags(fuse_req_t req, struct node *node, struct fuse_file_info *fi)
{
	enum volume_paging paging = volume_paging(volume_of(req), node);

	fi->keep_cache = paging == VOLUME_PAGES_KEPT;
	fi->direct_io = paging == VOLUME_PAGES_DIRECT;
	/* nothing to flush where nothing can be written */
	fi->noflush = (fi->flags & O_ACCMODE) == O_RDONLY;
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	const struct volume_cred cred = cred_of(req);
	struct volume *volume = volume_of(req);
	struct volume_entry entry;

	if (control_owns(parent)) {
		reply_err(req, -EPERM);
		return;
	}
	struct node *dir = node_of(req, parent);
	/* see fs/daemon/features.c */
	int rc = *name && *name != '/'
			 ? volume_create(volume, &cred, dir, name, mode, fi->flags, &entry)
			 : volume_tmpfile(volume, &cred, dir, mode, fi->flags, &entry);
	if (rc < 0) {
		reply_err(req, rc);
		return;
	}
	struct fuse_entry_param param = entry_param(req, &entry);
	set_open_flags(req, entry.node, fi);
	if (fuse_reply_create(req, &param, fi) == -ENOENT) {
		volume_release(volume, entry.node);
		volume_forget(volume, entry.node, 1);
	}
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	const struct volume_cred cred = cred_of(req);
	struct volume_entry entry;

	(void)rdev;
	if (control_owns(parent)) {
		reply_err(req, -EPERM);
		return;
	}
	int rc = volume_mknod(volume_of(req), &cred, node_of(req, parent), name, mode, &entry);
	reply_entry(req, rc, &entry);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	const struct volume_cred cred = cred_of(req);
	struct volume_entry entry;

	if (parent == CONTROL_SNAPSHOTS) {
		snapshots_op_mkdir(req, name);
		return;
	}
	if (control_owns(parent)) {
		reply_err(req, -EPERM);
		return;
	}
	int rc = volume_mkdir(volume_of(req), &cred, node_of(req, parent), name, mode, &entry);
	reply_entry(req, rc, &entry);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	int rc = control_owns(parent) ? -EPERM
				      : volume_unlink(volume_of(req), node_of(req, parent), name);

	reply_err(req, rc);
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	bool control = control_owns(parent) || control_is_name(req, parent, name);

	if (parent == CONTROL_SNAPSHOTS) {
		snapshots_op_rmdir(req, name);
		return;
	}
	int rc = control ? -EPERM : volume_rmdir(volume_of(req), node_of(req, parent), name);

	reply_err(req, rc);
}

static void forget_attributes(void *context, struct node *node)
{
	/* fails if the kernel does not know it: then there is nothing to forget */
	(void)fuse_lowlevel_notify_inval_inode(context, (fuse_ino_t)node, -1, 0);
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
		      const char *new_name, unsigned flags)
{
	if (control_owns(parent) || control_owns(new_parent) ||
	    control_is_name(req, parent, name) || control_is_name(req, new_parent, new_name)) {
		reply_err(req, -EPERM);
		return;
	}
	struct node *to = node_of(req, new_parent);
	/* only the first one's volume is held, and the other cannot be written to */
	if (volume_is_frozen(to)) {
		reply_err(req, -EROFS);
		return;
	}
	int rc = volume_rename(volume_of(req), node_of(req, parent), name, to, new_name, flags);
	/* it keeps attributes for good, and the numbers of all below are others now */
	if (!rc)
		volume_visit_below(volume_of(req), to, new_name, forget_attributes,
				   mount_of(req)->session);
	reply_err(req, rc);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	const struct volume_cred cred = cred_of(req);
	struct volume_entry entry;

	if (control_owns(parent)) {
		reply_err(req, -EPERM);
		return;
	}
	int rc = volume_symlink(volume_of(req), &cred, node_of(req, parent), name, target, &entry);
	reply_entry(req, rc, &entry);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char *target = NULL;
	int rc = control_owns(ino) ? -EINVAL
				   : volume_readlink(volume_of(req), node_of(req, ino), &target);

	if (rc < 0)
		reply_err(req, rc);
	else
		(void)fuse_reply_readlink(req, target); /* nothing is held for it */
	free(target);
}

/* A key has one name; a file that was opened without one gets it here. */

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct volume_entry entry;

	if (control_owns(ino) || control_owns(parent)) {
		reply_err(req, -EPERM);
		return;
	}
	struct node *to = node_of(req, parent);
	/* only the first one's volume is held, and the other cannot be written to */
	int rc = volume_is_frozen(to)
			 ? -EROFS
			 : volume_link(volume_of(req), node_of(req, ino), to, name, &entry);
	reply_entry(req, rc, &entry);
}

/* --- listing --- */

struct listing {
	fuse_req_t req;
	char *buf;
	size_t size, used;
	bool plus;
	bool known; /* the kernel may keep what it is told of the entries */
};

static int add_entry(void *context, const char *name, struct node *node, const struct stat *st,
		     uint64_t next)
{
	struct listing *l = context;
	char *at = l->buf + l->used;
	size_t left = l->size - l->used, need;

	if (l->plus) {
		/* an id of 0 tells the kernel not to count "." and ".." */
		bool known = node && l->known;
		struct fuse_entry_param param = {
			.ino = known ? ino_of(l->req, node) : 0,
			.generation = known ? inode_generation(l->req, node) : 0,
			.attr = *st,
			.attr_timeout = known ? attr_seconds(st) : 0,
			.entry_timeout = known ? KEEP_SECONDS : 0,
		};
		need = fuse_add_direntry_plus(l->req, at, left, name, &param, (off_t)next);
	} else {
		need = fuse_add_direntry(l->req, at, left, name, st, (off_t)next);
	}
	if (need > left)
		return 1;
	l->used += need;
	return 0;
}

/* A listing ends where the directory ended when it began: by opendir(3) or rewinddir(3), each
 * of which the kernel shows by a first look at offset 0. */
static int begin_listing(fuse_req_t req, fuse_ino_t ino, struct open_dir *dir)
{
	uint64_t end = 0;
	int rc = volume_listing_end(volume_of(req), node_of(req, ino), &end);

	if (!rc)
		atomic_store(&dir->end, end);
	return rc;
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct open_dir *dir,
		 bool plus)
{
	struct generations *generations = mount_of(req)->generations;
	struct listing l = {.req = req, .buf = malloc(size), .size = size, .plus = plus};

	/* a listing of the root that goes on after a newer volume took its place must not
	 * bring the names of the older one back */
	l.known = ino != FUSE_ROOT_ID || generations_is_newest(generations, volume_of(req));
	if (!l.buf) {
		reply_err(req, -ENOMEM);
		return;
	}
	int rc = offset ? 0 : begin_listing(req, ino, dir);
	if (!rc)
		rc = volume_readdir(volume_of(req), node_of(req, ino), (uint64_t)offset,
				    atomic_load(&dir->end), plus && l.known, add_entry, &l);
	if (rc < 0)
		reply_err(req, rc);
	else
		(void)fuse_reply_buf(req, l.buf, l.used); /* counts of a lost reply: till unmount */
	free(l.buf);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		       struct fuse_file_info *fi)
{
	if (ino == CONTROL_SNAPSHOTS)
		snapshots_op_readdir(req, size, offset, open_dir_of(fi), false);
	else if (control_owns(ino))
		control_op_readdir(req, size, offset, false);
	else
		list(req, ino, size, offset, open_dir_of(fi), false);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
			   struct fuse_file_info *fi)
{
	if (ino == CONTROL_SNAPSHOTS)
		snapshots_op_readdir(req, size, offset, open_dir_of(fi), true);
	else if (control_owns(ino))
		control_op_readdir(req, size, offset, true);
	else
		list(req, ino, size, offset, open_dir_of(fi), true);
}

static void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)datasync;
	(void)fi;
	reply_err(req, control_owns(ino) ? 0 : volume_fsync_dir(volume_of(req), node_of(req, ino)));
}

/* --- files --- */

struct known_file {
	struct fuse_session *session;
	fuse_ino_t ino;
};

static void store_pages(void *context, const void *data, size_t size)
{
	const struct known_file *file = context;
	struct fuse_bufvec bytes = FUSE_BUFVEC_INIT(size);

	bytes.buf[0].mem = (void *)data; /* only read */
	/* if it fails, the kernel asks */
	(void)fuse_lowlevel_notify_store(file->session, file->ino, 0, &bytes, 0);
}

/* Who opens a small file for reading reads it: its pages go before the answer, and spare
 * a request.  The kernel fills in pages under locks of theirs, which it holds as well while
 * it waits for an answer of ours about the same file; nobody who could make it do so
 * has the file open. */
static void give_pages(fuse_req_t req, fuse_ino_t ino, struct node *node)
{
	struct known_file file = {mount_of(req)->session, ino};

	volume_give(volume_of(req), node, GIVEN_MAX, store_pages, &file);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct volume *volume = volume_of(req);

	if (control_owns(ino)) {
		control_op_open(req, ino, fi);
		return;
	}
	struct node *node = node_of(req, ino);
	int rc = volume_open_file(volume, node, fi->flags);
	if (rc < 0) {
		reply_err(req, rc);
		return;
	}
	set_open_flags(req, node, fi);
	if (fi->noflush)
		give_pages(req, ino, node);
	if (fuse_reply_open(req, fi) == -ENOENT)
		volume_release(volume, node);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (control_owns(ino)) {
		control_op_release(req, fi);
		return;
	}
	/* a value that was lost; the kernel asks for attributes again */
	if (volume_release(volume_of(req), node_of(req, ino)) < 0)
		forget_attributes(mount_of(req)->session, (struct node *)ino);
	reply_err(req, 0);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	if (control_owns(ino)) {
		control_op_read(req, size, offset, fi);
		return;
	}
	char *buf = malloc(size ? size : 1);
	ssize_t n = -ENOMEM;
	if (buf)
		n = volume_read(volume_of(req), node_of(req, ino), buf, size, (uint64_t)offset);
	if (n < 0) {
		reply_err(req, (int)n);
	} else {
		metrics_add_read(mount_of(req)->metrics, (size_t)n);
		(void)fuse_reply_buf(req, buf, (size_t)n); /* nothing is held for it */
	}
	free(buf);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t offset,
		     struct fuse_file_info *fi)
{
	if (control_owns(ino)) {
		control_op_write(req, buf, size, fi);
		return;
	}
	struct volume *volume = volume_of(req);
	struct node *node = node_of(req, ino);
	ssize_t n = volume_write(volume, node, buf, size, (uint64_t)offset);
	/* O_SYNC, O_DSYNC, RWF_DSYNC: behind a write past its pages the kernel sends no FSYNC */
	if (n > 0 && fi->flags & O_DSYNC && volume_paging(volume, node) == VOLUME_PAGES_DIRECT) {
		int rc = volume_fsync(volume, node);
		n = rc < 0 ? rc : n;
	}
	if (n < 0) {
		reply_err(req, (int)n);
	} else {
		metrics_add_written(mount_of(req)->metrics, (size_t)n);
		(void)fuse_reply_write(req, (size_t)n); /* nothing is held for it */
	}
}

static void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	int rc = control_owns(ino) ? 0 : volume_flush(volume_of(req), node_of(req, ino));

	(void)fi;
	/* the release that follows may change them; whoever asks before is told twice */
	if (rc < 0)
		forget_attributes(mount_of(req)->session, (struct node *)ino);
	reply_err(req, rc);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)datasync;
	(void)fi;
	reply_err(req, control_owns(ino) ? 0 : volume_fsync(volume_of(req), node_of(req, ino)));
}

static void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t size,
			 struct fuse_file_info *fi)
{
	(void)fi;
	if (control_owns(ino))
		reply_err(req, -EOPNOTSUPP);
	else
		reply_err(req, volume_fallocate(volume_of(req), node_of(req, ino), mode,
						(uint64_t)offset, (uint64_t)size));
}

/* --- the session --- */

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct mount *mount = userdata;

	conn->max_write = REQUEST_MAX;
	conn->max_readahead = REQUEST_MAX;
	conn->want |= conn->capable & (FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_HANDLE_KILLPRIV |
				       FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_ASYNC_READ |
				       FUSE_CAP_READDIRPLUS | FUSE_CAP_CACHE_SYMLINKS);
	/* pages change through the kernel only, so a new mtime drops none; and a listing
	 * always comes with attributes */
	conn->want &= ~(unsigned)(FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_READDIRPLUS_AUTO);
	/* The kernel drops pages before it sends a write past them, and again when it was
	 * answered, but not if its caller does not wait: a page that was read in between would
	 * stay, with the old bytes. */
	conn->want &= ~(unsigned)FUSE_CAP_ASYNC_DIO;
	if (mount->direct && !mount->read_only) {
		struct generation *generation = generations_hold(mount->generations, NULL);
		volume_allow_direct(generation->volume);
		generations_drop(mount->generations, generation);
	}
	if (mount->ready)
		mount->ready(mount->context);
}

const struct fuse_lowlevel_ops ops_table = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.readlink = op_readlink,
	.link = op_link,
	.rename = op_rename,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.flush = op_flush,
	.release = op_release,
	.fsync = op_fsync,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.fsyncdir = op_fsyncdir,
	.statfs = op_statfs,
	.setxattr = op_setxattr,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.removexattr = op_removexattr,
	.create = op_create,
	.fallocate = op_fallocate,
};
