/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * remount.c - datawalfs STORE MOUNTPOINT -o remount, as mount(8) calls it.
 *
 * The daemon keeps what it was told when it started.  What the kernel minds by itself can
 * change: whether the mount is read only, and flags that take something away.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "fs/daemon/main.h"
#include "fs/daemon/mounts.h"
#include "fs/mounted/info.h"

/* Flags of mount(2) by option; those of statvfs(3) have the same values. */
static const struct {
	const char *option;
	unsigned long set, cleared;
} flags[] = {
	{"ro", MS_RDONLY, 0},   {"rw", 0, MS_RDONLY},     {"nosuid", MS_NOSUID, 0},
	{"nodev", MS_NODEV, 0}, {"noexec", MS_NOEXEC, 0}, {"exec", 0, MS_NOEXEC},
};
_Static_assert((int)MS_RDONLY == (int)ST_RDONLY && (int)MS_NODEV == (int)ST_NODEV, "as on Linux");

enum { KEPT = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_SYNCHRONOUS | MS_NOATIME };

void remount_note(struct settings *settings, const char *option)
{
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
		if (strcmp(flags[i].option, option))
			continue;
		settings->flags_set = (settings->flags_set | flags[i].set) & ~flags[i].cleared;
		settings->flags_cleared =
			(settings->flags_cleared | flags[i].cleared) & ~flags[i].set;
	}
}

/* Whether the daemon itself refuses changes; -errno: it does not say. */
static int daemon_reads_only(const char *path)
{
	struct mount_info info = {.read_only = 0};
	int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		return -errno;
	int rc = ioctl(root, MOUNT_INFO_IOCTL, &info) < 0 ? -errno : info.read_only != 0;
	(void)close(root); /* was only asked */
	return rc;
}

static int change(const struct settings *settings, const char *path)
{
	struct statvfs st;

	if (statvfs(path, &st) < 0)
		return fail("mount point '%s': %s", path, strerror(errno));
	/* what a store's owner could gain by is decided when it is mounted */
	if ((settings->allow_suid && st.f_flag & MS_NOSUID) ||
	    (settings->allow_dev && st.f_flag & MS_NODEV))
		return fail("allow_suid and allow_dev cannot come by -o remount; unmount '%s', and "
			    "mount it again%s",
			    path, "");
	if (settings->flags_cleared & MS_RDONLY) {
		int rc = daemon_reads_only(path);
		if (rc < 0)
			return fail("mount point '%s': %s", path, strerror(-rc));
		if (rc)
			return fail("'%s' was mounted with -o ro; unmount it, and mount it again%s",
				    path, "");
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
	char *path = mounts_resolve(mountpoint);
	int rc;

	if (!path)
		rc = fail("mount point '%s': %s", mountpoint, strerror(errno));
	else if (!mounts_is_ours(path))
		rc = fail("'%s' is no mount of datawalfs%s", path, "");
	else
		rc = change(settings, path);
	free(path);
	return rc;
}
