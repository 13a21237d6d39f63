/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * main.c - datawalfs STORE MOUNTPOINT: the way into the background, serving, the end.
 *
 * The parent waits on a pipe until the kernel got its first answer from the daemon;
 * until then errors go to the terminal and into the exit status.  The daemon opens
 * the store after the fork, so that the pid in `.lock` is its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "fs/base/clock.h"
#include "fs/daemon/fail.h"
#include "fs/daemon/logger.h"
#include "fs/daemon/notify.h"
#include "fs/daemon/options.h"
#include "fs/daemon/paths.h"
#include "fs/daemon/remount.h"
#include "fs/daemon/signals.h"
#include "fs/daemon/store.h"
#include "fs/daemon/unmount.h"
#include "fs/fuse/features.h"
#include "fs/fuse/forget.h"
#include "fs/fuse/ops.h"
#include "fs/fuse/serve.h"
#include "fs/mounted/snapshots.h"
#include "fs/tree/spare.h"

/* Bytes that the heap may keep at its end, as mallopt(3) has it. */
enum { TRIM_THRESHOLD = 4 << 20 };

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
		exit(fail("the daemon was killed by signal: %s", strsignal(WTERMSIG(status))));
	exit(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 1);
}

struct readiness {
	int fd; /* -1: in the foreground, no process waits */
	const struct settings *settings;
	const struct mount *mount;
	int64_t started_ns; /* by clock_monotonic_ns() */
	bool mounted;
};

/* A service manager that cannot be told has other ways to find out. */
__attribute__((format(printf, 1, 2))) static void tell(const char *format, ...)
{
	va_list args;
	char *text = NULL;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	if (!text)
		return;
	int rc = notify_send(text);
	if (rc < 0)
		logger_log(NULL, LOG_WARNING,
			   "the service manager cannot be told anything; "
			   "look at NOTIFY_SOCKET");
	free(text);
}

static uint64_t count_keys(const struct mount *mount)
{
	struct generation *generation = generations_hold(mount->generations, NULL);
	uint64_t keys = dw_count(volume_store(generation->volume));

	generations_drop(mount->generations, generation);
	return keys;
}

/* A line for later readers of the log; `what` is "mounted" or the like. */
static void log_life(const struct settings *settings, const char *what, uint64_t keys,
		     int64_t since_ns)
{
	double seconds = (double)(clock_monotonic_ns() - since_ns) / 1e9;

	logger_printf(LOG_INFO, "%s: '%s' at '%s'%s, %" PRIu64 " keys, in %.3f s (datawalfs %s)",
		      what, settings->store_path, settings->mountpoint,
		      settings->read_only ? ", read only" : "", keys, seconds, DATAWALFS_VERSION);
}

/* From now on messages go to the log only. */
static void leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR);

	if (null >= 0) {
		(void)dup2(null, STDIN_FILENO); /* fails only for bad descriptors */
		(void)dup2(null, STDOUT_FILENO);
		(void)dup2(null, STDERR_FILENO);
		if (null > STDERR_FILENO)
			(void)close(null);
	}
	logger_leave_terminal();
}

static void on_ready(void *context)
{
	struct readiness *readiness = context;
	if (readiness->fd >= 0)
		leave_terminal();
	readiness->mounted = true;
	/* before the mount is announced, so that the line can be found then */
	log_life(readiness->settings, "mounted", count_keys(readiness->mount),
		 readiness->started_ns);
	if (readiness->fd >= 0) {
		/* a parent that is gone needs no word */
		if (write(readiness->fd, "", 1) < 0)
			logger_log(NULL, LOG_WARNING, "nobody waits for the mount any more");
		(void)close(readiness->fd);
		readiness->fd = -1;
	}
	tell("READY=1\nMAINPID=%ld\nSTATUS=mounted at %s", (long)getpid(),
	     readiness->settings->mountpoint);
}

/* --- serving --- */

/* Each thread's arena would keep what compaction once needed.  Values up to 1 MiB come from the
 * heap, where pages are present already; larger ones from fs/tree/spare.c.  The thresholds would
 * move by themselves, so they are set. */
enum { ARENAS = 2, MMAP_THRESHOLD = SPARE_MIN };

static void set_limits(void)
{
	struct rlimit limit;

	(void)mallopt(M_ARENA_MAX, ARENAS); /* else as it is; likewise below */
	(void)mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
	(void)mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD);
	/* a large store has many segments, and each may be open */
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit); /* else with what there is */
}

enum {
	THREADS = 10,
	TIMEOUT_S = 60, /* --unmount waits so long for the daemon */
};

static int run_session(struct mount *mount, const struct fuse_cmdline_opts *opts,
		       const struct settings *settings)
{
	const struct serve_options options = {
		.max_threads = opts->singlethread
				       ? 1
				       : (unsigned)number_or(settings, NUMBER_MAX_THREADS, THREADS),
		.ended = &mount->ended,
	};

	return serve_session(mount->session, &options);
}

/* Threads of our own, and then the kernel's requests until it has no more. */
static int serve_mounted(const struct fuse_cmdline_opts *opts, const struct settings *settings,
			 struct mount *mount)
{
	struct signals *signals = NULL;
	struct generation *generation = generations_hold(mount->generations, NULL);
	const struct dw_maintain_options maintain = store_maintenance(settings);
	int rc = volume_start(generation->volume);

	if (!rc && store_is_maintained(settings))
		rc = volume_maintain(generation->volume, &maintain);
	generations_drop(mount->generations, generation);
	if (!rc)
		rc = signals_start(mount, &signals);
	if (rc < 0)
		(void)fail("cannot start a thread: %s", strerror(-rc));
	else
		rc = run_session(mount, opts, settings) < 0;
	tell("STOPPING=1\nSTATUS=committing and syncing");
	signals_stop(signals);
	return rc ? 1 : 0;
}

/* From mounting to unmounting. */
static int serve(const struct fuse_cmdline_opts *opts, const struct settings *settings,
		 struct mount *mount)
{
	int rc;

	signals_block_ends();
	if (fuse_session_mount(mount->session, settings->mountpoint) < 0) {
		rc = fail("cannot mount at '%s'", settings->mountpoint);
	} else {
		rc = features_attach(mount);
		rc = rc ? fail("cannot serve '%s': %s", settings->mountpoint, strerror(-rc))
			: serve_mounted(opts, settings, mount);
		fuse_session_unmount(mount->session);
	}
	return rc;
}

/* Make the data that requests need, around an open volume, which it takes over. */
static int make_mount(const struct settings *settings, struct volume *volume, struct mount *mount)
{
	const struct generations_config generations = {
		.open = settings->read_only ? store_reopen_volume : NULL,
		.changed = forget_volume,
		.open_context = (void *)settings,
		.changed_context = mount,
		.open_snapshot = store_open_snapshot,
	};
	int rc = generations_new(volume, &generations, &mount->generations);

	if (rc < 0) {
		(void)volume_close(volume); /* nothing was written yet */
		return rc;
	}
	mount->read_only = settings->read_only;
	mount->store_path = settings->store_path;
	if (ending_init(&mount->ending) < 0)
		logger_log(NULL, LOG_WARNING,
			   "--unmount will not see whether anything was lost; this log tells");
	mount->metrics = metrics_new();
	if (!mount->metrics)
		return -ENOMEM;
	const struct control_config control = {
		.generations = mount->generations,
		.metrics = mount->metrics,
		.name = settings->control,
		.maintain = store_maintenance(settings),
		.maintained = store_is_maintained(settings),
		.export_fd = settings->export_fd,
		.export_path = settings->export_path,
		.export_given = settings->export_dir,
	};
	return settings->control ? control_new(&control, &mount->control) : 0;
}

static int release_mount(struct settings *settings, struct mount *mount)
{
	const struct readiness *readiness = mount->context;
	int64_t began = clock_monotonic_ns();
	uint64_t keys = mount->generations ? count_keys(mount) : 0;

	control_free(mount->control);
	if (mount->generations)
		snapshots_end(mount->generations);
	/* before the lock: a process that waits for the lock may then unmount the disk of this
	 * directory */
	settings_close_export(settings);
	int rc = generations_free(mount->generations);
	metrics_free(mount->metrics);
	if (rc < 0)
		logger_printf(LOG_CRIT, "ended with something lost, or not on disk: %s",
			      strerror(-rc));
	else if (readiness->mounted)
		log_life(readiness->settings, "unmounted, everything is on disk", keys, began);
	/* last of all: the lock is free by now, and --unmount looks when the process is gone */
	ending_tell(&mount->ending, rc < 0);
	ending_release(&mount->ending);
	return rc;
}

static int run(const struct fuse_cmdline_opts *opts, struct settings *settings, struct mount *mount)
{
	struct readiness *readiness = mount->context;
	struct volume *volume;

	if (!opts->foreground && (readiness->fd = go_background()) < 0)
		return fail("cannot go to the background: %s", strerror(errno));
	signals_ignore();
	/* closing a terminal must end a daemon in its foreground */
	signals_block(opts->foreground && isatty(STDIN_FILENO) && !settings->log);
	if (chdir("/") < 0)
		return fail("cannot change to '/': %s", strerror(errno));
	openlog("datawalfs", LOG_PID, LOG_DAEMON);
	int rc = settings->log ? logger_open_file(settings->log) : 0;
	if (rc < 0)
		return fail("log file '%s': %s", settings->log,
			    rc == -ELOOP ? "it is a link; name the file itself" : strerror(-rc));
	tell("STATUS=opening %s", settings->store_path);
	if (store_open_volume(settings, &volume))
		return 1;
	rc = make_mount(settings, volume, mount);
	if (rc < 0)
		(void)fail("starting: %s", strerror(-rc));
	else
		rc = serve(opts, settings, mount);
	int closed = release_mount(settings, mount);
	logger_close();
	return rc || closed;
}

/* A session first: errors in the options are reported before the store is touched. */
static int make_session(struct fuse_args *args, const struct fuse_cmdline_opts *opts,
			struct settings *settings)
{
	struct readiness readiness = {
		.fd = -1, .settings = settings, .started_ns = clock_monotonic_ns()};
	struct mount mount = {.ready = on_ready, .context = &readiness, .ending = {.fd = -1}};
	readiness.mount = &mount;

	mount.session =
		fuse_session_new(args, ops_table(), sizeof(struct fuse_lowlevel_ops), &mount);
	if (!mount.session)
		return 2; /* libfuse said why */
	set_limits();
	(void)sem_init(&mount.ended, 0, 0); /* fails only for bad arguments */
	int rc = run(opts, settings, &mount);
	(void)sem_destroy(&mount.ended); /* no thread waits any more */
	fuse_session_destroy(mount.session);
	return rc;
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

/* A lock or a pipe of the daemon's parent must not live as long as the mount. */
static void close_inherited_descriptors(void)
{
	/* Linux before 5.9 has no such call: then they stay */
	(void)close_range(STDERR_FILENO + 1, ~0U, 0);
}

int main(int argc, char **argv)
{
	close_inherited_descriptors();
	fill_standard_descriptors();

	struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
	struct settings settings;
	struct fuse_cmdline_opts opts = {0};
	bool done = false;

	settings_init(&settings);
	int rc = options_parse(&args, &settings, &opts, &done);

	if (!rc && !done) {
		if (settings.unmount)
			rc = unmount_and_wait(
				settings.store,
				(unsigned)number_or(&settings, NUMBER_TIMEOUT_S, TIMEOUT_S));
		else if (settings.remount)
			rc = remount(&settings, opts.mountpoint);
		else if (paths_resolve(&settings, opts.mountpoint) ||
			 options_add_mount(&args, &settings) < 0)
			rc = 1;
		else
			rc = make_session(&args, &opts, &settings);
	}
	fuse_opt_free_args(&args);
	free(opts.mountpoint);
	settings_release(&settings);
	return rc;
}
