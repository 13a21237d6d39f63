/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * record.h - the record of wire version 1, bytes <-> struct (docs/FORMAT.md).
 *
 * Pure: no I/O, no allocation, no casts onto structs.  Each fault of a header has a name; checks
 * come in the order of the reference.
 */
#ifndef CODEC_RECORD_H
#define CODEC_RECORD_H

#include <stdbool.h>

#include "base/limits.h"
#include "datawal.h"

struct record_header {
	enum dw_type type;
	uint64_t txid;
	uint32_t key_size;     /* bytes, at most DW_KEY_SIZE_MAX */
	uint32_t payload_size; /* bytes, at most DW_VALUE_SIZE_MAX */
};

/* Bytes of the whole record, header and CRC included. */
static inline uint64_t record_size(const struct record_header *header)
{
	return RECORD_OVERHEAD + (uint64_t)header->key_size + header->payload_size;
}

/* Write the RECORD_HEADER_SIZE bytes of a header; its fields must be in range. */
void record_header_encode(const struct record_header *header, uint8_t *ret);

/* Read a header from RECORD_HEADER_SIZE bytes.  DW_DAMAGE_NONE, or the first
 * field that is wrong; `*ret` is then untouched. */
enum dw_damage record_header_decode(const uint8_t *bytes, struct record_header *ret);

/* Only the two sizes, unchecked, of RECORD_HEADER_SIZE bytes that may be damaged; the
 * other fields of `ret` are zero. */
void record_header_sizes(const uint8_t *bytes, struct record_header *ret);

/* Encode a whole record into `ret`, which holds record_size() bytes. */
void record_encode(const struct record_header *header, const void *key, const void *payload,
		   uint8_t *ret);

/* Whether the CRC of a record is right, all of which is at `bytes`, `header` decoded from it.
 * `*crc_ret` is the field. */
bool record_is_sound(const uint8_t *bytes, const struct record_header *header, uint32_t *crc_ret);

/* Decode the record that starts at `bytes`, of which `size` are there.
 * DW_DAMAGE_NONE (then `*ret` is set and the key follows the header, the payload
 * the key), else what is wrong; DW_DAMAGE_TRUNCATED when it runs past `size`. */
enum dw_damage record_decode(const uint8_t *bytes, size_t size, struct record_header *ret);

#endif
