/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * control.c - see control.h.
 */
#include "fs/fuse/control.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fs/fuse/dirbuf.h"
#include "fs/fuse/snapshot.h"

/* The names stay, and so do the attributes of both directories, which are on the way to each file
 * of a snapshot.  The kernel's idea of a file's size follows what is written to it: that it asks
 * for. */
static double seconds_of(uint64_t id)
{
	return id == CONTROL_DIR || id == CONTROL_SNAPSHOTS ? KEEP_SECONDS : 0;
}

static void reply_control_entry(const struct request *request, uint64_t id)
{
	struct fuse_entry_param param = {
		.ino = id, .attr_timeout = seconds_of(id), .entry_timeout = KEEP_SECONDS};

	if (!id) {
		reply_err(request, -ENOENT);
		return;
	}
	(void)control_getattr(request->mount->control, id, &param.attr); /* cannot fail */
	(void)fuse_reply_entry(request->handle, &param);                 /* nothing is counted */
}

bool control_is_name(const struct request *request, fuse_ino_t parent, const char *name)
{
	const struct control *control = request->mount->control;

	return control && parent == FUSE_ROOT_ID && !strcmp(name, control_name(control));
}

bool control_refuses(const struct request *request, fuse_ino_t ino)
{
	if (control_owns(ino))
		reply_err(request, -EPERM);
	return control_owns(ino);
}

bool control_answers_lookup(const struct request *request, fuse_ino_t parent, const char *name)
{
	if (!request->mount->control)
		return false;
	if (parent == CONTROL_SNAPSHOTS)
		snapshots_op_lookup(request, name);
	else if (parent == CONTROL_DIR)
		reply_control_entry(request, control_find(name));
	else if (control_is_name(request, parent, name))
		reply_control_entry(request, CONTROL_DIR);
	else
		return false;
	return true;
}

void control_op_getattr(const struct request *request, fuse_ino_t ino)
{
	struct stat st;

	(void)control_getattr(request->mount->control, ino, &st); /* cannot fail */
	(void)fuse_reply_attr(request->handle, &st, seconds_of(ino));
}

void control_op_setattr(const struct request *request, fuse_ino_t ino, int to_set)
{
	/* `echo compact > control` truncates first */
	if (to_set & ~(FUSE_SET_ATTR_SIZE | FUSE_SET_ATTR_CTIME | FUSE_SET_ATTR_MTIME_NOW))
		reply_err(request, -EPERM);
	else
		control_op_getattr(request, ino);
}

void control_op_open(const struct request *request, fuse_ino_t ino, struct fuse_file_info *fi)
{
	const struct volume_cred caller = request_cred(request);
	struct control *control = request->mount->control;
	struct control_file *file = NULL;
	int rc = control_open(control, ino, fi->flags, &caller, &file);

	if (rc < 0) {
		reply_err(request, rc);
		return;
	}
	fi->fh = (uintptr_t)file;
	fi->direct_io = 1; /* the size is not known before */
	fi->nonseekable = ino == CONTROL_EXPORT;
	if (fuse_reply_open(request->handle, fi) == -ENOENT)
		control_close(file);
}

static struct control_file *control_file_of(const struct fuse_file_info *fi)
{
	return (struct control_file *)(uintptr_t)fi->fh;
}

void control_op_release(const struct request *request, struct fuse_file_info *fi)
{
	control_close(control_file_of(fi));
	reply_err(request, 0);
}

void control_op_readdir(const struct request *request, size_t size, off_t offset, bool plus)
{
	struct dirbuf buf;

	if (dirbuf_init(&buf, request, size, plus) < 0) {
		reply_err(request, -ENOMEM);
		return;
	}
	for (size_t i = (size_t)offset;; i++) {
		uint64_t id = CONTROL_DIR;
		const char *name = i == 0 ? "." : i == 1 ? ".." : control_entry(i - 2, &id);
		struct fuse_entry_param name_only = {.ino = 0};
		if (!name)
			break;
		(void)control_getattr(request->mount->control, id, &name_only.attr);
		if (!dirbuf_add(&buf, name, &name_only, (off_t)i + 1))
			break;
	}
	dirbuf_reply(&buf);
}

void control_op_read(const struct request *request, size_t size, off_t offset,
		     struct fuse_file_info *fi)
{
	char *buf = malloc(size ? size : 1);
	ssize_t n = -ENOMEM;

	if (buf)
		n = control_read(control_file_of(fi), buf, size, (uint64_t)offset);
	if (n < 0)
		reply_err(request, (int)n);
	else
		(void)fuse_reply_buf(request->handle, buf, (size_t)n); /* nothing is held for it */
	free(buf);
}

/* In another thread: the request has ended, and only its handle is left. */
static void reply_done(void *handle, ssize_t n)
{
	if (n < 0)
		reply_handle_err(handle, (int)n);
	else
		(void)fuse_reply_write(handle, (size_t)n); /* nothing is held for it */
}

void control_op_write(const struct request *request, const char *buf, size_t size,
		      struct fuse_file_info *fi)
{
	const struct volume_cred caller = request_cred(request);

	control_start(control_file_of(fi), &caller, (struct dw_bytes){buf, size}, reply_done,
		      request->handle);
}
