/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * remount.c - see remount.h.
 *
 * The daemon keeps the options that it was started with.  Only options that the kernel enforces by
 * itself can change: read-only, and flags that take something away.
 */
#include "fs/daemon/remount.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include "fs/daemon/fail.h"
#include "fs/daemon/mounts.h"
#include "fs/mounted/info.h"

/* Flags of mount(2) and those of statvfs(3) have the same values. */
_Static_assert((int)MS_RDONLY == (int)ST_RDONLY && (int)MS_NODEV == (int)ST_NODEV, "as on Linux");
enum { KEPT = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_SYNCHRONOUS | MS_NOATIME };

static int change(const struct settings *settings, const char *path)
{
	struct statvfs st;

	if (statvfs(path, &st) < 0)
		return fail("mount point '%s': %s", path, strerror(errno));
	/* options that give the store's owner more rights are fixed when it is mounted */
	if ((settings->allow_suid && st.f_flag & MS_NOSUID) ||
	    (settings->allow_dev && st.f_flag & MS_NODEV))
		return fail("allow_suid and allow_dev cannot come by -o remount; unmount '%s', and "
			    "mount it again",
			    path);
	if (settings->flags_cleared & MS_RDONLY) {
		struct mount_info info;
		int rc = info_ask(path, &info, NULL);
		if (rc < 0)
			return fail("mount point '%s': %s", path, strerror(-rc));
		if (info.read_only)
			return fail("'%s' was mounted with -o ro; unmount it, and mount it again",
				    path);
	}
	unsigned long wanted =
		((st.f_flag & KEPT) & ~settings->flags_cleared) | settings->flags_set;
	if (mount(NULL, path, NULL, MS_REMOUNT | wanted, NULL) < 0)
		return fail("remounting '%s': %s", path,
			    errno == EBUSY ? "files are open for writing; 'fuser -vm' shows by whom"
					   : strerror(errno));
	return 0;
}

int remount(const struct settings *settings, const char *mountpoint)
{
	char *path = mounts_resolve_ours(mountpoint);
	int rc = path ? change(settings, path) : 1;

	free(path);
	return rc;
}
