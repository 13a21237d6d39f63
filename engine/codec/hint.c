/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * hint.c - see hint.h.
 *
 * Numbers of entries are LEB128; txids and times are differences to the entry before,
 * zigzag-coded, since both mostly grow by little.
 */
#include "codec/hint.h"

#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"

enum {
	AT_LAYOUT = 4,
	AT_SEGMENT = 8,
	AT_HEADER_CRC = 12,

	AT_FLAGS = 4,
	AT_START = 8,
	AT_END = 16,
	AT_COUNT = 24,
	AT_SIZE = 28,
	AT_LAST_CRC = 32,
	AT_CRC_1 = 36, /* in layout 1 */
	AT_BEFORE_CRC = 36,
	AT_MTIME = 40,
	AT_INODE = 48,
	AT_CRC = 56,
	FLAG_SEALED = 1,
	TYPE_CLOCK = 0x80, /* in an entry's type byte: the clock follows the time */
	CRC_SIZE = 4,
	NUMBER_SIZE_MAX = 10, /* LEB128 of 64 bits */
};

_Static_assert(AT_HEADER_CRC + 4 == HINT_HEADER_SIZE, "FORMAT.md: the header's CRC is its end");
_Static_assert(AT_CRC + 4 == HINT_BLOCK_HEADER_SIZE, "FORMAT.md: so is a block header's");
_Static_assert(AT_CRC_1 + 4 == HINT_BLOCK_HEADER_SIZE_1, "so it was in layout 1");

static const char magic[4] = {'D', 'W', 'H', 'T'}, block_magic[4] = {'D', 'W', 'H', 'B'};

static uint32_t header_encode(unsigned layout, uint32_t segment_id, uint8_t ret[HINT_HEADER_SIZE])
{
	memset(ret, 0, HINT_HEADER_SIZE);
	memcpy(ret, magic, sizeof magic);
	bytes_put16(ret + AT_LAYOUT, (uint16_t)layout);
	bytes_put32(ret + AT_SEGMENT, segment_id);
	uint32_t crc = crc32c(0, ret, AT_HEADER_CRC);
	bytes_put32(ret + AT_HEADER_CRC, crc);
	return crc;
}

uint32_t hint_header_encode(uint32_t segment_id, uint8_t ret[HINT_HEADER_SIZE])
{
	return header_encode(HINT_LAYOUT, segment_id, ret);
}

unsigned hint_header_check(const uint8_t *bytes, uint32_t segment_id, uint32_t *crc_ret)
{
	uint8_t want[HINT_HEADER_SIZE];

	for (unsigned layout = HINT_LAYOUT; layout; layout--) {
		uint32_t crc = header_encode(layout, segment_id, want);
		if (memcmp(bytes, want, sizeof want))
			continue;
		*crc_ret = crc;
		return layout;
	}
	return 0;
}

static uint32_t block_crc(const uint8_t *header, size_t at_crc, const uint8_t *entries,
			  uint32_t size)
{
	return crc32c(crc32c(0, header, at_crc), entries, size);
}

void hint_block_encode(struct hint_block *block, const uint8_t *entries,
		       uint8_t ret[HINT_BLOCK_HEADER_SIZE])
{
	memcpy(ret, block_magic, sizeof block_magic);
	bytes_put32(ret + AT_FLAGS, block->sealed ? FLAG_SEALED : 0);
	bytes_put64(ret + AT_START, block->start);
	bytes_put64(ret + AT_END, block->end);
	bytes_put32(ret + AT_COUNT, block->count);
	bytes_put32(ret + AT_SIZE, block->size);
	bytes_put32(ret + AT_LAST_CRC, block->last_crc);
	bytes_put32(ret + AT_BEFORE_CRC, block->before_crc);
	bytes_put64(ret + AT_MTIME, (uint64_t)block->binding.mtime_ns);
	bytes_put64(ret + AT_INODE, block->binding.inode);
	block->crc = block_crc(ret, AT_CRC, entries, block->size);
	bytes_put32(ret + AT_CRC, block->crc);
}

bool hint_block_decode(unsigned layout, const uint8_t *bytes, struct hint_block *ret)
{
	struct hint_block block = {
		.start = bytes_get64(bytes + AT_START),
		.end = bytes_get64(bytes + AT_END),
		.count = bytes_get32(bytes + AT_COUNT),
		.size = bytes_get32(bytes + AT_SIZE),
		.last_crc = bytes_get32(bytes + AT_LAST_CRC),
	};

	if (memcmp(bytes, block_magic, sizeof block_magic) || block.size > HINT_BLOCK_SIZE_MAX ||
	    block.start > block.end || bytes_get32(bytes + AT_FLAGS) & ~(uint32_t)FLAG_SEALED)
		return false;
	if (layout != 1) {
		block.before_crc = bytes_get32(bytes + AT_BEFORE_CRC);
		block.crc = bytes_get32(bytes + AT_CRC);
		block.sealed = bytes_get32(bytes + AT_FLAGS) & FLAG_SEALED;
		block.binding.mtime_ns = (int64_t)bytes_get64(bytes + AT_MTIME);
		block.binding.inode = bytes_get64(bytes + AT_INODE);
	}
	*ret = block;
	return true;
}

bool hint_block_check(unsigned layout, const uint8_t *bytes, const uint8_t *entries, uint32_t size)
{
	size_t at_crc = layout == 1 ? AT_CRC_1 : AT_CRC;

	return block_crc(bytes, at_crc, entries, size) == bytes_get32(bytes + at_crc);
}

/* --- entries --- */

/* Returns where the next one goes. */
static uint8_t *put_number(uint8_t *at, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		*at++ = (uint8_t)(v | 0x80);
	*at++ = (uint8_t)v;
	return at;
}

static bool get_number(const uint8_t *p, size_t size, size_t *at, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64 && *at < size; shift += 7) {
		uint8_t byte = p[(*at)++];
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret = v;
			return true;
		}
	}
	return false;
}

static uint64_t zigzag(uint64_t difference)
{
	return difference << 1 ^ (difference >> 63 ? UINT64_MAX : 0);
}

static uint64_t unzigzag(uint64_t v)
{
	return v >> 1 ^ (v & 1 ? UINT64_MAX : 0);
}

/* Users set times: a copy that keeps them, an archive that is unpacked.  A moment of the store is
 * found by the clock. */
static bool has_clock(const struct hint_entry *entry)
{
	uint64_t mtime = (uint64_t)entry->mtime_ns, clock = (uint64_t)entry->clock_ns;
	uint64_t apart = entry->clock_ns > entry->mtime_ns ? clock - mtime : mtime - clock;

	return entry->clock_ns && apart > HINT_CLOCK_NEAR_NS;
}

int hint_entry_add(struct buf *entries, struct hint_state *state, const struct hint_entry *entry)
{
	const struct record_header *header = &entry->header;
	bool clock = has_clock(entry);
	int rc = buf_reserve(entries, 1 + CRC_SIZE + 5 * NUMBER_SIZE_MAX + header->key_size);

	if (rc < 0)
		return rc;
	/* not by entries->size: the compiler would load it again after each byte */
	uint8_t *at = entries->data + entries->size;
	*at++ = (uint8_t)((unsigned)header->type | (clock ? TYPE_CLOCK : 0));
	bytes_put32(at, entry->crc);
	at = put_number(at + CRC_SIZE, header->key_size);
	at = put_number(at, header->payload_size);
	/* differences wrap: unsigned arithmetic on both sides */
	at = put_number(at, zigzag(header->txid - state->txid));
	at = put_number(at, zigzag((uint64_t)entry->mtime_ns - (uint64_t)state->mtime_ns));
	if (clock)
		at = put_number(at, zigzag((uint64_t)entry->clock_ns - (uint64_t)entry->mtime_ns));
	if (header->key_size)
		memcpy(at, entry->key.data, header->key_size);
	entries->size = (size_t)(at - entries->data) + header->key_size;
	*state = (struct hint_state){header->txid, entry->mtime_ns};
	return 0;
}

bool hint_entry_next(unsigned layout, const uint8_t *entries, size_t size, size_t *at,
		     struct hint_state *state, struct hint_entry *ret)
{
	uint64_t key_size, payload_size, txid, mtime, clock = 0;
	size_t end = *at, crc_size = layout == 1 ? 0 : CRC_SIZE;

	if (end >= size || size - end <= crc_size)
		return false;
	bool clocked = layout != 1 && entries[end] & TYPE_CLOCK;
	unsigned type = entries[end++] & ~(clocked ? (unsigned)TYPE_CLOCK : 0);
	if (type > DW_DELETE)
		return false;
	uint32_t crc = crc_size ? bytes_get32(entries + end) : 0;
	end += crc_size;
	if (!get_number(entries, size, &end, &key_size) ||
	    !get_number(entries, size, &end, &payload_size) ||
	    !get_number(entries, size, &end, &txid) || !get_number(entries, size, &end, &mtime) ||
	    (clocked && !get_number(entries, size, &end, &clock)))
		return false;
	if (key_size > DW_KEY_SIZE_MAX || payload_size > DW_VALUE_SIZE_MAX || key_size > size - end)
		return false;
	state->txid += unzigzag(txid);
	state->mtime_ns = (int64_t)((uint64_t)state->mtime_ns + unzigzag(mtime));
	*ret = (struct hint_entry){
		.header = {.type = (enum dw_type)type,
			   .txid = state->txid,
			   .key_size = (uint32_t)key_size,
			   .payload_size = (uint32_t)payload_size},
		.crc = crc,
		.mtime_ns = state->mtime_ns,
		.key = {entries + end, (size_t)key_size},
		.clock_ns = (int64_t)((uint64_t)state->mtime_ns + unzigzag(clock)),
	};
	*at = end + (size_t)key_size;
	return true;
}
