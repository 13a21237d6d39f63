/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * root.h - the file `index` in a store's directory: written whole or not at all, and whether it
 * fits the segments that are there.
 *
 * Order is everything.  The log that it describes and the runs that it names are on disk before it
 * is; the runs that the older file named may go only when it is on disk, name included.  So after
 * any crash the file that is there is right, or does not fit.
 */
#ifndef INDEX_ROOT_H
#define INDEX_ROOT_H

#include "index/index.h"

/* Prove the segments of `root`: set mtime, inode and CRC of each that is found in `segments` by its
 * id; the others are proved already.  Sealed segments are read only once.  0; -ESTALE: one is not
 * as long as it should be; or another -errno. */
int root_prove(struct indexfile *root, const struct segments *segments);

/* The same of a segment that has another name so far: set mtime, inode and CRC of `ret`, whose size
 * is set.  0 or -errno. */
int root_prove_coming(struct index *index, const char *name, struct indexfile_segment *ret);

/* Whether all proofs fit `set`: 1 or 0, or -ENOMEM.  Segments behind the position are not looked
 * at. */
int root_fits(const struct indexfile *root, const struct segset *set);

/* Write it to the directory `dirfd` under its name, synced; the caller syncs the directory.  0 or
 * -errno. */
int root_write_to(const struct index *index, const struct indexfile *root, int dirfd);

/* Write it to the index's own.  0; -EEXIST: its name is taken, as root_look() says; -EINPROGRESS:
 * it has its name, but a power cut may take that, so neither this one nor the one before may lose
 * what it names; another -errno: nothing has changed. */
int root_write(struct index *index, const struct indexfile *root);
/* 0; -ENOENT; -EBADMSG; or another -errno. */
int root_read(struct index *index, struct indexfile *ret);
/* Remove it, durably.  0, also if there was none, or it is another program's; or -errno. */
int root_remove(struct index *index);

/* The origin of a file of that name, by its first bytes.  1: an index's; 0: there is none; -EEXIST:
 * another program's, or it is no file; or another -errno. */
int root_look(struct index *index);
int root_look_at_run(struct index *index, uint32_t id);

/* Whether a segment, that of the position, is the file that `root` tells of. */
bool root_is_file(const struct indexfile *root, struct dw_segment *segment);

#endif
