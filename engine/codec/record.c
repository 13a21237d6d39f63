/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * record.c - see record.h.
 */
#include "codec/record.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"

enum {
	AT_MAGIC = 0,
	AT_VERSION = 4,
	AT_TYPE = 6,
	AT_FLAGS = 7,
	AT_TXID = 8,
	AT_KEY_SIZE = 16,
	AT_PAYLOAD_SIZE = 20,
	AT_KEY = 24,
	VERSION = 1,
};

_Static_assert(AT_KEY == RECORD_HEADER_SIZE, "FORMAT.md: the key starts behind the header");

static const char magic[4] = {'D', 'W', 'A', 'L'};

void record_header_encode(const struct record_header *header, uint8_t *ret)
{
	assert(header->key_size <= DW_KEY_SIZE_MAX);
	assert(header->payload_size <= DW_VALUE_SIZE_MAX);
	memcpy(ret + AT_MAGIC, magic, sizeof magic);
	bytes_put16(ret + AT_VERSION, VERSION);
	ret[AT_TYPE] = (uint8_t)header->type;
	ret[AT_FLAGS] = 0;
	bytes_put64(ret + AT_TXID, header->txid);
	bytes_put32(ret + AT_KEY_SIZE, header->key_size);
	bytes_put32(ret + AT_PAYLOAD_SIZE, header->payload_size);
}

enum dw_damage record_header_decode(const uint8_t *bytes, struct record_header *ret)
{
	uint32_t key_size = bytes_get32(bytes + AT_KEY_SIZE);
	uint32_t payload_size = bytes_get32(bytes + AT_PAYLOAD_SIZE);

	if (memcmp(bytes + AT_MAGIC, magic, sizeof magic))
		return DW_DAMAGE_MAGIC;
	if (bytes_get16(bytes + AT_VERSION) != VERSION)
		return DW_DAMAGE_VERSION;
	if (bytes[AT_TYPE] > DW_DELETE)
		return DW_DAMAGE_TYPE;
	if (bytes[AT_FLAGS])
		return DW_DAMAGE_FLAGS;
	if (key_size > DW_KEY_SIZE_MAX)
		return DW_DAMAGE_KEY_SIZE;
	if (payload_size > DW_VALUE_SIZE_MAX)
		return DW_DAMAGE_PAYLOAD_SIZE;
	*ret = (struct record_header){
		.type = (enum dw_type)bytes[AT_TYPE],
		.txid = bytes_get64(bytes + AT_TXID),
		.key_size = key_size,
		.payload_size = payload_size,
	};
	return DW_DAMAGE_NONE;
}

void record_header_sizes(const uint8_t *bytes, struct record_header *ret)
{
	*ret = (struct record_header){
		.key_size = bytes_get32(bytes + AT_KEY_SIZE),
		.payload_size = bytes_get32(bytes + AT_PAYLOAD_SIZE),
	};
}

void record_encode(const struct record_header *header, const void *key, const void *payload,
		   uint8_t *ret)
{
	uint8_t *at = ret + RECORD_HEADER_SIZE;

	record_header_encode(header, ret);
	if (header->key_size)
		memcpy(at, key, header->key_size);
	at += header->key_size;
	if (header->payload_size)
		memcpy(at, payload, header->payload_size);
	at += header->payload_size;
	bytes_put32(at, crc32c(0, ret, (size_t)(at - ret)));
}

bool record_is_sound(const uint8_t *bytes, const struct record_header *header, uint32_t *crc_ret)
{
	size_t covered = (size_t)record_size(header) - RECORD_TRAILER_SIZE;

	*crc_ret = bytes_get32(bytes + covered);
	return crc32c(0, bytes, covered) == *crc_ret;
}

enum dw_damage record_decode(const uint8_t *bytes, size_t size, struct record_header *ret)
{
	struct record_header header;
	enum dw_damage damage;
	uint32_t crc;

	if (size < RECORD_HEADER_SIZE)
		return DW_DAMAGE_TRUNCATED;
	damage = record_header_decode(bytes, &header);
	if (damage)
		return damage;
	if (record_size(&header) > size)
		return DW_DAMAGE_TRUNCATED;
	if (!record_is_sound(bytes, &header, &crc))
		return DW_DAMAGE_CRC;
	*ret = header;
	return DW_DAMAGE_NONE;
}
