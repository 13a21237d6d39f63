/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * hintfile.c - see hintfile.h.
 */
#include "disk/hintfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "codec/segname.h"

/* A block is written when its entries take this much: one write for some 1,500 puts
 * with small keys. */
enum { FLUSH_SIZE = 32 << 10 };
_Static_assert(FLUSH_SIZE + DW_KEY_SIZE_MAX + 64 <= HINT_BLOCK_SIZE_MAX,
	       "any entry may be the last");

/* --- writing --- */

static void give_up(struct hintwriter *writer)
{
	if (writer->fd >= 0)
		(void)writer->io->close(writer->io, writer->fd); /* a hint is never needed */
	writer->fd = -1;
	buf_release(&writer->entries);
}

void hintwriter_init(struct hintwriter *writer, struct io *io, int dirfd, uint32_t id,
		     uint64_t size, uint64_t covered)
{
	char name[SEGNAME_SIZE];
	uint8_t header[HINT_HEADER_SIZE];
	int rc;

	*writer = (struct hintwriter){
		.io = io, .dirfd = dirfd, .start = covered, .end = covered, .size = size};
	segname_format_hint(id, name);
	writer->fd = io->open(io, dirfd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK,
			      OWNER_MODE_NEW);
	if (writer->fd < 0)
		return;
	rc = io->ftruncate(io, writer->fd, (off_t)size);
	if (!rc && !size) {
		hint_header_encode(id, header);
		rc = io_write_full(io, writer->fd, header, sizeof header, 0);
		writer->size = sizeof header;
	}
	if (rc < 0)
		give_up(writer);
}

static void flush(struct hintwriter *writer, bool sealed)
{
	uint8_t header[HINT_BLOCK_HEADER_SIZE];
	const struct hint_block block = {
		.start = writer->start,
		.end = writer->end,
		.count = writer->count,
		.size = (uint32_t)writer->entries.size,
		.last_crc = writer->last_crc,
		.sealed = sealed,
	};

	hint_block_encode(&block, writer->entries.data, header);
	struct iovec iov[2] = {{header, sizeof header},
			       {writer->entries.data, writer->entries.size}};
	if (io_writev_full(writer->io, writer->fd, iov, 2, writer->size) < 0) {
		give_up(writer);
		return;
	}
	writer->size += sizeof header + writer->entries.size;
	writer->entries.size = 0;
	writer->start = writer->end;
	writer->count = 0;
	writer->state = (struct hint_state){0};
}

void hintwriter_own(struct hintwriter *writer, const struct owner *owner)
{
	if (writer->fd >= 0)
		owner_apply(owner, writer->io, writer->fd);
}

void hintwriter_add(struct hintwriter *writer, const struct hint_entry *entry, uint32_t crc)
{
	if (writer->fd < 0)
		return;
	if (hint_entry_add(&writer->entries, &writer->state, entry) < 0) {
		give_up(writer);
		return;
	}
	writer->end += record_size(&entry->header);
	writer->count++;
	writer->last_crc = crc;
	if (writer->entries.size >= FLUSH_SIZE)
		flush(writer, false);
}

void hintwriter_release(struct hintwriter *writer, bool sealed)
{
	if (writer->fd >= 0 && sealed)
		flush(writer, true);
	give_up(writer);
}

/* --- loading --- */

struct loader {
	struct io *io;
	int fd, segment_fd;
	uint64_t segment_size;
	hint_visit_fn *visit;
	void *context;
	struct hint_loaded loaded;
	struct buf entries;
};

/* The block at the end of what was believed: 1, 0 (none that can be) or -errno. */
static int read_block(struct loader *l, struct hint_block *ret)
{
	uint8_t header[HINT_BLOCK_HEADER_SIZE];

	if (io_read_full(l->io, l->fd, header, sizeof header, l->loaded.size) < 0)
		return 0;
	if (!hint_block_decode(header, ret) || ret->start != l->loaded.covered ||
	    ret->end > l->segment_size)
		return 0;
	l->entries.size = 0;
	if (buf_reserve(&l->entries, ret->size + 1u) < 0)
		return -ENOMEM;
	uint64_t at = l->loaded.size + sizeof header;
	if (ret->size && io_read_full(l->io, l->fd, l->entries.data, ret->size, at) < 0)
		return 0;
	return hint_block_check(header, l->entries.data, ret->size);
}

/* Whether the entries describe records that fill the block's run exactly. */
static bool fills_run(const struct loader *l, const struct hint_block *block,
		      struct hint_entry *last_ret, uint64_t *last_offset_ret)
{
	struct hint_state state = {0};
	uint64_t offset = block->start;
	uint32_t count = 0;
	size_t at = 0;

	for (; hint_entry_next(l->entries.data, block->size, &at, &state, last_ret); count++) {
		*last_offset_ret = offset;
		offset += record_size(&last_ret->header);
		if (offset > block->end)
			return false;
	}
	return at == block->size && offset == block->end && count == block->count;
}

/* Whether the last record of the run stands in the segment as the hint says.  Its
 * header, key and CRC tell another segment, or an older state of this one. */
static int fits_segment(struct loader *l, const struct hint_block *block,
			const struct hint_entry *last, uint64_t offset)
{
	uint8_t header[RECORD_HEADER_SIZE], want[RECORD_HEADER_SIZE], crc[RECORD_TRAILER_SIZE];
	int rc = io_read_full(l->io, l->segment_fd, header, sizeof header, offset);

	if (!rc)
		rc = io_read_full(l->io, l->segment_fd, crc, sizeof crc, block->end - sizeof crc);
	if (rc)
		return rc == -ENODATA ? 0 : rc;
	record_header_encode(&last->header, want);
	return !memcmp(header, want, sizeof want) && bytes_get32(crc) == block->last_crc;
}

static int tell_entries(struct loader *l, const struct hint_block *block)
{
	struct hint_state state = {0};
	struct hint_entry entry;
	uint64_t offset = block->start;
	size_t at = 0;
	int rc = 0;

	while (!rc && hint_entry_next(l->entries.data, block->size, &at, &state, &entry)) {
		rc = l->visit(l->context, &entry, offset);
		offset += record_size(&entry.header);
	}
	return rc;
}

/* 1: a block was told; 0: no more; or an error. */
static int load_block(struct loader *l)
{
	struct hint_block block = {0};
	struct hint_entry last = {.header = {.type = DW_RAW}};
	uint64_t last_offset = 0;
	int rc = read_block(l, &block);

	if (rc <= 0 || !fills_run(l, &block, &last, &last_offset))
		return rc < 0 ? rc : 0;
	if (block.count) {
		rc = fits_segment(l, &block, &last, last_offset);
		if (rc <= 0)
			return rc;
		rc = tell_entries(l, &block);
		if (rc)
			return rc;
	}
	l->loaded.covered = block.end;
	l->loaded.size += HINT_BLOCK_HEADER_SIZE + block.size;
	l->loaded.sealed = block.sealed;
	return 1;
}

/* The descriptor of a hint with a sound header, or -errno. */
static int open_hint(struct io *io, int dirfd, uint32_t id)
{
	uint8_t header[HINT_HEADER_SIZE];
	char name[SEGNAME_SIZE];

	segname_format_hint(id, name);
	int fd = io->open(io, dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd < 0)
		return fd;
	if (io_read_full(io, fd, header, sizeof header, 0) < 0 || !hint_header_check(header, id)) {
		(void)io->close(io, fd); /* only read */
		return -ENODATA;
	}
	return fd;
}

bool hint_is_sealed(struct io *io, int dirfd, uint32_t id, uint64_t segment_size)
{
	uint8_t header[HINT_BLOCK_HEADER_SIZE];
	struct hint_block block = {.sealed = false};
	int fd = open_hint(io, dirfd, id);

	if (fd < 0)
		return false;
	/* from header to header; loading will check what they say */
	for (uint64_t at = HINT_HEADER_SIZE;
	     !io_read_full(io, fd, header, sizeof header, at) && hint_block_decode(header, &block);)
		at += sizeof header + block.size;
	(void)io->close(io, fd); /* only read */
	return block.sealed && block.end == segment_size;
}

int hint_load(struct io *io, int dirfd, uint32_t id, int segment_fd, uint64_t segment_size,
	      hint_visit_fn *visit, void *context, struct hint_loaded *ret)
{
	struct loader l = {.io = io,
			   .fd = open_hint(io, dirfd, id),
			   .segment_fd = segment_fd,
			   .segment_size = segment_size,
			   .visit = visit,
			   .context = context,
			   .loaded = {.size = HINT_HEADER_SIZE}};
	int rc;

	if (l.fd < 0) {
		*ret = (struct hint_loaded){0};
		return 0;
	}
	while ((rc = load_block(&l)) == 1)
		;
	(void)io->close(io, l.fd); /* only read */
	buf_release(&l.entries);
	if (rc)
		return rc;
	*ret = l.loaded;
	return 0;
}
