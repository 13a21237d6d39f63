/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fail.c - saying what went wrong, and the exit status for it.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "tools/cli/tool.h"

int fail(const struct args *args, int status, const char *format, ...)
{
	va_list list;

	(void)fprintf(stderr, "datawal: %s%s", args->command ? args->command->name : "",
		      args->command ? ": " : "");
	va_start(list, format);
	(void)vfprintf(stderr, format, list);
	va_end(list);
	(void)fputc('\n', stderr);
	return status;
}

const char *read_error(int rc)
{
	/* a network disk forgets a file with its name, though it is open here */
	if (rc == -ESTALE)
		return "a segment was removed while it was read, as by a compaction on another "
		       "machine: what came before is sound, but is not all; try again";
	return strerror(-rc);
}

int status_of(int rc)
{
	return rc == -EBADMSG || rc == -EIO ? STATUS_HARD : STATUS_USER;
}
