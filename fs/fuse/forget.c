/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * forget.c - see forget.h.
 */
#include "fs/fuse/forget.h"

#include <string.h>

static void forget_name(struct mount *mount, fuse_ino_t parent, const char *name)
{
	/* -ENOENT: the kernel does not know it, or it is not in use */
	(void)fuse_lowlevel_notify_inval_entry(mount->session, parent, name, strlen(name));
}

/* Of a root that another one took the place of. */
static void forget_of_root(void *mount, struct node *parent, const char *name)
{
	if (volume_is_root(parent))
		forget_name(mount, FUSE_ROOT_ID, name);
}

void forget_volume(void *mount_arg, struct volume *old)
{
	struct mount *mount = mount_arg;

	/* all else hangs on these names, and goes with them or stays with its users */
	volume_for_known(old, forget_of_root, mount);
	(void)fuse_lowlevel_notify_inval_inode(mount->session, FUSE_ROOT_ID, 0, 0);
}

static void forget_known(void *mount, struct node *parent, const char *name)
{
	/* the names of a root that another one took the place of are forgotten, and its id is
	 * the other's now */
	if (!parent)
		forget_name(mount, CONTROL_SNAPSHOTS, name);
	else if (volume_is_snapshot(parent) || !volume_is_root(parent))
		forget_name(mount, (fuse_ino_t)parent, name);
}

void forget_left(struct mount *mount)
{
	/* Forget a name together with the unused nodes below it.  A node in use stays known, with
	 * its own name, and that name would keep it after its last use. */
	generations_for_left(mount->generations, forget_known, mount);
}

static void forget_old(void *mount_arg, struct node *parent, const char *name)
{
	struct mount *mount = mount_arg;
	struct generation *newest = generations_hold(mount->generations, NULL);
	bool is_root = parent == volume_root(newest->volume);

	generations_drop(mount->generations, newest);
	if (is_root)
		forget_name(mount, FUSE_ROOT_ID, name);
	else
		forget_known(mount, parent, name);
}

void forget_surplus(struct mount *mount)
{
	generations_for_surplus(mount->generations, forget_old, mount);
}
