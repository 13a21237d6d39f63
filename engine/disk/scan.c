/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * scan.c - see scan.h.
 */
#include "disk/scan.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"

int scan_init(struct scan *scan, struct io *io, int fd, uint64_t offset, uint64_t end)
{
	*scan = (struct scan){.io = io, .fd = fd, .offset = offset, .end = end};
	scan->window = malloc(SCAN_WINDOW_SIZE);
	return scan->window ? 0 : -ENOMEM;
}

void scan_release(struct scan *scan)
{
	free(scan->window);
	buf_release(&scan->key);
	*scan = (struct scan){0};
}

/* Have `size` bytes from `offset` in the window; `*ret` points at them.
 * They must lie before scan->end.  -ENODATA: the file shrank. */
static int fill(struct scan *scan, uint64_t offset, size_t size, const uint8_t **ret)
{
	uint64_t window_end = scan->window_offset + scan->window_size;

	assert(size <= SCAN_WINDOW_SIZE);
	if (offset < scan->window_offset || offset + size > window_end) {
		size_t kept = 0;
		if (offset >= scan->window_offset && offset < window_end) {
			kept = (size_t)(window_end - offset);
			memmove(scan->window, scan->window + (offset - scan->window_offset), kept);
		}
		scan->window_offset = offset;
		scan->window_size = kept;
		uint64_t there = scan->end - offset;
		size_t want = there < SCAN_WINDOW_SIZE ? (size_t)there : SCAN_WINDOW_SIZE;
		ssize_t n = io_read_up_to(scan->io, scan->fd, scan->window + kept, want - kept,
					  offset + kept);
		if (n < 0)
			return (int)n;
		scan->window_size += (size_t)n;
		if (scan->window_size < size)
			return -ENODATA;
	}
	*ret = scan->window + (offset - scan->window_offset);
	return 0;
}

/* Whether all bytes from `offset` to the end are zero: 1, 0 or -errno. */
static int is_zero(struct scan *scan, uint64_t offset)
{
	const uint8_t *p;

	while (offset < scan->end) {
		uint64_t left = scan->end - offset;
		size_t n = left < SCAN_WINDOW_SIZE ? (size_t)left : SCAN_WINDOW_SIZE;
		int rc = fill(scan, offset, n, &p);
		if (rc < 0)
			return rc;
		if (p[0] || memcmp(p, p + 1, n - 1))
			return 0;
		offset += n;
	}
	return 1;
}

static int damaged(struct scan *scan, enum dw_damage damage)
{
	scan->damage = damage;
	return -EBADMSG;
}

/* The CRC of the `size` bytes from `offset`, window by window. */
static int stream_crc(struct scan *scan, uint64_t offset, uint64_t size, uint32_t *ret)
{
	const uint8_t *p;
	uint32_t crc = 0;

	for (size_t n; size; size -= n, offset += n) {
		n = size < SCAN_WINDOW_SIZE ? (size_t)size : SCAN_WINDOW_SIZE;
		int rc = fill(scan, offset, n, &p);
		if (rc < 0)
			return rc;
		crc = crc32c(crc, p, n);
	}
	*ret = crc;
	return 0;
}

/* A record larger than the window: its key is copied aside, the rest streams by. */
static int next_large(struct scan *scan, struct scan_record *record)
{
	uint64_t covered = record_size(&record->header) - RECORD_TRAILER_SIZE;
	const uint8_t *p;
	uint32_t crc;
	int rc = fill(scan, record->offset, RECORD_HEADER_SIZE + record->header.key_size, &p);

	scan->key.size = 0;
	if (!rc)
		rc = buf_add(&scan->key, p + RECORD_HEADER_SIZE, record->header.key_size);
	if (!rc) {
		rc = stream_crc(scan, record->offset, covered, &crc);
		if (!rc)
			rc = fill(scan, record->offset + covered, RECORD_TRAILER_SIZE, &p);
		record->crc = rc ? 0 : bytes_get32(p);
		if (!rc && crc != record->crc)
			rc = damaged(scan, DW_DAMAGE_CRC);
	}
	record->key = (struct dw_bytes){scan->key.data, record->header.key_size};
	record->bytes = NULL;
	return rc;
}

static int next_small(struct scan *scan, struct scan_record *record)
{
	const uint8_t *p;
	int rc = fill(scan, record->offset, (size_t)record_size(&record->header), &p);

	if (rc < 0)
		return rc;
	if (!record_is_sound(p, &record->header, &record->crc))
		return damaged(scan, DW_DAMAGE_CRC);
	record->key = (struct dw_bytes){p + RECORD_HEADER_SIZE, record->header.key_size};
	record->bytes = p;
	return 0;
}

static int next_key(struct scan *scan, struct scan_record *record)
{
	const uint8_t *p;
	int rc = fill(scan, record->offset, RECORD_HEADER_SIZE + record->header.key_size, &p);

	if (!rc)
		record->key = (struct dw_bytes){p + RECORD_HEADER_SIZE, record->header.key_size};
	return rc;
}

static int next_body(struct scan *scan, struct scan_record *record)
{
	if (scan->keys_only)
		return next_key(scan, record);
	if (record_size(&record->header) > SCAN_WINDOW_SIZE)
		return next_large(scan, record);
	return next_small(scan, record);
}

int scan_next(struct scan *scan, struct scan_record *ret)
{
	struct scan_record record = {.offset = scan->offset};
	uint64_t left = scan->end - scan->offset;
	const uint8_t *p;
	int rc;

	if (!left)
		return 0;
	if (left < RECORD_HEADER_SIZE)
		return damaged(scan, DW_DAMAGE_TRUNCATED);
	rc = fill(scan, scan->offset, RECORD_HEADER_SIZE, &p);
	if (rc < 0)
		return rc == -ENODATA ? damaged(scan, DW_DAMAGE_TRUNCATED) : rc;
	enum dw_damage damage = record_header_decode(p, &record.header);
	if (damage == DW_DAMAGE_MAGIC) {
		rc = is_zero(scan, scan->offset);
		if (rc < 0 && rc != -ENODATA)
			return rc;
		return damaged(scan, rc == 1 ? DW_DAMAGE_ZEROS : DW_DAMAGE_MAGIC);
	}
	if (damage)
		return damaged(scan, damage);
	uint64_t size = record_size(&record.header);
	if (size > left)
		return damaged(scan, DW_DAMAGE_TRUNCATED);
	rc = next_body(scan, &record);
	if (rc < 0)
		return rc == -ENODATA ? damaged(scan, DW_DAMAGE_TRUNCATED) : rc;
	scan->offset += size;
	*ret = record;
	return 1;
}

int scan_refresh(struct scan *scan)
{
	uint8_t now[RECORD_HEADER_SIZE];
	uint64_t at = scan->offset - scan->window_offset;
	size_t known = scan->offset < scan->window_offset ? 0 : (size_t)(scan->window_size - at);
	struct stat st;
	int rc = scan->io->fstat(scan->io, scan->fd, &st);

	if (rc < 0)
		return rc;
	ssize_t n = io_read_up_to(scan->io, scan->fd, now, sizeof now, scan->offset);
	if (n < 0)
		return (int)n;
	bool same = (uint64_t)st.st_size == scan->end && known >= (size_t)n &&
		    at < scan->window_size && !memcmp(now, scan->window + at, (size_t)n);
	scan->end = (uint64_t)st.st_size > scan->offset ? (uint64_t)st.st_size : scan->offset;
	scan->window_size = 0;
	return !same;
}

/* Where the record at `at` ends by its own word, be it damaged or not: 1 and
 * `*ret`; 0: it tells nothing sensible; or -errno. */
static int claimed_end(struct scan *scan, uint64_t at, uint64_t *ret)
{
	const uint8_t *p;

	if (scan->end - at < RECORD_OVERHEAD)
		return 0;
	int rc = fill(scan, at, RECORD_HEADER_SIZE, &p);
	if (rc < 0)
		return rc == -ENODATA ? 0 : rc;
	struct record_header header;
	record_header_sizes(p, &header);
	if (header.key_size > DW_KEY_SIZE_MAX || header.payload_size > DW_VALUE_SIZE_MAX ||
	    record_size(&header) > scan->end - at)
		return 0;
	*ret = at + record_size(&header);
	return 1;
}

/* Whether a sound record starts at scan->offset: 1, 0 or -errno. */
static int probe(struct scan *scan, uint64_t *budget)
{
	uint64_t at = scan->offset, end;
	struct scan_record record;
	int rc = scan_next(scan, &record);
	uint64_t cost = rc == 1 ? 0 : RECORD_HEADER_SIZE;

	if (rc == -EBADMSG && scan->damage == DW_DAMAGE_CRC && claimed_end(scan, at, &end) == 1)
		cost = end - at; /* the bytes covered by the CRC */
	*budget -= cost < *budget ? cost : *budget;
	scan->offset = at;
	return rc == -EBADMSG ? 0 : rc;
}

static const char magic[] = "DWAL";

/* Follow the sizes that damaged records claim, as long as something like a record
 * stands where they end: a value may hold whole records (a copy of a segment), and
 * those are no records of this log.  1 and scan->offset at a sound one; 0: the
 * claims end with the segment; -EAGAIN: they lead nowhere; or -errno. */
static int follow_claims(struct scan *scan, uint64_t *budget)
{
	uint64_t start = scan->offset, end;
	const uint8_t *p;
	int rc = -EAGAIN;

	while (*budget && claimed_end(scan, scan->offset, &end) == 1) {
		scan->offset = end;
		if (end == scan->end)
			return 0;
		rc = probe(scan, budget);
		if (rc)
			return rc;
		rc = -EAGAIN;
		if (scan->end - end < RECORD_OVERHEAD || fill(scan, end, sizeof magic - 1, &p) ||
		    memcmp(p, magic, sizeof magic - 1))
			break;
	}
	scan->offset = start;
	return rc;
}

int scan_resync(struct scan *scan, uint64_t *budget)
{
	const uint8_t *p;
	int claims = follow_claims(scan, budget);

	if (claims != -EAGAIN)
		return claims;
	for (uint64_t at = scan->offset + 1; at + RECORD_OVERHEAD <= scan->end && *budget;) {
		int rc = fill(scan, at, RECORD_OVERHEAD, &p);
		if (rc < 0)
			return rc == -ENODATA ? 0 : rc;
		size_t n = (size_t)(scan->window_offset + scan->window_size - at);
		const uint8_t *hit = memmem(p, n, magic, 4);
		if (!hit) {
			at += n - 3; /* the magic may lie across the edge */
			continue;
		}
		scan->offset = at + (uint64_t)(hit - p);
		rc = probe(scan, budget);
		if (rc)
			return rc;
		at = scan->offset + 1;
	}
	scan->offset = scan->end;
	return 0;
}
