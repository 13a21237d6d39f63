/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * options.c - see options.h.
 */
#include "fs/daemon/options.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "fs/daemon/fail.h"
#include "fs/daemon/numbers.h"

static const char control_directory[] = ".datawal";

/* Behind the numbers: those are their own keys. */
enum { KEY_READ_ONLY = NUMBERS, KEY_REMOUNT, KEY_IGNORED, KEY_REFUSED };

#define OPTION(text, field, value)                                                                 \
	{                                                                                          \
		text, offsetof(struct settings, field), value                                      \
	}

static const struct fuse_opt option_spec[] = {
	OPTION("flat", flat, 1),
	FUSE_OPT_KEY("uid=", NUMBER_UID),
	FUSE_OPT_KEY("gid=", NUMBER_GID),
	FUSE_OPT_KEY("umask=", NUMBER_UMASK),
	FUSE_OPT_KEY("segment_size=", NUMBER_SEGMENT_SIZE),
	FUSE_OPT_KEY("commit_ms=", NUMBER_COMMIT_MS),
	FUSE_OPT_KEY("dirty_max=", NUMBER_DIRTY_MAX),
	FUSE_OPT_KEY("max_threads=", NUMBER_MAX_THREADS),
	OPTION("compact=%s", compact, 0),
	FUSE_OPT_KEY("compact_dead=", NUMBER_COMPACT_DEAD),
	FUSE_OPT_KEY("compact_min=", NUMBER_COMPACT_MIN),
	FUSE_OPT_KEY("compact_rate=", NUMBER_COMPACT_RATE),
	FUSE_OPT_KEY("--timeout=", NUMBER_TIMEOUT_S),
	OPTION("control=%s", control, 0),
	OPTION("export_dir=%s", export_dir, 0),
	OPTION("log=%s", log, 0),
	OPTION("remount_stale", remount_stale, 1),
	OPTION("recover", recover, 1),
	OPTION("allow_suid", allow_suid, 1),
	OPTION("allow_dev", allow_dev, 1),
	OPTION("--unmount", unmount, 1),
	OPTION("fsname=%s", fsname, 0),
	FUSE_OPT_KEY("ro", KEY_READ_ONLY),
	FUSE_OPT_KEY("-r", KEY_READ_ONLY),
	FUSE_OPT_KEY("remount", KEY_REMOUNT),
	/* libfuse would take these, which do not go with what is decided here */
	FUSE_OPT_KEY("max_idle_threads=", KEY_REFUSED),
	FUSE_OPT_KEY("clone_fd", KEY_REFUSED),
	FUSE_OPT_KEY("max_read=", KEY_REFUSED),
	FUSE_OPT_KEY("subtype=", KEY_REFUSED),
	/* mount.fuse3 adds these by itself, whenever root mounts: the user did not choose them */
	FUSE_OPT_KEY("suid", KEY_IGNORED),
	FUSE_OPT_KEY("dev", KEY_IGNORED),
	/* about access times, which are not recorded, and about disks, which the store lies on */
	FUSE_OPT_KEY("relatime", KEY_IGNORED),
	FUSE_OPT_KEY("norelatime", KEY_IGNORED),
	FUSE_OPT_KEY("strictatime", KEY_IGNORED),
	FUSE_OPT_KEY("nostrictatime", KEY_IGNORED),
	FUSE_OPT_KEY("diratime", KEY_IGNORED),
	FUSE_OPT_KEY("nodiratime", KEY_IGNORED),
	FUSE_OPT_KEY("lazytime", KEY_IGNORED),
	FUSE_OPT_KEY("nolazytime", KEY_IGNORED),
	FUSE_OPT_KEY("iversion", KEY_IGNORED),
	FUSE_OPT_KEY("noiversion", KEY_IGNORED),
	FUSE_OPT_KEY("discard", KEY_IGNORED),
	FUSE_OPT_KEY("nodiscard", KEY_IGNORED),
	/* defaults, accepted and ignored */
	FUSE_OPT_KEY("symfollow", KEY_IGNORED),
	FUSE_OPT_KEY("nomand", KEY_IGNORED),
	FUSE_OPT_KEY("silent", KEY_IGNORED),
	FUSE_OPT_KEY("loud", KEY_IGNORED),
	/* options of fstab that mount(8) and systemd use themselves, and pass on */
	FUSE_OPT_KEY("nofail", KEY_IGNORED),
	FUSE_OPT_KEY("_netdev", KEY_IGNORED),
	FUSE_OPT_KEY("auto", KEY_IGNORED),
	FUSE_OPT_KEY("noauto", KEY_IGNORED),
	FUSE_OPT_KEY("user", KEY_IGNORED),
	FUSE_OPT_KEY("user=", KEY_IGNORED),
	FUSE_OPT_KEY("nouser", KEY_IGNORED),
	FUSE_OPT_KEY("users", KEY_IGNORED),
	FUSE_OPT_KEY("owner", KEY_IGNORED),
	FUSE_OPT_KEY("group", KEY_IGNORED),
	FUSE_OPT_KEY("defaults", KEY_IGNORED),
	FUSE_OPT_KEY("comment=", KEY_IGNORED),
	FUSE_OPT_END,
};

/* Flags of mount(2) by option. */
static const struct {
	const char *option;
	unsigned long set, cleared;
} flags[] = {
	{"ro", MS_RDONLY, 0},   {"rw", 0, MS_RDONLY},     {"nosuid", MS_NOSUID, 0},
	{"nodev", MS_NODEV, 0}, {"noexec", MS_NOEXEC, 0}, {"exec", 0, MS_NOEXEC},
};

/* Note an option as one of these flags. */
static void note_flag(struct settings *settings, const char *option)
{
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
		if (strcmp(flags[i].option, option))
			continue;
		settings->flags_set = (settings->flags_set | flags[i].set) & ~flags[i].cleared;
		settings->flags_cleared =
			(settings->flags_cleared | flags[i].cleared) & ~flags[i].set;
	}
}

/* Whether libfuse takes an option that begins with a dash. */
static bool is_known(const char *option)
{
	static const char *const known[] = {"-h",      "--help", "-V", "--version", "-d",
					    "--debug", "-f",     "-s", "-n"};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (!strcmp(known[i], option))
			return true;
	return false;
}

static int on_option(void *data, const char *arg, int key, struct fuse_args *outargs)
{
	struct settings *settings = data;

	(void)outargs;
	if (key >= 0 && key < NUMBERS)
		return numbers_take(settings, (enum number)key, arg);
	switch (key) {
	case KEY_READ_ONLY:
		settings->read_only = 1;
		note_flag(settings, "ro");
		return 0;
	case KEY_REMOUNT: settings->remount = 1; return 0;
	case KEY_REFUSED: (void)fail("-o %s is not possible here; leave it out", arg); return -1;
	case KEY_IGNORED: return 0;
	case FUSE_OPT_KEY_NONOPT:
		if (settings->store)
			return 1; /* the mount point, or one too many: libfuse says so */
		settings->store = strdup(arg);
		return settings->store ? 0 : -1;
	case FUSE_OPT_KEY_OPT:
		/* libfuse would name it as well, but only after a store and a mount point */
		if (*arg == '-' && !is_known(arg)) {
			(void)fail("'%s' is no option; see 'datawalfs --help'", arg);
			return -1;
		}
		note_flag(settings, arg);
		return strncmp(arg, "x-", 2) && strncmp(arg, "X-", 2);
	default: return 1;
	}
}

static const char help[] =
	"usage: datawalfs STORE MOUNTPOINT [options]\n"
	"       datawalfs --unmount MOUNTPOINT [--timeout=SECONDS]\n"
	"\n"
	"Mount the DataWal store in directory STORE: each key is a file.\n"
	"\n"
	"    -h   --help            print this\n"
	"    -V   --version         print the version\n"
	"    -f                     stay in the foreground, log to stderr\n"
	"    -d                     log each request (implies -f)\n"
	"    -s                     one thread\n"
	"    --unmount              unmount, and wait until everything is on disk\n"
	"    --timeout=SECONDS      wait at most so long (60)\n"
	"    -o ro                  read only: a snapshot, also of a store in use\n"
	"    -o flat                every key a file of the root, '/' shown as %2F\n"
	"    -o uid=N,gid=N         owner of all files (who mounts)\n"
	"    -o umask=OCTAL         bits off 0666 and 0777 (the umask of who mounts)\n"
	"    -o segment_size=N      bytes a segment may have, with K, M or G (256M)\n"
	"    -o commit_ms=N         commit what stays open after so long (5000)\n"
	"    -o dirty_max=N         bytes of values in memory, with K, M or G, from 64M on\n"
	"                           (an eighth of what there is, at most 256M)\n"
	"    -o compact=auto|off    compact by itself when much is dead (auto)\n"
	"    -o compact_dead=N      when so many percent are dead (50)\n"
	"    -o compact_min=N       and at least so many bytes can be freed (64M)\n"
	"    -o compact_rate=N      bytes a second it may take; 0: any number (64M)\n"
	"    -o control=NAME        the control directory's name (.datawal), or off\n"
	"    -o export_dir=DIR      where the command export writes (STORE/.export)\n"
	"    -o log=FILE            log to a file, opened again on SIGHUP\n"
	"    -o recover             repair a damaged store, as 'datawal repair' does\n"
	"    -o remount_stale       clear the mount of a daemon that died first\n"
	"    -o remount,ro          let nothing be written to a mount; rw: again\n"
	"    -o fsname=NAME         shown as the mount's source (the store's path)\n"
	"    -o allow_other         let other users in\n"
	"    -o allow_suid          obey setuid and setgid bits in the store\n"
	"    -o allow_dev           without nodev (there are no device files)\n"
	"    -o default_permissions check owner and mode (always on)\n"
	"    -o max_threads=N       how many requests at once (10, at most 64)\n"
	"\n"
	"Commands: write compact [auto|off], export NAME, sync, rotate, verify, cancel or\n"
	"reload to MOUNTPOINT/.datawal/control; MOUNTPOINT/.datawal/status tells how it "
	"goes.\n"
	"umount and fusermount3 -u unmount as well, and do not wait for the disk.";

/* Reject options that contradict each other or make no sense.  0 or 2. */
static int check(struct settings *settings, const struct fuse_cmdline_opts *opts)
{
	int rc = 0;

	if (settings->unmount ? !settings->store || opts->mountpoint
			      : !settings->store || !opts->mountpoint)
		rc = fail("give %s; see 'datawalfs --help'",
			  settings->unmount ? "one mount point" : "a store and a mount point");
	else if (settings->control && !control_name_is_valid(settings->control))
		rc = fail("control '%s' is no name for a directory; it has no '/' and no '%%'",
			  settings->control);
	else if (settings->compact && strcmp(settings->compact, "auto") &&
		 strcmp(settings->compact, "off"))
		rc = fail("compact '%s' is neither auto nor off", settings->compact);
	else if (settings->fsname && !*settings->fsname)
		rc = fail("fsname '' is no name for the table of mounts; leave it out");
	else if (settings->recover && settings->read_only)
		rc = fail("-o recover changes the store, and -o ro does not; choose one");
	return rc ? 2 : 0;
}

static int set_defaults(struct settings *settings)
{
	if (!settings->control)
		settings->control = strdup(control_directory);
	else if (!strcmp(settings->control, "off")) {
		free(settings->control);
		settings->control = NULL;
		return 0;
	}
	return settings->control ? 0 : 1;
}

int options_parse(struct fuse_args *args, struct settings *settings, struct fuse_cmdline_opts *opts,
		  bool *done_ret)
{
	if (fuse_opt_parse(args, settings, option_spec, on_option) < 0 ||
	    fuse_parse_cmdline(args, opts) < 0)
		return 2;
	*done_ret = opts->show_help || opts->show_version;
	if (opts->show_help)
		puts(help);
	else if (opts->show_version)
		printf("datawalfs %s\nFUSE library version %s\n", DATAWALFS_VERSION,
		       fuse_pkgversion());
	if (*done_ret)
		return fflush(stdout) || ferror(stdout)
			       ? fail("writing to stdout: %s", strerror(errno))
			       : 0;
	int rc = check(settings, opts);
	return rc ? rc : set_defaults(settings);
}

int options_add_mount(struct fuse_args *args, const struct settings *settings)
{
	char *options = NULL, *name = NULL;
	int rc = asprintf(&name, "fsname=%s",
			  settings->fsname ? settings->fsname : settings->store_path);

	if (rc >= 0)
		rc = fuse_opt_add_opt(&options, "subtype=datawalfs,default_permissions");
	/* modes and owners are what the store says, and a store may be anybody's */
	bool suid = settings->allow_suid && !(settings->flags_set & MS_NOSUID);
	bool dev = settings->allow_dev && !(settings->flags_set & MS_NODEV);
	if (rc >= 0)
		rc = fuse_opt_add_opt(&options, suid ? "suid" : "nosuid");
	if (rc >= 0)
		rc = fuse_opt_add_opt(&options, dev ? "dev" : "nodev");
	/* of a mount that is read only for the kernel, no file can be opened for writing:
	 * not the control file either */
	if (rc >= 0 && settings->read_only && !settings->control)
		rc = fuse_opt_add_opt(&options, "ro");
	if (rc >= 0)
		rc = fuse_opt_add_opt_escaped(&options, name);
	if (rc >= 0)
		rc = fuse_opt_add_arg(args, "-o");
	if (rc >= 0)
		rc = fuse_opt_add_arg(args, options);
	free(options);
	free(name);
	return rc < 0 ? -1 : 0;
}
