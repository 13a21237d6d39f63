/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * holds.h - stores that are opened while a finding may come, and their files: removed, locked.
 *
 * The last finding is kept in one place: one test at a time.  Any error ends the test.
 */
#ifndef SUPPORT_HOLDS_H
#define SUPPORT_HOLDS_H

#include "datawal.h"

/* The last finding, and the host that it names, "" without one. */
extern struct dw_finding holds_found;
extern char holds_found_host[128];

/* Creates; keeps findings.  A rotation checks the segment as well, so segments are large enough
 * that none happens by itself. */
extern const struct dw_options holds_options;

struct dw_store *holds_open(const char *dir);
/* The result of opening, closed again. */
int holds_try(const char *dir);

/* Unlink the files of `dir` with `part` in their name. */
void holds_remove_files(const char *dir, const char *part);
/* Whether another descriptor has locked the file with flock(2). */
bool holds_is_locked(const char *dir, const char *name);

#endif
