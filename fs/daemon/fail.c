/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fail.c - see fail.h.
 */
#include "fs/daemon/fail.h"

#include <stdarg.h>
#include <stdio.h>

int fail(const char *format, ...)
{
	va_list args;

	(void)fputs("datawalfs: ", stderr);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
	return 1;
}
