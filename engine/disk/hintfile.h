/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * hintfile.h - writing the hint of a segment as it grows.
 *
 * A hint is never needed: whatever fails here costs time, at the next open, and the
 * commit times.  So nothing here fails a put; a writer that cannot go on gives up its
 * file.  A seal proves what its segment held, so it is written only when all of that is on
 * disk, the segment's name included, and a hint goes, durably, before its segment does.
 */
#ifndef DISK_HINTFILE_H
#define DISK_HINTFILE_H

#include "codec/hint.h"
#include "disk/io.h"
#include "disk/owner.h"

/* Where a hint goes on. */
struct hint_end {
	uint64_t size;     /* bytes of the file before */
	uint64_t covered;  /* bytes of the segment that these tell of */
	uint32_t crc;      /* of the block before, or of the header */
	uint32_t last_crc; /* the CRC field of the last record told */
};

struct hintwriter {
	struct io *io;
	int dirfd; /* the caller's */
	int fd;    /* -1: given up, or none */
	uint32_t id;
	bool beside;          /* the file has its temporary name still */
	struct hint_end done; /* the contents of the file so far */
	uint64_t end;         /* in the segment, of the records in `entries` */
	uint32_t count, last_crc;
	struct hint_state state;
	struct buf entries;
};

/* Start the hint of segment `id`, or continue it at `end`; NULL: begin it anew. */
void hintwriter_init(struct hintwriter *writer, struct io *io, int dirfd, uint32_t id,
		     const struct hint_end *end);

/* Begin one anew beside the one that there may be, which hintwriter_place() replaces. */
void hintwriter_init_beside(struct hintwriter *writer, struct io *io, int dirfd, uint32_t id);

/* Give the file, if there is one, to the owner of its segment. */
void hintwriter_own(struct hintwriter *writer, const struct owner *owner);

/* Note a record; the next one must start at its end. */
void hintwriter_add(struct hintwriter *writer, const struct hint_entry *entry);

/* Write out what was noted. */
void hintwriter_flush(struct hintwriter *writer);

/* The same, and say that the segment is on disk up to here and complete, and which file it
 * is. */
void hintwriter_seal(struct hintwriter *writer, const struct hint_binding *binding);

/* Sync the file and give it its name.  The caller syncs the directory, if need be. */
void hintwriter_place(struct hintwriter *writer);

/* Forget what is not in the file, and the file if it was not given its name. */
void hintwriter_release(struct hintwriter *writer);

#endif
