/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * attrscene.h - a scenario of values and their attributes, and the state of each file as a line:
 * name, type, mode, owner, group, xattr and value.
 *
 * Any error ends the test.
 */
#ifndef SUPPORT_ATTRSCENE_H
#define SUPPORT_ATTRSCENE_H

#include <stdbool.h>

#include "disk/io.h"
#include "fs/volume/volume.h"
#include "tests/support/files.h"

enum { ATTRSCENE_LINES_MAX = 64, ATTRSCENE_LINE_SIZE = 200 };

struct attrscene_lines {
	char text[ATTRSCENE_LINES_MAX][ATTRSCENE_LINE_SIZE];
	int count;
};

/* All files of a volume, the root first. */
struct attrscene_lines attrscene_describe(struct volume *v);
bool attrscene_has(const struct attrscene_lines *lines, const char *text);
/* Whether a line may show between two states though it is in neither. */
bool attrscene_may_show(const char *line, int op);

/* Do operation `i` of the scenario.  False: there are no more. */
bool attrscene_operate(struct volume *v, int i, int *rc_ret);

struct attrscene_moment {
	struct files files, attrs;
	int op; /* the operation during which it was taken */
};

/* The path of the store of attributes. */
void attrscene_attr_dir(const char *dir, char ret[256]);
/* Mount a copy of the files, restored to a fresh directory. */
struct volume *attrscene_mount(const struct attrscene_moment *s);
/* Mount by `io`; log lines are checked for leftovers. */
struct volume *attrscene_mount_io(struct io *io, const char *dir, uint64_t segment_size);
/* Old names of a renamed directory could not be removed, and a log line said so. */
extern bool attrscene_left_over;

#endif
