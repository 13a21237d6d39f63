/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * job.h - a command that runs: its stores, its progress, its result.
 */
#ifndef FS_MOUNTED_JOB_H
#define FS_MOUNTED_JOB_H

#include <stdatomic.h>

#include "fs/volume/volume.h"

enum { JOB_TEXT_SIZE = 512 };

/* On the stack of the thread that runs it. */
struct job {
	struct job *prev, *next; /* of commands.jobs */
	struct commands *commands;
	struct volume *volume; /* held */
	const char *name;
	char *argument;
	int64_t started_ns;
	atomic_bool cancelled; /* it is to stop; calls of the store are cancelled separately */
	/* Progress: units done, and the total (0: not known). */
	atomic_uint_fast64_t done_bytes, total_bytes;
	char detail[JOB_TEXT_SIZE]; /* more about the result; "": nothing */
};

/* Say more about the result.  Returns `rc`. */
int job_explain(struct job *job, int rc, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
