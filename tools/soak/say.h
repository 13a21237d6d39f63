/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * say.h - messages, exit statuses, and memory that is there or ends the run.
 */
#ifndef TOOLS_SOAK_SAY_H
#define TOOLS_SOAK_SAY_H

#include <stddef.h>

#include "datawal.h"

enum soak_status {
	SOAK_CLEAN = 0,
	SOAK_VIOLATED = 1, /* the store or the mount broke its word, or a call failed */
	SOAK_SETUP = 2,    /* the run could not begin */
};

/* "soak: set-up error: ..." on stderr.  Returns SOAK_SETUP. */
int soak_setup_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "soak: failed: ..." on stderr.  Returns SOAK_VIOLATED. */
int soak_failed(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "soak: ..." on stderr. */
void soak_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Like asprintf(3), calloc(3); owned by the caller.  Without memory they end the
 * process with SOAK_SETUP. */
char *soak_text(const char *format, ...) __attribute__((format(printf, 1, 2)));
void *soak_alloc(size_t count, size_t size);
void soak_out_of_memory(void) __attribute__((noreturn));

/* A finding of the store, as a note.  Torn tails are what a kill leaves: no note. */
void soak_on_finding(void *context, const struct dw_finding *finding);

#endif
