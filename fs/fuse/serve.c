/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * serve.c - see serve.h.
 *
 * The lead and the beat.  `led` says whether some thread leads.  `beat` is odd while
 * the leader answers a request: it makes it so, and even again behind the answer,
 * by compare and exchange.  A helper that takes the lead from a leader that works for long does the
 * same first; so exactly one of the two succeeds, and a leader that finds the beat changed leads no
 * more.  The leader's own data goes with the lead: the new leader has held `lock` since.
 *
 * Helpers come and go beside the lead.  One that has not found the lead free leaves after
 * its last request and finds it then, so requests never wait for a thread to come back.
 */
#include "fs/fuse/serve.h"

#include <errno.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fs/base/thread.h"

enum {
	TICK_NS = 500 * 1000, /* a request that lasts from one tick to the next is long */
	QUIET_TICKS = 40,     /* without a request: the watcher sleeps */
};

struct worker {
	pthread_t thread;
	struct server *server;
	struct fuse_buf buf; /* here, since a thread that is cancelled frees nothing */
};

struct server {
	struct fuse_session *session;
	struct source source;
	struct serve_options options;
	struct adapt adapt; /* the leader's */
	sem_t *ended_sem;   /* a thread found the session ended, or ended it */

	atomic_uint_fast64_t beat;
	atomic_bool watched;         /* the watcher ticks */
	atomic_bool crowded;         /* helpers are in the way of others */
	atomic_uint helpers;         /* asked for, or there; changed under `lock` */
	atomic_uint_fast64_t helped; /* requests that they answered */

	pthread_mutex_t lock;
	pthread_cond_t turn;  /* `led` became false, or `calls` more */
	pthread_cond_t watch; /* there is something to watch */
	/* under `lock`: */
	struct worker workers[SERVE_THREADS_MAX];
	unsigned count, idle; /* of workers, and those among them that wait for their turn */
	unsigned calls;       /* helpers that are asked for and not there yet */
	bool led, ended;
	int rc;
};

/* The thread that leads, while it does. */
struct leader {
	struct server *server;
	struct fuse_buf *buf;
	uint64_t preempted;   /* at its last look */
	uint_fast64_t helped; /* likewise */
};

static void *work(void *arg);

static int start_worker_locked(struct server *server)
{
	struct worker *worker = &server->workers[server->count];

	worker->server = server;
	int rc = thread_start(&worker->thread, work, worker);
	server->count += !rc;
	return rc;
}

/* There is something to do for one thread more.  Without one the next that is ready does it. */
static void rouse_locked(struct server *server)
{
	if (server->idle)
		(void)pthread_cond_signal(&server->turn);
	else if (server->count < server->options.max_threads && !server->ended)
		(void)start_worker_locked(server);
}

/* There is no leader now: wake a thread that becomes it. */
static void give_lead_locked(struct server *server)
{
	server->led = false;
	rouse_locked(server);
}

/* --- the leader --- */

static void wake_watcher(struct server *server)
{
	(void)pthread_mutex_lock(&server->lock);
	atomic_store(&server->watched, true);
	(void)pthread_cond_signal(&server->watch);
	(void)pthread_mutex_unlock(&server->lock);
}

/* All zero where there is none. */
static struct fuse_in_header header_of(const struct fuse_buf *buf)
{
	struct fuse_in_header header = {0};

	if (!(buf->flags & FUSE_BUF_IS_FD) && buf->size >= sizeof header)
		memcpy(&header, buf->mem, sizeof header);
	return header;
}

/* Requests that usually wait for the disk. */
static bool is_long(const struct fuse_buf *buf)
{
	const uint32_t opcode = header_of(buf).opcode;

	return opcode == FUSE_FSYNC || opcode == FUSE_FSYNCDIR || opcode == FUSE_SYNCFS;
}

/* Whether the caller still leads behind it. */
static bool answer(struct server *server, const struct fuse_buf *buf)
{
	uint_fast64_t beat = atomic_load_explicit(&server->beat, memory_order_relaxed), busy;

	if (is_long(buf)) {
		(void)pthread_mutex_lock(&server->lock);
		give_lead_locked(server);
		(void)pthread_mutex_unlock(&server->lock);
		fuse_session_process_buf(server->session, buf);
		return false;
	}
	busy = beat + 1;
	atomic_store(&server->beat, busy);
	if (!atomic_load(&server->watched))
		wake_watcher(server);
	fuse_session_process_buf(server->session, buf);
	return atomic_compare_exchange_strong(&server->beat, &busy, busy + 1);
}

static void call_helper(struct server *server)
{
	(void)pthread_mutex_lock(&server->lock);
	server->calls++;
	atomic_fetch_add(&server->helpers, 1);
	rouse_locked(server);
	(void)pthread_mutex_unlock(&server->lock);
}

/* With a request received: the client that waits for its answer wants no processor. */
static void look(struct leader *leader)
{
	struct server *server = leader->server;
	const uint_fast64_t helped = atomic_load(&server->helped);
	struct sight sight = {.helped = helped - leader->helped};

	server->options.look(&server->source, &leader->preempted, &sight);
	leader->helped = helped;
	adapt_look(&server->adapt, &sight);
	atomic_store(&server->crowded, server->adapt.crowded);
	unsigned leaders = 1 + atomic_load(&server->helpers);
	if (leaders >= server->options.max_threads || !adapt_wants_helper(&server->adapt, leaders))
		return;
	/* before the helper reads: it must not sleep there */
	source_set_at_once(&server->source, true);
	if (server->source.at_once)
		call_helper(server);
}

static int receive(struct leader *leader)
{
	struct server *server = leader->server;
	bool polls = adapt_polls(&server->adapt);
	enum arrival arrival;

	source_set_at_once(&server->source,
			   adapt_asks(&server->adapt) || atomic_load(&server->helpers));
	int n = source_receive(&server->source, leader->buf, polls ? WAIT_POLL : WAIT_SLEEP,
			       &arrival);
	if (n > 0 && adapt_note(&server->adapt, arrival, header_of(leader->buf).pid))
		look(leader);
	return n;
}

static void end(struct server *server, int rc)
{
	(void)pthread_mutex_lock(&server->lock);
	server->ended = true;
	server->rc = server->rc ? server->rc : rc;
	(void)pthread_cond_broadcast(&server->turn);
	(void)pthread_mutex_unlock(&server->lock);
	(void)sem_post(server->ended_sem); /* overflows never: once a thread */
}

/* Whether a request was received; if not, all is over. */
static bool check_received(struct server *server, int n)
{
	if (n > 0 && !fuse_session_exited(server->session))
		return true;
	fuse_session_exit(server->session);
	end(server, n < 0 ? n : 0);
	return false;
}

static void lead(struct server *server, struct fuse_buf *buf)
{
	struct leader leader = {server, buf, count_preempted(), atomic_load(&server->helped)};

	while (check_received(server, receive(&leader)) && answer(server, buf))
		;
}

/* --- a helper --- */

static void leave_help(struct server *server)
{
	(void)pthread_mutex_lock(&server->lock);
	atomic_fetch_sub(&server->helpers, 1);
	(void)pthread_mutex_unlock(&server->lock);
}

/* Whether to go on. */
static bool help_once(struct server *server, struct fuse_buf *buf)
{
	enum arrival arrival;
	int n = source_receive(&server->source, buf, WAIT_HELP, &arrival);

	if (n == -EAGAIN || !check_received(server, n)) {
		leave_help(server);
		return false;
	}
	atomic_fetch_add_explicit(&server->helped, 1, memory_order_relaxed);
	bool goes_on = !is_long(buf) && !atomic_load(&server->crowded);
	if (!goes_on)
		leave_help(server);
	fuse_session_process_buf(server->session, buf);
	return goes_on;
}

static void help(struct server *server, struct fuse_buf *buf)
{
	while (help_once(server, buf))
		;
}

/* Do the pending work; `lock` is held before and after, but not meanwhile. */
static void take_turn_locked(struct server *server, struct fuse_buf *buf)
{
	if (!server->led) {
		server->led = true;
		(void)pthread_mutex_unlock(&server->lock);
		lead(server, buf);
	} else if (server->calls) {
		server->calls--;
		(void)pthread_mutex_unlock(&server->lock);
		help(server, buf);
	} else {
		server->idle++;
		(void)pthread_cond_wait(&server->turn, &server->lock);
		server->idle--;
		return;
	}
	(void)pthread_mutex_lock(&server->lock);
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct server *server = worker->server;
	int state;

	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	(void)pthread_mutex_lock(&server->lock);
	while (!server->ended)
		take_turn_locked(server, &worker->buf);
	(void)pthread_mutex_unlock(&server->lock);
	return NULL;
}

/* --- the watcher --- */

/* Until there was nothing to do for a while. */
static void tick(struct server *server)
{
	const struct timespec pause = {.tv_nsec = TICK_NS};
	uint_fast64_t last = 0;

	for (int quiet = 0; quiet < QUIET_TICKS; quiet++) {
		(void)nanosleep(&pause, NULL); /* a shorter one does no harm */
		uint_fast64_t beat = atomic_load(&server->beat);
		if (beat != last)
			quiet = 0;
		else if (beat & 1 &&
			 atomic_compare_exchange_strong(&server->beat, &beat, beat + 1)) {
			(void)pthread_mutex_lock(&server->lock);
			give_lead_locked(server);
			(void)pthread_mutex_unlock(&server->lock);
		}
		last = beat;
	}
}

static void *watch(void *arg)
{
	struct server *server = arg;

	(void)pthread_mutex_lock(&server->lock);
	while (!server->ended) {
		if (!atomic_load(&server->watched)) {
			(void)pthread_cond_wait(&server->watch, &server->lock);
			continue;
		}
		(void)pthread_mutex_unlock(&server->lock);
		tick(server);
		(void)pthread_mutex_lock(&server->lock);
		/* a request that starts now sees it; one that started before is seen here */
		atomic_store(&server->watched, false);
		if (atomic_load(&server->beat) & 1)
			atomic_store(&server->watched, true);
	}
	(void)pthread_mutex_unlock(&server->lock);
	return NULL;
}

/* --- life --- */

static void stop(struct server *server, pthread_t watcher)
{
	end(server, 0);
	(void)pthread_mutex_lock(&server->lock);
	(void)pthread_cond_signal(&server->watch);
	/* none is started any more; a leader that waits for requests leaves by this */
	for (unsigned i = 0; i < server->count; i++)
		(void)pthread_cancel(server->workers[i].thread);
	(void)pthread_mutex_unlock(&server->lock);
	for (unsigned i = 0; i < server->count; i++) {
		(void)pthread_join(server->workers[i].thread, NULL);
		free(server->workers[i].buf.mem);
	}
	(void)pthread_join(watcher, NULL);
}

static int run(struct server *server)
{
	pthread_t watcher;
	int rc = thread_start(&watcher, watch, server);

	if (rc < 0)
		return rc;
	(void)pthread_mutex_lock(&server->lock);
	rc = start_worker_locked(server);
	(void)pthread_mutex_unlock(&server->lock);
	/* the end of the session ends this wait: by the semaphore, or by a signal's handler */
	while (!rc && !fuse_session_exited(server->session))
		(void)sem_wait(server->ended_sem);
	stop(server, watcher);
	return rc ? rc : server->rc;
}

static unsigned limit_threads(unsigned threads)
{
	if (threads < 1)
		return 1;
	return threads < SERVE_THREADS_MAX ? threads : SERVE_THREADS_MAX;
}

int serve_session(struct fuse_session *session, const struct serve_options *options)
{
	sem_t own;
	struct server server = {
		.session = session,
		.options = {.max_threads = limit_threads(options->max_threads),
			    .look = options->look ? options->look : source_look},
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.turn = PTHREAD_COND_INITIALIZER,
		.watch = PTHREAD_COND_INITIALIZER,
	};

	if (sem_init(&own, 0, 0) < 0)
		return -errno;
	server.ended_sem = options->ended ? options->ended : &own;
	source_init(&server.source, session);
	adapt_init(&server.adapt);
	int rc = run(&server);
	source_release(&server.source);
	(void)sem_destroy(&own); /* no thread waits any more */
	fuse_session_reset(session);
	return rc == -ENODEV ? 0 : rc; /* unmounted: the usual end */
}
