/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * commands.c - see commands.h.
 *
 * A command is a function of a job.  Its progress shows in `status` meanwhile.
 */
#include "fs/mounted/commands.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "fs/attr/attr.h"
#include "fs/base/clock.h"
#include "fs/base/thread.h"

enum { COMMANDS_SIZE = PATH_MAX + 64, CANCEL_AGAIN_NS = 20000000 };

/* --- the commands --- */

/* Compaction in the background. */
static int set_auto(struct job *job, bool on)
{
	int rc = volume_maintain(job->volume, on ? &job->commands->maintain : NULL);

	atomic_store(&job->commands->auto_compact, on && !rc);
	return rc;
}

static int explain_compact(struct job *job, int rc, const struct dw_compact_report *report)
{
	char more[96] = "";

	if (report->room_needed) /* it fits */
		(void)snprintf(more, sizeof more,
			       "; the disk is full: with %" PRIu64
			       " bytes of room another one frees more",
			       report->room_needed);
	if (!rc)
		return job_explain(job, rc,
				   "%" PRIu32 " segments with %" PRIu64 " bytes became %" PRIu32
				   " with %" PRIu64 "%s",
				   report->segments_before, report->bytes_before,
				   report->segments_after, report->bytes_after, more);
	if (report->room_needed)
		return job_explain(
			job, rc,
			"nothing could be freed: make %" PRIu64
			" bytes of room, or unmount and copy what lives to another disk with "
			"'datawal compact STORE TARGET'",
			report->room_needed);
	return rc == -EBUSY ? job_explain(job, rc, "a compaction is under way") : rc;
}

static int run_compact(struct job *job)
{
	struct dw_compact_report report = {0};

	if (!strcmp(job->argument, "auto") || !strcmp(job->argument, "off"))
		return set_auto(job, *job->argument == 'a');
	if (*job->argument)
		return job_explain(job, -EINVAL, "compact, compact auto or compact off");
	int rc = dw_compact(volume_store(job->volume), &report);
	int attrs = rc ? 0 : volume_compact_attrs(job->volume);

	return attrs ? job_explain(job, attrs, "the values, but not '.attr'")
		     : explain_compact(job, rc, &report);
}

static int run_sync(struct job *job)
{
	int rc = volume_commit_all(job->volume);

	return rc ? rc : volume_sync(job->volume);
}

static int run_rotate(struct job *job)
{
	return dw_rotate(volume_store(job->volume));
}

static int run_verify(struct job *job)
{
	struct dw_verify_report report = {0};
	int rc = dw_verify(volume_store(job->volume), &report);

	if (!rc || rc == -EBADMSG)
		(void)job_explain(job, rc,
				  "%" PRIu64 " sound records of %" PRIu64 " bytes, %" PRIu64
				  " damaged places",
				  report.records, report.bytes, report.damaged);
	return rc;
}

static void cancel_jobs_locked(struct commands *commands)
{
	struct job *job = NULL;

	DL_FOREACH(commands->jobs, job)
	{
		atomic_store(&job->cancelled, true);
		volume_cancel(job->volume);
	}
}

static int run_cancel(struct job *job)
{
	(void)pthread_mutex_lock(&job->commands->lock);
	cancel_jobs_locked(job->commands); /* this one as well: its volume may be compacting */
	(void)pthread_mutex_unlock(&job->commands->lock);
	return 0;
}

static int run_export(struct job *job)
{
	return export_run(job, &job->commands->target);
}

static int run_reload(struct job *job)
{
	int rc = generations_reload(job->commands->generations);

	if (rc == -EINVAL)
		(void)job_explain(job, rc,
				  "a mount that writes is always up to date; this is for -o ro");
	return rc;
}

enum argument { ARGUMENT_NONE, ARGUMENT_NEEDED, ARGUMENT_OPTIONAL };

const char *const command_names[COMMANDS] = {"compact", "export", "sync",  "rotate",
					     "verify",  "reload", "cancel"};

/* In the order of their names. */
static const struct command {
	enum argument argument;
	/* 0 or -errno, with a word about it in job->detail. */
	int (*run)(struct job *job);
} table[COMMANDS] = {
	{ARGUMENT_OPTIONAL, run_compact}, {ARGUMENT_NEEDED, run_export},
	{ARGUMENT_NONE, run_sync},        {ARGUMENT_NONE, run_rotate},
	{ARGUMENT_NONE, run_verify},      {ARGUMENT_NONE, run_reload},
	{ARGUMENT_NONE, run_cancel},
};

/* --- a line --- */

static void set_last(struct commands *commands, const struct job *job, int rc)
{
	struct command_outcome *last = &commands->last;

	last->name = job->name;
	last->rc = rc;
	last->started_ns = job->started_ns;
	last->finished_ns = clock_realtime_ns();
	(void)snprintf(last->detail, sizeof last->detail, "%s", job->detail);
}

static int run_job(struct job *job, size_t index)
{
	struct commands *commands = job->commands;
	struct command_tally *tally = &commands->tallies[index];

	struct generation *generation = generations_hold(commands->generations, NULL);
	job->volume = generation->volume;
	(void)pthread_mutex_lock(&commands->lock);
	DL_APPEND(commands->jobs, job);
	int rc = commands->ending ? -ECANCELED : 0;
	(void)pthread_mutex_unlock(&commands->lock);
	int64_t started = clock_monotonic_ns();
	if (!rc)
		rc = table[index].run(job);
	int64_t took = clock_monotonic_ns() - started;
	(void)pthread_mutex_lock(&commands->lock);
	DL_DELETE(commands->jobs, job);
	set_last(commands, job, rc);
	*(rc ? &tally->failed : &tally->done) += 1;
	tally->total_ns += (uint64_t)took;
	(void)pthread_mutex_unlock(&commands->lock);
	generations_drop(commands->generations, generation);
	return rc;
}

/* No such command: that is the last result, too. */
static int refuse(struct job *job, const char *line)
{
	struct commands *commands = job->commands;

	(void)job_explain(
		job, -EINVAL,
		"commands are compact [auto|off], export NAME, sync, rotate, verify, cancel, "
		"reload");
	(void)pthread_mutex_lock(&commands->lock);
	(void)snprintf(commands->last.unknown, sizeof commands->last.unknown, "%s", line);
	job->name = commands->last.unknown;
	set_last(commands, job, -EINVAL);
	(void)pthread_mutex_unlock(&commands->lock);
	return -EINVAL;
}

static int run_line(struct commands *commands, char *line)
{
	char *argument = line + strcspn(line, " \t");

	if (*argument)
		*argument++ = '\0';
	argument += strspn(argument, " \t");
	struct job job = {
		.commands = commands,
		.argument = argument,
		.started_ns = clock_realtime_ns(),
	};
	for (size_t i = 0; i < COMMANDS; i++) {
		const struct command *command = &table[i];
		job.name = command_names[i];
		bool fits = command->argument == ARGUMENT_OPTIONAL ||
			    (command->argument == ARGUMENT_NEEDED) == (*argument != '\0');
		if (!strcmp(job.name, line) && fits)
			return run_job(&job, i);
	}
	return refuse(&job, line);
}

ssize_t commands_run(struct commands *commands, struct dw_bytes text)
{
	char lines[COMMANDS_SIZE], *rest = lines, *line;
	int rc = 0;

	if (text.size >= sizeof lines || memchr(text.data, '\0', text.size))
		return -EINVAL;
	memcpy(lines, text.data, text.size);
	lines[text.size] = '\0';
	while (!rc && (line = strsep(&rest, "\n"))) {
		line += strspn(line, " \t");
		if (*line)
			rc = run_line(commands, line);
	}
	return rc ? rc : (ssize_t)text.size;
}

/* --- in a thread of its own --- */

struct command_run {
	struct commands *commands;
	commands_done_fn *done;
	void *context;
	size_t size;
	char text[];
};

static void *run_in_thread(void *arg)
{
	struct command_run *run = arg;
	struct commands *commands = run->commands;

	run->done(run->context, commands_run(commands, (struct dw_bytes){run->text, run->size}));
	free(run);
	(void)pthread_mutex_lock(&commands->lock);
	if (!--commands->running)
		(void)pthread_cond_signal(&commands->idle);
	(void)pthread_mutex_unlock(&commands->lock);
	return NULL;
}

void commands_start(struct commands *commands, struct dw_bytes text, commands_done_fn *done,
		    void *context)
{
	struct command_run *run = malloc(sizeof *run + text.size);

	if (!run) {
		done(context, -ENOMEM);
		return;
	}
	*run = (struct command_run){commands, done, context, text.size};
	memcpy(run->text, text.data, text.size);
	(void)pthread_mutex_lock(&commands->lock);
	commands->running++;
	(void)pthread_mutex_unlock(&commands->lock);
	if (thread_start_detached(run_in_thread, run) < 0)
		(void)run_in_thread(run); /* no thread to be had: here, then */
}

/* --- life --- */

int commands_init(struct commands *commands)
{
	int rc = -pthread_mutex_init(&commands->lock, NULL);

	if (rc < 0)
		return rc;
	rc = -pthread_cond_init(&commands->idle, NULL);
	if (rc < 0)
		(void)pthread_mutex_destroy(&commands->lock);
	return rc;
}

void commands_end(struct commands *commands)
{
	(void)pthread_mutex_lock(&commands->lock);
	commands->ending = true;
	/* again and again: work that has not quite begun is not cancelled yet */
	while (commands->running) {
		const struct timespec at = attr_timespec(clock_realtime_ns() + CANCEL_AGAIN_NS);
		cancel_jobs_locked(commands);
		(void)pthread_cond_timedwait(&commands->idle, &commands->lock, &at); /* or later */
	}
	(void)pthread_mutex_unlock(&commands->lock);
}

void commands_release(struct commands *commands)
{
	(void)pthread_cond_destroy(&commands->idle); /* these fail only while one is in use */
	(void)pthread_mutex_destroy(&commands->lock);
}
