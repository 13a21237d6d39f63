/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * files.h - whole directories of small files, read, copied and compared.
 *
 * Regular files of one directory, not below it.  Any error ends the test.
 */
#ifndef SUPPORT_FILES_H
#define SUPPORT_FILES_H

#include "base/buf.h"
#include "tests/support/check.h"

struct file_image {
	char name[256];
	struct buf data;
};

struct files {
	struct file_image *items; /* by name; owned */
	size_t count;
};

struct buf files_read(int dirfd, const char *path);
void files_write(int dirfd, const char *path, const void *data, size_t size);
struct files files_snapshot(const char *dir);
struct files files_clone(const struct files *files);
void files_restore(const struct files *files, const char *dir);
bool files_equal(const struct files *a, const struct files *b);
/* Leave out the file of that name, if there is one. */
void files_drop(struct files *files, const char *name);
/* Remove the files of `dir` whose name ends so. */
void files_remove_suffixed(const char *dir, const char *suffix);
/* Leave out all whose name ends so. */
void files_drop_suffixed(struct files *files, const char *suffix);
void files_release(struct files *files);
void files_copy(const char *from, const char *to);
/* How many names in `dir` hold `part`. */
int files_count_suffixed(const char *dir, const char *part);

#endif
