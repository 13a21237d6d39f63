/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * file.c - see file.h.
 *
 * The daemon is the only writer, so the kernel may keep pages for as long as it likes, as far as
 * the volume lets it (volume_paging).  Control files change by themselves, so their pages are not
 * kept.
 */
#include "fs/fuse/file.h"

#include <fcntl.h>
#include <stdlib.h>

#include "fs/fuse/control.h"

enum { PUSHED_MAX = 64 << 10 };

/* --- opening and closing --- */

void file_set_open_flags(const struct request *request, struct node *node,
			 struct fuse_file_info *fi)
{
	enum volume_paging paging = volume_paging(request->volume, node);

	fi->keep_cache = paging == VOLUME_PAGES_KEPT;
	fi->direct_io = paging == VOLUME_PAGES_DIRECT;
	/* nothing to flush where nothing can be written */
	fi->noflush = (fi->flags & O_ACCMODE) == O_RDONLY;
}

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

/* Push a small file to the page cache before the answer to opening it: that spares a READ.
 * The kernel fills in pages under their locks, and holds those also while it waits for our answer
 * about the same file.  It cannot do that here: no other process has the file open. */
static void push_pages(const struct request *request, fuse_ino_t ino, struct node *node)
{
	struct known_file file = {request->mount->session, ino};

	volume_push(request->volume, node, PUSHED_MAX, store_pages, &file);
}

static void op_open(fuse_req_t handle, fuse_ino_t ino, struct fuse_file_info *fi)
{
	REQUEST request = request_begin(handle, METRIC_OPEN, ino);
	struct node *node = request_node(&request, ino);

	if (control_owns(ino)) {
		control_op_open(&request, ino, fi);
		return;
	}
	int rc = volume_open_file(request.volume, node, fi->flags);
	if (rc < 0) {
		reply_err(&request, rc);
		return;
	}
	file_set_open_flags(&request, node, fi);
	if (fi->noflush)
		push_pages(&request, ino, node);
	if (fuse_reply_open(handle, fi) == -ENOENT)
		volume_release(request.volume, node);
}

static void op_flush(fuse_req_t handle, fuse_ino_t ino, struct fuse_file_info *fi)
{
	REQUEST request = request_begin(handle, METRIC_FLUSH, ino);
	struct node *node = request_node(&request, ino);
	int rc = control_owns(ino) ? 0 : volume_flush(request.volume, node);

	(void)fi;
	/* the release that follows may change them; a process that asks before that asks twice */
	if (rc < 0)
		request_forget_attributes(request.mount->session, node);
	reply_err(&request, rc);
}

static void op_release(fuse_req_t handle, fuse_ino_t ino, struct fuse_file_info *fi)
{
	REQUEST request = request_begin(handle, METRIC_RELEASE, ino);
	struct node *node = request_node(&request, ino);

	if (control_owns(ino)) {
		control_op_release(&request, fi);
		return;
	}
	/* a value that was lost; the kernel asks for attributes again */
	if (volume_release(request.volume, node) < 0)
		request_forget_attributes(request.mount->session, node);
	reply_err(&request, 0);
}

/* --- reading and writing --- */

static void op_read(fuse_req_t handle, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	REQUEST request = request_begin(handle, METRIC_READ, ino);

	if (control_owns(ino)) {
		control_op_read(&request, size, offset, fi);
		return;
	}
	char *buf = malloc(size ? size : 1);
	ssize_t n = -ENOMEM;
	if (buf)
		n = volume_read(request.volume, request_node(&request, ino), buf, size,
				(uint64_t)offset);
	if (n < 0) {
		reply_err(&request, (int)n);
	} else {
		metrics_add_read(request.mount->metrics, (size_t)n);
		(void)fuse_reply_buf(handle, buf, (size_t)n); /* nothing is held for it */
	}
	free(buf);
}

static void op_write(fuse_req_t handle, fuse_ino_t ino, const char *buf, size_t size, off_t offset,
		     struct fuse_file_info *fi)
{
	REQUEST request = request_begin(handle, METRIC_WRITE, ino);
	struct volume *volume = request.volume;

	if (control_owns(ino)) {
		control_op_write(&request, buf, size, fi);
		return;
	}
	struct node *node = request_node(&request, ino);
	ssize_t n = volume_write(volume, node, buf, size, (uint64_t)offset);
	/* O_SYNC, O_DSYNC, RWF_DSYNC: after a write past its pages the kernel sends no FSYNC */
	if (n > 0 && fi->flags & O_DSYNC && volume_paging(volume, node) == VOLUME_PAGES_DIRECT) {
		int rc = volume_fsync(volume, node);
		n = rc < 0 ? rc : n;
	}
	if (n < 0) {
		reply_err(&request, (int)n);
	} else {
		metrics_add_written(request.mount->metrics, (size_t)n);
		(void)fuse_reply_write(handle, (size_t)n); /* nothing is held for it */
	}
}

static void op_fsync(fuse_req_t handle, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	REQUEST request = request_begin(handle, METRIC_FSYNC, ino);

	(void)datasync;
	(void)fi;
	reply_err(&request, control_owns(ino)
				    ? 0
				    : volume_fsync(request.volume, request_node(&request, ino)));
}

static void op_fallocate(fuse_req_t handle, fuse_ino_t ino, int mode, off_t offset, off_t size,
			 struct fuse_file_info *fi)
{
	REQUEST request = request_begin(handle, METRIC_FALLOCATE, ino);

	(void)fi;
	reply_err(&request, control_owns(ino)
				    ? -EOPNOTSUPP
				    : volume_fallocate(request.volume, request_node(&request, ino),
						       mode, (uint64_t)offset, (uint64_t)size));
}

void file_add_ops(struct fuse_lowlevel_ops *ops)
{
	ops->open = op_open;
	ops->flush = op_flush;
	ops->release = op_release;
	ops->read = op_read;
	ops->write = op_write;
	ops->fsync = op_fsync;
	ops->fallocate = op_fallocate;
}
