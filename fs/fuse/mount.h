/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * mount.h - what all requests of a mount share: the user data of libfuse's session.
 */
#ifndef FS_FUSE_MOUNT_H
#define FS_FUSE_MOUNT_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "fs/mounted/control.h"
#include "fs/mounted/ending.h"
#include "fs/mounted/generation.h"
#include "fs/mounted/metrics.h"

struct mount {
	struct fuse_session *session;
	sem_t ended; /* posted after fuse_session_exit() */
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

#endif
