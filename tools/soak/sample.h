/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * sample.h - the figures over time: soak.csv, and lines on stdout.
 */
#ifndef TOOLS_SOAK_SAMPLE_H
#define TOOLS_SOAK_SAMPLE_H

#include <stdio.h>
#include <sys/types.h>

#include "tools/soak/oracle.h"

extern const char sample_columns[]; /* the first line of the CSV */

/* The path of the CSV; owned by the caller. */
char *sample_path(const struct config *config);

/* Begin the CSV, its directory made if missing.  0, or SOAK_SETUP after a message. */
int sample_open(const struct config *config, FILE **ret);

/* Write a row and a line about the process that has the store open.
 * 0, or SOAK_VIOLATED after a message. */
int sample_write(FILE *csv, uint64_t elapsed_s, pid_t pid, const char *store,
		 const struct oracle *oracle);

/* The segment files in the directory. */
unsigned sample_segments(const char *store);

/* Make a directory and those above it.  0, or SOAK_SETUP after a message. */
int directory_make(const char *path);

#endif
