/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * info.h - what a mount tells about its daemon, by ioctl(2) on its root.
 *
 * Works whatever the control directory is called, and needs no more than opening the
 * root for reading.
 */
#ifndef FS_MOUNTED_INFO_H
#define FS_MOUNTED_INFO_H

#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/types.h>

struct mount_info {
	uint32_t pid; /* as the daemon sees it */
	uint32_t read_only;
	/* Where the daemon says at its end whether anything was lost (fs/mounted/ending.h). */
	uint64_t ending_token;
	int32_t ending_fd; /* in the daemon; -1: nowhere */
	uint32_t unused;
	char store[4096]; /* its path, as the daemon sees it; NUL at the end */
};

#define MOUNT_INFO_IOCTL _IOR(0xda, 1, struct mount_info)

/* Ask the daemon of the mount at `path`.  `dev_ret`: the device of the mount; may be NULL.
 * 0 or -errno. */
int info_ask(const char *path, struct mount_info *ret, dev_t *dev_ret);

#endif
