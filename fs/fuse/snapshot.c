/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * snapshot.c - see snapshot.h.
 */
#include "fs/fuse/snapshot.h"

#include <stdlib.h>

#include "fs/fuse/dirbuf.h"

/* So long may the kernel keep the name of a snapshot. */
#define SNAPSHOT_SECONDS 1.0

static void reply_snapshot(const struct request *request, int rc, const struct volume_entry *entry)
{
	struct generations *generations = request->mount->generations;

	if (rc < 0) {
		reply_err(request, rc);
		return;
	}
	/* its root is no root for the kernel: the request's volume is another one */
	struct fuse_entry_param param = request_entry(request, entry->node, &entry->st);
	param.entry_timeout = SNAPSHOT_SECONDS;
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

void snapshots_op_mkdir(const struct request *request, const char *name, mode_t mode)
{
	struct volume_entry entry = {.node = NULL};
	int rc = check_caller(request);

	if (!rc)
		rc = snapshots_add(request->mount->generations, name, mode & S_ISVTX, &entry);
	reply_snapshot(request, rc, &entry);
}

void snapshots_op_rmdir(const struct request *request, const char *name)
{
	int rc = check_caller(request);

	reply_err(request, rc ? rc : snapshots_remove(request->mount->generations, name));
}

/* --- listing --- */

void snapshot_listing_init(struct snapshot_listing *listing)
{
	*listing = (struct snapshot_listing){.names = NULL};
	(void)pthread_mutex_init(&listing->lock, NULL); /* cannot fail on Linux */
}

void snapshot_listing_release(struct snapshot_listing *listing)
{
	free(listing->names);
	(void)pthread_mutex_destroy(&listing->lock); /* fails only while it is held */
}

/* The names of this moment. */
static int begin_locked(const struct request *request, struct snapshot_listing *listing)
{
	struct snapshot_name *names = NULL;
	size_t count = 0;
	int rc = snapshots_list(request->mount->generations, &names, &count);

	if (rc < 0)
		return rc;
	free(listing->names);
	listing->names = names;
	listing->count = count;
	return 0;
}

/* A place in the listing: 1 and 2 after the dots, then one after each name. */
enum { DOTS = 2 };

static void fill_locked(struct dirbuf *buf, const struct snapshot_listing *listing, uint64_t at)
{
	struct fuse_entry_param name_only = {.attr = {.st_mode = S_IFDIR}};

	for (; at < DOTS + listing->count; at++) {
		const struct snapshot_name *name = at < DOTS ? NULL : &listing->names[at - DOTS];
		name_only.attr.st_ino = name ? name->ino : at ? CONTROL_DIR : CONTROL_SNAPSHOTS;
		if (!dirbuf_add(buf,
				name ? name->name
				: at ? ".."
				     : ".",
				&name_only, (off_t)at + 1))
			break;
	}
}

void snapshots_op_readdir(const struct request *request, size_t size, off_t offset,
			  struct snapshot_listing *listing, bool plus)
{
	struct dirbuf buf;
	int rc = dirbuf_init(&buf, request, size, plus);

	if (rc < 0) {
		reply_err(request, rc);
		return;
	}
	(void)pthread_mutex_lock(&listing->lock);
	/* a listing may also go on in a directory that was opened anew */
	if (!offset || !listing->names)
		rc = begin_locked(request, listing);
	if (!rc)
		fill_locked(&buf, listing, (uint64_t)offset);
	(void)pthread_mutex_unlock(&listing->lock);
	if (rc < 0)
		dirbuf_fail(&buf, rc);
	else
		dirbuf_reply(&buf);
}
