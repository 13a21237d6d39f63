/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * tailwait.c - see tailwait.h.
 */
#include "whole/tailwait.h"

#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/clock.h"
#include "codec/segname.h"

enum {
	EVENTS = IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF,
	LOCAL_MS = 1000, /* in case an event was lost, or the file system has none */
	REMOTE_MS = 100,
};

/* Of these another machine may write the files. */
static bool is_remote(struct io *io, int dirfd)
{
	static const uint32_t types[] = {
		0x6969,     0xff534d42, 0xfe534d42, 0x65735546, 0x01021997, 0x00c36400, 0x5346414f,
		0x6b414653, 0x01161970, 0x7461636f, 0x0bd00bd0, 0x47504653, 0x786f4256,
	}; /* NFS, CIFS, SMB, FUSE, 9p, CephFS, AFS (two), GFS2, OCFS2, Lustre, GPFS, vboxsf */
	uint32_t type = 0;

	if (!io->filesystem || io->filesystem(io, dirfd, &type) < 0)
		return true;
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (types[i] == type)
			return true;
	return false;
}

/* -1: there are none to be had (a limit of the user's, no /proc): then looking must do. */
static int watch(int dirfd)
{
	char path[64];
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	if (fd < 0)
		return -1;
	/* by the descriptor, for the path may mean another directory by now */
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", dirfd);
	if (inotify_add_watch(fd, path, EVENTS | IN_ONLYDIR) >= 0)
		return fd;
	(void)close(fd); /* nothing is lost */
	return -1;
}

int tail_wait_init(struct tail_wait *wait, struct io *io, int dirfd, uint32_t interval_ms)
{
	int cancelled = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (cancelled < 0)
		return -errno;
	bool remote = is_remote(io, dirfd);
	int events = watch(dirfd);
	*wait = (struct tail_wait){
		.events = events,
		.cancelled = cancelled,
		.remote = remote,
		.interval_ms = interval_ms            ? interval_ms
			       : remote || events < 0 ? REMOTE_MS
						      : LOCAL_MS,
	};
	return 0;
}

void tail_wait_release(struct tail_wait *wait)
{
	if (wait->cancelled > 0)
		(void)close(wait->cancelled); /* nothing is lost */
	if (wait->cancelled > 0 && wait->events >= 0)
		(void)close(wait->events);
	*wait = (struct tail_wait){0};
}

/* Take all events off the queue.  Whether one is of a segment, or of the directory itself. */
static bool drain(int fd)
{
	union {
		struct inotify_event event; /* for its alignment */
		char bytes[16 << 10];
	} buffer;
	bool found = false;
	ssize_t n;

	while ((n = read(fd, buffer.bytes, sizeof buffer.bytes)) > 0)
		for (size_t at = 0; at < (size_t)n;) {
			const struct inotify_event *event = (const void *)(buffer.bytes + at);
			uint32_t id;
			found = found || !event->len || segname_parse(event->name, &id);
			at += sizeof *event + event->len;
		}
	return found;
}

int tail_wait_for(struct tail_wait *wait, int timeout_ms)
{
	int64_t start = clock_monotonic_ns();

	for (;;) {
		struct pollfd fds[2] = {{.fd = wait->cancelled, .events = POLLIN},
					{.fd = wait->events, .events = POLLIN}};
		int64_t gone = (clock_monotonic_ns() - start) / 1000000;
		int64_t left = timeout_ms < 0 ? INT64_MAX : timeout_ms - gone;
		int64_t look = (int64_t)wait->interval_ms - gone;
		int64_t ms = look < left ? look : left;
		int n = poll(fds, 2, ms > 0 ? (int)ms : 0);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && fds[0].revents)
			return -ECANCELED;
		if (n > 0 && drain(wait->events))
			return 1;
		if (n <= 0 && ms <= 0)
			return left <= 0 ? 0 : 1;
	}
}

void tail_wait_cancel(struct tail_wait *wait)
{
	const uint64_t one = 1;

	(void)!write(wait->cancelled, &one, sizeof one); /* full: cancelled already */
}
