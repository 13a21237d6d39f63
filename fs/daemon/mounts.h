/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * mounts.h - the kernel's table of mounts, and taking mounts out of it.
 */
#ifndef FS_DAEMON_MOUNTS_H
#define FS_DAEMON_MOUNTS_H

#include <stdbool.h>
#include <sys/types.h>

/* The absolute path of a mount point that may be dead, or of a symlink to one: a directory that
 * is the last component is not looked into.  Owned by the caller; NULL and errno. */
char *mounts_resolve(const char *path);

/* Whether what is mounted at `path` (absolute) is served by datawalfs. */
bool mounts_is_ours(const char *path);

/* mounts_resolve() of a mount of datawalfs; NULL after saying that it is none. */
char *mounts_resolve_ours(const char *mountpoint);

/* Where the store is mounted, unless under another name (-o fsname); owned by the caller; NULL:
 * nowhere. */
char *mounts_find_store(const char *store_path);

/* Whether the daemon behind the mount at `path` died. */
bool mounts_is_dead(const char *path);

/* A process with another mount namespace in which the file system `dev` is mounted; 0: none that
 * can be seen. */
pid_t mounts_elsewhere(dev_t dev);

/* Unmount `path` (absolute), as root by the system call, else by fusermount3.
 * `lazy`: out of the tree at once, even if it is in use.
 * 0; -EBUSY: in use, -EINVAL and others as umount2(2) has them; -ECHILD: fusermount3
 * failed, and said why on standard error. */
int mounts_unmount(const char *path, bool lazy);

#endif
