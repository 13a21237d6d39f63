/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * control.h - the control directory: commands and figures as files.
 *
 * It stands in the root under a name that is no key's, is found by that name and
 * left out of listings.  Its nodes have ids of their own, which no address of a
 * node can be.  Reading ends with EOF and never blocks; a write to `control`
 * returns when the command is done.
 */
#ifndef FS_CONTROL_H
#define FS_CONTROL_H

#include "fs/volume.h"

struct control;
struct control_file;

enum control_id {
	CONTROL_DIR = 2,
	CONTROL_COMMANDS,
	CONTROL_EXPORT,
	CONTROL_STATS,
	CONTROL_IDS_END,
};

/* Whether a node id is one of these. */
static inline bool control_owns(uint64_t id)
{
	return id >= CONTROL_DIR && id < CONTROL_IDS_END;
}

/* `name`: of the directory in the root.  `mountpoint`: absolute; files below it are no
 * target for an export, since the daemon would wait for itself. */
int control_new(struct volume *volume, const char *name, const char *mountpoint,
		struct control **ret);
/* Waits for commands that run, and closes what is still open. */
void control_free(struct control *control);

const char *control_name(const struct control *control);

/* The id of a name in the control directory; 0: none. */
uint64_t control_find(const char *name);
/* The names in it, from `index` 0; NULL at the end. */
const char *control_entry(size_t index, uint64_t *id_ret);

int control_getattr(struct control *control, uint64_t id, struct stat *ret);

/* -EACCES unless `cred` is root or the mount's owner. */
int control_open(struct control *control, uint64_t id, int flags, const struct volume_cred *cred,
		 struct control_file **ret);
/* Sequential for export.jsonl: -ESPIPE elsewhere. */
ssize_t control_read(struct control *control, struct control_file *file, void *ret, size_t size,
		     uint64_t offset);
/* Run the commands in `data`, a line each; all of it is taken, or the first failing
 * command's error is returned.  -EINVAL: no such command. */
ssize_t control_write(struct control *control, struct control_file *file, const char *data,
		      size_t size);
void control_close(struct control *control, struct control_file *file);

/* control_write() in a thread of its own, so that commands may lead back to the mount
 * itself; `done` is called once, here or there, with its result.  `data` is copied. */
typedef void control_done_fn(void *context, ssize_t result);
void control_start(struct control *control, struct control_file *file, const char *data,
		   size_t size, control_done_fn *done, void *context);

#endif
