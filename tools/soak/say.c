/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * say.c - see say.h.
 */
#include "tools/soak/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* One write for a line: worker and supervisor share the terminal. */
static void say(const char *prefix, const char *format, va_list args)
{
	char line[4096];
	int size = snprintf(line, sizeof line, "soak: %s", prefix);

	(void)vsnprintf(line + size, sizeof line - (size_t)size, format, args); /* cut is fine */
	(void)fprintf(stderr, "%s\n", line); /* there is nowhere else to say it */
}

int soak_setup_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say("setup error: ", format, args);
	va_end(args);
	return SOAK_SETUP;
}

int soak_failed(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say("failed: ", format, args);
	va_end(args);
	return SOAK_VIOLATED;
}

void soak_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say("", format, args);
	va_end(args);
}

void soak_out_of_memory(void)
{
	exit(soak_setup_error("out of memory"));
}

char *soak_text(const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	int size = vasprintf(&text, format, args);
	va_end(args);
	if (size < 0)
		soak_out_of_memory();
	return text;
}

void *soak_alloc(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size ? size : 1);

	if (!p)
		soak_out_of_memory();
	return p;
}

void soak_on_finding(void *context, const struct dw_finding *finding)
{
	char text[512];

	(void)context;
	if (finding->kind == DW_FINDING_TORN_TAIL || finding->kind == DW_FINDING_QUARANTINED ||
	    finding->kind == DW_FINDING_LOCAL_LOCKS)
		return;
	(void)dw_finding_text(finding, text, sizeof text); /* cut is good enough */
	soak_note("the store reports: %s", text);
}
