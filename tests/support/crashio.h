/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * crashio.h - system calls that keep a log of what they changed, from which the
 * directory is rebuilt as a crash would have left it at any point.
 *
 * The model: data of a file that was not synced may be there in any subset, torn,
 * or read as zeros; creations, renames and removals of names come through as a
 * prefix, in order, as file systems with a journal have it, independent of data.
 * fsync of a file makes its data durable, fsync of the directory its names.
 * Nothing is really synced.  One directory; one thread.
 */
#ifndef SUPPORT_CRASHIO_H
#define SUPPORT_CRASHIO_H

#include "disk/io.h"
#include "tests/support/check.h"
#include "tests/support/files.h"

enum crash_kind {
	CRASH_CREATE,
	CRASH_RENAME,
	CRASH_UNLINK,
	CRASH_SYNC_DIR,
	CRASH_WRITE,
	CRASH_TRUNCATE,
	CRASH_SYNC, /* of a file */
};

struct crash_event {
	enum crash_kind kind;
	int file; /* -1: the directory */
	char name[64], to[64];
	uint64_t offset; /* WRITE; TRUNCATE: the new size */
	struct buf data; /* WRITE */
};

struct crash_name {
	char name[64];
	int file;
};

enum { CRASH_NAMES = 200, CRASH_FDS = 200 };

struct crashio {
	struct io io; /* first: the engine hands it back to us */
	struct crash_event *events;
	size_t count;
	struct crash_name names[CRASH_NAMES], initial[CRASH_NAMES];
	size_t name_count, initial_count;
	struct buf *files; /* the first contents of each file */
	int file_count;
	int fds[CRASH_FDS]; /* the file behind a descriptor; -1: the directory */
	void (*hook)(void *context, const struct crash_event *event); /* after each event */
	void *context;
};

/* The events up to a point that are kept. */
enum crash_policy {
	CRASH_KEEP_ALL, /* the process was killed */
	CRASH_DROP,     /* whatever was not synced is gone */
	CRASH_TORN,     /* the last write, if not synced, ends after `cut` bytes */
	CRASH_PREFIX,   /* at random: of each file the first few unsynced calls */
	CRASH_SUBSET,   /* at random: of each file any of them, its size with or without the rest */
	/* at random: each sector as it was at any moment since the last sync, the size too;
	 * a truncate may have made zeros in the last block before the size changed */
	CRASH_SECTORS,
};

/* Start recording; the present files of `dir` are durable. */
void crashio_init(struct crashio *crash, const char *dir);
void crashio_release(struct crashio *crash);

/* The directory after the first `point` events. */
void crashio_rebuild(const struct crashio *crash, size_t point, enum crash_policy policy,
		     size_t cut, struct rng *rng, struct files *ret);

/* The write that CRASH_TORN would cut at `point`; NULL: none. */
const struct crash_event *crashio_last_write(const struct crashio *crash, size_t point);

#endif
