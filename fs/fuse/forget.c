/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * forget.c - see forget.h.
 */
#include "fs/fuse/forget.h"

#include <string.h>

static void forget_name(struct mount *mount, fuse_ino_t parent, const char *name)
{
	/* -ENOENT: the kernel does not know it, or nobody uses it */
	(void)fuse_lowlevel_notify_inval_entry(mount->session, parent, name, strlen(name));
}

static int forget_entry(void *mount, const char *name, struct node *node, const struct stat *st,
			uint64_t next)
{
	(void)st;
	(void)next;
	if (node)
		forget_name(mount, FUSE_ROOT_ID, name);
	return 0;
}

void forget_volume(void *mount_arg, struct volume *old)
{
	struct mount *mount = mount_arg;

	/* all else hangs on these names, and goes with them or stays with who uses it */
	(void)volume_readdir(old, volume_root(old), 0, UINT64_MAX, false, forget_entry, mount);
	(void)fuse_lowlevel_notify_inval_inode(mount->session, FUSE_ROOT_ID, 0, 0);
}

static void forget_known(void *mount, struct node *parent, const char *name)
{
	/* the names of a root that another one took the place of are forgotten, and its id is
	 * the other's now */
	if (volume_is_snapshot(parent) || !volume_is_root(parent))
		forget_name(mount, (fuse_ino_t)parent, name);
}

void forget_left(struct mount *mount)
{
	/* A name that is taken back goes with what nobody uses below it.  What is in use stays
	 * known, with its own name, which would keep it after its last use. */
	generations_for_left(mount->generations, forget_known, mount);
}
