/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * control.h - the control directory: commands and figures as files.
 *
 * It stands in the root under a name that is no key's, is found by that name and
 * left out of listings.  Its nodes have ids of their own, which no address of a
 * node can be.  Reading ends with EOF, changes nothing and never waits for a
 * command; a write to `control` returns when the command is done.
 */
#ifndef FS_MOUNTED_CONTROL_H
#define FS_MOUNTED_CONTROL_H

#include "fs/mounted/status.h"

struct control;
struct control_file;

enum control_id {
	CONTROL_DIR = 2,
	CONTROL_COMMANDS,
	CONTROL_EXPORT,
	CONTROL_METRICS,
	CONTROL_SNAPSHOTS, /* a directory; its entries come from fs/mounted/snapshots.h */
	CONTROL_STATS,
	CONTROL_STATUS,
	CONTROL_IDS_END,
};

/* Whether a node id is one of these. */
static inline bool control_owns(uint64_t id)
{
	return id >= CONTROL_DIR && id < CONTROL_IDS_END;
}

struct control_config {
	struct generations *generations;     /* outlives the control directory; so does: */
	struct metrics *metrics;             /* NULL: none of requests */
	const char *name;                    /* of the directory in the root */
	struct dw_maintain_options maintain; /* settings of `compact auto` */
	bool maintained;                     /* it was done already */
	/* The directory that `export NAME` writes to, outlives the control directory; -1: the
	 * store's own, EXPORT_DIRECTORY.  Then its absolute path, and the same as the
	 * operator gave it or NULL: only for texts, and to recognise NAME in an absolute path. */
	int export_fd;
	const char *export_path, *export_given;
};

/* Whether a directory may have this name: one that no key's component is shown as,
 * however it is quoted (fs/name/name.h). */
bool control_name_is_valid(const char *name);

int control_new(const struct control_config *config, struct control **ret);
/* Cancel commands that run (-ECANCELED), and wait for them; none begins any more.  NULL is fine.
 * A reload has the kernel forget names, so requests must be answered meanwhile. */
void control_end(struct control *control);
/* control_end(), and close what is still open.  NULL is fine. */
void control_free(struct control *control);

const char *control_name(const struct control *control);

/* The id of a name in the control directory; 0: none. */
uint64_t control_find(const char *name);
/* The names in it, from `index` 0; NULL at the end. */
const char *control_entry(size_t index, uint64_t *id_ret);

int control_getattr(struct control *control, uint64_t id, struct stat *ret);

/* Whether a user may do the things reserved for root and the mount's owner: 0 or -EACCES. */
int control_admits(const struct control *control, uid_t uid);

/* -EACCES unless the caller is root or the mount's owner. */
int control_open(struct control *control, uint64_t id, int flags, const struct volume_cred *caller,
		 struct control_file **ret);
/* Sequential for export.jsonl: -ESPIPE elsewhere. */
ssize_t control_read(struct control_file *file, void *ret, size_t size, uint64_t offset);
/* Run `commands`, a line each; all of it is taken, or the first failing command's error is
 * returned.  -EINVAL: no such command; -EPERM: the caller is not the one that opened the file
 * (and handed it to a program that may do more). */
ssize_t control_write(struct control_file *file, const struct volume_cred *caller,
		      struct dw_bytes commands);
/* The same in a thread of its own, so that commands may lead back to the mount itself; `done` is
 * called once, here or there, with the result.  `commands` are copied. */
void control_start(struct control_file *file, const struct volume_cred *caller,
		   struct dw_bytes commands, commands_done_fn *done, void *context);
void control_close(struct control_file *file);

#endif
