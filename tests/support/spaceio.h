/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * spaceio.h - system calls on a disk with so much room and no more.
 *
 * Wraps io_posix.  A file takes as many bytes as it is long, and `file_cost` for its
 * name; writing, creating, and growing take from `room`, which truncating, unlinking and
 * replacing give back, even while the file is open.  Without room a write is cut short,
 * then fails with -ENOSPC.  Syncs do nothing.  Any thread.  By default no blocks can be allocated
 * ahead.
 */
#ifndef SUPPORT_SPACEIO_H
#define SUPPORT_SPACEIO_H

#include <pthread.h>
#include <stdbool.h>

#include "disk/io.h"

enum { SPACEIO_FILES = 64 };

/* A file with room behind its end; 0: none. */
struct spaceio_ahead {
	ino_t ino;
	int64_t end; /* of the room, in the file */
};

struct spaceio {
	struct io io; /* first: the engine hands it back to us */
	pthread_mutex_t lock;
	/* under the lock; a test with one thread may set them */
	int64_t room;      /* bytes left */
	int64_t file_cost; /* bytes */
	uint64_t refused;  /* calls that met -ENOSPC */
	uint64_t written;  /* bytes */
	int error;         /* errno of a call without room; 0: ENOSPC */
	struct spaceio_ahead ahead[SPACEIO_FILES];
};

/* Any number of bytes of room at first. */
void spaceio_init(struct spaceio *space);

/* From now on blocks can be allocated ahead, for SPACEIO_FILES files at once. */
void spaceio_allocates(struct spaceio *space);

#endif
