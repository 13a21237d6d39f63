/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * stream.h - the stream between `datawal send` and `datawal receive`, bytes <-> structs.
 *
 * Frames follow one another, each with its number and the CRC of header and payload, so a lost,
 * repeated or changed frame is noticed.  Pure: no I/O.  A stream is input like any other: whatever
 * the bytes, decoding stays within them.  docs/FORMAT.md has the tables.
 */
#ifndef CODEC_STREAM_H
#define CODEC_STREAM_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/limits.h"

enum {
	STREAM_VERSION = 1,
	STREAM_HEADER_SIZE = 24,
	STREAM_HELLO_SIZE = 80,
	STREAM_DATA_SIZE = 16, /* in front of the bytes */
	STREAM_ENTRY_SIZE = 16,
	STREAM_MARK_SIZE = 64,
};

/* The largest payload: one record of the largest size. */
#define STREAM_PAYLOAD_MAX                                                                         \
	(STREAM_DATA_SIZE + RECORD_OVERHEAD + DW_KEY_SIZE_MAX + DW_VALUE_SIZE_MAX)

/* The two logs of a store, in the order in which they come to disk. */
enum stream_side { STREAM_ATTRS, STREAM_VALUES, STREAM_SIDES };

enum stream_type {
	STREAM_HELLO = 1, /* the first frame */
	STREAM_DATA,      /* whole records of a segment, as they stand there; none: an empty one */
	STREAM_LIST,      /* the segments of one side, as of the next mark */
	STREAM_MARK,      /* all that came before is one moment of the store */
	STREAM_END,       /* nothing follows */
	STREAM_HINT,      /* bytes of the hint of a segment that is sealed and was marked */
};

struct stream_frame {
	enum stream_type type;
	enum stream_side side; /* DATA, LIST; else 0 */
	uint64_t number;       /* from 0 */
	uint32_t size;         /* bytes of the payload */
	uint32_t crc;          /* of the frame; set by encoding and decoding */
};

/* What is known of a place: in a HELLO, what its CRC is of. */
enum stream_known {
	STREAM_UNKNOWN, /* HELLO: everything is sent; MARK: there is no such log */
	STREAM_PREFIX,  /* all bytes of the segment before it */
	STREAM_RECORD,  /* the record before it: the sender has that elsewhere, by its txid */
};

/* A place in a log: behind the record that ends there. */
struct stream_place {
	enum stream_known known;
	uint32_t segment;
	uint64_t offset;
	uint64_t txid; /* of the last record before it; 0: none */
	uint32_t crc;  /* see stream_known; of a record its CRC field; MARK: of that record */
};

struct stream_hello {
	struct stream_place places[STREAM_SIDES];
};

/* A segment of a LIST. */
struct stream_entry {
	uint32_t id;
	uint32_t crc; /* its last four bytes, which are the last record's CRC field; 0: empty */
	uint64_t size;
};

struct stream_mark {
	struct stream_place places[STREAM_SIDES]; /* not known: there is no such log */
	int64_t time_ns;                          /* the sender's clock */
	uint64_t left; /* bytes of the log that were there and are not sent yet */
};

/* Write the header of a frame whose payload is at `payload`; sets frame->crc. */
void stream_frame_encode(struct stream_frame *frame, const uint8_t *payload,
			 uint8_t ret[STREAM_HEADER_SIZE]);
/* False: it is no header of a frame. */
bool stream_frame_decode(const uint8_t bytes[STREAM_HEADER_SIZE], struct stream_frame *ret);
/* Whether the CRC is right; `bytes` are the header's. */
bool stream_frame_check(const uint8_t bytes[STREAM_HEADER_SIZE], const uint8_t *payload,
			uint32_t size);

void stream_hello_encode(const struct stream_hello *hello, uint8_t ret[STREAM_HELLO_SIZE]);
/* 0; -EBADMSG: it is none; -EPROTO: of another version. */
int stream_hello_decode(struct dw_bytes payload, struct stream_hello *ret);

void stream_data_encode(uint32_t segment, uint64_t offset, uint8_t ret[STREAM_DATA_SIZE]);
/* `*records_ret` points into the payload. */
bool stream_data_decode(struct dw_bytes payload, uint32_t *segment_ret, uint64_t *offset_ret,
			struct dw_bytes *records_ret);

/* The same for a HINT; `last`: its bytes end here. */
void stream_hint_encode(uint32_t segment, bool last, uint64_t offset,
			uint8_t ret[STREAM_DATA_SIZE]);
bool stream_hint_decode(struct dw_bytes payload, uint32_t *segment_ret, bool *last_ret,
			uint64_t *offset_ret, struct dw_bytes *bytes_ret);

void stream_entry_encode(const struct stream_entry *entry, uint8_t ret[STREAM_ENTRY_SIZE]);
void stream_entry_decode(const uint8_t bytes[STREAM_ENTRY_SIZE], struct stream_entry *ret);

void stream_mark_encode(const struct stream_mark *mark, uint8_t ret[STREAM_MARK_SIZE]);
bool stream_mark_decode(struct dw_bytes payload, struct stream_mark *ret);

#endif
