/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * serve.c - see serve.h.
 *
 * The lead and the beat.  `led` says whether some thread leads.  `beat` is odd while
 * the leader answers a request: it makes it so, and even again behind the answer,
 * by compare and exchange.  Who wants to take the lead from a leader that is long at
 * work does the same first; so exactly one of the two succeeds, and a leader that finds
 * the beat changed leads no more.
 */
#include "fs/fuse/serve.h"

#include <errno.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	TICK_NS = 500 * 1000, /* a request that lasts from one tick to the next is long */
	QUIET_TICKS = 40,     /* without a request: the watcher sleeps */
};

struct server {
	struct fuse_session *session;
	unsigned max_threads;
	sem_t ended_sem; /* somebody found the session ended, or a signal came */

	atomic_uint_fast64_t beat;
	atomic_bool watched; /* the watcher ticks */

	pthread_mutex_t lock;
	pthread_cond_t turn;  /* `led` became false */
	pthread_cond_t watch; /* there is something to watch */
	/* under `lock`: */
	pthread_t threads[SERVE_THREADS_MAX];
	unsigned count, idle; /* threads, and those among them that wait for their turn */
	bool led, ended;
	int rc;
};

static void *work(void *arg);

/* Blocks signals in it: they are for the thread that waits for the end.  Not SIGBUS: a page of
 * a segment that cannot be read raises it in the thread that reads, and blocked it would end
 * the process. */
static int start_thread(pthread_t *ret, void *(*run)(void *), struct server *server)
{
	sigset_t all, old;

	(void)sigfillset(&all);
	(void)sigdelset(&all, SIGBUS);
	(void)pthread_sigmask(SIG_BLOCK, &all, &old);
	int rc = -pthread_create(ret, NULL, run, server);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

/* Nobody leads any more: let somebody.  Without a thread for it the next that is ready does. */
static void give_lead_locked(struct server *server)
{
	server->led = false;
	if (server->idle)
		(void)pthread_cond_signal(&server->turn);
	else if (server->count < server->max_threads && !server->ended &&
		 !start_thread(&server->threads[server->count], work, server))
		server->count++;
}

/* --- the leader --- */

static void wake_watcher(struct server *server)
{
	(void)pthread_mutex_lock(&server->lock);
	atomic_store(&server->watched, true);
	(void)pthread_cond_signal(&server->watch);
	(void)pthread_mutex_unlock(&server->lock);
}

/* What waits for the disk as a matter of course. */
static bool is_long(const struct fuse_buf *buf)
{
	struct fuse_in_header header;

	if (buf->flags & FUSE_BUF_IS_FD || buf->size < sizeof header)
		return false;
	memcpy(&header, buf->mem, sizeof header);
	return header.opcode == FUSE_FSYNC || header.opcode == FUSE_FSYNCDIR ||
	       header.opcode == FUSE_SYNCFS;
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

static int receive(struct server *server, struct fuse_buf *buf)
{
	int state, n;

	/* where the end finds us: anywhere else we hold something */
	(void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
	do
		n = fuse_session_receive_buf(server->session, buf);
	while (n == -EINTR);
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	return n;
}

static void end(struct server *server, int rc)
{
	(void)pthread_mutex_lock(&server->lock);
	server->ended = true;
	server->rc = server->rc ? server->rc : rc;
	(void)pthread_cond_broadcast(&server->turn);
	(void)pthread_mutex_unlock(&server->lock);
	(void)sem_post(&server->ended_sem); /* overflows never: once a thread */
}

static void lead(struct server *server, struct fuse_buf *buf)
{
	int n;

	do {
		n = receive(server, buf);
		if (n <= 0 || fuse_session_exited(server->session)) {
			fuse_session_exit(server->session);
			end(server, n);
			return;
		}
	} while (answer(server, buf));
}

static void free_buf(void *arg)
{
	free(((struct fuse_buf *)arg)->mem);
}

static void *work(void *arg)
{
	struct server *server = arg;
	struct fuse_buf buf = {.mem = NULL};
	int state;

	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_cleanup_push(free_buf, &buf);
	(void)pthread_mutex_lock(&server->lock);
	while (!server->ended) {
		if (server->led) {
			server->idle++;
			(void)pthread_cond_wait(&server->turn, &server->lock);
			server->idle--;
			continue;
		}
		server->led = true;
		(void)pthread_mutex_unlock(&server->lock);
		lead(server, &buf);
		(void)pthread_mutex_lock(&server->lock);
	}
	(void)pthread_mutex_unlock(&server->lock);
	pthread_cleanup_pop(1);
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
		(void)pthread_cancel(server->threads[i]);
	(void)pthread_mutex_unlock(&server->lock);
	for (unsigned i = 0; i < server->count; i++)
		(void)pthread_join(server->threads[i], NULL);
	(void)pthread_join(watcher, NULL);
}

static int run(struct server *server)
{
	pthread_t watcher;
	int rc = start_thread(&watcher, watch, server);

	if (rc < 0)
		return rc;
	(void)pthread_mutex_lock(&server->lock);
	rc = start_thread(&server->threads[0], work, server);
	server->count = !rc;
	(void)pthread_mutex_unlock(&server->lock);
	/* a signal's handler ends the session and this wait */
	while (!rc && !fuse_session_exited(server->session))
		(void)sem_wait(&server->ended_sem);
	stop(server, watcher);
	return rc ? rc : server->rc;
}

int serve_session(struct fuse_session *session, unsigned max_threads)
{
	struct server server = {
		.session = session,
		.max_threads = max_threads < 1                   ? 1
			       : max_threads > SERVE_THREADS_MAX ? SERVE_THREADS_MAX
								 : max_threads,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.turn = PTHREAD_COND_INITIALIZER,
		.watch = PTHREAD_COND_INITIALIZER,
	};

	if (sem_init(&server.ended_sem, 0, 0) < 0)
		return -errno;
	int rc = run(&server);
	(void)sem_destroy(&server.ended_sem); /* nobody waits any more */
	fuse_session_reset(session);
	return rc == -ENODEV ? 0 : rc; /* unmounted: the usual end */
}
