/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * guard.c - see guard.h.
 */
#include "disk/guard.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

const uint8_t guard_bytes[GUARD_SIZE] = {
	'D',  'W',  'A',  'L',  1, 0,       /* magic, version */
	0,    0,                            /* Raw, no flags */
	0,    0,    0,    0,    0, 0, 0, 0, /* txid */
	0,    0,    0,    0,                /* key size */
	0xff, 0xff, 0xff, 0x03,             /* payload size */
};

/* PART_SIZE bytes of a guard are written before the file has the length of a header, and stay until
 * it is shorter than one: a reader takes so small a piece for a torn record, whatever its bytes. */
enum { PART_SIZE = GUARD_SIZE - 1, ZEROS_SIZE = 64 << 10 };

static const uint8_t zeros[ZEROS_SIZE];

int guard_write_zeros(struct io *io, int fd, uint64_t offset, uint64_t end)
{
	enum { PIECES = 16 };
	struct iovec iov[PIECES];
	int rc = 0;

	while (!rc && offset < end) {
		uint64_t total = 0;
		int count = 0;
		for (; count < PIECES && offset + total < end; count++) {
			uint64_t left = end - offset - total;
			iov[count].iov_base = (void *)zeros; /* only read */
			iov[count].iov_len = left < ZEROS_SIZE ? (size_t)left : ZEROS_SIZE;
			total += iov[count].iov_len;
		}
		rc = io_writev_full(io, fd, iov, count, offset);
		offset += total;
	}
	return rc;
}

static int zeros_from(struct io *io, int fd, uint64_t offset, uint64_t end)
{
	uint8_t bytes[4096];

	while (offset < end) {
		size_t n = end - offset < sizeof bytes ? (size_t)(end - offset) : sizeof bytes;
		int rc = io_read_full(io, fd, bytes, n, offset);
		if (rc < 0)
			return rc == -ENODATA ? 0 : rc; /* shorter by now */
		if (memcmp(bytes, zeros, n))
			return 0;
		offset += n;
	}
	return 1;
}

int guard_is_at(struct io *io, int fd, uint64_t offset, uint64_t size)
{
	uint8_t bytes[GUARD_SIZE];
	uint64_t left = size - offset;
	size_t n = left < GUARD_SIZE ? (size_t)left : GUARD_SIZE;

	if (n < PART_SIZE)
		return 0;
	int rc = io_read_full(io, fd, bytes, n, offset);
	if (rc < 0)
		return rc == -ENODATA ? 0 : rc;
	if (memcmp(bytes, guard_bytes, PART_SIZE) ||
	    (n == GUARD_SIZE && bytes[PART_SIZE] && bytes[PART_SIZE] != guard_bytes[PART_SIZE]))
		return 0;
	return zeros_from(io, fd, offset + n, size);
}

int guard_cut(struct io *io, int fd, uint64_t end, uint64_t size)
{
	int rc = 0;

	/* A truncate may first make zeros of what is behind it in the last block: as long
	 * as a header fits into the file, all but one byte of the one at `end` stays. */
	if (size >= end + GUARD_SIZE)
		rc = io->ftruncate(io, fd, (off_t)(end + PART_SIZE));
	/* A file that is shorter already may be so by a truncate that is not yet on disk. */
	if (!rc)
		rc = io->fsync(io, fd);
	if (!rc)
		rc = io->ftruncate(io, fd, (off_t)end);
	return rc ? rc : io->fsync(io, fd);
}

int guard_undo(struct io *io, int fd, uint64_t end, uint64_t size)
{
	int rc = 0;

	/* Records may stand there whole, and the truncate make zeros behind them: so they
	 * must be gone first. */
	if (size >= end + GUARD_SIZE) {
		rc = io_write_full(io, fd, guard_bytes, GUARD_SIZE, end);
		if (!rc)
			rc = io->fdatasync(io, fd);
	}
	return rc ? rc : guard_cut(io, fd, end, size);
}

int guard_extend(struct io *io, int fd, uint64_t end, uint64_t size, bool *sync_failed_ret)
{
	int rc = io_write_full(io, fd, guard_bytes, PART_SIZE, end);

	if (rc < 0)
		return rc;
	/* the file may only be long enough for a header when all but the last byte of it
	 * is there for certain */
	rc = io->fdatasync(io, fd);
	if (rc < 0) {
		*sync_failed_ret = true;
		return rc;
	}
	rc = io_write_full(io, fd, guard_bytes + PART_SIZE, 1, end + PART_SIZE);
	if (!rc)
		rc = guard_write_zeros(io, fd, end + GUARD_SIZE, end + GUARD_SIZE + size);
	if (rc < 0)
		return rc;
	rc = io->fdatasync(io, fd);
	*sync_failed_ret = rc < 0;
	return rc;
}

/* Magic and the lower byte of the version: with these a header that goes on with zeros, or
 * with another header, is still taken for a torn one. */
enum { HEADER_KNOWN_SIZE = 5 };

bool guard_is_awkward(uint64_t boundary, const uint8_t *bytes, size_t size)
{
	size_t before = (size_t)(boundary % GUARD_SECTOR_SIZE);

	if (!before || GUARD_SECTOR_SIZE - before < HEADER_KNOWN_SIZE)
		return true;
	/* The sector with the append's last bytes looks as it did before if these are all
	 * zero: then the reader goes on to a header that may not be there. */
	if (before > size)
		return false; /* the record starts there, and no record starts with zeros */
	while (before && !bytes[--size])
		before--;
	return !before;
}

/* Write the bytes `start`..`end` of an append at `offset`, its first header last: as long as
 * that is not there, a reader does not get past the guard, whatever it catches of the rest. */
static int write_header_last(struct io *io, int fd, const uint8_t *bytes, size_t start, size_t end,
			     uint64_t offset)
{
	size_t body = start > GUARD_SIZE ? start : end < GUARD_SIZE ? end : GUARD_SIZE;
	int rc = io_write_full(io, fd, bytes + body, end - body, offset + body);

	return rc ? rc : io_write_full(io, fd, bytes + start, body - start, offset + start);
}

int guard_write_over(struct io *io, int fd, const uint8_t *bytes, size_t size, uint64_t offset,
		     bool awkward, bool *sync_failed_ret)
{
	size_t differs = 0;
	int rc = 0;

	while (differs < GUARD_SIZE && bytes[differs] == guard_bytes[differs])
		differs++;
	assert(differs < GUARD_SIZE); /* no record has txid 0 */
	/* The sector in which the record begins to be another header than the guard: as long
	 * as that is the old one a reader does not get past the guard. */
	uint64_t sector = (offset + differs) / GUARD_SECTOR_SIZE * GUARD_SECTOR_SIZE;
	size_t start = sector > offset ? (size_t)(sector - offset) : 0;
	size_t end = (size_t)(sector + GUARD_SECTOR_SIZE - offset);

	if (!awkward || end >= size)
		return write_header_last(io, fd, bytes, 0, size, offset);
	rc = io_write_full(io, fd, bytes + end, size - end, offset + end);
	if (!rc) {
		rc = io->fdatasync(io, fd);
		*sync_failed_ret = rc < 0;
	}
	/* in front of `start` the bytes are the guard's */
	return rc ? rc : write_header_last(io, fd, bytes, start, end, offset);
}
