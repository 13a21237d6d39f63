/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * ops_internal.h - what the files of the kernel's requests share.
 */
#ifndef FS_FUSE_OPS_INTERNAL_H
#define FS_FUSE_OPS_INTERNAL_H

#include <errno.h>

#include "fs/fuse/ops.h"

/* How long the kernel may keep what it was told: the daemon is the only writer. */
#define KEEP_SECONDS (365.0 * 86400)

/* And attributes: a write past its pages does not show the kernel that it took away the rights
 * that come with setuid and setgid. */
static inline double attr_seconds(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_mode & (S_ISUID | S_ISGID) ? 0 : KEEP_SECONDS;
}

/* An open directory: what `fh` of its requests is. */
struct open_dir {
	struct generation *generation; /* in which the listing goes on; NULL: that of the node */
	atomic_uint_fast64_t end;      /* of the listing, as of its start; UINT64_MAX: not begun */
};

static inline struct open_dir *open_dir_of(const struct fuse_file_info *fi)
{
	return (struct open_dir *)(uintptr_t)fi->fh;
}

/* The volume that this thread's request is about: set before it gets to ops_table,
 * which is told no more than the session. */
extern _Thread_local struct volume *ops_volume;

static inline struct mount *mount_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static inline struct volume *volume_of(fuse_req_t req)
{
	(void)req;
	return ops_volume;
}

static inline struct node *node_of(fuse_req_t req, fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? volume_root(volume_of(req)) : (struct node *)ino;
}

static inline struct volume_cred cred_of(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return (struct volume_cred){ctx->uid, ctx->gid};
}

/* The requests themselves (fs/fuse/ops.c). */
extern const struct fuse_lowlevel_ops ops_table;

/* The kernel's errno for ours: what a file system does not say is an I/O error. */
static inline void reply_err(fuse_req_t req, int rc)
{
	switch (-rc) {
	case EBADMSG: /* damaged bytes */
	case ENODATA: rc = -EIO; break;
	case E2BIG: /* a key over the limit */ rc = -ENAMETOOLONG; break;
	}
	if (rc)
		metrics_add_error(mount_of(req)->metrics, -rc);
	(void)fuse_reply_err(req, -rc); /* nothing is held for it */
}

/* Requests about attributes (fs/fuse/ops_attr.c). */
void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		struct fuse_file_info *fi);
void op_statfs(fuse_req_t req, fuse_ino_t ino);
void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
		 int flags);
void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

/* Requests that are for the control directory (fs/fuse/ops_control.c). */

/* Whether a lookup is for it; then it was answered. */
bool control_answers_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
/* Whether this is its name, which stays whoever removes everything. */
bool control_is_name(fuse_req_t req, fuse_ino_t parent, const char *name);
void control_op_getattr(fuse_req_t req, fuse_ino_t ino);
void control_op_setattr(fuse_req_t req, fuse_ino_t ino, int to_set);
void control_op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void control_op_release(fuse_req_t req, struct fuse_file_info *fi);
void control_op_readdir(fuse_req_t req, size_t size, off_t offset, bool plus);
void control_op_read(fuse_req_t req, size_t size, off_t offset, struct fuse_file_info *fi);
void control_op_write(fuse_req_t req, const char *buf, size_t size, struct fuse_file_info *fi);

/* Those for the directory of snapshots (fs/fuse/ops_snapshot.c). */
void snapshots_op_lookup(fuse_req_t req, const char *name);
void snapshots_op_mkdir(fuse_req_t req, const char *name);
void snapshots_op_rmdir(fuse_req_t req, const char *name);
void snapshots_op_readdir(fuse_req_t req, size_t size, off_t offset, struct open_dir *dir,
			  bool plus);

#endif
