/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * snapshot.c - see snapshot.h.
 */
#include "fs/fuse/snapshot.h"

#include "fs/fuse/dirbuf.h"
#include "fs/mounted/snapshots.h"

static void reply_snapshot(const struct request *request, int rc, const struct volume_entry *entry)
{
	struct generations *generations = request->mount->generations;

	if (rc < 0) {
		reply_err(request, rc);
		return;
	}
	/* its root is no root for the kernel: the request's volume is another one */
	struct fuse_entry_param param = request_entry(request, entry->node, &entry->st);
	if (fuse_reply_entry(request->handle, &param) != -ENOENT)
		return;
	struct generation *generation = generations_hold(generations, entry->node);
	volume_forget(generation->volume, entry->node, 1);
	generations_drop(generations, generation);
}

static int check_caller(const struct request *request)
{
	return control_admits(request->mount->control, request_cred(request).uid);
}

void snapshots_op_lookup(const struct request *request, const char *name)
{
	struct volume_entry entry = {.node = NULL};
	int rc = snapshots_find(request->mount->generations, name, &entry);

	reply_snapshot(request, rc, &entry);
}

void snapshots_op_mkdir(const struct request *request, const char *name)
{
	struct volume_entry entry = {.node = NULL};
	int rc = check_caller(request);

	if (!rc)
		rc = snapshots_add(request->mount->generations, name, &entry);
	reply_snapshot(request, rc, &entry);
}

void snapshots_op_rmdir(const struct request *request, const char *name)
{
	int rc = check_caller(request);

	reply_err(request, rc ? rc : snapshots_remove(request->mount->generations, name));
}

/* A place in the listing: 1 and 2 after the dots, then 2 more than the snapshot's serial. */
enum { DOTS = 2 };

static bool next_entry(const struct request *request, off_t offset, uint64_t end,
		       struct snapshot_entry *ret, off_t *next_ret)
{
	if (offset < DOTS) {
		*ret = (struct snapshot_entry){.ino = offset ? CONTROL_DIR : CONTROL_SNAPSHOTS,
					       .name = "."};
		ret->name[1] = offset ? '.' : '\0';
		*next_ret = offset + 1;
		return true;
	}
	if (snapshots_next(request->mount->generations, (uint64_t)offset - DOTS, ret) < 0 ||
	    ret->serial > end)
		return false;
	*next_ret = (off_t)ret->serial + DOTS;
	return true;
}

void snapshots_op_readdir(const struct request *request, size_t size, off_t offset,
			  atomic_uint_fast64_t *end, bool plus)
{
	struct snapshot_entry entry;
	struct dirbuf buf;

	if (dirbuf_init(&buf, request, size, plus) < 0) {
		reply_err(request, -ENOMEM);
		return;
	}
	if (!offset)
		atomic_store(end, snapshots_last(request->mount->generations));
	while (next_entry(request, offset, atomic_load(end), &entry, &offset)) {
		const struct fuse_entry_param name_only = {
			.attr = {.st_ino = entry.ino, .st_mode = S_IFDIR},
		};
		if (!dirbuf_add(&buf, entry.name, &name_only, offset))
			break;
	}
	dirbuf_reply(&buf);
}
