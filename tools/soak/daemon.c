/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * daemon.c - see daemon.h.
 *
 * datawalfs goes to the background by itself once it is ready, which is when its parent
 * ends.  The daemon is then adopted, so that its exit status can be had.
 */
#include "tools/soak/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/common/clock.h"
#include "tools/soak/say.h"

enum { POLL_MS = 10, PATIENCE_MS = 60000, EXEC_FAILED = 127 };

/* Run a program to its end; its exit status, or -1. */
static int run_program(char *const argv[], bool quiet)
{
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		return -1;
	if (!pid) {
		if (quiet) {
			int null = open("/dev/null", O_WRONLY);
			if (null >= 0)
				(void)dup2(null, STDERR_FILENO); /* at worst it is heard */
		}
		(void)execvp(argv[0], argv);
		_exit(EXEC_FAILED);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void daemon_adopt(void)
{
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* cannot fail since Linux 3.4 */
}

/* The writer's pid stands in the lock file. */
static pid_t lock_pid(const struct paths *paths)
{
	char text[32] = "";
	FILE *file = fopen(paths->lock, "re");

	if (file) {
		if (!fgets(text, sizeof text, file))
			text[0] = '\0';
		(void)fclose(file); /* only read from */
	}
	return (pid_t)strtol(text, NULL, 10);
}

int daemon_start(const char *program, const struct paths *paths, pid_t *ret)
{
	/* a file that is open is committed when it is closed, and not before: an operation
	 * is done or not; when to compact is the run's to say */
	char *argv[] = {(char *)program,
			paths->store,
			paths->mount,
			(char *)"-o",
			(char *)"flat,commit_ms=3600000,compact=off",
			NULL};
	int status = run_program(argv, false);

	if (status == EXEC_FAILED)
		(void)soak_setup_error("'%s' cannot be run; name datawalfs by --daemon", program);
	else if (status)
		(void)soak_setup_error("'%s' could not mount '%s' (exit status %d)", program,
				       paths->store, status);
	if (status)
		return -1;
	*ret = lock_pid(paths);
	if (*ret > 0)
		return 0;
	(void)soak_setup_error("no daemon's process id is in '%s'", paths->lock);
	(void)umount2(paths->mount, MNT_DETACH);
	return -1;
}

/* --- the end --- */

static void describe_end(const char *when, int status)
{
	if (WIFSIGNALED(status))
		(void)soak_failed("the daemon was ended by signal %d (%s) %s", WTERMSIG(status),
				  strsignal(WTERMSIG(status)), when);
	else
		(void)soak_failed("the daemon ended with exit status %d %s", WEXITSTATUS(status),
				  when);
}

static void detach(const struct paths *paths)
{
	char *argv[] = {(char *)"fusermount3", (char *)"-uz", paths->mount, NULL};

	/* without the right to call umount(2) use its program; not mounted is fine */
	if (umount2(paths->mount, MNT_DETACH) < 0 && errno == EPERM)
		(void)run_program(argv, true);
}

bool daemon_died(const struct paths *paths, pid_t pid)
{
	int status = 0;

	if (waitpid(pid, &status, WNOHANG) != pid)
		return false;
	describe_end("in the middle of the run", status);
	detach(paths);
	return true;
}

static int unmount(const struct paths *paths)
{
	char *argv[] = {(char *)"fusermount3", (char *)"-u", paths->mount, NULL};

	for (int ms = 0; ms < PATIENCE_MS; ms += POLL_MS) {
		if (!umount2(paths->mount, 0))
			return 0;
		if (errno == EPERM && !run_program(argv, true))
			return 0;
		if (errno != EBUSY && errno != EPERM)
			break;
		/* someone looks into it for a moment, an indexer for example */
		clock_sleep_us(POLL_MS * 1000);
	}
	(void)soak_failed("'%s' cannot be unmounted: %s", paths->mount, strerror(errno));
	return -1;
}

int daemon_stop(const struct paths *paths, pid_t pid)
{
	int status = 0;

	if (daemon_died(paths, pid))
		return -1;
	if (unmount(paths) < 0) {
		daemon_kill(paths, pid);
		return -1;
	}
	for (int ms = 0; ms < PATIENCE_MS; ms += POLL_MS) {
		pid_t ended = waitpid(pid, &status, WNOHANG);
		if (ended == pid && !status)
			return 0;
		if (ended == pid) {
			describe_end("after it was unmounted", status);
			return -1;
		}
		clock_sleep_us(POLL_MS * 1000);
	}
	(void)soak_failed("the daemon is unmounted but does not end");
	(void)kill(pid, SIGKILL);
	return -1;
}

void daemon_kill(const struct paths *paths, pid_t pid)
{
	(void)kill(pid, SIGKILL); /* gone is fine */
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	detach(paths);
}

int daemon_clear(const struct paths *paths)
{
	detach(paths);
	int fd = open(paths->lock, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0; /* no store, no writer */
	int rc = -1;
	for (int ms = 0; rc && ms < PATIENCE_MS; ms += POLL_MS) {
		rc = flock(fd, LOCK_EX | LOCK_NB);
		if (rc)
			clock_sleep_us(POLL_MS * 1000);
	}
	(void)close(fd); /* only locked */
	if (rc)
		(void)soak_setup_error("'%s' is in use by process %ld", paths->store,
				       (long)lock_pid(paths));
	return rc;
}
