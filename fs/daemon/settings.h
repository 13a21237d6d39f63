/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * settings.h - what the command line asks for.
 */
#ifndef FS_DAEMON_SETTINGS_H
#define FS_DAEMON_SETTINGS_H

#include <stdint.h>
#include <sys/types.h>

/* Options that are numbers (fs/daemon/numbers.h). */
enum number {
	NUMBER_UID,
	NUMBER_GID,
	NUMBER_UMASK,
	NUMBER_SEGMENT_SIZE, /* bytes */
	NUMBER_COMMIT_MS,
	NUMBER_DIRTY_MAX, /* bytes */
	NUMBER_MAX_THREADS,
	NUMBER_COMPACT_DEAD, /* percent */
	NUMBER_COMPACT_MIN,  /* bytes */
	NUMBER_COMPACT_RATE, /* bytes a second; 0: no limit */
	NUMBER_TIMEOUT_S,
	NUMBERS,
};

#define NUMBER_UNSET UINT64_MAX /* the option was not given */

struct settings {
	char *store;                   /* as given; with --unmount, the mount point */
	char *store_path, *mountpoint; /* absolute; owned */
	int flat, read_only, remount_stale, recover, allow_suid, allow_dev;
	uint64_t numbers[NUMBERS];
	unsigned long flags_set, flags_cleared; /* of mount(2), by options; for a remount */
	mode_t umask;                           /* the process's, for where none is given */
	char *compact; /* in the background: "auto" or "off"; owned; NULL: auto */
	char *control; /* name of the control directory; owned; NULL: there is none */
	char *log;     /* file, absolute; owned; NULL: none */
	/* where `export NAME` writes: as given, NULL: the store's own; absolute; both owned */
	char *export_dir, *export_path;
	int export_fd; /* -1: the store's own, opened when it is needed */
	int unmount;   /* take it down, that is all */
	int remount;   /* change what the kernel minds of a mount, that is all */
	char *fsname;  /* in the table of mounts; owned; NULL: the store's path */
};

void settings_init(struct settings *settings);
void settings_release(struct settings *settings);
/* Let the directory of exports go; settings_release() does so as well. */
void settings_close_export(struct settings *settings);

/* The option's value if it was given, else `fallback`. */
uint64_t number_or(const struct settings *settings, enum number which, uint64_t fallback);

#endif
