/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fdpool.h - descriptors for more segment files than a process may open.
 *
 * A file is opened when first pinned and stays open; only when the pool is over
 * its limit does it close the one that was unused the longest.  A file that is
 * to be read after its name is gone is kept open (`fdpool_keep`).
 */
#ifndef DISK_FDPOOL_H
#define DISK_FDPOOL_H

#include <pthread.h>
#include <stdbool.h>

#include "codec/segname.h"
#include "disk/io.h"
#include "disk/owner.h"

/* Lock of all fields but `name`: the pool's. */
struct fdpool_file {
	char name[SEGNAME_SIZE]; /* in the pool's directory */
	int fd;                  /* -1: closed */
	uint32_t pins;           /* how many use `fd` right now */
	bool keep;               /* never close: the name is gone or about to go */
	bool writable;           /* open for writing too */
	bool known;              /* dev and ino are set */
	dev_t dev;
	ino_t ino;
	struct fdpool_file *prev, *next; /* idle files, the longest unused first */
};

struct fdpool {
	struct io *io;
	int dirfd;            /* the store's directory, the caller's */
	uint32_t limit;       /* open files beyond which idle ones are closed */
	struct owner owner;   /* of new files in it; set while the store is opened */
	uint64_t map_size;    /* bytes of a file that grows to map at once; set by the store */
	pthread_mutex_t lock; /* a leaf: nothing is taken under it */
	uint32_t open_count;
	struct fdpool_file *idle;
};

/* `limit` 0: half of what RLIMIT_NOFILE allows. */
int fdpool_init(struct fdpool *pool, struct io *io, int dirfd, uint32_t limit);
void fdpool_release(struct fdpool *pool);

/* Start out closed. */
void fdpool_file_init(struct fdpool_file *file, uint32_t segment_id);

/* Hand over an open descriptor, which becomes the pool's; opened again it will be
 * `writable` as it is now. */
void fdpool_adopt(struct fdpool *pool, struct fdpool_file *file, int fd, bool writable);

/* The descriptor, open for reading at least, until fdpool_unpin().
 * -ELOOP: a symlink, -EINVAL: no regular file, -ESTALE: the name now belongs to
 * another file, -ENOENT ... */
int fdpool_pin(struct fdpool *pool, struct fdpool_file *file);
void fdpool_unpin(struct fdpool *pool, struct fdpool_file *file);

/* Open the file and keep it open until fdpool_forget(). */
int fdpool_keep(struct fdpool *pool, struct fdpool_file *file);

/* Close; the file is not pinned. */
void fdpool_forget(struct fdpool *pool, struct fdpool_file *file);

#endif
