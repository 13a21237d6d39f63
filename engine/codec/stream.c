/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * stream.c - see stream.h.
 */
#include "codec/stream.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"

enum {
	FRAME_MAGIC = 0x52465744, /* "DWFR" */
	CRC_AT = 20,
	HELLO_PLACES_AT = 16,
	HELLO_PLACE_SIZE = 32,
	MARK_PLACE_SIZE = 24,
	MARK_TIME_AT = 48,
	MARK_LEFT_AT = 56,
};

_Static_assert(HELLO_PLACES_AT + STREAM_SIDES * HELLO_PLACE_SIZE == STREAM_HELLO_SIZE,
	       "docs/FORMAT.md");
_Static_assert(STREAM_SIDES *MARK_PLACE_SIZE == MARK_TIME_AT, "docs/FORMAT.md");

static const uint8_t stream_magic[8] = "DWSTREAM";

static uint32_t frame_crc(const uint8_t *header, const uint8_t *payload, uint32_t size)
{
	return crc32c(crc32c(0, header, CRC_AT), payload, size);
}

void stream_frame_encode(struct stream_frame *frame, const uint8_t *payload,
			 uint8_t ret[STREAM_HEADER_SIZE])
{
	assert(frame->size <= STREAM_PAYLOAD_MAX);
	bytes_put32(ret, FRAME_MAGIC);
	ret[4] = (uint8_t)frame->type;
	ret[5] = (uint8_t)frame->side;
	bytes_put16(ret + 6, 0);
	bytes_put64(ret + 8, frame->number);
	bytes_put32(ret + 16, frame->size);
	frame->crc = frame_crc(ret, payload, frame->size);
	bytes_put32(ret + CRC_AT, frame->crc);
}

bool stream_frame_decode(const uint8_t bytes[STREAM_HEADER_SIZE], struct stream_frame *ret)
{
	uint32_t size = bytes_get32(bytes + 16);

	if (bytes_get32(bytes) != FRAME_MAGIC || bytes[4] < STREAM_HELLO ||
	    bytes[4] > STREAM_HINT || bytes[5] >= STREAM_SIDES || bytes_get16(bytes + 6) ||
	    size > STREAM_PAYLOAD_MAX)
		return false;
	*ret = (struct stream_frame){
		.type = (enum stream_type)bytes[4],
		.side = (enum stream_side)bytes[5],
		.number = bytes_get64(bytes + 8),
		.size = size,
		.crc = bytes_get32(bytes + CRC_AT),
	};
	return true;
}

bool stream_frame_check(const uint8_t bytes[STREAM_HEADER_SIZE], const uint8_t *payload,
			uint32_t size)
{
	return bytes_get32(bytes + CRC_AT) == frame_crc(bytes, payload, size);
}

void stream_hello_encode(const struct stream_hello *hello, uint8_t ret[STREAM_HELLO_SIZE])
{
	memset(ret, 0, STREAM_HELLO_SIZE);
	memcpy(ret, stream_magic, sizeof stream_magic);
	bytes_put32(ret + 8, STREAM_VERSION);
	for (int i = 0; i < STREAM_SIDES; i++) {
		const struct stream_place *place = &hello->places[i];
		uint8_t *at = ret + HELLO_PLACES_AT + i * HELLO_PLACE_SIZE;
		bytes_put32(at, place->known);
		bytes_put32(at + 4, place->segment);
		bytes_put64(at + 8, place->offset);
		bytes_put64(at + 16, place->txid);
		bytes_put32(at + 24, place->crc);
	}
}

int stream_hello_decode(struct dw_bytes payload, struct stream_hello *ret)
{
	const uint8_t *bytes = payload.data;

	if (payload.size < 12 || memcmp(bytes, stream_magic, sizeof stream_magic))
		return -EBADMSG;
	if (bytes_get32(bytes + 8) != STREAM_VERSION)
		return -EPROTO;
	if (payload.size != STREAM_HELLO_SIZE)
		return -EBADMSG;
	for (int i = 0; i < STREAM_SIDES; i++) {
		const uint8_t *at = bytes + HELLO_PLACES_AT + i * HELLO_PLACE_SIZE;
		if (bytes_get32(at) > STREAM_RECORD)
			return -EBADMSG;
		ret->places[i] = (struct stream_place){
			.known = (enum stream_known)bytes_get32(at),
			.segment = bytes_get32(at + 4),
			.offset = bytes_get64(at + 8),
			.txid = bytes_get64(at + 16),
			.crc = bytes_get32(at + 24),
		};
	}
	return 0;
}

void stream_data_encode(uint32_t segment, uint64_t offset, uint8_t ret[STREAM_DATA_SIZE])
{
	bytes_put32(ret, segment);
	bytes_put32(ret + 4, 0);
	bytes_put64(ret + 8, offset);
}

bool stream_data_decode(struct dw_bytes payload, uint32_t *segment_ret, uint64_t *offset_ret,
			struct dw_bytes *records_ret)
{
	const uint8_t *bytes = payload.data;

	if (payload.size < STREAM_DATA_SIZE || bytes_get32(bytes) > SEGMENT_ID_MAX)
		return false;
	*segment_ret = bytes_get32(bytes);
	*offset_ret = bytes_get64(bytes + 8);
	*records_ret = (struct dw_bytes){bytes + STREAM_DATA_SIZE, payload.size - STREAM_DATA_SIZE};
	return true;
}

void stream_hint_encode(uint32_t segment, bool last, uint64_t offset, uint8_t ret[STREAM_DATA_SIZE])
{
	stream_data_encode(segment, offset, ret);
	bytes_put32(ret + 4, last);
}

bool stream_hint_decode(struct dw_bytes payload, uint32_t *segment_ret, bool *last_ret,
			uint64_t *offset_ret, struct dw_bytes *bytes_ret)
{
	if (!stream_data_decode(payload, segment_ret, offset_ret, bytes_ret))
		return false;
	*last_ret = bytes_get32((const uint8_t *)payload.data + 4) != 0;
	return true;
}

void stream_entry_encode(const struct stream_entry *entry, uint8_t ret[STREAM_ENTRY_SIZE])
{
	bytes_put32(ret, entry->id);
	bytes_put32(ret + 4, entry->crc);
	bytes_put64(ret + 8, entry->size);
}

void stream_entry_decode(const uint8_t bytes[STREAM_ENTRY_SIZE], struct stream_entry *ret)
{
	*ret = (struct stream_entry){bytes_get32(bytes), bytes_get32(bytes + 4),
				     bytes_get64(bytes + 8)};
}

/* A place that is not known has segment 0 and txid UINT64_MAX, which no place has. */
void stream_mark_encode(const struct stream_mark *mark, uint8_t ret[STREAM_MARK_SIZE])
{
	for (int i = 0; i < STREAM_SIDES; i++) {
		const struct stream_place *place = &mark->places[i];
		uint8_t *at = ret + i * MARK_PLACE_SIZE;
		bytes_put32(at, place->segment);
		bytes_put32(at + 4, place->crc);
		bytes_put64(at + 8, place->offset);
		bytes_put64(at + 16, place->known ? place->txid : UINT64_MAX);
	}
	bytes_put64(ret + MARK_TIME_AT, (uint64_t)mark->time_ns);
	bytes_put64(ret + MARK_LEFT_AT, mark->left);
}

bool stream_mark_decode(struct dw_bytes payload, struct stream_mark *ret)
{
	const uint8_t *bytes = payload.data;

	if (payload.size != STREAM_MARK_SIZE)
		return false;
	for (int i = 0; i < STREAM_SIDES; i++) {
		const uint8_t *at = bytes + i * MARK_PLACE_SIZE;
		ret->places[i] = (struct stream_place){
			.known =
				bytes_get64(at + 16) == UINT64_MAX ? STREAM_UNKNOWN : STREAM_RECORD,
			.segment = bytes_get32(at),
			.crc = bytes_get32(at + 4),
			.offset = bytes_get64(at + 8),
			.txid = bytes_get64(at + 16),
		};
	}
	ret->time_ns = (int64_t)bytes_get64(bytes + MARK_TIME_AT);
	ret->left = bytes_get64(bytes + MARK_LEFT_AT);
	return true;
}
