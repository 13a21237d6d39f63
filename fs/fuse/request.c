/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * request.c - see request.h.
 */
#include "fs/fuse/request.h"

#include "fs/base/clock.h"

struct request request_begin_in(fuse_req_t handle, enum metric_op op, fuse_ino_t ino,
				struct generation *held)
{
	struct mount *mount = fuse_req_userdata(handle);
	struct generation *generation =
		held ? held : generations_hold(mount->generations, request_plain_node(ino));

	return (struct request){
		.handle = handle,
		.mount = mount,
		.generation = generation,
		.volume = generation->volume,
		.holds = !held,
		.op = op,
		.started_ns = clock_monotonic_ns(),
	};
}

struct request request_begin(fuse_req_t handle, enum metric_op op, fuse_ino_t ino)
{
	return request_begin_in(handle, op, ino, NULL);
}

void request_end(struct request *request)
{
	if (request->holds)
		generations_drop(request->mount->generations, request->generation);
	metrics_add_op(request->mount->metrics, request->op,
		       clock_monotonic_ns() - request->started_ns);
}

void reply_handle_err(fuse_req_t handle, int rc)
{
	const struct mount *mount = fuse_req_userdata(handle);

	switch (-rc) {
	case EBADMSG: /* damaged bytes */
	case ENODATA: rc = -EIO; break;
	case E2BIG: /* a key over the limit */ rc = -ENAMETOOLONG; break;
	}
	if (rc)
		metrics_add_error(mount->metrics, -rc);
	(void)fuse_reply_err(handle, -rc); /* nothing is held for it */
}

void reply_err(const struct request *request, int rc)
{
	reply_handle_err(request->handle, rc);
}

struct volume_cred request_cred(const struct request *request)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(request->handle);

	return (struct volume_cred){ctx->uid, ctx->gid};
}

struct fuse_entry_param request_entry(const struct request *request, struct node *node,
				      const struct stat *st)
{
	bool is_root = node == volume_root(request->volume);

	return (struct fuse_entry_param){
		.ino = is_root ? FUSE_ROOT_ID : (fuse_ino_t)node,
		/* the kernel has one generation of the root, whatever it is told */
		.generation = is_root ? 0 : volume_generation(node),
		.attr = *st,
		.attr_timeout = attr_seconds(st),
		.entry_timeout = KEEP_SECONDS,
	};
}

void request_forget_attributes(void *session, struct node *node)
{
	/* fails if the kernel does not know it: then there is nothing to forget */
	(void)fuse_lowlevel_notify_inval_inode(session, (fuse_ino_t)node, -1, 0);
}
