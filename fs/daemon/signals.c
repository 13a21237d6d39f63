/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * signals.c - see signals.h.
 *
 * One thread takes the signals that are no end, and lets older volumes of a mount with -o ro, and
 * snapshots that are removed or not used, go.
 */
#include "fs/daemon/signals.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <syslog.h>
#include <unistd.h>

#include "fs/base/thread.h"
#include "fs/daemon/logger.h"
#include "fs/fuse/forget.h"
#include "fs/mounted/figures.h"

struct signals {
	struct mount *mount;
	int signal_fd, stop_fd;
	pthread_t thread;
};

static sigset_t waited_for;
static bool hangup_is_end;

void signals_ignore(void)
{
	/* timers of other code, pipes, limits (SIGXFSZ comes with EFBIG), and what is for
	 * other programs: by default each of them is the end */
	static const int ignored[] = {SIGUSR2, SIGALRM,   SIGVTALRM, SIGPROF, SIGIO,  SIGPIPE,
				      SIGPWR,  SIGSTKFLT, SIGXFSZ,   SIGXCPU, SIGURG, SIGWINCH};

	/* these fail only for signals that are none */
	for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
		(void)signal(ignored[i], SIG_IGN);
	for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
		(void)signal(number, SIG_IGN);
}

void signals_block(bool hangup_ends)
{
	hangup_is_end = hangup_ends;
	(void)sigemptyset(&waited_for); /* these fail only for signals that are none */
	(void)sigaddset(&waited_for, SIGUSR1);
	if (!hangup_ends)
		(void)sigaddset(&waited_for, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, &waited_for, NULL);
}

void signals_block_ends(void)
{
	const int ends[] = {SIGTERM, SIGINT, SIGHUP};

	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		struct sigaction action;
		/* a signal that nohup(1) or a shell set to be ignored stays ignored */
		if (sigaction(ends[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			(void)sigaddset(&waited_for, ends[i]);
	}
	(void)pthread_sigmask(SIG_BLOCK, &waited_for, NULL);
}

static void log_figures(struct mount *mount)
{
	struct generation *generation = generations_hold(mount->generations, NULL);
	char *json = figures_json(generation->volume, true);
	uint64_t requests = 0;

	generations_drop(mount->generations, generation);
	for (enum metric_op op = 0; op < METRIC_OPS; op++)
		requests += metrics_op_count(mount->metrics, op);
	if (json)
		logger_printf(LOG_INFO,
			      "statistics: %" PRIu64 " requests, %" PRIu64 " bytes read, %" PRIu64
			      " bytes written, store %s",
			      requests, metrics_bytes_read(mount->metrics),
			      metrics_bytes_written(mount->metrics), json);
	else
		logger_log(NULL, LOG_ERR, "statistics: out of memory");
	free(json);
}

static void reopen_log(void)
{
	int rc = logger_reopen();

	if (rc < 0)
		logger_log(NULL, LOG_ERR, strerror(-rc));
	logger_log(NULL, LOG_INFO,
		   rc < 0 ? "the log could not be opened again; going on with the old one"
			  : "opened the log again");
}

static void end(struct mount *mount)
{
	control_end(mount->control);
	fuse_session_exit(mount->session);
	(void)sem_post(&mount->ended); /* overflows never: once */
}

/* Whether to go on. */
static bool take_signal(struct signals *signals)
{
	struct signalfd_siginfo about;

	if (read(signals->signal_fd, &about, sizeof about) != sizeof about)
		return true;
	if (about.ssi_signo == SIGUSR1)
		log_figures(signals->mount);
	else if (about.ssi_signo == SIGHUP && !hangup_is_end)
		reopen_log();
	else
		end(signals->mount);
	return !fuse_session_exited(signals->mount->session);
}

static void *wait_for_signals(void *arg)
{
	struct signals *signals = arg;
	struct generations *generations = signals->mount->generations;
	struct pollfd fds[] = {
		{.fd = signals->signal_fd, .events = POLLIN},
		{.fd = signals->stop_fd, .events = POLLIN},
		{.fd = generations_left_fd(generations), .events = POLLIN},
	};
	size_t left = 0;

	for (;;) {
		eventfd_t count;
		int n = poll(fds, 3, generations_look_ms(generations, left));
		if (n < 0 && errno != EINTR)
			break;
		if (n > 0 && fds[1].revents)
			break; /* no thread answers any more: a call to the kernel would hang */
		if (n > 0 && fds[0].revents & POLLIN && !take_signal(signals))
			break;
		if (n > 0 && fds[2].revents & POLLIN)
			(void)eventfd_read(fds[2].fd, &count); /* which is the same for any */
		left = generations_collect(generations);
		if (left)
			forget_left(signals->mount);
		forget_surplus(signals->mount);
	}
	return NULL;
}

static void signals_free(struct signals *signals)
{
	/* nothing is buffered in either */
	if (signals->signal_fd >= 0)
		(void)close(signals->signal_fd);
	if (signals->stop_fd >= 0)
		(void)close(signals->stop_fd);
	free(signals);
}

int signals_start(struct mount *mount, struct signals **ret)
{
	struct signals *signals = calloc(1, sizeof *signals);

	if (!signals)
		return -ENOMEM;
	signals->mount = mount;
	signals->signal_fd = signalfd(-1, &waited_for, SFD_CLOEXEC | SFD_NONBLOCK);
	signals->stop_fd = eventfd(0, EFD_CLOEXEC);
	int rc = signals->signal_fd < 0 || signals->stop_fd < 0 ? -errno : 0;
	if (!rc)
		rc = thread_start(&signals->thread, wait_for_signals, signals);
	if (rc < 0)
		signals_free(signals);
	else
		*ret = signals;
	return rc;
}

void signals_stop(struct signals *signals)
{
	if (!signals)
		return;
	(void)eventfd_write(signals->stop_fd, 1);  /* fails only for a full counter */
	(void)pthread_join(signals->thread, NULL); /* fails only if there is none */
	signals_free(signals);
}
