/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * ops_control.c - the kernel's requests that are for the control directory.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fs/fuse/ops_internal.h"

/* The names stay, and so do the attributes of both directories, which are on the way to each file
 * of a snapshot.  The kernel's idea of a file's size follows what is written to it: that it asks
 * for. */
static double seconds_of(uint64_t id)
{
	return id == CONTROL_DIR || id == CONTROL_SNAPSHOTS ? KEEP_SECONDS : 0;
}

static void control_reply_entry(fuse_req_t req, uint64_t id)
{
	struct fuse_entry_param param = {
		.ino = id, .attr_timeout = seconds_of(id), .entry_timeout = KEEP_SECONDS};

	if (!id) {
		reply_err(req, -ENOENT);
		return;
	}
	(void)control_getattr(mount_of(req)->control, id, &param.attr); /* cannot fail */
	(void)fuse_reply_entry(req, &param);                            /* nothing is counted */
}

bool control_is_name(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct control *control = mount_of(req)->control;

	return control && parent == FUSE_ROOT_ID && !strcmp(name, control_name(control));
}

bool control_answers_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct control *control = mount_of(req)->control;

	if (!control)
		return false;
	if (parent == CONTROL_SNAPSHOTS)
		snapshots_op_lookup(req, name);
	else if (parent == CONTROL_DIR)
		control_reply_entry(req, control_find(name));
	else if (control_is_name(req, parent, name))
		control_reply_entry(req, CONTROL_DIR);
	else
		return false;
	return true;
}

void control_op_getattr(fuse_req_t req, fuse_ino_t ino)
{
	struct stat st;

	(void)control_getattr(mount_of(req)->control, ino, &st); /* cannot fail */
	(void)fuse_reply_attr(req, &st, seconds_of(ino));
}

static struct control_caller caller_of(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return (struct control_caller){ctx->uid, ctx->gid};
}

void control_op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	const struct control_caller caller = caller_of(req);
	struct control_file *file = NULL;
	int rc = control_open(mount_of(req)->control, ino, fi->flags, &caller, &file);

	if (rc < 0) {
		reply_err(req, rc);
		return;
	}
	fi->fh = (uintptr_t)file;
	fi->direct_io = 1; /* the size is not known before */
	fi->nonseekable = ino == CONTROL_EXPORT;
	struct control *control = mount_of(req)->control; /* replying frees `req` */
	if (fuse_reply_open(req, fi) == -ENOENT)
		control_close(control, file);
}

void control_op_readdir(fuse_req_t req, size_t size, off_t offset, bool plus)
{
	char *buf = malloc(size);
	size_t used = 0;

	if (!buf) {
		reply_err(req, -ENOMEM);
		return;
	}
	for (size_t i = (size_t)offset;; i++) {
		uint64_t id = CONTROL_DIR;
		const char *name = i == 0 ? "." : i == 1 ? ".." : control_entry(i - 2, &id);
		/* an id of 0: the name only, nothing to be counted or kept */
		struct fuse_entry_param param = {.ino = 0};
		size_t need;
		if (!name)
			break;
		(void)control_getattr(mount_of(req)->control, id, &param.attr); /* cannot fail */
		if (plus)
			need = fuse_add_direntry_plus(req, buf + used, size - used, name, &param,
						      (off_t)i + 1);
		else
			need = fuse_add_direntry(req, buf + used, size - used, name, &param.attr,
						 (off_t)i + 1);
		if (need > size - used)
			break;
		used += need;
	}
	(void)fuse_reply_buf(req, buf, used);
	free(buf);
}

static struct control_file *control_file_of(const struct fuse_file_info *fi)
{
	return (struct control_file *)(uintptr_t)fi->fh;
}

void control_op_setattr(fuse_req_t req, fuse_ino_t ino, int to_set)
{
	/* `echo compact > control` truncates first */
	if (to_set & ~(FUSE_SET_ATTR_SIZE | FUSE_SET_ATTR_CTIME | FUSE_SET_ATTR_MTIME_NOW))
		reply_err(req, -EPERM);
	else
		control_op_getattr(req, ino);
}

void control_op_release(fuse_req_t req, struct fuse_file_info *fi)
{
	control_close(mount_of(req)->control, control_file_of(fi));
	reply_err(req, 0);
}

void control_op_read(fuse_req_t req, size_t size, off_t offset, struct fuse_file_info *fi)
{
	char *buf = malloc(size ? size : 1);
	ssize_t n = -ENOMEM;

	if (buf)
		n = control_read(mount_of(req)->control, control_file_of(fi), buf, size,
				 (uint64_t)offset);
	if (n < 0)
		reply_err(req, (int)n);
	else
		(void)fuse_reply_buf(req, buf, (size_t)n); /* nothing is held for it */
	free(buf);
}

static void reply_done(void *context, ssize_t n)
{
	fuse_req_t req = context;

	if (n < 0)
		reply_err(req, (int)n);
	else
		(void)fuse_reply_write(req, (size_t)n); /* nothing is held for it */
}

void control_op_write(fuse_req_t req, const char *buf, size_t size, struct fuse_file_info *fi)
{
	const struct control_caller caller = caller_of(req);

	control_start(mount_of(req)->control, control_file_of(fi), &caller, buf, size, reply_done,
		      req);
}
