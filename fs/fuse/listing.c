/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * listing.c - see listing.h.
 *
 * A listing of the root goes on in the volume that it began in.  It begins anew with opendir(3) or
 * rewinddir(3), each of which the kernel shows by a first look at offset 0.
 */
#include "fs/fuse/listing.h"

#include <stdlib.h>

#include "fs/fuse/control.h"
#include "fs/fuse/dirbuf.h"
#include "fs/fuse/snapshot.h"

/* An open directory; `fh` of the requests on it points here. */
struct open_dir {
	struct generation *generation; /* in which the listing goes on; NULL: that of the node */
	struct listing *listing;       /* of a directory of the volume; owned */
	struct snapshot_listing snapshots;
};

static struct open_dir *open_dir_of(const struct fuse_file_info *fi)
{
	return (struct open_dir *)(uintptr_t)fi->fh;
}

static void open_dir_free(struct generations *generations, struct open_dir *dir)
{
	volume_closedir(dir->listing);
	snapshot_listing_release(&dir->snapshots);
	if (dir->generation)
		generations_drop(generations, dir->generation);
	free(dir);
}

static void op_opendir(fuse_req_t handle, fuse_ino_t ino, struct fuse_file_info *fi)
{
	REQUEST request = request_begin(handle, METRIC_OPENDIR, ino);
	struct generations *generations = request.mount->generations;
	struct open_dir *dir = calloc(1, sizeof *dir);

	if (!dir) {
		reply_err(&request, -ENOMEM);
		return;
	}
	snapshot_listing_init(&dir->snapshots);
	int rc = control_owns(ino) ? 0
				   : volume_opendir(request.volume, request_node(&request, ino),
						    &dir->listing);
	if (rc < 0) {
		open_dir_free(generations, dir);
		reply_err(&request, rc);
		return;
	}
	if (generations_may_change(generations) && !control_owns(ino)) {
		dir->generation = request.generation;
		request.holds = false;
	}
	fi->fh = (uintptr_t)dir;
	if (fuse_reply_open(handle, fi) == -ENOENT)
		open_dir_free(generations, dir); /* the answer did not arrive */
}

static void op_releasedir(fuse_req_t handle, fuse_ino_t ino, struct fuse_file_info *fi)
{
	/* the volume stays while its listing goes */
	struct generations *generations = ((struct mount *)fuse_req_userdata(handle))->generations;
	struct generation *held = generations_hold(generations, request_plain_node(ino));

	open_dir_free(generations, open_dir_of(fi));
	generations_drop(generations, held);
	(void)fuse_reply_err(handle, 0); /* nothing is held for it */
}

/* --- entries --- */

struct filling {
	struct dirbuf buf;
	bool known; /* the kernel may keep what it is told of the entries */
};

static int add_entry(void *context, const char *name, struct node *node, const struct stat *st,
		     uint64_t next)
{
	struct filling *l = context;
	struct fuse_entry_param param = {.attr = *st};

	/* an id of 0 tells the kernel not to count "." and ".." */
	if (node && l->known)
		param = request_entry(l->buf.request, node, st);
	return !dirbuf_add(&l->buf, name, &param, (off_t)next);
}

static void list(const struct request *request, fuse_ino_t ino, size_t size, off_t offset,
		 struct open_dir *dir, bool plus)
{
	struct filling l;
	int rc = dirbuf_init(&l.buf, request, size, plus);

	/* a listing of the root that goes on after a newer volume took its place must not
	 * bring the names of the older one back */
	l.known = plus && (ino != FUSE_ROOT_ID ||
			   generations_is_newest(request->mount->generations, request->volume));
	if (!rc)
		rc = volume_readdir(dir->listing, (uint64_t)offset, l.known, add_entry, &l);
	if (rc < 0)
		dirbuf_fail(&l.buf, rc);
	else
		dirbuf_reply(&l.buf);
}

static void read_dir(fuse_req_t handle, fuse_ino_t ino, size_t size, off_t offset,
		     struct open_dir *dir, bool plus)
{
	REQUEST request = request_begin_in(handle, METRIC_READDIR, ino, dir->generation);

	if (ino == CONTROL_SNAPSHOTS)
		snapshots_op_readdir(&request, size, offset, &dir->snapshots, plus);
	else if (control_owns(ino))
		control_op_readdir(&request, size, offset, plus);
	else
		list(&request, ino, size, offset, dir, plus);
}

static void op_readdir(fuse_req_t handle, fuse_ino_t ino, size_t size, off_t offset,
		       struct fuse_file_info *fi)
{
	read_dir(handle, ino, size, offset, open_dir_of(fi), false);
}

static void op_readdirplus(fuse_req_t handle, fuse_ino_t ino, size_t size, off_t offset,
			   struct fuse_file_info *fi)
{
	read_dir(handle, ino, size, offset, open_dir_of(fi), true);
}

static void op_fsyncdir(fuse_req_t handle, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	REQUEST request = request_begin(handle, METRIC_FSYNCDIR, ino);

	(void)datasync;
	(void)fi;
	reply_err(&request, control_owns(ino) ? 0
					      : volume_fsync_dir(request.volume,
								 request_node(&request, ino)));
}

void listing_add_ops(struct fuse_lowlevel_ops *ops)
{
	ops->opendir = op_opendir;
	ops->releasedir = op_releasedir;
	ops->readdir = op_readdir;
	ops->readdirplus = op_readdirplus;
	ops->fsyncdir = op_fsyncdir;
}
