/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * export.h - the command `export NAME`: the store as JSON lines in a file.
 *
 * The daemon may write where the caller may not, and cannot judge a path for it: the
 * caller may live in another root, mount namespace or user namespace.  So the caller
 * chooses a name and nothing else.  The directory is the operator's: a descriptor,
 * opened when the daemon started, or `.export` in the store.  Nothing here may follow
 * a link, or look up a path that the caller gave.
 */
#ifndef FS_MOUNTED_EXPORT_H
#define FS_MOUNTED_EXPORT_H

#include "fs/mounted/job.h"

/* In the store's directory; no reader of a store looks at it. */
#define EXPORT_DIRECTORY ".export"

struct export_target {
	int fd; /* of the directory; -1: the store's own, EXPORT_DIRECTORY */
	/* Its absolute path, and the same as the operator gave it or NULL: only for texts, and
	 * to recognise NAME in an absolute path. */
	const char *path, *given;
	const char *control; /* the name of the control directory, for texts */
};

/* Write the file that job->argument names.  0 or -errno. */
int export_run(struct job *job, const struct export_target *target);

#endif
