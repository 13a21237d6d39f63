/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * tailread.c - see tailread.h.
 */
#include "whole/tailread.h"

#include <errno.h>
#include <fcntl.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "codec/segname.h"
#include "disk/guard.h"

/* Between two looks at bytes that change while they are read. */
enum { REFRESHES = 100 };

void tail_reader_init(struct tail_reader *reader, struct io *io, int dirfd)
{
	*reader = (struct tail_reader){.io = io, .dirfd = dirfd, .fd = -1};
	reader->hint.fd = -1;
}

void tail_reader_close(struct tail_reader *reader)
{
	if (reader->fd < 0)
		return;
	scan_release(&reader->scan);
	hintreader_release(&reader->hint);
	(void)reader->io->close(reader->io, reader->fd); /* only read */
	reader->fd = -1;
}

/* Commit times from `offset` on; without them the file's own time will do. */
static void open_hint(struct tail_reader *reader, uint64_t offset)
{
	reader->entry_offset = UINT64_MAX;
	hintreader_init(&reader->hint, reader->io, reader->dirfd, reader->id);
	if (reader->hint.fd >= 0 && hintreader_skip(&reader->hint, offset) < 0)
		hintreader_release(&reader->hint);
}

int tail_reader_open(struct tail_reader *reader, uint32_t id, uint64_t offset)
{
	struct io *io = reader->io;
	char name[SEGNAME_SIZE];
	struct stat st;

	tail_reader_close(reader);
	segname_format(id, name);
	int fd = io->open(io, reader->dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd < 0)
		return fd;
	int rc = io->fstat(io, fd, &st);
	if (!rc && !S_ISREG(st.st_mode))
		rc = -EINVAL;
	/* a file that ends before `offset` has no record there, and proves nothing */
	uint64_t end = rc ? 0 : (uint64_t)st.st_size;
	if (!rc)
		rc = scan_init(&reader->scan, io, fd, offset, end > offset ? end : offset);
	if (rc) {
		(void)io->close(io, fd); /* only read */
		return rc;
	}
	reader->fd = fd;
	reader->id = id;
	reader->inode = st.st_ino;
	reader->mtime_ns = clock_ns_of(st.st_mtim);
	reader->synced = 0;
	open_hint(reader, offset);
	return 0;
}

/* Whether the bytes that follow are not what was read, so that there may be a record: 1, 0 or
 * -errno. */
static int look_anew(struct tail_reader *reader)
{
	struct stat st;
	int rc = reader->io->fstat(reader->io, reader->fd, &st);

	if (rc < 0)
		return rc;
	reader->mtime_ns = clock_ns_of(st.st_mtim);
	/* what is read from here on may be newer than the last sync */
	if (reader->synced > reader->scan.offset)
		reader->synced = reader->scan.offset;
	return scan_refresh(&reader->scan);
}

/* Whether bytes that are no record may be what a writer leaves, for a moment or by a crash. */
static bool may_be_writing(enum dw_damage damage)
{
	return damage == DW_DAMAGE_TRUNCATED || damage == DW_DAMAGE_CRC ||
	       damage == DW_DAMAGE_ZEROS;
}

int tail_reader_next(struct tail_reader *reader, struct scan_record *ret)
{
	int rc = scan_next(&reader->scan, ret);

	for (int i = 0; (!rc || rc == -EBADMSG) && i < REFRESHES; i++) {
		int changed = look_anew(reader);
		if (changed < 0)
			return changed;
		if (!changed)
			break;
		rc = scan_next(&reader->scan, ret);
	}
	return rc == -EBADMSG && may_be_writing(reader->scan.damage) ? 0 : rc;
}

int tail_reader_proves(struct tail_reader *reader, uint32_t crc)
{
	uint64_t end = reader->scan.offset;
	uint8_t field[RECORD_TRAILER_SIZE];
	struct stat st;
	int rc = reader->io->fstat(reader->io, reader->fd, &st);

	if (rc < 0 || (uint64_t)st.st_size < end)
		return rc < 0 ? rc : 0;
	if (!crc || end < RECORD_OVERHEAD)
		return !crc || !end;
	rc = io_read_full(reader->io, reader->fd, field, sizeof field, end - sizeof field);
	if (rc < 0)
		return rc == -ENODATA ? 0 : rc;
	return bytes_get32(field) == crc;
}

int tail_reader_is_replaced(struct tail_reader *reader)
{
	char name[SEGNAME_SIZE];
	struct stat st;

	if (!reader->io->lookup)
		return 0;
	segname_format(reader->id, name);
	int rc = reader->io->lookup(reader->io, reader->dirfd, name, &st);
	if (rc < 0)
		return rc == -ENOENT ? 1 : rc;
	return st.st_ino != reader->inode;
}

int tail_reader_sync(struct tail_reader *reader, const struct scan_record *record)
{
	const struct scan *scan = &reader->scan;

	if (scan->offset <= reader->synced)
		return 0;
	/* The window was read before, so all that it holds will be on disk; of a larger record all
	 * went through it. */
	uint64_t end = scan->window_offset + scan->window_size;
	int rc = reader->io->fdatasync(reader->io, reader->fd);
	if (!rc)
		reader->synced = record->bytes && end > scan->offset ? end : scan->offset;
	return rc;
}

int64_t tail_reader_time(struct tail_reader *reader, const struct scan_record *record)
{
	while (reader->hint.fd >= 0 &&
	       (reader->entry_offset == UINT64_MAX || reader->entry_offset < record->offset)) {
		if (hintreader_next(&reader->hint, &reader->entry, &reader->entry_offset) == 1)
			continue;
		hintreader_release(&reader->hint);
		reader->entry_offset = UINT64_MAX;
	}
	/* another record's entry: the hint is of another log, or of another place */
	bool told = reader->entry_offset == record->offset && reader->hint.layout != 1 &&
		    reader->entry.crc == record->crc;
	return told ? reader->entry.mtime_ns : reader->mtime_ns;
}
