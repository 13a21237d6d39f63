/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * main.h - what the files of the program itself share.
 */
#ifndef FS_DAEMON_MAIN_H
#define FS_DAEMON_MAIN_H

#include "fs/fuse/mount.h"

/* --- options (daemon/options.c) --- */

/* Options that are numbers (daemon/numbers.c). */
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

void numbers_init(struct settings *settings);
/* Read the option `arg` ("commit_ms=5").  0, or -1 after saying which numbers are possible. */
int numbers_take(struct settings *settings, enum number which, const char *arg);
/* What was given, else `fallback`. */
uint64_t number_or(const struct settings *settings, enum number which, uint64_t fallback);

/* Read the command line; what is libfuse's ends up in `args` and `opts`.
 * 0, or the exit status after saying what is wrong (2), or that all is done (0 with
 * *done_ret). */
int options_parse(struct fuse_args *args, struct settings *settings, struct fuse_cmdline_opts *opts,
		  bool *done_ret);
/* Make paths absolute, open the directory for exports, and see whether the mount point can
 * be one.  0 or 1. */
int options_resolve(struct settings *settings, const char *mountpoint);
/* Options for the kernel's table of mounts.  0, or -1 without memory. */
int options_add_mount(struct fuse_args *args, const struct settings *settings);
void options_release(struct settings *settings);
/* Let the directory of exports go; options_release() does so as well. */
void options_close_export(struct settings *settings);

/* Say what is wrong, with two strings for the format.  1, an exit status. */
int fail(const char *format, const char *a, const char *b);

/* --- the store (daemon/open_store.c) --- */

/* Compaction in the background, as the settings say; whether it is to go on from the start. */
struct dw_maintain_options store_maintenance(const struct settings *settings);
bool store_is_maintained(const struct settings *settings);

/* Open it as the settings say, with repair if they say so.  0, or 1 after saying why
 * not. */
int store_open_volume(const struct settings *settings, struct volume **ret);
/* The same for a volume that takes the place of another (generations_config.open; `settings`
 * is a struct settings): 0 or -errno. */
int store_reopen_volume(void *settings, struct volume **ret);

/* --- taking a mount down (daemon/unmount.c) --- */

/* datawalfs --unmount: the exit status. */
int unmount_and_wait(const char *mountpoint, unsigned timeout_s);

/* --- changing a mount (daemon/remount.c) --- */

/* datawalfs -o remount: give the mount the flags that the options ask for; only what the kernel
 * minds can be changed.  The exit status. */
int remount(const struct settings *settings, const char *mountpoint);
/* Note an option as one of these flags. */
void remount_note(struct settings *settings, const char *option);

/* --- signals (daemon/signals.c) --- */

/* Let no signal end the daemon but those that ask for its end, or tell of a fault. */
void signals_ignore(void);

/* From now on, SIGHUP and SIGUSR1 wait for signals_start(): before the first thread.
 * With `hangup_ends`, SIGHUP is left to libfuse, whom it ends. */
void signals_block(bool hangup_ends);

/* Signals that ask for the end are obeyed by now: no further one ends what is left to do. */
void signals_finish(void);

struct signals;

/* A thread that reopens the log on SIGHUP, logs the store's figures on SIGUSR1, and lets
 * older volumes go. */
int signals_start(struct mount *mount, struct signals **ret);
void signals_stop(struct signals *signals);

#endif
