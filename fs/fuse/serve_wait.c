/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * serve_wait.c - see serve_wait.h.
 */
#include "fs/fuse/serve_wait.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "fs/base/clock.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define __asan_handle_no_return() ((void)0)
#endif

enum { POLL_NS = 50 * 1000 };

/* In a container it may be a file of another daemon, which would have to answer us. */
static int open_runnable(void)
{
	struct statfs about;
	int fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && (fstatfs(fd, &about) < 0 || about.f_type != PROC_SUPER_MAGIC)) {
		(void)close(fd); /* nothing was written */
		fd = -1;
	}
	return fd;
}

void source_init(struct source *source, struct fuse_session *session)
{
	*source = (struct source){
		.session = session,
		.fd = fuse_session_fd(session),
		.runnable_fd = open_runnable(),
	};
	source->flags = fcntl(source->fd, F_GETFL);
}

void source_release(struct source *source)
{
	source_set_at_once(source, false);
	if (source->runnable_fd >= 0)
		(void)close(source->runnable_fd); /* likewise */
	source->runnable_fd = -1;
}

void source_set_at_once(struct source *source, bool at_once)
{
	if (source->at_once == at_once || source->flags < 0)
		return;
	if (!fcntl(source->fd, F_SETFL, source->flags | (at_once ? O_NONBLOCK : 0)))
		source->at_once = at_once;
}

/* Where the end may find us: anywhere else we hold something. */
static void allow_end(void)
{
	int state;

	/* AddressSanitizer's marks beside variables on this stack would stay when the thread is
	 * cancelled, and be reported as a fault later. */
	__asan_handle_no_return();
	(void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
}

static void forbid_end(void)
{
	int state;

	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
}

static int ask(const struct source *source, struct fuse_buf *buf)
{
	int n;

	allow_end();
	do
		n = fuse_session_receive_buf(source->session, buf);
	while (n == -EINTR);
	forbid_end();
	return n;
}

static void sleep_until_ready(const struct source *source)
{
	struct pollfd ready = {.fd = source->fd, .events = POLLIN};

	allow_end();
	(void)poll(&ready, 1, -1); /* an error shows in the next read */
	forbid_end();
}

int source_receive(const struct source *source, struct fuse_buf *buf, enum wait wait,
		   enum arrival *ret)
{
	/* a read that may have slept tells nothing */
	enum arrival arrival =
		wait == WAIT_HELP || source->at_once ? ARRIVAL_READY : ARRIVAL_UNTOLD;
	int64_t began = 0;
	int n;

	while ((n = ask(source, buf)) == -EAGAIN) {
		const int64_t now = clock_monotonic_ns();
		if (!began)
			began = now;
		if (wait != WAIT_SLEEP && now - began < POLL_NS) {
			arrival = arrival == ARRIVAL_READY ? ARRIVAL_POLLED : arrival;
			continue;
		}
		if (wait == WAIT_HELP)
			break;
		sleep_until_ready(source);
		arrival = ARRIVAL_SLEPT;
	}
	*ret = arrival;
	return n;
}

/* --- looking around --- */

uint64_t count_preempted(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) < 0 ? 0 : (uint64_t)usage.ru_nivcsw;
}

/* "0.20 0.18 0.12 1/80 11206": the 1 */
static unsigned count_runnable(int fd)
{
	char text[128];
	ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof text - 1, 0);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	char *slash = strchr(text, '/');
	if (!slash)
		return 0;
	while (slash > text && slash[-1] >= '0' && slash[-1] <= '9')
		slash--;
	return (unsigned)strtoul(slash, NULL, 10);
}

static unsigned count_processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof set, &set) < 0 ? 1 : (unsigned)CPU_COUNT(&set);
}

void source_look(const struct source *source, uint64_t *since, struct sight *sight)
{
	sight->processors = count_processors();
	if (sight->processors == 1)
		return; /* which decides everything */
	const uint64_t preempted = count_preempted();
	sight->runnable = count_runnable(source->runnable_fd);
	sight->preempted = preempted - *since;
	*since = preempted;
}
