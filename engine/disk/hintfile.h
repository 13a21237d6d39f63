/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * hintfile.h - writing the hint of a segment as it grows, and loading one.
 *
 * A hint is never needed: whatever fails here costs time, at the next open, and the
 * commit times.  So nothing here fails a put; a writer that cannot go on gives up its
 * file.  Nothing is synced: a hint that a crash left behind its segment, or before it,
 * does not fit and is not believed.
 */
#ifndef DISK_HINTFILE_H
#define DISK_HINTFILE_H

#include "codec/hint.h"
#include "disk/io.h"
#include "disk/owner.h"

struct hintwriter {
	struct io *io;
	int dirfd;           /* the caller's */
	int fd;              /* -1: given up, or none */
	uint64_t size;       /* bytes in the file */
	uint64_t start, end; /* the run of records in `entries` */
	uint32_t count, last_crc;
	struct hint_state state;
	struct buf entries;
};

/* Start the hint of segment `id`, whose records up to `covered` it need not describe
 * again: with `size` other than 0 the file is continued there, behind blocks that were
 * loaded, else begun anew (then `covered` is 0). */
void hintwriter_init(struct hintwriter *writer, struct io *io, int dirfd, uint32_t id,
		     uint64_t size, uint64_t covered);

/* Give the file, if there is one, to the owner of its segment. */
void hintwriter_own(struct hintwriter *writer, const struct owner *owner);

/* Note a record; the next one must start at its end.  `crc` is its CRC field. */
void hintwriter_add(struct hintwriter *writer, const struct hint_entry *entry, uint32_t crc);

/* Forget what is not in the file and close it.  With `sealed`, which says that the
 * segment is synced up to here and complete, write it out first. */
void hintwriter_release(struct hintwriter *writer, bool sealed);

/* The entries of a hint in order, with the offset of each.  Non-zero ends the loading
 * and is returned. */
typedef int hint_visit_fn(void *context, const struct hint_entry *entry, uint64_t offset);

struct hint_loaded {
	uint64_t covered; /* the segment's bytes up to here were told */
	uint64_t size;    /* of the file's part that was believed; 0: there is no hint */
	bool sealed;      /* ... and then the segment was synced and ended */
};

/* Whether the hint of segment `id` says that it is synced and complete with exactly
 * `segment_size` bytes.  Only then may a last segment be taken from its hint: after a
 * crash some of its bytes may be missing in the middle. */
bool hint_is_sealed(struct io *io, int dirfd, uint32_t id, uint64_t segment_size);

/* Tell the entries of the hint of segment `id`, open as `segment_fd` and
 * `segment_size` long, block by block, as far as they fit it.
 * 0 also when there is no hint, or none of it fits; -errno of reading the segment, or
 * what `visit` returned. */
int hint_load(struct io *io, int dirfd, uint32_t id, int segment_fd, uint64_t segment_size,
	      hint_visit_fn *visit, void *context, struct hint_loaded *ret);

#endif
