/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * ops.c - see ops.h.  The first request, the capabilities of the daemon, and the table of
 * operations.
 *
 * An operation that the table leaves out is done by the kernel itself.
 */
#include "fs/fuse/ops.h"

#include <stdio.h>
#include <unistd.h>

#include "fs/fuse/attr.h"
#include "fs/fuse/file.h"
#include "fs/fuse/listing.h"
#include "fs/fuse/names.h"
#include "fs/mounted/info.h"

enum { REQUEST_MAX = 1 << 20 };

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

static void op_ioctl(fuse_req_t handle, fuse_ino_t ino, unsigned command, void *arg,
		     struct fuse_file_info *fi, unsigned flags, const void *in, size_t in_size,
		     size_t out_size)
{
	const struct mount *mount = fuse_req_userdata(handle);
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
		(void)fuse_reply_err(handle, ENOTTY); /* nothing is held for it */
	else if (out_size < sizeof about)
		(void)fuse_reply_err(handle, EINVAL);
	else
		(void)fuse_reply_ioctl(handle, 0, &about, sizeof about);
}

const struct fuse_lowlevel_ops *ops_table(void)
{
	static struct fuse_lowlevel_ops table;

	table = (struct fuse_lowlevel_ops){.init = op_init, .ioctl = op_ioctl};
	names_add_ops(&table);
	listing_add_ops(&table);
	file_add_ops(&table);
	attr_add_ops(&table);
	return &table;
}
