/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * ops.h - requests of the kernel, each turned into one call and one reply.
 */
#ifndef FS_OPS_H
#define FS_OPS_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include "fs/control.h"
#include "fs/volume.h"

/* The user data of the session. */
struct mount {
	struct fuse_session *session;
	struct volume *volume;
	struct control *control;      /* NULL: there is none */
	void (*ready)(void *context); /* called once, when the kernel got its first answer */
	void *context;
};

extern const struct fuse_lowlevel_ops ops_table;

#endif
