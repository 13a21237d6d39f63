/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * status.h - what the files of the control directory say.
 */
#ifndef FS_MOUNTED_STATUS_H
#define FS_MOUNTED_STATUS_H

#include "fs/mounted/commands.h"
#include "fs/mounted/metrics.h"

/* The sources of the texts; all of them outlive this. */
struct status {
	struct generations *generations;
	struct commands *commands;
	struct metrics *metrics; /* NULL: none of requests */
	bool read_only;
	int64_t started_ns;
};

/* Texts; the caller frees them.  NULL: no memory. */
char *status_last_command(const struct status *status);
char *status_text(const struct status *status);
char *status_metrics(const struct status *status);
char *status_stats(const struct status *status);

#endif
