/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * ending.c - see ending.h.
 */
#include "fs/mounted/ending.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fs/base/clock.h"

enum verdict { RUNNING, ALL_KEPT, SOMETHING_LOST };

/* The contents of the file. */
struct board {
	uint64_t token;
	uint64_t verdict;
};

/* --- the daemon --- */

int ending_init(struct ending *ret)
{
	struct board board = {.verdict = RUNNING};
	int rc = 0;

	*ret = (struct ending){.fd = -1};
	int fd = memfd_create("datawalfs", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (getrandom(&board.token, sizeof board.token, 0) != sizeof board.token)
		rc = -EIO;
	/* the page that the verdict needs is there from now on */
	else if (pwrite(fd, &board, sizeof board, 0) != sizeof board)
		rc = -ENOMEM;
	if (rc < 0)
		(void)close(fd); /* nothing is in it */
	else
		*ret = (struct ending){fd, board.token};
	return rc;
}

void ending_tell(const struct ending *ending, bool lost)
{
	const struct board board = {ending->token, lost ? SOMETHING_LOST : ALL_KEPT};

	/* if it fails, the waiter finds that nothing was said */
	if (ending->fd >= 0 && pwrite(ending->fd, &board, sizeof board, 0) < 0)
		return;
}

void ending_release(struct ending *ending)
{
	if (ending->fd >= 0)
		(void)close(ending->fd); /* memory only */
	ending->fd = -1;
}

/* --- the waiter --- */

/* Opening another process's file might do anything, so its name comes first. */
static int open_board(pid_t pid, int fd)
{
	static const char name[] = "/memfd:datawalfs (deleted)";
	char path[64], link[sizeof name + 1];

	(void)snprintf(path, sizeof path, "/proc/%ld/fd/%d", (long)pid, fd);
	ssize_t n = readlink(path, link, sizeof link);
	if (n < 0)
		return -errno;
	if (n != sizeof name - 1 || memcmp(link, name, sizeof name - 1) != 0)
		return -ESRCH;
	int board = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return board < 0 ? -errno : board;
}

int ending_open(pid_t pid, const struct ending *of, struct ending_wait *ret)
{
	struct ending_wait wait = {-1, -1};
	struct board board;

	if (of->fd < 0)
		return -ENOENT;
	wait.process = (int)syscall(SYS_pidfd_open, pid, 0);
	int rc = wait.process < 0 ? -errno : 0;
	if (!rc) {
		wait.board = open_board(pid, of->fd);
		rc = wait.board < 0 ? wait.board : 0;
	}
	if (!rc && (pread(wait.board, &board, sizeof board, 0) != sizeof board ||
		    board.token != of->token))
		rc = -ESRCH;
	if (rc < 0)
		ending_close(&wait);
	else
		*ret = wait;
	return rc;
}

int ending_wait(const struct ending_wait *wait, int64_t timeout_ms)
{
	struct pollfd process = {.fd = wait->process, .events = POLLIN};
	int64_t end = clock_monotonic_ms() + timeout_ms, left = timeout_ms;
	struct board board;
	int n;

	do {
		n = poll(&process, 1, left > INT_MAX ? INT_MAX : (int)left);
		left = end > clock_monotonic_ms() ? end - clock_monotonic_ms() : 0;
	} while ((n < 0 && errno == EINTR) || (!n && left > 0));
	if (n < 0)
		return -errno;
	if (!n)
		return -EINTR;
	if (pread(wait->board, &board, sizeof board, 0) != sizeof board)
		return -EPIPE;
	return board.verdict == ALL_KEPT ? 0 : board.verdict == SOMETHING_LOST ? 1 : -EPIPE;
}

void ending_close(struct ending_wait *wait)
{
	if (wait->board >= 0)
		(void)close(wait->board); /* was only read */
	if (wait->process >= 0)
		(void)close(wait->process);
	*wait = (struct ending_wait){-1, -1};
}
