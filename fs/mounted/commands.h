/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * commands.h - the commands of the control file: reading, running and cancelling them, and their
 * results.
 *
 * Any thread may make any call.
 */
#ifndef FS_MOUNTED_COMMANDS_H
#define FS_MOUNTED_COMMANDS_H

#include <pthread.h>

#include "fs/mounted/export.h"
#include "fs/mounted/generation.h"

enum { COMMANDS = 7 };
extern const char *const command_names[COMMANDS];

/* How a command ended. */
struct command_outcome {
	const char *name; /* NULL: there was none yet.  A static string, or `unknown` */
	char unknown[64];
	int rc;
	int64_t started_ns, finished_ns;
	char detail[JOB_TEXT_SIZE];
};

/* Of all runs of a command. */
struct command_tally {
	uint64_t done, failed, total_ns;
};

struct commands {
	struct generations *generations; /* outlives it */
	struct export_target target;
	struct dw_maintain_options maintain; /* compaction in the background */
	atomic_bool auto_compact;            /* it is on */
	pthread_mutex_t lock;                /* of what follows */
	bool ending;                         /* no command begins any more */
	struct job *jobs;                    /* those that run, oldest first */
	struct command_outcome last;
	struct command_tally tallies[COMMANDS];
	unsigned running;    /* threads */
	pthread_cond_t idle; /* `running` is 0 */
};

/* The fields above the lock are the caller's to set, the rest is 0.  0 or -errno. */
int commands_init(struct commands *commands);
/* Cancel the running command (-ECANCELED) and wait for it; a later one is -ECANCELED as well. */
void commands_end(struct commands *commands);
/* After commands_end(). */
void commands_release(struct commands *commands);

/* Run the commands in `text`, a line each.  Its size, or the first failing command's error, after
 * which none runs.  -EINVAL: no such command. */
ssize_t commands_run(struct commands *commands, struct dw_bytes text);

/* The same in a thread of its own, so that commands may lead back to the mount itself; `done` is
 * called once, here or there, with the result.  `text` is copied. */
typedef void commands_done_fn(void *context, ssize_t result);
void commands_start(struct commands *commands, struct dw_bytes text, commands_done_fn *done,
		    void *context);

#endif
