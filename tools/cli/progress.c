/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * progress.c - see progress.h.
 */
#include "tools/cli/progress.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/common/clock.h"
#include "tools/common/thread.h"

enum { FIRST_MS = 500, EVERY_MS = 100, BAR_WIDTH = 24 };
static const int64_t MS = 1000000;

void progress_begin(struct progress *progress, const struct args *args, uint64_t total)
{
	*progress = (struct progress){
		.on = !args->quiet && isatty(STDERR_FILENO),
		.what = args->command->name,
		.total = total,
		.begun_ns = clock_monotonic_ns(),
	};
	progress->drawn_ns = progress->begun_ns;
}

static void draw(struct progress *progress, uint64_t done, double elapsed)
{
	char bar[BAR_WIDTH + 1], rate[FORMAT_SIZE], left[FORMAT_SIZE] = "-";
	double part = progress->total ? (double)done / (double)progress->total : 0;

	part = part > 1 ? 1 : part;
	memset(bar, '.', BAR_WIDTH);
	memset(bar, '#', (size_t)(part * BAR_WIDTH));
	bar[BAR_WIDTH] = '\0';
	format_size((uint64_t)((double)done / elapsed), rate);
	if (part > 0)
		format_duration((uint64_t)(elapsed / part - elapsed + 0.5), left);
	/* a bar that cannot be drawn is no failure */
	(void)fprintf(stderr, "\r%s [%s] %3.0f %%  %s/s  %s left \033[K", progress->what, bar,
		      100 * part, rate, left);
	(void)fflush(stderr);
}

void progress_at(struct progress *progress, uint64_t done)
{
	if (!progress->on)
		return;
	int64_t now = clock_monotonic_ns(), elapsed = now - progress->begun_ns;
	if (elapsed < FIRST_MS * MS || now - progress->drawn_ns < EVERY_MS * MS)
		return;
	draw(progress, done, (double)elapsed / 1e9);
	progress->drawn_ns = now;
	progress->shown = true;
}

void progress_end(struct progress *progress)
{
	if (progress->shown)
		(void)fputs("\r\033[K", stderr); /* a bar that stays is no failure */
	progress->on = progress->shown = false;
}

/* --- watching a directory --- */

static uint64_t size_of_files(const char *directory, const char *part)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	uint64_t size = 0;
	struct stat st;

	while (dir && (entry = readdir(dir)))
		if (strstr(entry->d_name, part) && !fstatat(dirfd(dir), entry->d_name, &st, 0))
			size += (uint64_t)st.st_size;
	if (dir)
		(void)closedir(dir); /* nothing was written through it */
	return size;
}

static void *watch_thread(void *context)
{
	struct progress_watch *watch = context;

	(void)pthread_mutex_lock(&watch->lock);
	while (!watch->stop) {
		struct timespec at = clock_timespec(clock_realtime_ns() + EVERY_MS * MS);
		(void)pthread_cond_timedwait(&watch->stopped, &watch->lock, &at); /* or timed out */
		if (!watch->stop)
			progress_at(&watch->progress, size_of_files(watch->directory, watch->part));
	}
	(void)pthread_mutex_unlock(&watch->lock);
	return NULL;
}

void progress_watch_begin(struct progress_watch *watch, const struct args *args,
			  const char *directory, const char *part, uint64_t total)
{
	*watch = (struct progress_watch){
		.directory = directory,
		.part = part,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.stopped = PTHREAD_COND_INITIALIZER,
	};
	progress_begin(&watch->progress, args, total);
	if (watch->progress.on) /* without a thread there is no bar, that is all */
		watch->running = !thread_start(&watch->thread, watch_thread, watch);
}

void progress_watch_end(struct progress_watch *watch)
{
	if (watch->running) {
		(void)pthread_mutex_lock(&watch->lock);
		watch->stop = true;
		(void)pthread_cond_signal(&watch->stopped);
		(void)pthread_mutex_unlock(&watch->lock);
		(void)pthread_join(watch->thread, NULL); /* it runs: cannot fail */
	}
	progress_end(&watch->progress);
}
