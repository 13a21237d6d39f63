/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * run.c - see run.h.
 *
 * The supervisor.  It makes the store and never opens it again: a worker does, a child process,
 * so that a kill is a real one and the figures are those of the process that has the store open
 * (through a mount: of the daemon).  The supervisor keeps time, takes the samples, kills, moves its
 * oracle on by the operations that the dead worker had acknowledged, and starts the next
 * worker, which inherits the oracle and compares.  At the end the store is opened anew,
 * and once more by the library if it was mounted.
 */
#include "tools/soak/run.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/common/clock.h"
#include "tools/soak/daemon.h"
#include "tools/soak/load.h"
#include "tools/soak/sample.h"
#include "tools/soak/say.h"
#include "tools/soak/workdir.h"
#include "tools/soak/worker.h"

/* Every third kill is aimed at a compaction, if one comes soon, but at no two in a row:
 * one has to end.  Delays put the kill somewhere into what the worker does after it
 * asked. */
enum { COMPACTION_KILLS = 3, KILL_DELAY_US = 3000, COMPACTION_KILL_DELAY_US = 20000 };
enum { COMPACTION_SOON = 1000000 }; /* operations */
enum { SALT_KILL_AT = 200, SALT_KILL_DELAY };
enum { POLL_MS = 200 };

/* How a worker ended, besides the statuses of soak_status. */
enum { WORKER_WAS_KILLED = 100 };

struct run {
	const struct config *config;
	struct paths paths;
	struct stream streams[STREAMS];
	struct oracle oracle;
	struct progress *progress; /* shared with the worker */
	FILE *csv;
	int64_t start_ns;
	uint64_t next_sample_s, kill_at, kills, compaction_kills;
	pid_t worker, daemon; /* 0: none */
	int socket;           /* to the worker */
};

static volatile sig_atomic_t interrupted;

static void on_signal(int signal)
{
	interrupted = signal;
}

static uint64_t elapsed_s(const struct run *run)
{
	return (uint64_t)(clock_monotonic_ns() - run->start_ns) / 1000000000;
}

/* --- workers --- */

static _Noreturn void be_worker(struct run *run, const struct backend_ops *ops, bool check_only,
				int socket)
{
	struct worker worker = {
		.backend = {.ops = ops,
			    .config = run->config,
			    .paths = &run->paths,
			    .oracle = &run->oracle,
			    .root_fd = -1},
		.oracle = &run->oracle,
		.progress = run->progress,
		.socket = socket,
		.kill_at = run->kill_at,
		.kills = run->kills,
		.check_only = check_only,
	};

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* cannot fail for a valid signal */
	/* the supervisor decides when it ends */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	exit(worker_run(&worker));
}

/* 0, or SOAK_VIOLATED after a message. */
static int start_worker(struct run *run, const struct backend_ops *ops, bool check_only)
{
	int sockets[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
		return soak_failed("no socket pair: %s", strerror(errno));
	atomic_store(&run->progress->killing, false);
	(void)fflush(NULL); /* or the child would print it again */
	run->worker = fork();
	if (!run->worker) {
		(void)close(sockets[0]);
		be_worker(run, ops, check_only, sockets[1]);
	}
	(void)close(sockets[1]);
	run->socket = sockets[0];
	if (run->worker > 0)
		return 0;
	(void)close(sockets[0]);
	run->worker = 0;
	return soak_failed("no process for the work: %s", strerror(errno));
}

/* Wait for the end of the worker.  Its status, WORKER_WAS_KILLED, or SOAK_VIOLATED after
 * a message. */
static int reap_worker(struct run *run)
{
	int status = 0;

	while (waitpid(run->worker, &status, 0) < 0 && errno == EINTR)
		;
	run->worker = 0;
	(void)close(run->socket);
	oracle_advance(&run->oracle, atomic_load(&run->progress->done));
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	if (WTERMSIG(status) == SIGKILL && atomic_load(&run->progress->killing))
		return WORKER_WAS_KILLED;
	return soak_failed("the worker was ended by signal %d (%s) at operation %" PRIu64,
			   WTERMSIG(status), strsignal(WTERMSIG(status)), run->oracle.operations);
}

static void kill_worker(struct run *run)
{
	atomic_store(&run->progress->killing, true);
	if (run->daemon) {
		daemon_kill(&run->paths, run->daemon);
		run->daemon = 0;
	}
	(void)kill(run->worker, SIGKILL); /* gone is fine */
}

/* --- kills --- */

static bool compacts_at(const struct run *run, uint64_t operation)
{
	const struct config *config = run->config;

	return (operation + 1) % config->rotate_every == 0 &&
	       (operation + 1) / config->rotate_every % config->compact_every_rotations == 0;
}

/* An odd one, so that the next is left alone. */
static bool may_be_aimed_at(const struct run *run, uint64_t operation)
{
	uint64_t rotations = (operation + 1) / run->config->rotate_every;

	return compacts_at(run, operation) &&
	       rotations / run->config->compact_every_rotations % 2 == 1;
}

/* Choose the operation at which the next worker asks to be killed. */
static void choose_kill(struct run *run)
{
	const struct oracle *oracle = &run->oracle;
	uint64_t every = run->config->kill_every;

	run->kill_at = UINT64_MAX;
	if (!every)
		return;
	/* between 1 and 2N - 1, in the mean N */
	uint64_t wait = 1 + oracle_random(oracle, run->kills, SALT_KILL_AT) % (2 * every - 1);
	run->kill_at = oracle->operations + wait;
	if (run->kills % COMPACTION_KILLS != COMPACTION_KILLS - 1)
		return;
	const uint64_t end = run->kill_at + COMPACTION_SOON;
	while (run->kill_at < end && !may_be_aimed_at(run, run->kill_at))
		run->kill_at++;
}

static void do_kill(struct run *run)
{
	bool compacts = compacts_at(run, run->kill_at);
	uint64_t us = oracle_random(&run->oracle, run->kills, SALT_KILL_DELAY) %
		      (compacts ? COMPACTION_KILL_DELAY_US : KILL_DELAY_US);

	clock_sleep_us((int64_t)us);
	kill_worker(run);
	run->kills++;
	run->compaction_kills += compacts;
}

/* --- watching --- */

static int sample(struct run *run)
{
	oracle_advance(&run->oracle, atomic_load(&run->progress->done));
	return sample_write(run->csv, elapsed_s(run), run->daemon ? run->daemon : run->worker,
			    run->paths.store, &run->oracle);
}

static int on_word(struct run *run, char word)
{
	if (word == WORKER_KILL_ME) {
		do_kill(run);
		return 0;
	}
	int rc = sample(run);
	(void)!write(run->socket, &word, 1); /* a worker that is gone is seen next */
	return rc;
}

/* Do the actions that are due by the clock. */
static int on_time(struct run *run)
{
	uint64_t now_s = elapsed_s(run);

	if (now_s >= run->config->duration_s || interrupted)
		atomic_store(&run->progress->stop, true);
	if (run->daemon && daemon_died(&run->paths, run->daemon)) {
		run->daemon = 0;
		return SOAK_VIOLATED;
	}
	if (now_s < run->next_sample_s || atomic_load(&run->progress->stop))
		return 0;
	run->next_sample_s =
		now_s + (run->config->progress_s < UINT64_MAX - now_s ? run->config->progress_s
								      : UINT64_MAX - now_s);
	return sample(run);
}

/* Until the worker ended.  As reap_worker(). */
static int watch_worker(struct run *run)
{
	for (;;) {
		struct pollfd fd = {.fd = run->socket, .events = POLLIN};
		char word = 0;
		/* while a worker is dying there are no figures */
		int rc = atomic_load(&run->progress->killing) ? 0 : on_time(run);
		int ready = rc ? 0 : poll(&fd, 1, POLL_MS);
		if (ready > 0 && read(run->socket, &word, 1) != 1)
			return reap_worker(run);
		if (ready > 0)
			rc = on_word(run, word);
		if (rc) {
			kill_worker(run);
			(void)reap_worker(run); /* it is not what went wrong */
			return rc;
		}
	}
}

/* Mount, if the run does, and let a worker work. */
static int run_worker(struct run *run, bool check_only)
{
	bool mounts = run->config->via_mount;

	if (mounts && daemon_start(run->config->daemon, &run->paths, &run->daemon) < 0)
		return run->kills || check_only ? SOAK_VIOLATED : SOAK_SETUP;
	int rc = start_worker(run, mounts ? &backend_mount : &backend_library, check_only);
	if (!rc)
		rc = watch_worker(run);
	if (run->daemon && daemon_stop(&run->paths, run->daemon) < 0 && !rc)
		rc = SOAK_VIOLATED;
	run->daemon = 0;
	return rc;
}

/* Open the store anew and compare; then by the library, if that was through a mount. */
static int check_at_end(struct run *run)
{
	run->kill_at = UINT64_MAX;
	int rc = run_worker(run, true);
	if (rc || !run->config->via_mount)
		return rc;
	rc = start_worker(run, &backend_library, true);
	return rc ? rc : watch_worker(run);
}

/* --- a run --- */

static void say_beginning(const struct run *run)
{
	const struct config *config = run->config;

	printf("soak: mode=%s via=%s compact=%s duration=%" PRIu64 "s work_dir=%s log=%s/soak.csv\n"
	       "soak: seed=%" PRIu64 "\n"
	       "soak: streams loaded small=%zu medium=%zu large=%zu\n",
	       config->real ? "real" : "synthetic", config->via_mount ? "mount" : "library",
	       config->online ? "online" : "swap", config->duration_s, run->paths.store,
	       config->log_dir, config->seed, run->streams[STREAM_SMALL].count,
	       run->streams[STREAM_MEDIUM].count, run->streams[STREAM_LARGE].count);
}

static void say_clean(const struct run *run)
{
	const struct oracle *oracle = &run->oracle;
	const struct counters *c = &oracle->counters;

	printf("soak: clean exit; final_keys=%zu final_segments=%u puts=%" PRIu64
	       " deletes=%" PRIu64 " rotates=%" PRIu64 " compacts=%" PRIu64
	       " bytes_written=%" PRIu64 " kills=%" PRIu64 " kills_in_compaction=%" PRIu64
	       " digest=%016" PRIx64 "\n",
	       oracle->live_count, sample_segments(run->paths.store), c->puts, c->deletes,
	       c->rotates, c->compacts, c->bytes_written, run->kills, run->compaction_kills,
	       oracle_digest(oracle));
}

static int work(struct run *run)
{
	int rc;

	say_beginning(run);
	run->start_ns = clock_monotonic_ns();
	run->next_sample_s = run->config->progress_s;
	do {
		choose_kill(run);
		rc = run_worker(run, false);
	} while (rc == WORKER_WAS_KILLED);
	if (!rc)
		rc = check_at_end(run);
	if (!rc)
		say_clean(run);
	else if (rc != SOAK_SETUP)
		soak_note("seed=%" PRIu64 "; the store is left in '%s'", run->config->seed,
			  run->paths.store);
	return rc;
}

static int prepare(struct run *run)
{
	int rc = streams_load(run->config, run->streams);

	if (rc)
		return rc;
	oracle_init(&run->oracle, run->config, run->streams);
	if (run->config->via_mount)
		rc = backend_name_slots(&run->oracle);
	if (!rc)
		rc = sample_open(run->config, &run->csv);
	if (!rc)
		rc = workdir_claim(run->config->work_dir, &run->paths);
	if (rc)
		return rc;
	run->progress = mmap(NULL, sizeof *run->progress, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (run->progress == MAP_FAILED) {
		run->progress = NULL;
		soak_out_of_memory();
	}
	return 0;
}

int soak_run(const struct config *config)
{
	const struct sigaction action = {.sa_handler = on_signal};
	struct run run = {.config = config};

	daemon_adopt();
	(void)setvbuf(stdout, NULL, _IOLBF, 0); /* else lines come late */
	if (config->bare)
		printf("soak: about to work on a store in '%s' for %" PRIu64
		       " s and to check it then; interrupt it to end earlier; "
		       "'datawal-soak --help' tells what else it does\n",
		       config->work_dir, config->duration_s);
	/* these fail only for invalid signals */
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	int rc = prepare(&run);
	if (!rc)
		rc = work(&run);
	if (run.csv && fclose(run.csv) && !rc)
		rc = soak_failed("soak.csv cannot be written: %s", strerror(errno));
	if (run.progress)
		(void)munmap(run.progress, sizeof *run.progress); /* fails only for bad addresses */
	workdir_release(&run.paths);
	oracle_release(&run.oracle);
	streams_release(run.streams);
	return rc;
}
