/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * sendlist.c - the segments of a log that is sent: which there are, and what the replica has of
 * them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "codec/segname.h"
#include "disk/scan.h"
#include "log/segset.h"
#include "whole/sendlog_internal.h"

enum { CHUNK_SIZE = 1 << 20, LIST_TRIES = 1000, CRC_SIZE = RECORD_TRAILER_SIZE };

void sendlog_init(struct sendlog *log, struct io *io, int dirfd, enum stream_side side)
{
	*log = (struct sendlog){.io = io, .dirfd = dirfd, .side = side, .whole = true};
}

void sendlog_close(struct sendlog *log, struct send_segment *segment)
{
	if (segment->fd >= 0)
		(void)log->io->close(log->io, segment->fd); /* nothing was written through it */
	segment->fd = -1;
}

void sendlog_release(struct sendlog *log)
{
	for (size_t i = 0; i < log->count; i++)
		sendlog_close(log, &log->items[i]);
	free(log->items);
	log->items = NULL;
	log->count = 0;
}

/* --- the list of segments --- */

struct send_segment *sendlog_find(const struct sendlog *log, uint32_t id)
{
	for (size_t i = 0; i < log->count; i++)
		if (log->items[i].id == id)
			return &log->items[i];
	return NULL;
}

bool sendlog_is_last(const struct sendlog *log, const struct send_segment *segment)
{
	for (size_t i = log->count; i; i--)
		if (log->items[i - 1].listed)
			return segment == &log->items[i - 1];
	return false;
}

/* Take in the segment, in order of ids, open.  -ENOENT: it is gone. */
static int add(struct sendlog *log, uint32_t id)
{
	char name[SEGNAME_SIZE];
	size_t at = log->count;
	struct send_segment *items = reallocarray(log->items, log->count + 1, sizeof *log->items);

	if (!items)
		return -ENOMEM;
	log->items = items;
	segname_format(id, name);
	int fd = log->io->open(log->io, log->dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd < 0)
		return fd;
	while (at && items[at - 1].id > id)
		at--;
	memmove(items + at + 1, items + at, (log->count - at) * sizeof *items);
	items[at] = (struct send_segment){.id = id, .fd = fd, .listed = true};
	log->count++;
	log->fresh = true;
	return 0;
}

/* Forget segments that are gone and that nothing more is to be sent of. */
static void forget_gone(struct sendlog *log)
{
	size_t kept = 0;

	for (size_t i = 0; i < log->count; i++) {
		struct send_segment *segment = &log->items[i];
		bool copy = !log->whole && segment->id < log->tail;
		if (!segment->listed && segment->id != log->tail && (segment->done || copy)) {
			sendlog_close(log, segment);
			continue;
		}
		log->items[kept++] = *segment;
	}
	log->count = kept;
}

static int take_ids(struct sendlog *log, const struct segset_ids *ids)
{
	for (size_t i = 0; i < log->count; i++) {
		struct send_segment *segment = &log->items[i];
		bool listed = ids->count && bsearch(&segment->id, ids->items, ids->count,
						    sizeof *ids->items, segset_compare_ids);
		log->fresh = log->fresh || listed != segment->listed;
		segment->listed = listed;
	}
	for (size_t i = 0; i < ids->count; i++) {
		int rc = sendlog_find(log, ids->items[i]) ? 0 : add(log, ids->items[i]);
		if (rc < 0)
			return rc == -ENOENT ? -EAGAIN : rc;
	}
	return 0;
}

/* A directory may tell of a segment that came and not of one that went meanwhile: so two listings
 * must agree. */
static int refresh_once(struct sendlog *log)
{
	struct segset_ids ids = {0}, again = {0};
	int rc = segset_list(log->io, log->dirfd, &ids);

	if (!rc)
		rc = take_ids(log, &ids);
	if (!rc && log->fresh) {
		rc = segset_list(log->io, log->dirfd, &again);
		if (!rc && (ids.count != again.count ||
			    (ids.count &&
			     memcmp(ids.items, again.items, ids.count * sizeof *ids.items) != 0)))
			rc = -EAGAIN;
	}
	segset_ids_release(&ids);
	segset_ids_release(&again);
	return rc;
}

int sendlog_refresh(struct sendlog *log)
{
	int rc = -EAGAIN;

	for (int i = 0; rc == -EAGAIN && i < LIST_TRIES; i++)
		rc = refresh_once(log);
	forget_gone(log);
	return rc == -EAGAIN ? -EBUSY : rc;
}

/* --- what the replica has --- */

int sendlog_size_of(const struct sendlog *log, const struct send_segment *segment, uint64_t *ret)
{
	struct stat st;
	int rc = log->io->fstat(log->io, segment->fd, &st);

	if (!rc && !S_ISREG(st.st_mode))
		rc = -EINVAL;
	if (!rc)
		*ret = (uint64_t)st.st_size;
	return rc;
}

/* The four bytes before `offset`; 0 at the start. */
int sendlog_crc_before(const struct sendlog *log, const struct send_segment *segment,
		       uint64_t offset, uint32_t *ret)
{
	uint8_t bytes[CRC_SIZE];

	if (offset < CRC_SIZE) {
		*ret = 0;
		return 0;
	}
	int rc = io_read_full(log->io, segment->fd, bytes, CRC_SIZE, offset - CRC_SIZE);
	if (!rc)
		*ret = bytes_get32(bytes);
	return rc;
}

static int has(struct sendlog *log, struct send_segment *segment, uint64_t size, uint32_t crc)
{
	uint64_t there = 0;
	uint32_t found = 0;
	int rc = sendlog_size_of(log, segment, &there);

	if (!rc)
		rc = there < size ? -EILSEQ : sendlog_crc_before(log, segment, size, &found);
	if (!rc && found != crc)
		rc = -EILSEQ;
	if (rc < 0)
		return rc;
	segment->sent = size;
	segment->crc = crc;
	segment->told = true;
	segment->done = size == there && !sendlog_is_last(log, segment);
	if (segment->done)
		sendlog_close(log, segment);
	return 0;
}

int sendlog_has(struct sendlog *log, uint32_t id, uint64_t size, uint32_t crc)
{
	struct send_segment *segment = sendlog_find(log, id);

	return segment ? has(log, segment, size, crc) : 0;
}

int sendlog_has_below(struct sendlog *log, uint32_t id)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < log->count && log->items[i].id < id; i++) {
		uint64_t size;
		uint32_t crc;
		rc = sendlog_size_of(log, &log->items[i], &size);
		if (!rc)
			rc = sendlog_crc_before(log, &log->items[i], size, &crc);
		if (!rc)
			rc = has(log, &log->items[i], size, crc);
	}
	return rc;
}

/* Look for the record in a copy: 1; 0: it is not in this segment; -ESTALE: here is a copy of what
 * came after it, and that was not sent. */
static int find_record(struct sendlog *log, const struct send_segment *segment,
		       const struct stream_place *end)
{
	struct scan_record record;
	struct scan scan;
	uint64_t size = 0;
	bool found = false, older = false, newer = false;
	int rc = sendlog_size_of(log, segment, &size);

	if (rc < 0)
		return rc;
	rc = scan_init(&scan, log->io, segment->fd, 0, size);
	while (!rc && (rc = scan_next(&scan, &record)) == 1) {
		older = older || record.header.txid <= end->txid;
		newer = newer || record.header.txid > end->txid;
		found = found || (record.header.txid == end->txid && record.crc == end->crc);
		rc = !older; /* one of the tail need not be read */
	}
	scan_release(&scan);
	if (rc < 0 && rc != -EBADMSG)
		return rc;
	return older && newer ? -ESTALE : found;
}

static int continue_gone(struct sendlog *log, const struct stream_place *end)
{
	int found = 0;

	if (!end->txid || !end->crc)
		return -ESTALE;
	for (size_t i = 0; i < log->count; i++) {
		int rc = log->items[i].fd < 0 || log->items[i].id < end->segment
				 ? 0
				 : find_record(log, &log->items[i], end);
		if (rc < 0)
			return rc;
		found += rc;
	}
	if (!found)
		return -ESTALE;
	log->gone = *end;
	log->gone.known = STREAM_RECORD;
	return 0;
}

int sendlog_continue(struct sendlog *log, const struct stream_place *end)
{
	const struct send_segment *segment = sendlog_find(log, end->segment);
	int rc = segment ? 0 : continue_gone(log, end);

	if (rc < 0 || (segment && !segment->told))
		return rc ? rc : -ESTALE;
	log->whole = false;
	log->tail = end->segment;
	log->txid = end->txid;
	return 0;
}

static int crc_of_prefix(const struct sendlog *log, const struct send_segment *segment,
			 uint32_t *ret)
{
	uint8_t *bytes = malloc(CHUNK_SIZE);
	char name[SEGNAME_SIZE];
	uint32_t crc = 0;
	int rc = bytes ? 0 : -ENOMEM, fd = -1;

	segname_format(segment->id, name);
	if (!rc) /* the segment's own may be closed already */
		fd = log->io->open(log->io, log->dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK,
				   0);
	if (fd < 0 && !rc)
		rc = fd;
	for (uint64_t at = 0; !rc && at < segment->sent;) {
		uint64_t left = segment->sent - at;
		size_t n = left < CHUNK_SIZE ? (size_t)left : CHUNK_SIZE;
		rc = io_read_full(log->io, fd, bytes, n, at);
		crc = rc ? crc : crc32c(crc, bytes, n);
		at += n;
	}
	if (fd >= 0)
		(void)log->io->close(log->io, fd); /* nothing was written through it */
	free(bytes);
	if (!rc)
		*ret = crc;
	return rc;
}

int sendlog_place(const struct sendlog *log, bool field, struct stream_place *ret)
{
	const struct send_segment *segment = log->whole ? NULL : sendlog_find(log, log->tail);
	struct stream_place place = log->gone;
	int rc = 0;

	if (segment) {
		place.known = STREAM_PREFIX;
		place.segment = segment->id;
		place.offset = segment->sent;
		place.txid = log->txid;
		place.crc = segment->crc;
	}
	if (segment && !field)
		rc = crc_of_prefix(log, segment, &place.crc);
	if (!rc)
		*ret = place;
	return rc;
}
