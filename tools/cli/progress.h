/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * progress.h - a bar with rate and time left, for long work on a terminal.
 *
 * Only on a stderr that is a terminal, never with --quiet, and not before half a
 * second has passed: short work shows nothing, a pipe or a file never gets any of it.
 */
#ifndef TOOLS_CLI_PROGRESS_H
#define TOOLS_CLI_PROGRESS_H

#include <pthread.h>
#include <stdint.h>

#include "tools/cli/tool.h"

struct progress {
	bool on, shown;
	const char *what; /* the caller's */
	uint64_t total;   /* bytes; 0: not known */
	int64_t begun_ns, drawn_ns;
};

void progress_begin(struct progress *progress, const struct args *args, uint64_t total);
/* `done` of `total` bytes; cheap enough to be called for each record. */
void progress_at(struct progress *progress, uint64_t done);
/* Take the bar away. */
void progress_end(struct progress *progress);

/* The bar of a call that says nothing until it is done: a thread looks how large the files
 * in a directory have become. */
struct progress_watch {
	struct progress progress;
	const char *directory, *part; /* files whose names hold `part` */
	pthread_t thread;
	bool running, stop; /* `stop`: under `lock` */
	pthread_mutex_t lock;
	pthread_cond_t stopped;
};

void progress_watch_begin(struct progress_watch *watch, const struct args *args,
			  const char *directory, const char *part, uint64_t total);
void progress_watch_end(struct progress_watch *watch);

#endif
