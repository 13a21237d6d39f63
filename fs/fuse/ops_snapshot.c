/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * ops_snapshot.c - the kernel's requests that are for the directory of snapshots.
 *
 * What lies in a snapshot is served like everything else: its nodes tell their volume.
 * The kernel may keep the name of one: only what comes through it takes that away.
 */
#include <stdlib.h>

#include "fs/fuse/ops_internal.h"
#include "fs/mounted/snapshots.h"

static void reply_snapshot(fuse_req_t req, int rc, const struct volume_entry *entry)
{
	struct generations *generations = mount_of(req)->generations; /* replying frees `req` */

	if (rc < 0) {
		reply_err(req, rc);
		return;
	}
	const struct fuse_entry_param param = {
		.ino = (fuse_ino_t)entry->node,
		.generation = volume_generation(entry->node),
		.attr = entry->st,
		.attr_timeout = KEEP_SECONDS,
		.entry_timeout = KEEP_SECONDS,
	};
	if (fuse_reply_entry(req, &param) != -ENOENT)
		return;
	struct generation *generation = generations_hold(generations, entry->node);
	volume_forget(generation->volume, entry->node, 1);
	generations_drop(generations, generation);
}

static int check_caller(fuse_req_t req)
{
	return control_admits(mount_of(req)->control, fuse_req_ctx(req)->uid);
}

void snapshots_op_lookup(fuse_req_t req, const char *name)
{
	struct volume_entry entry = {.node = NULL};
	int rc = snapshots_find(mount_of(req)->generations, name, &entry);

	reply_snapshot(req, rc, &entry);
}

void snapshots_op_mkdir(fuse_req_t req, const char *name)
{
	struct volume_entry entry = {.node = NULL};
	int rc = check_caller(req);

	if (!rc)
		rc = snapshots_add(mount_of(req)->generations, name, &entry);
	reply_snapshot(req, rc, &entry);
}

void snapshots_op_rmdir(fuse_req_t req, const char *name)
{
	int rc = check_caller(req);

	reply_err(req, rc ? rc : snapshots_remove(mount_of(req)->generations, name));
}

/* A place in the listing: 1 and 2 behind the dots, then 2 more than the snapshot's serial. */
enum { DOTS = 2 };

static bool next_entry(fuse_req_t req, off_t offset, uint64_t end, struct snapshot_entry *ret,
		       off_t *next_ret)
{
	if (offset < DOTS) {
		*ret = (struct snapshot_entry){.ino = offset ? CONTROL_DIR : CONTROL_SNAPSHOTS,
					       .name = "."};
		ret->name[1] = offset ? '.' : '\0';
		*next_ret = offset + 1;
		return true;
	}
	if (snapshots_next(mount_of(req)->generations, (uint64_t)offset - DOTS, ret) < 0 ||
	    ret->serial > end)
		return false;
	*next_ret = (off_t)ret->serial + DOTS;
	return true;
}

void snapshots_op_readdir(fuse_req_t req, size_t size, off_t offset, struct open_dir *dir,
			  bool plus)
{
	char *buf = malloc(size);
	struct snapshot_entry entry;
	size_t used = 0;

	if (!buf) {
		reply_err(req, -ENOMEM);
		return;
	}
	if (!offset)
		atomic_store(&dir->end, snapshots_last(mount_of(req)->generations));
	while (next_entry(req, offset, atomic_load(&dir->end), &entry, &offset)) {
		/* an id of 0: the name only, nothing to be counted or kept */
		const struct fuse_entry_param param = {
			.attr = {.st_ino = entry.ino, .st_mode = S_IFDIR},
		};
		size_t need = plus ? fuse_add_direntry_plus(req, buf + used, size - used,
							    entry.name, &param, offset)
				   : fuse_add_direntry(req, buf + used, size - used, entry.name,
						       &param.attr, offset);
		if (need > size - used)
			break;
		used += need;
	}
	(void)fuse_reply_buf(req, buf, used); /* nothing is held for it */
	free(buf);
}
