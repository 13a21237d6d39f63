/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * names.c - see names.h.  No policy here: the volume decides.
 *
 * The daemon is the only writer, so the kernel may keep names and attributes for as long as it
 * likes.
 */
#include "fs/fuse/names.h"

#include <stdlib.h>

#include "fs/fuse/control.h"
#include "fs/fuse/file.h"
#include "fs/fuse/snapshot.h"

/* A reply that the kernel did not take (the request was interrupted) took no count. */
static void reply_entry(const struct request *request, int rc, const struct volume_entry *entry)
{
	if (rc < 0) {
		reply_err(request, rc);
		return;
	}
	struct fuse_entry_param param = request_entry(request, entry->node, &entry->st);
	if (fuse_reply_entry(request->handle, &param) == -ENOENT)
		volume_forget(request->volume, entry->node, 1);
}

/* --- looking up --- */

/* That there is no such name may be kept as well; but not of a root that a newer one may replace,
 * for the kernel can then be told only of names that exist. */
static void reply_no_entry(const struct request *request, fuse_ino_t parent)
{
	bool kept = parent != FUSE_ROOT_ID || !generations_may_change(request->mount->generations);
	const struct fuse_entry_param none = {.entry_timeout = kept ? KEEP_SECONDS : 0};

	(void)fuse_reply_entry(request->handle, &none); /* nothing is counted */
}

static void op_lookup(fuse_req_t handle, fuse_ino_t parent, const char *name)
{
	REQUEST request = request_begin(handle, METRIC_LOOKUP, parent);
	struct volume_entry entry;

	if (control_answers_lookup(&request, parent, name))
		return;
	int rc = volume_lookup(request.volume, request_node(&request, parent), name, &entry);
	if (rc == -ENOENT)
		reply_no_entry(&request, parent);
	else
		reply_entry(&request, rc, &entry);
}

static void op_forget(fuse_req_t handle, fuse_ino_t ino, uint64_t count)
{
	REQUEST request = request_begin(handle, METRIC_FORGET, ino);

	if (request_plain_node(ino))
		volume_forget(request.volume, request_plain_node(ino), count);
	fuse_reply_none(handle);
}

/* Nodes of several volumes may be forgotten together. */
static void op_forget_multi(fuse_req_t handle, size_t count, struct fuse_forget_data *forgets)
{
	REQUEST request = request_begin(handle, METRIC_FORGET, FUSE_ROOT_ID);
	struct generations *generations = request.mount->generations;

	for (size_t i = 0; i < count; i++) {
		struct node *node = request_plain_node(forgets[i].ino);
		if (!node)
			continue;
		struct generation *generation = generations_hold(generations, node);
		volume_forget(generation->volume, node, forgets[i].nlookup);
		generations_drop(generations, generation);
	}
	fuse_reply_none(handle);
}

static void op_readlink(fuse_req_t handle, fuse_ino_t ino)
{
	REQUEST request = request_begin(handle, METRIC_READLINK, ino);
	char *target = NULL;
	int rc = control_owns(ino)
			 ? -EINVAL
			 : volume_readlink(request.volume, request_node(&request, ino), &target);

	if (rc < 0)
		reply_err(&request, rc);
	else
		(void)fuse_reply_readlink(handle, target); /* nothing is held for it */
	free(target);
}

/* --- making --- */

static void op_create(fuse_req_t handle, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	REQUEST request = request_begin(handle, METRIC_CREATE, parent);
	const struct volume_cred cred = request_cred(&request);
	struct volume *volume = request.volume;
	struct volume_entry entry;

	if (control_refuses(&request, parent))
		return;
	struct node *dir = request_node(&request, parent);
	/* see fs/fuse/features.c */
	int rc = *name && *name != '/'
			 ? volume_create(volume, &cred, dir, name, mode, fi->flags, &entry)
			 : volume_tmpfile(volume, &cred, dir, mode, fi->flags, &entry);
	if (rc < 0) {
		reply_err(&request, rc);
		return;
	}
	struct fuse_entry_param param = request_entry(&request, entry.node, &entry.st);
	file_set_open_flags(&request, entry.node, fi);
	if (fuse_reply_create(handle, &param, fi) == -ENOENT) {
		volume_release(volume, entry.node);
		volume_forget(volume, entry.node, 1);
	}
}

static void op_mknod(fuse_req_t handle, fuse_ino_t parent, const char *name, mode_t mode,
		     dev_t device)
{
	REQUEST request = request_begin(handle, METRIC_MKNOD, parent);
	const struct volume_cred cred = request_cred(&request);
	struct volume_entry entry;

	(void)device;
	if (control_refuses(&request, parent))
		return;
	int rc = volume_mknod(request.volume, &cred, request_node(&request, parent), name, mode,
			      &entry);
	reply_entry(&request, rc, &entry);
}

static void op_mkdir(fuse_req_t handle, fuse_ino_t parent, const char *name, mode_t mode)
{
	REQUEST request = request_begin(handle, METRIC_MKDIR, parent);
	const struct volume_cred cred = request_cred(&request);
	struct volume_entry entry;

	if (parent == CONTROL_SNAPSHOTS) {
		snapshots_op_mkdir(&request, name, mode);
		return;
	}
	if (control_refuses(&request, parent))
		return;
	int rc = volume_mkdir(request.volume, &cred, request_node(&request, parent), name, mode,
			      &entry);
	reply_entry(&request, rc, &entry);
}

static void op_symlink(fuse_req_t handle, const char *target, fuse_ino_t parent, const char *name)
{
	REQUEST request = request_begin(handle, METRIC_SYMLINK, parent);
	const struct volume_cred cred = request_cred(&request);
	struct volume_entry entry;

	if (control_refuses(&request, parent))
		return;
	int rc = volume_symlink(request.volume, &cred, request_node(&request, parent), name, target,
				&entry);
	reply_entry(&request, rc, &entry);
}

/* A key has one name; a file that was opened without one gets it here. */
static void op_link(fuse_req_t handle, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	REQUEST request = request_begin(handle, METRIC_LINK, ino);
	struct volume_entry entry;

	if (control_refuses(&request, control_owns(ino) ? ino : parent))
		return;
	struct node *to = request_node(&request, parent);
	/* only the first one's volume is held, and the other cannot be written to */
	int rc = volume_is_snapshot(to) ? -EROFS
					: volume_link(request.volume, request_node(&request, ino),
						      to, name, &entry);
	reply_entry(&request, rc, &entry);
}

/* --- removing and renaming --- */

static void op_unlink(fuse_req_t handle, fuse_ino_t parent, const char *name)
{
	REQUEST request = request_begin(handle, METRIC_UNLINK, parent);

	if (!control_refuses(&request, parent))
		reply_err(&request,
			  volume_unlink(request.volume, request_node(&request, parent), name));
}

static void op_rmdir(fuse_req_t handle, fuse_ino_t parent, const char *name)
{
	REQUEST request = request_begin(handle, METRIC_RMDIR, parent);

	if (parent == CONTROL_SNAPSHOTS)
		snapshots_op_rmdir(&request, name);
	else if (control_is_name(&request, parent, name))
		reply_err(&request, -EPERM);
	else if (!control_refuses(&request, parent))
		reply_err(&request,
			  volume_rmdir(request.volume, request_node(&request, parent), name));
}

static void op_rename(fuse_req_t handle, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
		      const char *new_name, unsigned flags)
{
	REQUEST request = request_begin(handle, METRIC_RENAME, parent);

	if (control_is_name(&request, parent, name) ||
	    control_is_name(&request, new_parent, new_name)) {
		reply_err(&request, -EPERM);
		return;
	}
	if (control_refuses(&request, control_owns(parent) ? parent : new_parent))
		return;
	struct node *to = request_node(&request, new_parent);
	/* only the first one's volume is held, and the other cannot be written to */
	int rc = volume_is_snapshot(to)
			 ? -EROFS
			 : volume_rename(request.volume, request_node(&request, parent), name, to,
					 new_name, flags);
	/* the kernel keeps attributes, and the numbers of all below are others now */
	if (!rc)
		volume_visit_below(request.volume, to, new_name, request_forget_attributes,
				   request.mount->session);
	reply_err(&request, rc);
}

void names_add_ops(struct fuse_lowlevel_ops *ops)
{
	ops->lookup = op_lookup;
	ops->forget = op_forget;
	ops->forget_multi = op_forget_multi;
	ops->readlink = op_readlink;
	ops->create = op_create;
	ops->mknod = op_mknod;
	ops->mkdir = op_mkdir;
	ops->symlink = op_symlink;
	ops->link = op_link;
	ops->unlink = op_unlink;
	ops->rmdir = op_rmdir;
	ops->rename = op_rename;
}
