/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * request.h - one request of the kernel: its nodes, its process, its duration.
 *
 * Each operation begins one, which ends with the function:
 *
 *	REQUEST request = request_begin(handle, METRIC_UNLINK, parent);
 *
 * In between the volume of the node is held.  A request that another thread answers later (a
 * command of the control file) counts with the time that it took to start it.
 */
#ifndef FS_FUSE_REQUEST_H
#define FS_FUSE_REQUEST_H

#include <errno.h>

#include "fs/fuse/mount.h"

struct request {
	fuse_req_t handle; /* libfuse's; gone once it is answered, unlike all else here */
	struct mount *mount;
	struct generation *generation;
	struct volume *volume; /* of that generation */
	bool holds;            /* a reference on the generation, to be dropped at the end */
	enum metric_op op;
	int64_t started_ns; /* monotonic */
};

/* A request of the function that declares it. */
#define REQUEST __attribute__((cleanup(request_end))) struct request

/* `ino`: the first node of the request; its volume is held until the end. */
struct request request_begin(fuse_req_t handle, enum metric_op op, fuse_ino_t ino);
/* The same in a generation that the caller holds longer; NULL: as request_begin(). */
struct request request_begin_in(fuse_req_t handle, enum metric_op op, fuse_ino_t ino,
				struct generation *held);
void request_end(struct request *request);

/* Answer with an error, or 0.  An errno that the kernel does not expect becomes EIO. */
void reply_err(const struct request *request, int rc);
/* The same where only libfuse's handle is left. */
void reply_handle_err(fuse_req_t handle, int rc);

/* --- nodes ---
 *
 * A node id is the address of its node, except for the root and the control files. */

/* The node of an id of neither kind; else NULL. */
static inline struct node *request_plain_node(fuse_ino_t ino)
{
	bool is_node = ino && ino != FUSE_ROOT_ID && !control_owns(ino);

	return is_node ? (struct node *)ino : NULL;
}

static inline struct node *request_node(const struct request *request, fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? volume_root(request->volume) : (struct node *)ino;
}

struct volume_cred request_cred(const struct request *request);

/* How long the kernel may keep what it was told: the daemon is the only writer. */
#define KEEP_SECONDS (365.0 * 86400)

/* And attributes: a write past its pages does not show the kernel that it took away the rights
 * that come with setuid and setgid. */
static inline double attr_seconds(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_mode & (S_ISUID | S_ISGID) ? 0 : KEEP_SECONDS;
}

/* An answer about a node that the kernel may cache. */
struct fuse_entry_param request_entry(const struct request *request, struct node *node,
				      const struct stat *st);

/* Have the kernel ask for the attributes of a node again; `session` is libfuse's. */
void request_forget_attributes(void *session, struct node *node);

#endif
