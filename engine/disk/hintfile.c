/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * hintfile.c - see hintfile.h.
 */
#include "disk/hintfile.h"

#include <fcntl.h>

#include "codec/segname.h"

/* A block is written when its entries take this much: one write for some 1,500 puts
 * with small keys. */
enum { FLUSH_SIZE = 32 << 10 };
_Static_assert(FLUSH_SIZE + DW_KEY_SIZE_MAX + 64 <= HINT_BLOCK_SIZE_MAX,
	       "any entry may be the last");

static void give_up(struct hintwriter *writer)
{
	char name[SEGNAME_SIZE];

	if (writer->fd >= 0) {
		(void)writer->io->close(writer->io, writer->fd); /* a hint is never needed */
		segname_format_hint_new(writer->id, name);
		if (writer->beside) /* left there it is a leftover */
			(void)writer->io->unlink(writer->io, writer->dirfd, name);
	}
	writer->fd = -1;
	buf_release(&writer->entries);
}

static void begin(struct hintwriter *writer, const char *name, const struct hint_end *end)
{
	struct io *io = writer->io;
	uint8_t header[HINT_HEADER_SIZE];

	writer->fd = io->open(io, writer->dirfd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK,
			      OWNER_MODE_NEW);
	if (writer->fd < 0)
		return;
	int rc = io->ftruncate(io, writer->fd, end ? (off_t)end->size : 0);
	if (!rc && !end) {
		writer->done.crc = hint_header_encode(writer->id, header);
		writer->done.size = sizeof header;
		rc = io_write_full(io, writer->fd, header, sizeof header, 0);
	}
	if (rc < 0)
		give_up(writer);
}

void hintwriter_init(struct hintwriter *writer, struct io *io, int dirfd, uint32_t id,
		     const struct hint_end *end)
{
	static const struct hint_end none;
	char name[SEGNAME_SIZE];

	*writer =
		(struct hintwriter){.io = io, .dirfd = dirfd, .id = id, .done = end ? *end : none};
	writer->end = writer->done.covered;
	writer->last_crc = writer->done.last_crc;
	segname_format_hint(id, name);
	begin(writer, name, end);
}

void hintwriter_init_beside(struct hintwriter *writer, struct io *io, int dirfd, uint32_t id)
{
	char name[SEGNAME_SIZE];

	*writer = (struct hintwriter){.io = io, .dirfd = dirfd, .id = id, .beside = true};
	segname_format_hint_new(id, name);
	begin(writer, name, NULL);
}

static void write_block(struct hintwriter *writer, const struct hint_binding *seal)
{
	uint8_t header[HINT_BLOCK_HEADER_SIZE];
	struct hint_end *done = &writer->done;
	struct hint_block block = {
		.start = done->covered,
		.end = writer->end,
		.count = writer->count,
		.size = (uint32_t)writer->entries.size,
		.last_crc = writer->last_crc,
		.before_crc = done->crc,
		.sealed = seal,
	};

	if (writer->fd < 0)
		return;
	if (seal)
		block.binding = *seal;
	hint_block_encode(&block, writer->entries.data, header);
	struct iovec iov[2] = {{header, sizeof header},
			       {writer->entries.data, writer->entries.size}};
	if (io_writev_full(writer->io, writer->fd, iov, 2, done->size) < 0) {
		give_up(writer);
		return;
	}
	done->size += sizeof header + writer->entries.size;
	done->covered = writer->end;
	done->crc = block.crc;
	done->last_crc = writer->last_crc;
	writer->entries.size = 0;
	writer->count = 0;
	writer->state = (struct hint_state){0};
}

void hintwriter_own(struct hintwriter *writer, const struct owner *owner)
{
	if (writer->fd >= 0)
		owner_apply(owner, writer->io, writer->fd);
}

void hintwriter_add(struct hintwriter *writer, const struct hint_entry *entry)
{
	if (writer->fd < 0)
		return;
	if (hint_entry_add(&writer->entries, &writer->state, entry) < 0) {
		give_up(writer);
		return;
	}
	writer->end += record_size(&entry->header);
	writer->count++;
	writer->last_crc = entry->crc;
	if (writer->entries.size >= FLUSH_SIZE)
		write_block(writer, NULL);
}

void hintwriter_flush(struct hintwriter *writer)
{
	if (writer->count)
		write_block(writer, NULL);
}

void hintwriter_seal(struct hintwriter *writer, const struct hint_binding *binding)
{
	write_block(writer, binding);
}

void hintwriter_place(struct hintwriter *writer)
{
	char from[SEGNAME_SIZE], to[SEGNAME_SIZE];
	struct io *io = writer->io;

	if (writer->fd < 0 || !writer->beside)
		return;
	segname_format_hint_new(writer->id, from);
	segname_format_hint(writer->id, to);
	/* without the sync a power cut could leave an empty file, and take the commit times
	 * that were in the one before */
	if (io->fdatasync(io, writer->fd) < 0 || io->rename(io, writer->dirfd, from, to) < 0)
		give_up(writer);
	else
		writer->beside = false;
}

void hintwriter_release(struct hintwriter *writer)
{
	give_up(writer);
}
