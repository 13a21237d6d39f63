/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * runwriter.h - writing a run: sorted keys become `NNNNNNNN.run`, whole or not at all.
 *
 * The file is written as `NNNNNNNN.run.new` in large sequential writes whose write-back starts
 * early, and renamed once it is synced.  Memory is bounded whatever the number of keys (about
 * 20 MiB).  Throttling is the caller's, between two keys.
 */
#ifndef INDEX_RUNWRITER_H
#define INDEX_RUNWRITER_H

#include "codec/run.h"
#include "disk/io.h"
#include "disk/owner.h"

struct runwriter;

struct runwriter_options {
	uint32_t id;               /* at most SEGMENT_ID_MAX; a run of that id is replaced */
	uint64_t seed;             /* for run_hash(); the same for all runs of a store */
	const struct owner *owner; /* owner of the file; NULL: the process.  Not kept */
	uint32_t chunk_keys;       /* keys that the file treats as one; 0: as many as are good.  For
				      tests */
};

/* Start.  `io` and `dirfd` stay the caller's until the writer is freed.  0 or -errno. */
int runwriter_open(struct io *io, int dirfd, const struct runwriter_options *options,
		   struct runwriter **ret);

/* Add a key, greater than the one before; nothing of it is kept.  0; -EINVAL: the key is not
 * greater, or longer than DW_KEY_SIZE_MAX, or the place is not valid; another -errno.  After any
 * error the run cannot be finished. */
int runwriter_add(struct runwriter *writer, struct dw_bytes key, const struct run_place *place);

/* Bytes written so far, for throttling. */
uint64_t runwriter_size(const struct runwriter *writer);

/* Write the rest, sync the file, give it its name and, if asked, sync the directory.  Once.  0, or
 * -errno: if only the last step failed the run has its name, but a power cut may take that. */
int runwriter_finish(struct runwriter *writer, bool sync_directory);

/* A run that was not finished leaves nothing.  NULL is fine. */
void runwriter_free(struct runwriter *writer);

#endif
