/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * hintreader.c - see hintreader.h.
 */
#include "disk/hintreader.h"

#include <errno.h>
#include <fcntl.h>

#include "base/bytes.h"
#include "codec/segname.h"

/* Blocks whose last record is looked at in the segment: the first few, some of the others,
 * and the last. */
enum { SAMPLES_FIRST = 8, SAMPLES_STEP = 64 };

static void rewind_reader(struct hintreader *reader)
{
	reader->end = (struct hint_end){.size = HINT_HEADER_SIZE, .crc = reader->header_crc};
	reader->block = (struct hint_block){0};
	reader->entries.size = 0;
	reader->at = 0;
	reader->offset = 0;
}

void hintreader_init(struct hintreader *reader, struct io *io, int dirfd, uint32_t id)
{
	uint8_t header[HINT_HEADER_SIZE];
	char name[SEGNAME_SIZE];

	*reader = (struct hintreader){.io = io};
	segname_format_hint(id, name);
	reader->fd = io->open(io, dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (reader->fd < 0)
		return;
	if (!io_read_full(io, reader->fd, header, sizeof header, 0))
		reader->layout = hint_header_check(header, id, &reader->header_crc);
	rewind_reader(reader);
	if (!reader->layout)
		hintreader_release(reader);
}

void hintreader_release(struct hintreader *reader)
{
	if (reader->fd >= 0)
		(void)reader->io->close(reader->io, reader->fd); /* only read */
	reader->fd = -1;
	buf_release(&reader->entries);
}

/* Whether the entries describe records that fill the block's run exactly. */
static bool fills_run(const struct hintreader *reader, const struct hint_block *block)
{
	struct hint_state state = {0};
	struct hint_entry entry;
	uint64_t offset = block->start;
	uint32_t count = 0;
	size_t at = 0;

	for (; hint_entry_next(reader->layout, reader->entries.data, block->size, &at, &state,
			       &entry);
	     count++) {
		offset += record_size(&entry.header);
		if (offset > block->end)
			return false;
	}
	return at == block->size && offset == block->end && count == block->count;
}

/* The block behind what was read: 1, 0 (no sound one) or -ENOMEM. */
static int next_block(struct hintreader *reader)
{
	uint8_t header[HINT_BLOCK_HEADER_SIZE];
	size_t header_size = hint_block_header_size(reader->layout);
	struct hint_end *end = &reader->end;
	struct hint_block block;

	if (reader->fd < 0 ||
	    io_read_full(reader->io, reader->fd, header, header_size, end->size) < 0 ||
	    !hint_block_decode(reader->layout, header, &block) || block.start != end->covered ||
	    (reader->layout != 1 && block.before_crc != end->crc))
		return 0;
	reader->entries.size = reader->at = 0;
	if (buf_reserve(&reader->entries, block.size + 1u) < 0)
		return -ENOMEM;
	if (block.size && io_read_full(reader->io, reader->fd, reader->entries.data, block.size,
				       end->size + header_size) < 0)
		return 0;
	if (!hint_block_check(reader->layout, header, reader->entries.data, block.size))
		return 0;
	/* going through a million entries is a tenth of opening them */
	if (end->size >= reader->surveyed && !fills_run(reader, &block))
		return 0;
	reader->entries.size = block.size;
	reader->state = (struct hint_state){0};
	reader->offset = block.start;
	reader->block = block;
	*end = (struct hint_end){.size = end->size + header_size + block.size,
				 .covered = block.end,
				 .crc = block.crc,
				 .last_crc = block.last_crc};
	return 1;
}

int hintreader_next(struct hintreader *reader, struct hint_entry *ret, uint64_t *offset_ret)
{
	while (!hint_entry_next(reader->layout, reader->entries.data, reader->entries.size,
				&reader->at, &reader->state, ret)) {
		int rc = next_block(reader);
		if (rc <= 0)
			return rc;
	}
	*offset_ret = reader->offset;
	reader->offset += record_size(&ret->header);
	return 1;
}

int hintreader_skip(struct hintreader *reader, uint64_t until)
{
	int rc = 1;

	while (rc == 1 && reader->end.covered < until) {
		rc = next_block(reader);
		if (rc == 1 && reader->block.end <= until) {
			reader->entries.size = 0;
			reader->offset = reader->block.end;
		}
	}
	return rc < 0 ? rc : 0;
}

/* Whether the record that ends the block has its CRC field in the segment where it should. */
static bool sample(const struct hintreader *reader, int segment_fd)
{
	const struct hint_block *block = &reader->block;
	uint8_t crc[RECORD_TRAILER_SIZE];

	if (block->end < RECORD_OVERHEAD)
		return !block->end;
	return segment_fd >= 0 &&
	       !io_read_full(reader->io, segment_fd, crc, sizeof crc, block->end - sizeof crc) &&
	       bytes_get32(crc) == block->last_crc;
}

int hintreader_survey(struct hintreader *reader, int segment_fd, struct hint_claims *ret)
{
	struct hint_claims claims = {.sampled = true, .end = reader->end};
	struct hint_end before = reader->end;
	int rc;

	for (unsigned i = 0; (rc = next_block(reader)) == 1; i++) {
		const struct hint_block *block = &reader->block;
		if (block->sealed)
			claims.synced = block->end;
		if (i < SAMPLES_FIRST || i % SAMPLES_STEP == 0)
			claims.sampled = claims.sampled && sample(reader, segment_fd);
		/* a seal with no record in it is written anew */
		claims.end = block->count ? reader->end : before;
		before = claims.end;
	}
	if (rc < 0)
		return rc;
	reader->surveyed = reader->end.size;
	claims.told = reader->end.covered;
	claims.sealed = reader->block.sealed;
	claims.binding = reader->block.binding;
	claims.sampled = claims.sampled && sample(reader, segment_fd);
	rewind_reader(reader);
	*ret = claims;
	return 0;
}
