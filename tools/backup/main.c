/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * main.c - run a command on a snapshot of a mount, and let the snapshot go.
 *
 * Three processes: this one waits for the command and passes signals on to it; the
 * command; and a keeper that does nothing but wait for the end of this one.  A pipe tells
 * it: only this process has the end for writing, so the kernel closes it whatever this
 * one dies of.  Where this one comes to its end by itself, it ends the keeper first,
 * for the name may be another's as soon as it is free.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/common/clock.h"

/* Exit statuses beside the command's, as those of env(1) and timeout(1). */
enum { FAILED = 125, NOT_EXECUTABLE = 126, NOT_FOUND = 127, BY_SIGNAL = 128 };

struct backup {
	const char *name, *control; /* name NULL: one of its own */
	bool changes_dir;
	char **command;
	char directory[PATH_MAX]; /* where snapshots are made */
	char path[PATH_MAX];      /* the snapshot */
	int pipe_fd;              /* the keeper's, for writing */
	pid_t keeper, child;
};

static int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int fail(const char *format, ...)
{
	va_list args;

	(void)fputs("datawal-backup: ", stderr);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
	return FAILED;
}

/* --- the command line --- */

static void print_help(void)
{
	(void)printf(
		"usage: datawal-backup [options] MOUNT -- COMMAND [ARGUMENT...]\n"
		"\n"
		"Run a command on a snapshot of a datawalfs mount: everything as it was at\n"
		"one moment, whatever is written meanwhile.  The snapshot goes when the\n"
		"command ends, however that may be.\n"
		"\n"
		"{} in an argument, and the variable DATAWAL_SNAPSHOT, are its path.  The exit\n"
		"status is the command's, or 128 and the signal that ended it; 125: there was\n"
		"no snapshot; 126, 127: the command could not be run, or was not found.\n"
		"\n"
		"Options:\n"
		"  -C, --chdir         run the command in the snapshot, not where this was run\n"
		"  -n, --name=NAME     name of the snapshot, for programs that go by paths and\n"
		"                      inode numbers; default: a new one each time\n"
		"      --control=NAME  what the mount's -o control says; default: .datawal\n"
		"  -h, --help          show this\n"
		"  -V, --version       show the version\n"
		"\n"
		"Examples:\n"
		"  datawal-backup ~/mnt -- tar -cf backup.tar -C {} .\n"
		"  datawal-backup --name=restic ~/mnt -- restic backup {}\n");
}

/* 0, an exit status, or -1: done. */
static int parse(int argc, char **argv, struct backup *backup, const char **mount_ret)
{
	enum { OPTION_CONTROL = 256 };
	static const struct option options[] = {
		{"chdir", no_argument, NULL, 'C'},
		{"name", required_argument, NULL, 'n'},
		{"control", required_argument, NULL, OPTION_CONTROL},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "+Cn:hV", options, NULL)) >= 0)
		switch (option) {
		case 'C': backup->changes_dir = true; break;
		case 'n': backup->name = optarg; break;
		case OPTION_CONTROL: backup->control = optarg; break;
		case 'h': print_help(); return -1;
		case 'V': (void)printf("datawal-backup %s\n", DATAWALFS_VERSION); return -1;
		default: return fail("see 'datawal-backup --help'"); /* getopt named it */
		}
	if (argc - optind < 3 || strcmp(argv[optind + 1], "--"))
		return fail("usage: datawal-backup [options] MOUNT -- COMMAND [ARGUMENT...]");
	if (backup->name && (!*backup->name || strchr(backup->name, '/') ||
			     !strcmp(backup->name, ".") || !strcmp(backup->name, "..")))
		return fail("'%s' is no name for a snapshot", backup->name);
	*mount_ret = argv[optind];
	backup->command = argv + optind + 2;
	return 0;
}

/* `text` with the snapshot's path for each {}; NULL: no memory. */
static char *with_path(const char *text, const char *path)
{
	size_t count = 0;

	for (const char *at = text; (at = strstr(at, "{}")); at += 2)
		count++;
	char *made = malloc(strlen(text) + count * strlen(path) + 1), *to = made;
	if (!made)
		return NULL;
	for (const char *at; (at = strstr(text, "{}")); text = at + 2) {
		to = mempcpy(to, text, (size_t)(at - text));
		to = stpcpy(to, path);
	}
	(void)strcpy(to, text);
	return made;
}

/* --- the snapshot --- */

/* Elsewhere mkdir(2) would make an empty directory, and an empty backup of it. */
static int find_directory(struct backup *backup, const char *mount)
{
	char *root = realpath(mount, NULL);
	struct statfs about;

	if (!root)
		return fail("'%s': %s", mount, strerror(errno));
	int n = snprintf(backup->directory, PATH_MAX, "%s/%s/snapshots", root, backup->control);
	free(root);
	if (n >= PATH_MAX)
		return fail("'%s': %s", mount, strerror(ENAMETOOLONG));
	if (statfs(backup->directory, &about) < 0)
		return fail("'%s': %s; is '%s' the root of a datawalfs mount? See --control",
			    backup->directory, strerror(errno), mount);
	if (about.f_type != FUSE_SUPER_MAGIC)
		return fail("'%s' is no datawalfs mount", mount);
	return 0;
}

static int try_snapshot(struct backup *backup, const char *name)
{
	if (snprintf(backup->path, PATH_MAX, "%s/%s", backup->directory, name) >= PATH_MAX)
		return ENAMETOOLONG;
	/* by the sticky bit it ends with the mount: nothing is left of it if all are killed */
	return mkdir(backup->path, S_ISVTX | 0755) < 0 ? errno : 0;
}

static int take_snapshot(struct backup *backup)
{
	char own[64];
	int rc;

	if (backup->name) {
		rc = try_snapshot(backup, backup->name);
	} else {
		/* the time alone could be another one's in a container, or the pid */
		do {
			int64_t now = clock_realtime_ns();
			(void)snprintf(own, sizeof own, "backup-%lld.%09lld-%ld",
				       (long long)(now / 1000000000), (long long)(now % 1000000000),
				       (long)getpid());
			rc = try_snapshot(backup, own);
		} while (rc == EEXIST);
	}
	if (rc == EROFS)
		return fail("'%s': a mount with -o ro is one moment already, and takes no "
			    "snapshots; run the command on it",
			    backup->path);
	if (rc == EEXIST)
		return fail("'%s': another one uses it, or rmdir it first", backup->path);
	return rc ? fail("'%s': %s", backup->path, strerror(rc)) : 0;
}

static void let_go(struct backup *backup)
{
	(void)kill(backup->keeper, SIGKILL); /* it is our child: there until it is waited for */
	while (waitpid(backup->keeper, NULL, 0) < 0 && errno == EINTR)
		;
	/* with an unmounted mount it went by itself */
	if (rmdir(backup->path) < 0 && errno != ENOENT && errno != ENOTCONN)
		(void)fail("'%s' stays: %s; rmdir it later", backup->path, strerror(errno));
}

/* --- the keeper --- */

static void keep(const struct backup *backup, int fd)
{
	char byte;
	int null = open("/dev/null", O_RDWR);

	(void)setsid(); /* signals to a terminal's processes must not reach it */
	(void)close(backup->pipe_fd);
	if (chdir("/") < 0)
		_exit(FAILED);
	for (int i = 0; null >= 0 && i <= STDERR_FILENO; i++)
		(void)dup2(null, i); /* a reader of our output must not wait for its end */
	while (read(fd, &byte, 1) < 0 && errno == EINTR)
		;
	_exit(rmdir(backup->path) < 0 ? FAILED : 0);
}

/* Signals are blocked, and stay so in it. */
static int start_keeper(struct backup *backup)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return fail("pipe: %s", strerror(errno));
	backup->pipe_fd = ends[1];
	backup->keeper = fork();
	if (!backup->keeper)
		keep(backup, ends[0]);
	(void)close(ends[0]);
	return backup->keeper < 0 ? fail("fork: %s", strerror(errno)) : 0;
}

/* --- the command --- */

static void run(const struct backup *backup, const sigset_t *signals, pid_t parent)
{
	assert(*backup->command); /* parse() saw to it */
	/* if the other one is killed the snapshot goes, and the command must not go on */
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(FAILED);
	for (char **argument = backup->command; *argument; argument++)
		if (!(*argument = with_path(*argument, backup->path)))
			_exit(fail("%s", strerror(ENOMEM)));
	if (setenv("DATAWAL_SNAPSHOT", backup->path, 1) < 0)
		_exit(fail("%s", strerror(errno)));
	if (backup->changes_dir && chdir(backup->path) < 0)
		_exit(fail("'%s': %s", backup->path, strerror(errno)));
	(void)sigprocmask(SIG_SETMASK, signals, NULL);
	(void)execvp(*backup->command, backup->command);
	int rc = errno;
	(void)fail("'%s': %s", *backup->command, strerror(rc));
	_exit(rc == ENOENT ? NOT_FOUND : NOT_EXECUTABLE);
}

/* Until the command ended; its exit status. */
static int wait_for(const struct backup *backup, const sigset_t *watched)
{
	for (;;) {
		siginfo_t about;
		int status, signal = sigwaitinfo(watched, &about);

		/* a signal from a terminal reached the command as well */
		if (signal > 0 && signal != SIGCHLD && about.si_code <= 0)
			(void)kill(backup->child, signal);
		if (waitpid(backup->child, &status, WNOHANG) != backup->child)
			continue;
		return WIFSIGNALED(status) ? BY_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
	}
}

static int run_backup(struct backup *backup)
{
	static const int numbers[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGCHLD};
	sigset_t watched, before;

	(void)sigemptyset(&watched); /* these fail only for signals that are none */
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		(void)sigaddset(&watched, numbers[i]);
	(void)sigprocmask(SIG_BLOCK, &watched, &before);
	(void)signal(SIGCHLD, SIG_DFL); /* our parent may have ignored it */
	int rc = take_snapshot(backup);
	if (rc)
		return rc;
	rc = start_keeper(backup);
	if (rc) {
		(void)rmdir(backup->path); /* the error was reported already */
		return rc;
	}
	pid_t parent = getpid();
	backup->child = fork();
	if (!backup->child)
		run(backup, &before, parent);
	rc = backup->child < 0 ? fail("fork: %s", strerror(errno)) : wait_for(backup, &watched);
	let_go(backup);
	return rc;
}

int main(int argc, char **argv)
{
	struct backup backup = {.control = ".datawal", .pipe_fd = -1};
	const char *mount = NULL;
	int rc = parse(argc, argv, &backup, &mount);

	if (rc < 0 && (fflush(stdout) || ferror(stdout)))
		return fail("writing to stdout: %s", strerror(errno));
	if (rc)
		return rc < 0 ? 0 : rc;
	rc = find_directory(&backup, mount);
	return rc ? rc : run_backup(&backup);
}
