/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * control_internal.h - what the files of the control directory share.
 */
#ifndef FS_MOUNTED_CONTROL_INTERNAL_H
#define FS_MOUNTED_CONTROL_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "fs/mounted/control.h"

enum { TEXT_SIZE = 512 };

/* A command that runs; on its own thread's stack. */
struct job {
	struct job *prev, *next; /* of control.jobs */
	struct control *control;
	struct volume *volume; /* held */
	const char *name;
	char *argument;
	int64_t started_ns;
	atomic_bool cancelled; /* it is to stop; what the stores do is told to them */
	/* Progress: what was worked through, and of how much (0: nobody knows). */
	atomic_uint_fast64_t done_bytes, total_bytes;
	char detail[TEXT_SIZE]; /* more about the result; "": nothing */
};

/* 0 or -errno, with a word about it in job->detail. */
typedef int job_fn(struct job *job);

enum argument { ARGUMENT_NONE, ARGUMENT_NEEDED, ARGUMENT_OPTIONAL };

struct command {
	const char *name;
	enum argument argument;
	job_fn *run;
};

enum { COMMANDS = 7 };
extern const struct command control_commands[COMMANDS];

/* How a command ended. */
struct outcome {
	const char *name; /* NULL: there was none yet.  A static string, or `unknown` */
	char unknown[64];
	int rc;
	int64_t started_ns, finished_ns;
	char detail[TEXT_SIZE];
};

/* Of all runs of a command. */
struct tally {
	uint64_t done, failed, total_ns;
};

struct control {
	struct generations *generations;
	struct metrics *metrics;
	char *name; /* owned */
	int export_fd;
	const char *export_path, *export_given; /* see control_config */
	uid_t uid;                              /* the mount's owner */
	gid_t gid;
	bool read_only;
	int64_t started_ns;
	struct dw_maintain_options maintain; /* compaction in the background */
	atomic_bool auto_compact;            /* it is on */
	pthread_mutex_t lock;                /* of what follows */
	bool ending;                         /* no command begins any more */
	struct job *jobs;                    /* those that run, oldest first */
	struct outcome last;
	struct tally tallies[COMMANDS];
	struct control_file *open; /* all that are */
	unsigned running;          /* writes in threads */
	pthread_cond_t idle;       /* `running` is 0 */
};

struct control_file {
	struct control_file *prev, *next; /* of control.open */
	uint64_t id;
	struct volume_cred opener;
	char *text; /* owned; what reading gives */
	size_t text_size;
	struct dw_export *export;
	struct generation *generation; /* held for `export`; NULL */
	uint64_t exported;             /* bytes given out */
};

/* Have the jobs that run stop soon.  control.lock is held. */
void control_cancel_jobs(struct control *control);

/* What the files hold; the caller frees it.  NULL: no memory. */
char *control_last_text(struct control *control);
char *control_status_text(struct control *control);
char *control_metrics_text(struct control *control);
char *control_stats_text(struct control *control);

/* The command `export NAME`. */
int control_run_export(struct job *job);

#endif
