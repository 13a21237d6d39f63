/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * status.c - see status.h.
 */
#include "fs/mounted/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "fs/base/clock.h"
#include "fs/mounted/figures.h"
#include "fs/mounted/snapshots.h"

/* Text that is put together by printing; at most one of these is at work in a function. */
struct text {
	char *data;
	size_t size;
	FILE *out; /* NULL: no memory */
};

static void text_init(struct text *text)
{
	*text = (struct text){.data = NULL};
	text->out = open_memstream(&text->data, &text->size);
}

/* The text, owned by the caller; NULL: no memory. */
static char *text_done(struct text *text)
{
	if (!text->out)
		return NULL;
	bool failed = ferror(text->out);
	failed = fclose(text->out) != 0 || failed;
	if (failed) {
		free(text->data);
		return NULL;
	}
	return text->data;
}

/* --- results --- */

char *status_last_command(const struct status *status)
{
	struct text text;

	text_init(&text);
	if (!text.out)
		return NULL;
	(void)pthread_mutex_lock(&status->commands->lock);
	const struct command_outcome *last = &status->commands->last;
	const char *colon = *last->detail ? ": " : "";
	if (!last->name)
		(void)fprintf(text.out, "no command yet\n");
	else if (last->rc)
		(void)fprintf(text.out, "%s: failed: %s%s%s\n", last->name, strerror(-last->rc),
			      colon, last->detail);
	else
		(void)fprintf(text.out, "%s: done%s%s\n", last->name, colon, last->detail);
	(void)pthread_mutex_unlock(&status->commands->lock);
	return text_done(&text);
}

static void print_time(FILE *out, const char *key, int64_t ns)
{
	char when[CLOCK_TEXT_SIZE];

	(void)fprintf(out, "%s %s\n", key, clock_text(ns, when));
}

/* The progress of a compaction, also of one in the background. */
static void print_compaction(const struct status *status, FILE *out)
{
	static const char *const phases[] = {"none", "copying", "publishing", "removing"};
	struct generation *generation = generations_hold(status->generations, NULL);
	struct dw_compact_progress progress;

	dw_compact_progress(volume_store(generation->volume), &progress);
	generations_drop(status->generations, generation);
	(void)fprintf(out, "compact.auto %s\ncompact.phase %s\n",
		      atomic_load(&status->commands->auto_compact) ? "on" : "off",
		      phases[progress.phase]);
	(void)fprintf(out, "compact.segments %" PRIu32 " of %" PRIu32 "\n", progress.segments_done,
		      progress.segments_total);
	(void)fprintf(out, "compact.bytes %" PRIu64 " of %" PRIu64 "\n", progress.bytes_done,
		      progress.bytes_total);
}

static void print_jobs(const struct status *status, FILE *out)
{
	const struct job *job;
	size_t count = 0;
	int64_t now = clock_realtime_ns();

	DL_COUNT(status->commands->jobs, job, count);
	(void)fprintf(out, "running %zu\n", count);
	count = 0;
	DL_FOREACH(status->commands->jobs, job)
	{
		count++;
		(void)fprintf(out, "running.%zu.command %s\n", count, job->name);
		(void)fprintf(out, "running.%zu.elapsed_ms %" PRId64 "\n", count,
			      (now - job->started_ns) / 1000000);
		(void)fprintf(out, "running.%zu.done_bytes %" PRIu64 "\n", count,
			      (uint64_t)atomic_load(&job->done_bytes));
		(void)fprintf(out, "running.%zu.total_bytes %" PRIu64 "\n", count,
			      (uint64_t)atomic_load(&job->total_bytes));
	}
}

static void print_last(const struct command_outcome *last, FILE *out)
{
	if (!last->name) {
		(void)fprintf(out, "last.command none\n");
		return;
	}
	(void)fprintf(out, "last.command %s\nlast.result %s\n", last->name,
		      last->rc ? "failed" : "done");
	if (last->rc)
		(void)fprintf(out, "last.error %s\n", strerrorname_np(-last->rc));
	if (*last->detail)
		(void)fprintf(out, "last.detail %s\n", last->detail);
	print_time(out, "last.finished", last->finished_ns);
	(void)fprintf(out, "last.duration_ms %" PRId64 "\n",
		      (last->finished_ns - last->started_ns) / 1000000);
}

/* How many there are; no line where that cannot be told. */
static void print_snapshots(const struct status *status, FILE *out)
{
	struct snapshot_name *names = NULL;
	size_t count = 0;

	if (snapshots_list(status->generations, &names, &count) < 0)
		return;
	(void)fprintf(out, "snapshots %zu\n", count);
	free(names);
}

char *status_text(const struct status *status)
{
	struct text text;

	text_init(&text);
	if (!text.out)
		return NULL;
	(void)fprintf(text.out, "version %s\npid %ld\nmode %s\n", DATAWALFS_VERSION, (long)getpid(),
		      status->read_only ? "ro" : "rw");
	print_time(text.out, "started", status->started_ns);
	print_snapshots(status, text.out);
	print_compaction(status, text.out);
	(void)pthread_mutex_lock(&status->commands->lock);
	print_jobs(status, text.out);
	print_last(&status->commands->last, text.out);
	(void)pthread_mutex_unlock(&status->commands->lock);
	return text_done(&text);
}

/* --- figures --- */

char *status_stats(const struct status *status)
{
	struct generation *generation = generations_hold(status->generations, NULL);
	char *json = figures_json(generation->volume, false), *text = NULL;

	generations_drop(status->generations, generation);
	if (json && asprintf(&text, "%s\n", json) < 0)
		text = NULL;
	free(json);
	return text;
}

static void print_daemon(const struct status *status, FILE *out)
{
	metrics_print_head(out, "datawalfs_build_info", "gauge", "Always 1.");
	(void)fprintf(out, "datawalfs_build_info{version=\"%s\"} 1\n", DATAWALFS_VERSION);
	metrics_print_one(out, "datawalfs_start_time_seconds", "gauge",
			  "When the store was mounted, in seconds since the epoch.",
			  (uint64_t)status->started_ns / 1000000000);
	metrics_print_one(out, "datawalfs_uptime_seconds", "gauge",
			  "How long the store is mounted.",
			  (uint64_t)(clock_realtime_ns() - status->started_ns) / 1000000000);
	metrics_print_one(out, "datawalfs_read_only", "gauge", "1 for a mount with -o ro.",
			  status->read_only);
}

static void print_commands(const struct status *status, FILE *out)
{
	static const char runs[] = "datawalfs_commands_total";
	static const char seconds[] = "datawalfs_command_duration_seconds_total";
	struct command_tally tallies[COMMANDS];
	const struct job *job;
	size_t running = 0;

	(void)pthread_mutex_lock(&status->commands->lock);
	DL_COUNT(status->commands->jobs, job, running);
	memcpy(tallies, status->commands->tallies, sizeof tallies);
	(void)pthread_mutex_unlock(&status->commands->lock);
	metrics_print_one(out, "datawalfs_commands_running", "gauge",
			  "Commands of the control file under way.", running);
	metrics_print_head(out, runs, "counter", "Commands that ended, by result.");
	for (size_t i = 0; i < COMMANDS; i++) {
		const char *name = command_names[i];
		(void)fprintf(out, "%s{command=\"%s\",result=\"done\"} %" PRIu64 "\n", runs, name,
			      tallies[i].done);
		(void)fprintf(out, "%s{command=\"%s\",result=\"failed\"} %" PRIu64 "\n", runs, name,
			      tallies[i].failed);
	}
	metrics_print_head(out, seconds, "counter", "How long they took, all together.");
	for (size_t i = 0; i < COMMANDS; i++)
		(void)fprintf(out, "%s{command=\"%s\"} %.9f\n", seconds, command_names[i],
			      (double)tallies[i].total_ns / 1e9);
}

char *status_metrics(const struct status *status)
{
	struct text text;

	text_init(&text);
	if (!text.out)
		return NULL;
	print_daemon(status, text.out);
	if (status->metrics)
		metrics_print(status->metrics, text.out);
	struct generation *generation = generations_hold(status->generations, NULL);
	figures_print(generation->volume, text.out);
	generations_drop(status->generations, generation);
	print_commands(status, text.out);
	return text_done(&text);
}
