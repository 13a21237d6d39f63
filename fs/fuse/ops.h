/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * ops.h - requests of the kernel, each turned into one call and one reply.
 */
#ifndef FS_FUSE_OPS_H
#define FS_FUSE_OPS_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>
#include <stdatomic.h>

#include "fs/mounted/control.h"
#include "fs/mounted/ending.h"
#include "fs/mounted/generation.h"
#include "fs/mounted/metrics.h"

/* The user data of the session. */
struct mount {
	struct fuse_session *session;
	struct generations *generations;
	struct control *control; /* NULL: there is none */
	struct metrics *metrics;
	bool read_only;
	const char *store_path; /* absolute */
	struct ending ending;
	uint64_t init_unique; /* of the kernel's first request; 0: it was not there yet */
	atomic_bool init_answered;
	bool direct;                  /* the kernel lets files past its pages be mapped, too */
	void (*ready)(void *context); /* called once, when the kernel got its first answer */
	void *context;
};

/* The table for the session: each request is measured, and finds the volume that it is
 * about. */
const struct fuse_lowlevel_ops *ops_table_watched(void);

/* Have the kernel forget what it knows of the root of `old`, whose place another volume
 * took (generations_config.changed).  `mount` is a struct mount. */
void ops_forget_volume(void *mount, struct volume *old);

/* Have the kernel forget what nobody uses of volumes that shall go.  Not from a request:
 * this waits for others. */
void ops_forget_left(struct mount *mount);

#endif
