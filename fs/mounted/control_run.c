/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * control_run.c - commands: reading them, running them, and how they ended.
 *
 * A command is a function of a job.  What it tells of its progress is seen in
 * `status` meanwhile.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "fs/base/clock.h"
#include "fs/base/thread.h"
#include "fs/mounted/control_internal.h"

enum { COMMANDS_SIZE = PATH_MAX + 64 };

/* --- the commands --- */

/* Compaction in the background. */
static int set_auto(struct job *job, bool on)
{
	int rc = volume_maintain(job->volume, on ? &job->control->maintain : NULL);

	atomic_store(&job->control->auto_compact, on && !rc);
	return rc;
}

static int run_compact(struct job *job)
{
	struct dw_compact_report report = {0};

	if (!strcmp(job->argument, "auto") || !strcmp(job->argument, "off"))
		return set_auto(job, *job->argument == 'a');
	if (*job->argument) {
		(void)snprintf(job->detail, TEXT_SIZE, "compact, compact auto or compact off");
		return -EINVAL;
	}
	int rc = dw_compact(volume_store(job->volume), &report);
	int attrs = rc ? 0 : volume_compact_attrs(job->volume);

	if (attrs)
		(void)snprintf(job->detail, TEXT_SIZE, "the values, but not '.attr'");
	else if (!rc)
		(void)snprintf(job->detail, TEXT_SIZE,
			       "%" PRIu32 " segments with %" PRIu64 " bytes became %" PRIu32
			       " with %" PRIu64,
			       report.segments_before, report.bytes_before, report.segments_after,
			       report.bytes_after);
	else if (report.room_needed)
		(void)snprintf(
			job->detail, TEXT_SIZE,
			"nothing could be freed: make %" PRIu64
			" bytes of room, or unmount and copy what lives to another disk with "
			"'datawal compact STORE TARGET'",
			report.room_needed);
	else if (rc == -EBUSY)
		(void)snprintf(job->detail, TEXT_SIZE, "a compaction is under way");
	return rc ? rc : attrs;
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
		(void)snprintf(job->detail, TEXT_SIZE,
			       "%" PRIu64 " sound records of %" PRIu64 " bytes, %" PRIu64
			       " damaged places",
			       report.records, report.bytes, report.damaged);
	return rc;
}

void control_cancel_jobs(struct control *control)
{
	struct job *job = NULL;

	DL_FOREACH(control->jobs, job)
	{
		atomic_store(&job->cancelled, true);
		volume_cancel(job->volume);
	}
}

static int run_cancel(struct job *job)
{
	(void)pthread_mutex_lock(&job->control->lock);
	control_cancel_jobs(job->control); /* this one as well: its volume may be compacting */
	(void)pthread_mutex_unlock(&job->control->lock);
	return 0;
}

static int run_reload(struct job *job)
{
	int rc = generations_reload(job->control->generations);

	if (rc == -EINVAL)
		(void)snprintf(job->detail, TEXT_SIZE,
			       "a mount that writes is always up to date; this is for -o ro");
	return rc;
}

const struct command control_commands[COMMANDS] = {
	{"compact", ARGUMENT_OPTIONAL, run_compact},
	{"export", ARGUMENT_NEEDED, control_run_export},
	{"sync", ARGUMENT_NONE, run_sync},
	{"rotate", ARGUMENT_NONE, run_rotate},
	{"verify", ARGUMENT_NONE, run_verify},
	{"reload", ARGUMENT_NONE, run_reload},
	{"cancel", ARGUMENT_NONE, run_cancel},
};

/* --- a line --- */

static void set_last(struct control *control, const struct job *job, int rc)
{
	struct outcome *last = &control->last;

	last->name = job->name;
	last->rc = rc;
	last->started_ns = job->started_ns;
	last->finished_ns = clock_realtime_ns();
	(void)snprintf(last->detail, sizeof last->detail, "%s", job->detail);
}

static int run_job(struct job *job, size_t index)
{
	struct control *control = job->control;
	struct tally *tally = &control->tallies[index];

	struct generation *generation = generations_hold(control->generations, NULL);
	job->volume = generation->volume;
	(void)pthread_mutex_lock(&control->lock);
	DL_APPEND(control->jobs, job);
	int rc = control->ending ? -ECANCELED : 0;
	(void)pthread_mutex_unlock(&control->lock);
	int64_t started = clock_monotonic_ns();
	if (!rc)
		rc = control_commands[index].run(job);
	int64_t took = clock_monotonic_ns() - started;
	(void)pthread_mutex_lock(&control->lock);
	DL_DELETE(control->jobs, job);
	set_last(control, job, rc);
	*(rc ? &tally->failed : &tally->done) += 1;
	tally->total_ns += (uint64_t)took;
	(void)pthread_mutex_unlock(&control->lock);
	generations_drop(control->generations, generation);
	return rc;
}

/* No such command: that is the last result, too. */
static int refuse(struct job *job, const char *line)
{
	struct control *control = job->control;

	(void)snprintf(
		job->detail, sizeof job->detail,
		"commands are compact [auto|off], export NAME, sync, rotate, verify, cancel, "
		"reload");
	(void)pthread_mutex_lock(&control->lock);
	(void)snprintf(control->last.unknown, sizeof control->last.unknown, "%s", line);
	job->name = control->last.unknown;
	set_last(control, job, -EINVAL);
	(void)pthread_mutex_unlock(&control->lock);
	return -EINVAL;
}

static int run_line(struct control *control, char *line)
{
	char *argument = line + strcspn(line, " \t");

	if (*argument)
		*argument++ = '\0';
	argument += strspn(argument, " \t");
	struct job job = {
		.control = control,
		.argument = argument,
		.started_ns = clock_realtime_ns(),
	};
	for (size_t i = 0; i < COMMANDS; i++) {
		const struct command *command = &control_commands[i];
		job.name = command->name;
		bool fits = command->argument == ARGUMENT_OPTIONAL ||
			    (command->argument == ARGUMENT_NEEDED) == (*argument != '\0');
		if (!strcmp(command->name, line) && fits)
			return run_job(&job, i);
	}
	return refuse(&job, line);
}

ssize_t control_write(struct control *control, struct control_file *file,
		      const struct volume_cred *caller, const char *data, size_t size)
{
	char text[COMMANDS_SIZE], *rest = text, *line;
	int rc = 0;

	if (file->id != CONTROL_COMMANDS)
		return -EACCES;
	/* a program with more rights that was given the file as its output */
	if (caller->uid != file->opener.uid || caller->gid != file->opener.gid)
		return -EPERM;
	if (size >= sizeof text || memchr(data, '\0', size))
		return -EINVAL;
	memcpy(text, data, size);
	text[size] = '\0';
	while (!rc && (line = strsep(&rest, "\n"))) {
		line += strspn(line, " \t");
		if (*line)
			rc = run_line(control, line);
	}
	return rc ? rc : (ssize_t)size;
}

/* --- in a thread of its own --- */

struct command_run {
	struct control *control;
	struct control_file *file;
	struct volume_cred caller;
	control_done_fn *done;
	void *context;
	size_t size;
	char data[];
};

static void *run_command(void *arg)
{
	struct command_run *run = arg;
	struct control *control = run->control;
	ssize_t n = control_write(control, run->file, &run->caller, run->data, run->size);

	run->done(run->context, n);
	free(run);
	(void)pthread_mutex_lock(&control->lock);
	if (!--control->running)
		(void)pthread_cond_signal(&control->idle);
	(void)pthread_mutex_unlock(&control->lock);
	return NULL;
}

void control_start(struct control *control, struct control_file *file,
		   const struct volume_cred *caller, const char *data, size_t size,
		   control_done_fn *done, void *context)
{
	struct command_run *run = malloc(sizeof *run + size);

	if (!run) {
		done(context, -ENOMEM);
		return;
	}
	*run = (struct command_run){control, file, *caller, done, context, size};
	memcpy(run->data, data, size);
	(void)pthread_mutex_lock(&control->lock);
	control->running++;
	(void)pthread_mutex_unlock(&control->lock);
	if (thread_start_detached(run_command, run) < 0)
		(void)run_command(run); /* no thread to be had: here, then */
}
