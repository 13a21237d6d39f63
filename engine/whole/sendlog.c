/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * sendlog.c - see sendlog.h.
 *
 * What tells a segment of the tail from a copy is its first txid: the tail goes on with the txid
 * after the last one, and a copy holds older ones.  A higher one means that records in between are
 * gone.
 */
#include <errno.h>
#include <fcntl.h>

#include "base/bytes.h"
#include "codec/record.h"
#include "codec/segname.h"
#include "whole/sendlog_internal.h"

enum { CHUNK_SIZE = 1 << 20, CRC_SIZE = RECORD_TRAILER_SIZE };

/* Whole, sound records at the start of `bytes`. */
struct span {
	size_t size;
	enum dw_damage damage; /* of what follows them */
	uint32_t crc;          /* the last one's CRC field */
	uint64_t txid;         /* the highest */
};

static struct span measure(const uint8_t *bytes, size_t size)
{
	struct span span = {.damage = DW_DAMAGE_TRUNCATED};
	struct record_header header;

	while (span.size < size) {
		span.damage = record_decode(bytes + span.size, size - span.size, &header);
		if (span.damage)
			return span;
		span.size += (size_t)record_size(&header);
		span.crc = bytes_get32(bytes + span.size - CRC_SIZE);
		if (header.txid > span.txid)
			span.txid = header.txid;
	}
	return span;
}

/* Of a record that does not fit: its size, as far as its header tells. */
static uint64_t size_needed(const uint8_t *bytes, size_t size)
{
	struct record_header header;

	if (size < RECORD_HEADER_SIZE || record_header_decode(bytes, &header))
		return size;
	return record_size(&header);
}

/* Read records behind what was sent into `payload`, as many as a chunk holds, or a larger one
 * alone. */
static int read_span(struct sendlog *log, const struct send_segment *segment, uint64_t there,
		     struct buf *payload, struct span *ret)
{
	uint64_t left = there - segment->sent;
	size_t want = left < CHUNK_SIZE ? (size_t)left : CHUNK_SIZE;

	for (int i = 0; i < 2; i++) {
		int rc = buf_reserve(payload, STREAM_DATA_SIZE + want);
		if (rc < 0)
			return rc;
		uint8_t *bytes = payload->data + payload->size + STREAM_DATA_SIZE;
		ssize_t n = io_read_up_to(log->io, segment->fd, bytes, want, segment->sent);
		if (n < 0)
			return (int)n;
		*ret = measure(bytes, (size_t)n);
		uint64_t need = size_needed(bytes, (size_t)n);
		if (ret->size || need <= (uint64_t)n || need > left)
			return 0;
		want = (size_t)need;
	}
	return 0;
}

/* An append that failed is taken back, and a disk that lost power may have lost what was there. */
static int check_sent(const struct sendlog *log, const struct send_segment *segment, uint64_t there)
{
	uint32_t crc = 0;

	if (there < segment->sent)
		return -ESTALE;
	int rc = sendlog_crc_before(log, segment, segment->sent, &crc);
	return rc ? rc : crc == segment->crc ? 0 : -ESTALE;
}

/* The next records of a segment: 1; 0: it has no more for now, or, sealed, at all; or -errno. */
static int read_segment(struct sendlog *log, struct send_segment *segment, struct buf *payload)
{
	struct span span = {0};
	uint64_t there = 0;
	bool sealed = !sendlog_is_last(log, segment);
	int rc = sendlog_size_of(log, segment, &there);

	if (!rc)
		rc = check_sent(log, segment, there);
	if (!rc && there > segment->sent)
		rc = read_span(log, segment, there, payload, &span);
	if (rc < 0)
		return rc;
	if (!span.size && sealed && there != segment->sent) {
		log->damage = segment->sent;
		log->damaged = segment->id;
		return -EBADMSG;
	}
	if (!span.size && segment->told)
		return 0;
	rc = buf_reserve(payload, STREAM_DATA_SIZE);
	if (rc < 0)
		return rc;
	stream_data_encode(segment->id, segment->sent, payload->data + payload->size);
	payload->size += STREAM_DATA_SIZE + span.size;
	segment->told = true;
	segment->sent += span.size;
	if (span.size)
		segment->crc = span.crc;
	if (span.txid > log->txid)
		log->txid = span.txid;
	log->unsynced = true;
	return 1;
}

/* The first txid of a segment; 0: it has no record yet. */
static int first_txid(const struct sendlog *log, const struct send_segment *segment, uint64_t *ret)
{
	uint8_t bytes[RECORD_HEADER_SIZE];
	struct record_header header = {.txid = 0};
	ssize_t n = io_read_up_to(log->io, segment->fd, bytes, sizeof bytes, 0);

	if (n < 0)
		return (int)n;
	if (n == sizeof bytes && record_header_decode(bytes, &header))
		header.txid = 0; /* a guard may stand there, or a torn record */
	*ret = header.txid;
	return 0;
}

/* The segment in which the tail goes on: 1; 0: there is none; -ESTALE: what comes next is gone. */
static int find_tail(struct sendlog *log)
{
	for (size_t i = 0; i < log->count; i++) {
		struct send_segment *segment = &log->items[i];
		uint64_t txid = 0;
		if (segment->id <= log->tail || segment->done)
			continue;
		int rc = log->whole ? 0 : first_txid(log, segment, &txid);
		if (rc < 0)
			return rc;
		if (!log->whole && txid > log->txid + 1)
			return -ESTALE;
		if (log->whole || txid == log->txid + 1 ||
		    (!txid && sendlog_is_last(log, segment))) {
			log->tail = segment->id;
			return 1;
		}
	}
	return 0;
}

int sendlog_next(struct sendlog *log, struct buf *payload)
{
	for (;;) {
		struct send_segment *segment = sendlog_find(log, log->tail);
		int rc = segment && !segment->done ? read_segment(log, segment, payload) : 0;
		if (rc)
			return rc;
		if (segment && sendlog_is_last(log, segment)) {
			log->whole = false;
			return 0;
		}
		if (segment) {
			segment->done = segment->hint_due = true;
			sendlog_close(log, segment);
		}
		rc = find_tail(log);
		if (rc <= 0)
			return rc;
	}
}

int sendlog_next_copy(struct sendlog *log, struct buf *payload)
{
	uint64_t txid = log->txid; /* that of the tail */

	for (size_t i = 0; i < log->count && log->items[i].id < log->tail; i++) {
		struct send_segment *segment = &log->items[i];
		if (segment->done)
			continue;
		int rc = read_segment(log, segment, payload);
		log->txid = txid;
		if (rc)
			return rc;
		segment->done = segment->hint_due = true;
		sendlog_close(log, segment);
	}
	return 0;
}

/* A hint saves time and has commit times; none is needed, so whatever fails costs no more. */
static int read_hint(struct sendlog *log, struct send_segment *segment, struct buf *payload)
{
	char name[SEGNAME_SIZE];

	segname_format_hint(segment->id, name);
	int fd = log->io->open(log->io, log->dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	int rc = fd < 0 ? 0 : buf_reserve(payload, STREAM_DATA_SIZE + CHUNK_SIZE);
	uint8_t *bytes = payload->data + payload->size;
	ssize_t n = fd < 0 || rc ? -1
				 : io_read_up_to(log->io, fd, bytes + STREAM_DATA_SIZE, CHUNK_SIZE,
						 segment->hint_sent);
	if (fd >= 0)
		(void)log->io->close(log->io, fd); /* nothing was written through it */
	segment->hint_due = n == CHUNK_SIZE;
	if (rc < 0 || n < 0)
		return rc;
	stream_hint_encode(segment->id, n < CHUNK_SIZE, segment->hint_sent, bytes);
	segment->hint_sent += (uint64_t)n;
	payload->size += STREAM_DATA_SIZE + (size_t)n;
	return 1;
}

int sendlog_next_hint(struct sendlog *log, struct buf *payload)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < log->count; i++)
		if (log->items[i].hint_due)
			rc = read_hint(log, &log->items[i], payload);
	return rc;
}

int sendlog_list(struct sendlog *log, struct buf *payload)
{
	if (!log->fresh)
		return 0;
	for (size_t i = 0; i < log->count; i++) {
		const struct send_segment *segment = &log->items[i];
		const struct stream_entry entry = {segment->id, segment->crc, segment->sent};
		uint8_t bytes[STREAM_ENTRY_SIZE];
		if (!segment->listed)
			continue;
		stream_entry_encode(&entry, bytes);
		int rc = buf_add(payload, bytes, sizeof bytes);
		if (rc < 0)
			return rc;
	}
	log->fresh = false;
	return 1;
}

int sendlog_sync(struct sendlog *log)
{
	const struct send_segment *segment = sendlog_find(log, log->tail);

	if (!log->unsynced)
		return 0;
	/* the others are sealed, so they are on disk */
	int rc = segment && segment->fd >= 0 ? log->io->fdatasync(log->io, segment->fd) : 0;
	if (!rc)
		rc = log->io->fsync(log->io, log->dirfd);
	if (!rc)
		log->unsynced = false;
	return rc;
}

uint64_t sendlog_left(const struct sendlog *log)
{
	uint64_t left = 0, there;

	for (size_t i = 0; i < log->count; i++)
		if (log->items[i].fd >= 0 && !sendlog_size_of(log, &log->items[i], &there) &&
		    there > log->items[i].sent)
			left += there - log->items[i].sent;
	return left;
}
