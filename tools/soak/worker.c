/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * worker.c - see worker.h.
 */
#include "tools/soak/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/common/thread.h"
#include "tools/soak/check.h"
#include "tools/soak/say.h"

/* A key is read back in between at each operation of this remainder. */
enum { READ_EVERY = 16, READ_AT = 7, SALT_READ = 100, WHEN_SIZE = 64 };

/* A compaction under way beside the work. */
struct compaction {
	struct backend *backend;
	pthread_t thread;
	bool running;
	int result;
};

struct loop {
	struct worker *worker;
	struct compaction compaction;
	void *value; /* room for the largest */
};

/* --- failing --- */

static int call_failed(const struct worker *worker, const char *what, int rc)
{
	progress_await_kill(worker->progress);
	return soak_failed("operation %" PRIu64 ": %s: %s", worker->oracle->operations, what,
			   strerror(-rc));
}

/* --- compaction --- */

static void *compact(void *context)
{
	struct compaction *compaction = context;

	compaction->result = compaction->backend->ops->compact(compaction->backend);
	return NULL;
}

static int finish_compaction(struct loop *loop)
{
	struct compaction *compaction = &loop->compaction;

	if (!compaction->running)
		return 0;
	compaction->running = false;
	int rc = -pthread_join(compaction->thread, NULL);
	if (!rc)
		rc = compaction->result;
	return rc ? call_failed(loop->worker, "compaction", rc) : 0;
}

static int begin_compaction(struct loop *loop)
{
	struct compaction *compaction = &loop->compaction;
	int rc = finish_compaction(loop);

	if (rc)
		return rc;
	if (!compaction->backend->config->online) {
		(void)compact(compaction);
		return compaction->result
			       ? call_failed(loop->worker, "compaction", compaction->result)
			       : 0;
	}
	rc = thread_start(&compaction->thread, compact, compaction);
	compaction->running = !rc;
	return rc ? call_failed(loop->worker, "starting a thread", rc) : 0;
}

/* --- operations --- */

static void ask_to_be_killed(const struct worker *worker)
{
	char word = WORKER_KILL_ME;

	/* without a supervisor there is no process to ask */
	(void)!write(worker->socket, &word, 1);
}

static int change(struct loop *loop, const struct step *step)
{
	struct worker *worker = loop->worker;
	struct backend *backend = &worker->backend;
	int rc;

	if (!step->record) {
		rc = backend->ops->remove(backend, step->slot);
		return rc ? call_failed(worker, "delete", rc) : 0;
	}
	value_build(step->record, step->operation + 1, loop->value);
	rc = backend->ops->put(backend, step,
			       (struct dw_bytes){loop->value, step->record->payload.size});
	return rc ? call_failed(worker, "put", rc) : 0;
}

static int maintain(struct loop *loop, const struct step *step)
{
	struct worker *worker = loop->worker;
	struct backend *backend = &worker->backend;
	int rc;

	if (step->syncs) {
		rc = backend->ops->sync(backend, step);
		if (rc)
			return call_failed(worker, "sync", rc);
		atomic_store(&worker->progress->synced, step->operation + 1);
	}
	if (step->rotates) {
		rc = backend->ops->rotate(backend);
		if (rc)
			return call_failed(worker, "rotation", rc);
	}
	if (!step->compacts)
		return 0;
	if (step->operation == worker->kill_at)
		ask_to_be_killed(worker);
	return begin_compaction(loop);
}

static int read_back(const struct worker *worker, uint64_t operation)
{
	const struct oracle *oracle = worker->oracle;
	char when[WHEN_SIZE];
	const struct check check = {
		.backend = (struct backend *)&worker->backend,
		.oracle = oracle,
		.progress = worker->progress,
		.when = when,
	};

	(void)snprintf(when, sizeof when, "after operation %" PRIu64, operation);
	return check_slot(
		&check,
		&oracle->slots[oracle_random(oracle, operation, SALT_READ) % oracle->count]);
}

static int do_operation(struct loop *loop)
{
	struct worker *worker = loop->worker;
	struct progress *progress = worker->progress;
	struct step step;

	oracle_next(worker->oracle, &step);
	/* a kill that is meant for a compaction waits until it begins */
	if (step.operation == worker->kill_at && !step.compacts)
		ask_to_be_killed(worker);
	atomic_store(&progress->started, step.operation + 1);
	int rc = change(loop, &step);
	if (rc)
		return rc;
	oracle_apply(worker->oracle, &step);
	/* acknowledged operations count from here, whatever happens to the rest */
	atomic_store(&progress->done, step.operation + 1);
	rc = maintain(loop, &step);
	if (!rc && step.operation % READ_EVERY == READ_AT && !atomic_load(&progress->killing))
		rc = read_back(worker, step.operation);
	return rc;
}

static size_t largest_value(const struct oracle *oracle)
{
	size_t largest = 0;

	for (int i = 0; i < STREAMS; i++)
		for (size_t j = 0; j < oracle->streams[i].count; j++)
			if (oracle->streams[i].records[j].payload.size > largest)
				largest = oracle->streams[i].records[j].payload.size;
	return largest;
}

/* Until told to stop, or after the last operation. */
static int work(struct worker *worker)
{
	const struct oracle *oracle = worker->oracle;
	struct progress *progress = worker->progress;
	struct loop loop = {
		.worker = worker,
		.compaction = {.backend = &worker->backend},
		.value = soak_alloc(largest_value(oracle), 1),
	};
	int rc = 0;

	while (!rc && !atomic_load(&progress->stop) &&
	       oracle->operations < oracle->config->operations)
		rc = do_operation(&loop);
	int finished = finish_compaction(&loop);
	free(loop.value);
	return rc ? rc : finished;
}

/* The supervisor takes its last look while the store is open. */
static void say_finished(const struct worker *worker)
{
	char word = WORKER_FINISHED;

	if (write(worker->socket, &word, 1) == 1)
		(void)!read(worker->socket, &word, 1); /* or it is gone */
}

/* --- checks --- */

/* Whatever operation was under way when the last worker was killed is done again. */
static int compare(struct worker *worker)
{
	const struct progress *progress = worker->progress;
	struct step next;
	char when[WHEN_SIZE] = "at the end";

	oracle_next(worker->oracle, &next);
	if (!worker->check_only)
		(void)snprintf(when, sizeof when, "after kill %" PRIu64 " at operation %" PRIu64,
			       worker->kills, next.operation);
	const struct check check = {
		.backend = &worker->backend,
		.oracle = worker->oracle,
		.progress = progress,
		.in_flight = atomic_load(&progress->started) > next.operation ? &next : NULL,
		.when = when,
	};
	return check_store(&check);
}

static int verify(struct worker *worker)
{
	int rc = worker->backend.ops->verify(&worker->backend);

	return rc ? soak_failed("at the end: the log does not verify: %s", strerror(-rc)) : 0;
}

static int work_and_sync(struct worker *worker)
{
	struct backend *backend = &worker->backend;
	/* the number of the operation decides only how a mount is synced */
	const struct step last = {.operation = worker->oracle->operations};
	int rc = work(worker);

	if (rc)
		return rc;
	say_finished(worker);
	rc = backend->ops->sync(backend, &last);
	if (rc)
		return call_failed(worker, "the last sync", rc);
	atomic_store(&worker->progress->synced, worker->oracle->operations);
	return 0;
}

int worker_run(struct worker *worker)
{
	struct backend *backend = &worker->backend;
	int rc = backend->ops->open(backend);

	if (rc)
		return soak_failed("operation %" PRIu64 ": the store cannot be opened: %s",
				   worker->oracle->operations, strerror(-rc));
	int status = compare(worker);
	if (!status)
		status = worker->check_only ? verify(worker) : work_and_sync(worker);
	rc = backend->ops->close(backend);
	if (rc && !status)
		status = soak_failed("closing the store: %s", strerror(-rc));
	return status;
}
