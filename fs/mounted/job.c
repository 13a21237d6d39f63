/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * job.c - see job.h.
 */
#include "fs/mounted/job.h"

#include <stdarg.h>
#include <stdio.h>

int job_explain(struct job *job, int rc, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(job->detail, sizeof job->detail, format, args); /* cut is good enough */
	va_end(args);
	return rc;
}
