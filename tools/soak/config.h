/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * config.h - what a run is to do: options and environment.
 */
#ifndef TOOLS_SOAK_CONFIG_H
#define TOOLS_SOAK_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

enum { STREAM_SMALL, STREAM_MEDIUM, STREAM_LARGE, STREAMS };

enum soak_task { TASK_RUN, TASK_FIXTURES, TASK_PLOT, TASK_HELP, TASK_VERSION };

struct config {
	enum soak_task task;
	const char *file; /* TASK_FIXTURES: the directory; TASK_PLOT: the SVG */
	bool bare;        /* without arguments */
	bool real, via_mount;
	bool online;         /* compact in place; false: compact_to, swap, reopen */
	uint64_t seed;       /* all choices come from it */
	uint64_t kill_every; /* operations; 0: never */
	uint64_t operations; /* end after so many; UINT64_MAX: by the clock only */
	uint64_t duration_s;
	uint64_t rotate_every;            /* operations */
	uint64_t compact_every_rotations; /* at least 1 */
	uint64_t progress_s;
	const char *log_dir;
	char *work_dir;              /* owned */
	const char *inputs[STREAMS]; /* of --mode real */
	char *daemon;                /* owned; a path, or a name to look for in PATH */
};

/* Fill in from the command line and the environment.
 * 0, or SOAK_SETUP after a message that names the option or variable. */
int config_init(struct config *config, int argc, char **argv);
void config_release(struct config *config);

void config_print_help(void);

#endif
