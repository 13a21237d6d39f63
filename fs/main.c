/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * main.c - datawalfs STORE MOUNTPOINT: options, the way into the background, the end.
 *
 * The parent waits on a pipe until the kernel got its first answer from the daemon;
 * until then errors go to the terminal and into the exit status.  The daemon opens
 * the store after the fork, so that the pid in `.lock` is its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <mntent.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "fs/ops.h"

/* How long a daemon that was just unmounted may take to bring everything to disk. */
enum { LOCK_WAIT_MS = 10000 };

static const char control_directory[] = ".datawal";

struct settings {
	char *store;                   /* as given */
	char *store_path, *mountpoint; /* absolute; owned */
	int flat, read_only;
	unsigned uid, gid, umask;
	int uid_set, gid_set, umask_set;
	char *segment_size; /* text, with a suffix */
	unsigned commit_ms;
};

enum { KEY_READ_ONLY, KEY_UID, KEY_GID, KEY_UMASK, KEY_IGNORED };

#define OPTION(text, field, value)                                                                 \
	{                                                                                          \
		text, offsetof(struct settings, field), value                                      \
	}

static const struct fuse_opt option_spec[] = {
	OPTION("flat", flat, 1),
	OPTION("uid=%u", uid, 0),
	FUSE_OPT_KEY("uid=", KEY_UID),
	OPTION("gid=%u", gid, 0),
	FUSE_OPT_KEY("gid=", KEY_GID),
	OPTION("umask=%o", umask, 0),
	FUSE_OPT_KEY("umask=", KEY_UMASK),
	OPTION("segment_size=%s", segment_size, 0),
	OPTION("commit_ms=%u", commit_ms, 0),
	FUSE_OPT_KEY("ro", KEY_READ_ONLY),
	/* what mount(8) and systemd pass on from fstab for themselves */
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

static int on_option(void *data, const char *arg, int key, struct fuse_args *outargs)
{
	struct settings *settings = data;

	(void)outargs;
	switch (key) {
	case KEY_READ_ONLY: settings->read_only = 1; return 1;
	case KEY_UID: settings->uid_set = 1; return 0;
	case KEY_GID: settings->gid_set = 1; return 0;
	case KEY_UMASK: settings->umask_set = 1; return 0;
	case KEY_IGNORED: return 0;
	case FUSE_OPT_KEY_NONOPT:
		if (settings->store)
			return 1; /* the mount point, or one too many: libfuse says so */
		settings->store = strdup(arg);
		return settings->store ? 0 : -1;
	case FUSE_OPT_KEY_OPT: return strncmp(arg, "x-", 2) && strncmp(arg, "X-", 2);
	default: return 1;
	}
}

static void print_help(void)
{
	puts("usage: datawalfs STORE MOUNTPOINT [options]\n"
	     "\n"
	     "Mount the DataWal store in directory STORE: each key is a file.\n"
	     "\n"
	     "    -h   --help            print this\n"
	     "    -V   --version         print the version\n"
	     "    -f                     stay in the foreground, log to stderr\n"
	     "    -d                     log each request (implies -f)\n"
	     "    -s                     one thread\n"
	     "    -o ro                  read only: a snapshot, also of a store in use\n"
	     "    -o flat                every key a file of the root, '/' shown as %2F\n"
	     "    -o uid=N,gid=N         owner of all files (who mounts)\n"
	     "    -o umask=OCTAL         bits off 0666 and 0777 (the umask of who mounts)\n"
	     "    -o segment_size=N      bytes a segment may have, with K, M or G (256M)\n"
	     "    -o commit_ms=N         commit what stays open after so long (5000)\n"
	     "    -o allow_other         let other users in\n"
	     "    -o default_permissions check owner and mode (always on)\n"
	     "    -o max_threads=N       how many requests at once (10)\n"
	     "    -o clone_fd            a queue of its own for each thread\n"
	     "\n"
	     "Commands: write compact, export PATH, sync, rotate or verify to\n"
	     "MOUNTPOINT/.datawal/control.  Unmount: umount MOUNTPOINT, or as a user\n"
	     "fusermount3 -u MOUNTPOINT.");
}

static int fail(const char *format, const char *a, const char *b)
{
	(void)fputs("datawalfs: ", stderr);
	(void)fprintf(stderr, format, a, b);
	(void)fputc('\n', stderr);
	return 1;
}

/* "64M" in bytes; 0 on nonsense. */
static uint64_t parse_size(const char *text)
{
	char *end;

	errno = 0;
	unsigned long long n = strtoull(text, &end, 10);
	unsigned shift = 0;
	if (*end) {
		const char *suffixes = "KMG", *at = strchr(suffixes, *end);
		if (!at || end[1])
			return 0;
		shift = 10 * (unsigned)(at - suffixes + 1);
	}
	if (errno || end == text || *text == '-' || n > UINT64_MAX >> shift)
		return 0;
	return (uint64_t)n << shift;
}

/* --- findings and log --- */

static bool to_syslog;

static void log_text(void *context, int priority, const char *text)
{
	(void)context;
	if (to_syslog)
		syslog(priority, "%s", text);
	else
		(void)fprintf(stderr, "datawalfs: %s\n", text);
}

static void log_finding(void *context, const struct dw_finding *finding)
{
	char text[512];
	bool serious =
		finding->kind != DW_FINDING_TORN_TAIL && finding->kind != DW_FINDING_QUARANTINED;

	(void)dw_finding_text(finding, text, sizeof text); /* cut is good enough */
	log_text(context, serious ? LOG_ERR : LOG_WARNING, text);
}

/* --- the way into the background --- */

/* In the parent: wait for the daemon's word and exit with it.  In the daemon: the
 * descriptor to give it by. */
static int go_background(void)
{
	int pipes[2], status = 0;
	char byte;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -1;
	pid_t pid = fork();
	if (pid < 0)
		return -1;
	if (!pid) {
		(void)close(pipes[0]);
		(void)setsid(); /* fails only for a group leader, which a child is not */
		return pipes[1];
	}
	(void)close(pipes[1]);
	if (read(pipes[0], &byte, 1) == 1)
		exit(0);
	if (waitpid(pid, &status, 0) == pid && WIFSIGNALED(status))
		exit(fail("the daemon was killed by signal: %s%s", strsignal(WTERMSIG(status)),
			  ""));
	exit(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 1);
}

struct readiness {
	int fd; /* -1: in the foreground, nobody waits */
};

static void on_ready(void *context)
{
	struct readiness *readiness = context;

	if (readiness->fd < 0)
		return;
	int null = open("/dev/null", O_RDWR);
	if (null >= 0) {
		(void)dup2(null, STDIN_FILENO); /* fails only for bad descriptors */
		(void)dup2(null, STDOUT_FILENO);
		(void)dup2(null, STDERR_FILENO);
		if (null > STDERR_FILENO)
			(void)close(null);
	}
	to_syslog = true;
	/* a parent that is gone needs no word */
	if (write(readiness->fd, "", 1) < 0)
		syslog(LOG_WARNING, "nobody waits for the mount any more");
	(void)close(readiness->fd);
	readiness->fd = -1;
}

/* --- the store and where it is mounted --- */

/* The mount point of the store, if the kernel knows one; owned by the caller. */
static char *mounted_at(const char *store_path)
{
	struct mntent *entry;
	char *found = NULL;
	FILE *mounts = setmntent("/proc/self/mounts", "r");

	if (!mounts)
		return NULL;
	while (!found && (entry = getmntent(mounts)))
		if (!strcmp(entry->mnt_type, "fuse.datawalfs") &&
		    !strcmp(entry->mnt_fsname, store_path))
			found = strdup(entry->mnt_dir);
	(void)endmntent(mounts);
	return found;
}

static int explain_open(const struct settings *settings, int rc)
{
	char *where = rc == -EBUSY ? mounted_at(settings->store_path) : NULL;

	if (where)
		(void)fail("'%s' is mounted at '%s'; use it there, or mount with -o ro",
			   settings->store, where);
	else
		(void)fail("'%s' cannot be opened: %s", settings->store,
			   rc == -EBADMSG ? "it is damaged (see above)" : strerror(-rc));
	free(where);
	return 1;
}

static int open_volume(const struct settings *settings, struct volume **ret)
{
	const uint64_t segment_size =
		settings->segment_size ? parse_size(settings->segment_size) : 0;
	char *where = mounted_at(settings->store_path);
	const struct dw_options options = {
		.read_only = settings->read_only,
		.segment_size = segment_size,
		/* a daemon that was just unmounted may still be at work; one that is
		 * mounted will not go away */
		.lock_wait_ms = where ? 0 : LOCK_WAIT_MS,
		.on_finding = log_finding,
	};
	const struct volume_options volume_options = {
		.read_only = settings->read_only,
		.flat = settings->flat,
		.uid = settings->uid_set ? settings->uid : getuid(),
		.gid = settings->gid_set ? settings->gid : getgid(),
		.fixed_uid = settings->uid_set,
		.fixed_gid = settings->gid_set,
		.umask = settings->umask & 0777,
		.fixed_umask = settings->umask_set,
		.commit_ms = settings->commit_ms,
		.reserved = control_directory,
		.log = log_text,
	};
	struct dw_store *store = NULL;

	free(where);
	int rc = dw_open(settings->store_path, &options, NULL, &store);
	if (rc < 0)
		return explain_open(settings, rc);
	rc = volume_open(store, &volume_options, ret);
	if (rc < 0) {
		(void)dw_close(store); /* nothing was written */
		return fail("reading the names of '%s': %s", settings->store, strerror(-rc));
	}
	return 0;
}

/* --- serving --- */

/* Each thread's arena would keep what compaction once needed. */
enum { ARENAS = 2 };

static void set_limits(void)
{
	struct rlimit limit;

	(void)mallopt(M_ARENA_MAX, ARENAS); /* else as it is */
	/* a large store has many segments, and each may be open */
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit); /* else with what there is */
}

static int run_session(struct fuse_session *session, const struct fuse_cmdline_opts *opts)
{
	if (opts->singlethread)
		return fuse_session_loop(session);
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	if (!config)
		return -ENOMEM;
	fuse_loop_cfg_set_clone_fd(config, (unsigned)opts->clone_fd);
	/* libfuse marks what was not asked for by -1 */
	if (opts->max_threads != UINT_MAX)
		fuse_loop_cfg_set_max_threads(config, opts->max_threads);
	if (opts->max_idle_threads != UINT_MAX)
		fuse_loop_cfg_set_idle_threads(config, opts->max_idle_threads);
	int rc = fuse_session_loop_mt(session, config);
	fuse_loop_cfg_destroy(config);
	return rc;
}

/* From mounting to unmounting. */
static int serve(struct fuse_session *session, const struct fuse_cmdline_opts *opts,
		 const struct settings *settings, struct mount *mount)
{
	int rc;

	if (fuse_set_signal_handlers(session) < 0)
		return fail("cannot catch signals%s%s", "", "");
	if (fuse_session_mount(session, settings->mountpoint) < 0) {
		rc = fail("cannot mount at '%s'%s", settings->mountpoint, "");
	} else {
		rc = volume_start(mount->volume);
		if (rc < 0)
			(void)fail("cannot start a thread: %s%s", strerror(-rc), "");
		else
			/* the number of a signal that asked for the end is no failure */
			rc = run_session(session, opts) < 0;
		fuse_session_unmount(session);
	}
	fuse_remove_signal_handlers(session);
	return rc;
}

static int run(struct fuse_session *session, const struct fuse_cmdline_opts *opts,
	       const struct settings *settings, struct mount *mount)
{
	static struct readiness readiness = {.fd = -1};

	mount->ready = on_ready;
	mount->context = &readiness;
	if (!opts->foreground && (readiness.fd = go_background()) < 0)
		return fail("cannot go to the background: %s%s", strerror(errno), "");
	if (chdir("/") < 0)
		return fail("cannot change to '/': %s%s", strerror(errno), "");
	openlog("datawalfs", LOG_PID, LOG_DAEMON);
	if (open_volume(settings, &mount->volume))
		return 1;
	int rc = control_new(mount->volume, control_directory, settings->mountpoint,
			     &mount->control);
	if (rc < 0)
		(void)fail("starting: %s%s", strerror(-rc), "");
	else
		rc = serve(session, opts, settings, mount);
	control_free(mount->control);
	int closed = volume_close(mount->volume);
	if (closed < 0)
		log_text(NULL, LOG_CRIT, strerror(-closed));
	return rc || closed;
}

/* A session first: what is wrong with the options is said before the store is touched. */
static int make_session(struct fuse_args *args, const struct fuse_cmdline_opts *opts,
			const struct settings *settings)
{
	struct mount mount = {.volume = NULL};
	struct fuse_session *session = fuse_session_new(args, &ops_table, sizeof ops_table, &mount);

	if (!session)
		return 2; /* libfuse said why */
	mount.session = session;
	set_limits();
	int rc = run(session, opts, settings, &mount);
	fuse_session_destroy(session);
	return rc;
}

/* --- options --- */

/* What the kernel shows in its table of mounts. */
static int add_mount_options(struct fuse_args *args, const struct settings *settings)
{
	char *options = NULL, *name = NULL;
	int rc = asprintf(&name, "fsname=%s", settings->store_path);

	if (rc >= 0)
		rc = fuse_opt_add_opt(&options, "subtype=datawalfs,default_permissions");
	if (rc >= 0)
		rc = fuse_opt_add_opt_escaped(&options, name);
	if (rc >= 0)
		rc = fuse_opt_add_arg(args, "-o");
	if (rc >= 0)
		rc = fuse_opt_add_arg(args, options);
	free(options);
	free(name);
	return rc;
}

static int resolve(struct settings *settings, const char *mountpoint)
{
	settings->store_path = realpath(settings->store, NULL);
	if (!settings->store_path)
		return fail(
			"store '%s': %s; make the directory first (an empty one becomes a store)",
			settings->store, strerror(errno));
	struct statvfs st;
	settings->mountpoint = realpath(mountpoint, NULL);
	/* the kernel may still know the attributes of a dead mount, but not its disk */
	if (statvfs(mountpoint, &st) < 0 && errno == ENOTCONN)
		return fail("'%s' is the stale mount of a daemon that died; clear it with "
			    "'umount %s'",
			    mountpoint, mountpoint);
	if (!settings->mountpoint)
		return fail("mount point '%s': %s", mountpoint, strerror(errno));
	return 0;
}

static int check(const struct settings *settings, const struct fuse_cmdline_opts *opts)
{
	if (!settings->store || !opts->mountpoint)
		return fail("give a store and a mount point; see 'datawalfs --help'%s%s", "", "");
	if (settings->segment_size && !parse_size(settings->segment_size))
		return fail("segment_size '%s' is no size; write for example 64M%s",
			    settings->segment_size, "");
	return 0;
}

/* The store's descriptors must not be 0, 1 or 2: those are written to, and given up on
 * the way into the background. */
static void fill_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		(void)close(fd); /* never used */
}

int main(int argc, char **argv)
{
	fill_standard_descriptors();

	struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
	struct settings settings = {.store = NULL};
	struct fuse_cmdline_opts opts = {0};
	int rc = 1;

	settings.umask = umask(0);
	(void)umask((mode_t)settings.umask);
	if (fuse_opt_parse(&args, &settings, option_spec, on_option) < 0 ||
	    fuse_parse_cmdline(&args, &opts) < 0) {
		rc = 2;
	} else if (opts.show_help) {
		print_help();
		rc = 0;
	} else if (opts.show_version) {
		printf("datawalfs %s\nFUSE library version %s\n", DATAWALFS_VERSION,
		       fuse_pkgversion());
		rc = 0;
	} else if (check(&settings, &opts)) {
		rc = 2;
	} else if (!resolve(&settings, opts.mountpoint) &&
		   add_mount_options(&args, &settings) >= 0) {
		rc = make_session(&args, &opts, &settings);
	}
	fuse_opt_free_args(&args);
	free(opts.mountpoint);
	free(settings.store);
	free(settings.store_path);
	free(settings.mountpoint);
	free(settings.segment_size);
	return rc;
}
