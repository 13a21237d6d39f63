/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_serve.c - the threads that answer requests, before a kernel of our own: a session is a
 * socket, a request a header with the number of the client that waits.
 *
 * The functions of libfuse that fs/fuse/serve.c calls are defined here, so no mount is needed.
 */
#include <errno.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "fs/fuse/serve.h"
#include "tests/support/check.h"
#include "tests/support/tasks.h"

enum { CLIENTS = 8, REQUESTS = 2000, THREADS = 6 };
enum { PLAIN = FUSE_GETATTR, SYNC = FUSE_FSYNC, HELD = FUSE_READ, SHORT = FUSE_LOOKUP };

struct fuse_session {
	int fd, kernel_fd;
	atomic_bool exited;
	sem_t replied[CLIENTS];
	sem_t let_go; /* requests that are held up wait for it */
	atomic_uint held;
	atomic_ulong answered;
	atomic_ulong empty_reads; /* by threads that poll */
};

struct request {
	struct fuse_in_header header;
};

static struct fuse_session session;

/* The sample that the next look returns, and those returned so far. */
static atomic_uint sight_processors, sight_runnable;
static atomic_ulong looks, looks_with_help, looks_without;

/* --- libfuse --- */

int fuse_session_fd(struct fuse_session *se)
{
	return se->fd;
}

int fuse_session_exited(struct fuse_session *se)
{
	return atomic_load(&se->exited);
}

void fuse_session_exit(struct fuse_session *se)
{
	atomic_store(&se->exited, true);
}

void fuse_session_reset(struct fuse_session *se)
{
	atomic_store(&se->exited, false);
}

int fuse_session_receive_buf(struct fuse_session *se, struct fuse_buf *buf)
{
	if (!buf->mem)
		buf->mem = malloc(sizeof(struct request));
	ssize_t n = read(se->fd, buf->mem, sizeof(struct request));
	if (n < 0 && errno == EAGAIN)
		atomic_fetch_add(&se->empty_reads, 1);
	if (n < 0)
		return -errno;
	if (!n) {
		fuse_session_exit(se);
		return 0;
	}
	buf->size = (size_t)n;
	return (int)n;
}

void fuse_session_process_buf(struct fuse_session *se, const struct fuse_buf *buf)
{
	struct request request;

	memcpy(&request, buf->mem, sizeof request);
	if (request.header.opcode == SHORT) {
		const struct timespec disk = {.tv_nsec = 100 * 1000};
		(void)nanosleep(&disk, NULL);
	} else if (request.header.opcode != PLAIN) {
		atomic_fetch_add(&se->held, 1);
		while (sem_wait(&se->let_go) < 0)
			;
		atomic_fetch_sub(&se->held, 1);
	}
	atomic_fetch_add(&se->answered, 1);
	(void)sem_post(&se->replied[request.header.unique]);
}

/* --- the kernel's side --- */

static void send_request(unsigned client, uint32_t opcode)
{
	const struct request request = {.header = {.opcode = opcode, .unique = client}};

	if (write(session.kernel_fd, &request, sizeof request) != sizeof request)
		abort(); /* CUnit is the main thread's only */
}

static void wait_reply(unsigned client)
{
	while (sem_wait(&session.replied[client]) < 0)
		;
}

static void look(const struct source *source, uint64_t *since, struct sight *sight)
{
	source_look(source, since, sight);
	sight->processors = atomic_load(&sight_processors);
	sight->runnable = atomic_load(&sight_runnable);
	sight->preempted = 0; /* by whatever this machine does beside */
	atomic_fetch_add(&looks, 1);
	if (sight->helped)
		atomic_fetch_add(&looks_with_help, 1);
	atomic_store(&looks_without, sight->helped ? 0 : atomic_load(&looks_without) + 1);
}

static void *serve(void *arg)
{
	const struct serve_options options = {.max_threads = THREADS, .look = look};

	(void)arg;
	return (void *)(intptr_t)serve_session(&session, &options);
}

static pthread_t start(unsigned processors, unsigned runnable)
{
	pthread_t server;
	int fds[2];

	atomic_store(&sight_processors, processors);
	atomic_store(&sight_runnable, runnable);
	atomic_store(&looks, 0);
	atomic_store(&looks_with_help, 0);
	atomic_store(&session.empty_reads, 0);
	atomic_store(&session.exited, false); /* a late signal may have set it */
	CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	session.fd = fds[0];
	session.kernel_fd = fds[1];
	for (int i = 0; i < CLIENTS; i++)
		CHECK_EQ(sem_init(&session.replied[i], 0, 0), 0);
	CHECK_EQ(sem_init(&session.let_go, 0, 0), 0);
	CHECK_EQ(pthread_create(&server, NULL, serve, NULL), 0);
	return server;
}

static void join_server(pthread_t server)
{
	void *rc;

	CHECK_EQ(pthread_join(server, &rc), 0);
	CHECK_EQ((intptr_t)rc, 0);
}

/* Unmounted. */
static void stop(pthread_t server)
{
	CHECK_EQ(shutdown(session.kernel_fd, SHUT_WR), 0);
	join_server(server);
	(void)close(session.fd);
	(void)close(session.kernel_fd);
}

/* --- clients --- */

struct client {
	pthread_t thread;
	unsigned number;
	atomic_bool *until; /* NULL: REQUESTS times */
	int depth;          /* requests at once */
	uint32_t opcode;
};

static void *be_client(void *arg)
{
	struct client *client = arg;

	for (int i = 0; client->until ? !atomic_load(client->until) : i < REQUESTS; i++) {
		for (int n = 0; n < client->depth; n++)
			send_request(client->number, client->opcode);
		for (int n = 0; n < client->depth; n++)
			wait_reply(client->number);
	}
	return NULL;
}

static void start_clients(struct client clients[], unsigned count, uint32_t opcode, int depth,
			  atomic_bool *until)
{
	for (unsigned i = 0; i < count; i++) {
		clients[i].number = i;
		clients[i].until = until;
		clients[i].depth = depth;
		clients[i].opcode = opcode;
		CHECK_EQ(pthread_create(&clients[i].thread, NULL, be_client, &clients[i]), 0);
	}
}

static void join_clients(struct client clients[], unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		CHECK_EQ(pthread_join(clients[i].thread, NULL), 0);
}

/* Alone, among neighbours, with few and with many processors. */
static void test_each_request_is_answered(void)
{
	static const unsigned scales[][3] = {{1, 1, 1},       {2, 1, 1},       {2, 1, 2},
					     {4, 1, CLIENTS}, {4, 9, CLIENTS}, {2, 2, CLIENTS},
					     {64, 1, CLIENTS}};
	struct client clients[CLIENTS];

	for (unsigned i = 0; i < sizeof scales / sizeof *scales; i++) {
		unsigned long before = atomic_load(&session.answered);
		pthread_t server = start(scales[i][0], scales[i][1]);
		start_clients(clients, scales[i][2], PLAIN, 1, NULL);
		join_clients(clients, scales[i][2]);
		CHECK_EQ(atomic_load(&session.answered) - before, REQUESTS * scales[i][2]);
		CHECK(atomic_load(&looks) > 0);
		stop(server);
	}
}

static void wait_held(unsigned count)
{
	while (atomic_load(&session.held) != count)
		(void)sched_yield();
}

/* One after the other is held up; all others are answered meanwhile. */
static void hold(uint32_t opcode, unsigned processors)
{
	pthread_t server = start(processors, 1);

	for (unsigned i = 1; i < THREADS; i++) {
		send_request(i, opcode);
		wait_held(i);
		for (int n = 0; n < 300; n++) {
			send_request(0, PLAIN);
			wait_reply(0);
		}
	}
	for (unsigned i = 1; i < THREADS; i++)
		(void)sem_post(&session.let_go);
	for (unsigned i = 1; i < THREADS; i++)
		wait_reply(i);
	stop(server);
}

static void test_others_are_answered_during_a_sync(void)
{
	hold(SYNC, 1);
	hold(SYNC, 8);
}

static void test_others_are_answered_during_a_cold_read(void)
{
	hold(HELD, 1);
	hold(HELD, 8);
}

/* All threads are held up: the first that is done leads. */
static void test_all_threads_are_held_up(void)
{
	pthread_t server = start(8, 1);

	for (unsigned i = 0; i < CLIENTS; i++)
		send_request(i, i % 2 ? SYNC : HELD);
	wait_held(THREADS);
	for (unsigned i = 0; i < CLIENTS; i++)
		(void)sem_post(&session.let_go);
	for (unsigned i = 0; i < CLIENTS; i++)
		wait_reply(i);
	stop(server);
}

/* With a queue that is hardly ever empty. */
static void test_helpers_come_and_leave(void)
{
	struct tasks others = tasks_list();
	atomic_bool until = false;
	struct client clients[CLIENTS];
	pthread_t server = start(4, 1);

	start_clients(clients, CLIENTS, PLAIN, 20, &until);
	while (atomic_load(&looks_with_help) < 3)
		(void)sched_yield();
	/* others want the processors */
	atomic_store(&sight_runnable, 9);
	atomic_store(&looks_without, 0);
	while (atomic_load(&looks_without) < 50)
		(void)sched_yield();
	/* and want them no more */
	atomic_store(&sight_runnable, 1);
	unsigned long before = atomic_load(&looks_with_help);
	while (atomic_load(&looks_with_help) < before + 3)
		(void)sched_yield();
	atomic_store(&until, true);
	join_clients(clients, CLIENTS);
	CHECK(tasks_wait_idle(&others));
	CHECK(tasks_waiting_for_input(&others) <= 1);
	stop(server);
}

/* Each request waits for a disk, too briefly for the watcher: so they wait at once. */
static void test_helpers_share_short_waits(void)
{
	atomic_bool until = false;
	struct client clients[CLIENTS];
	pthread_t server = start(4, 1);

	start_clients(clients, CLIENTS, SHORT, 1, &until);
	while (atomic_load(&looks_with_help) < 3)
		(void)sched_yield();
	atomic_store(&until, true);
	join_clients(clients, CLIENTS);
	stop(server);
}

/* Soon after the last request nothing runs at all, though the leader polled for it. */
static void test_idle_takes_no_time(void)
{
	struct tasks others = tasks_list(); /* this one, and a sanitizer's */
	pthread_t server = start(2, 1);

	while (!atomic_load(&session.empty_reads)) {
		send_request(0, PLAIN);
		wait_reply(0);
	}
	CHECK(tasks_wait_idle(&others));
	CHECK(tasks_waiting_for_input(&others) <= 1);
	stop(server);
}

/* --- the end --- */

static void end_session(int number)
{
	(void)number;
	fuse_session_exit(&session);
}

static void test_a_signal_ends_it(void)
{
	static const struct sigaction action = {.sa_handler = end_session};
	struct client clients[1];

	CHECK_EQ(sigaction(SIGUSR2, &action, NULL), 0);
	for (unsigned processors = 1; processors < 4; processors++) {
		pthread_t server = start(processors, 1);
		void *rc;
		start_clients(clients, 1, PLAIN, 1, NULL);
		join_clients(clients, 1);
		/* one that comes just before it waits is not seen, as in libfuse */
		do {
			(void)pthread_kill(server, SIGUSR2);
			(void)sched_yield();
		} while (pthread_tryjoin_np(server, &rc) == EBUSY);
		CHECK_EQ((intptr_t)rc, 0);
		(void)close(session.fd);
		(void)close(session.kernel_fd);
	}
}

/* In the middle of requests, with helpers. */
static void test_an_unmount_ends_it(void)
{
	for (int round = 0; round < 50; round++) {
		pthread_t server = start(4, 1);
		for (unsigned i = 0; i < CLIENTS; i++)
			for (int n = 0; n < 20; n++)
				send_request(i, PLAIN);
		stop(server);
	}
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"serve_each_request_is_answered", test_each_request_is_answered},
		{"serve_others_are_answered_during_a_sync", test_others_are_answered_during_a_sync},
		{"serve_others_are_answered_during_a_cold_read",
		 test_others_are_answered_during_a_cold_read},
		{"serve_all_threads_are_held_up", test_all_threads_are_held_up},
		{"serve_helpers_come_and_leave", test_helpers_come_and_leave},
		{"serve_helpers_share_short_waits", test_helpers_share_short_waits},
		{"serve_a_signal_ends_it", test_a_signal_ends_it},
		{"serve_an_unmount_ends_it", test_an_unmount_ends_it},
		{"serve_idle_takes_no_time", test_idle_takes_no_time},
		{NULL, NULL},
	};

	return check_main(argc, argv, tests);
}
