/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * memio.h - system calls on files in memory: a store for each input, thousands a second.
 *
 * A few directories, "/store" among them; their files are whole buffers.  There is no
 * disk to lose anything: syncs do nothing, locks are always had.  Calls come from any
 * thread; the helpers below are for times when no other thread is at work.
 */
#ifndef FUZZ_MEMIO_H
#define FUZZ_MEMIO_H

#include <pthread.h>
#include <stdbool.h>

#include "base/buf.h"
#include "disk/io.h"

enum { MEMIO_FILES = 512, MEMIO_FDS = 512, MEMIO_DIRS = 4, MEMIO_NAME = 64 };

/* When every file was changed last. */
#define MEMIO_MTIME_S 1700000000

struct memio_file {
	char name[MEMIO_NAME];
	int dir;        /* index; -1: no name */
	unsigned opens; /* descriptors */
	uint64_t ino;
	struct buf data;
};

struct memio {
	struct io io; /* first: the engine hands it back to us */
	pthread_mutex_t lock;
	char dirs[MEMIO_DIRS][MEMIO_NAME];
	int dir_count;
	struct memio_file files[MEMIO_FILES];
	int file_end;       /* those behind were never used */
	int fds[MEMIO_FDS]; /* 0: free; n > 0: file n - 1; n < 0: directory -n - 1 */
	uint64_t next_ino;
};

/* The one there is, with no files, and with the directory "/store". */
struct memio *memio_fresh(void);

/* Replace or make a file of "/store". */
void memio_put(struct memio *mem, const char *name, const void *data, size_t size);
/* NULL: there is none. */
const struct buf *memio_get(struct memio *mem, const char *name);
/* Its inode number; the file must be there. */
uint64_t *memio_inode(struct memio *mem, const char *name);
void memio_remove(struct memio *mem, const char *name);
/* The bytes of all files of "/store" whose name holds `part`, and the last of them. */
size_t memio_sizes(struct memio *mem, const char *part, const struct buf **last_ret);
/* Whether no descriptor is open. */
bool memio_is_idle(struct memio *mem);

#endif
