/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * logger.c - see logger.h.
 */
#include "fs/daemon/logger.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "fs/base/clock.h"

enum { TEXT_SIZE = 2 * PATH_MAX + 512 }; /* two paths, and words */

static struct {
	pthread_mutex_t lock;
	int fd;     /* -1: no file */
	char *path; /* owned */
	bool no_terminal;
} logger = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

static int open_log(const char *path)
{
	/* readable for the readers of other logs, by the directory's rights */
	const int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW;
	int fd = open(path, flags, 0640);

	return fd < 0 ? -errno : fd;
}

int logger_open_file(const char *path)
{
	char *copy = strdup(path);
	int fd = copy ? open_log(path) : -ENOMEM;

	if (fd < 0) {
		free(copy);
		return fd;
	}
	logger_close();
	(void)pthread_mutex_lock(&logger.lock);
	logger.fd = fd;
	logger.path = copy;
	(void)pthread_mutex_unlock(&logger.lock);
	return 0;
}

int logger_reopen(void)
{
	int rc = 0;

	(void)pthread_mutex_lock(&logger.lock);
	if (logger.path) {
		int fd = open_log(logger.path);
		if (fd >= 0) {
			(void)close(logger.fd); /* each line was written whole */
			logger.fd = fd;
		} else {
			rc = fd;
		}
	}
	(void)pthread_mutex_unlock(&logger.lock);
	return rc;
}

void logger_leave_terminal(void)
{
	(void)pthread_mutex_lock(&logger.lock);
	logger.no_terminal = true;
	(void)pthread_mutex_unlock(&logger.lock);
}

static void log_to_file(int fd, int priority, const char *text)
{
	static const char *const names[] = {"emergency", "alert",  "critical", "error",
					    "warning",   "notice", "info",     "debug"};
	char when[CLOCK_TEXT_SIZE];

	/* dprintf() writes at once, so lines of several processes do not mix */
	(void)dprintf(fd, "%s datawalfs[%ld] %s: %s\n", clock_text(clock_realtime_ns(), when),
		      (long)getpid(), names[LOG_PRI(priority)],
		      text); /* a full disk: no way to report it */
}

void logger_log(void *context, int priority, const char *text)
{
	(void)context;
	(void)pthread_mutex_lock(&logger.lock);
	if (logger.fd >= 0)
		log_to_file(logger.fd, priority, text);
	else if (logger.no_terminal)
		syslog(priority, "%s", text);
	if (!logger.no_terminal)
		(void)fprintf(stderr, "datawalfs: %s\n", text);
	(void)pthread_mutex_unlock(&logger.lock);
}

void logger_printf(int priority, const char *format, ...)
{
	char text[TEXT_SIZE];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args); /* cut is good enough */
	va_end(args);
	logger_log(NULL, priority, text);
}

void logger_close(void)
{
	(void)pthread_mutex_lock(&logger.lock);
	if (logger.fd >= 0)
		(void)close(logger.fd); /* each line was written whole */
	free(logger.path);
	logger.path = NULL;
	logger.fd = -1;
	(void)pthread_mutex_unlock(&logger.lock);
}
