/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * hintreader.h - reading a hint, entry by entry, as far as its blocks are sound.
 *
 * The entries are not compared with the segment here; see sidecar.h.
 */
#ifndef DISK_HINTREADER_H
#define DISK_HINTREADER_H

#include "disk/hintfile.h"

struct hintreader {
	struct io *io;
	int fd;          /* -1: there is no hint, or none of this segment */
	unsigned layout; /* 0: none */
	uint32_t header_crc;
	uint64_t surveyed;       /* bytes of the file whose entries were looked at already */
	struct hint_end end;     /* of the blocks read so far */
	struct hint_block block; /* the last of them */
	struct buf entries;      /* of it */
	size_t at;               /* in `entries`, of the next one */
	uint64_t offset;         /* in the segment, of its record */
	struct hint_state state;
};

/* The summary of a hint. */
struct hint_claims {
	uint64_t told;   /* bytes of the segment whose records it tells */
	uint64_t synced; /* bytes that a seal says were on disk; 0: none */
	bool sealed;     /* nothing was noted after the last seal, which is `binding` */
	bool sampled;    /* the CRC fields looked at are where it says in the segment */
	struct hint_binding binding;
	struct hint_end end; /* where a writer goes on */
};

/* Open the hint of segment `id`, if there is one.  Release it in any case. */
void hintreader_init(struct hintreader *reader, struct io *io, int dirfd, uint32_t id);
void hintreader_release(struct hintreader *reader);

/* The next entry, and where its record is; its key is valid until the next call.
 * 1; 0: there is none, or no sound block holds it; -ENOMEM. */
int hintreader_next(struct hintreader *reader, struct hint_entry *ret, uint64_t *offset_ret);

/* At the front: leave blocks out, as long as all they tell of lies before `until`.  0 or -ENOMEM.
 */
int hintreader_skip(struct hintreader *reader, uint64_t until);

/* Read it all, looking into the segment (-1: there is none) here and there; then begin
 * again at the front.  0 or -ENOMEM. */
int hintreader_survey(struct hintreader *reader, int segment_fd, struct hint_claims *ret);

#endif
