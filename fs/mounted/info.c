/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * info.c - see info.h.
 */
#include "fs/mounted/info.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int info_ask(const char *path, struct mount_info *ret, dev_t *dev_ret)
{
	struct mount_info info;
	struct stat st = {.st_dev = 0};
	int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = root < 0 || ioctl(root, MOUNT_INFO_IOCTL, &info) < 0 || fstat(root, &st) < 0
			 ? -errno
			 : 0;

	if (root >= 0)
		(void)close(root); /* was only asked */
	if (rc < 0)
		return rc;
	info.store[sizeof info.store - 1] = '\0'; /* the answer may be another program's */
	*ret = info;
	if (dev_ret)
		*dev_ret = st.st_dev;
	return 0;
}
