/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * run.c - see run.h.
 *
 * The checksum of a page begins with the stamp of the run and the number of the page, so that a
 * page of another run, or one that stands in another's place, is as bad as zeros.
 */
#include "codec/run.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>

#include "base/crc32c.h"
#include "base/limits.h"

enum {
	/* of a page */
	AT_KIND = RUN_PAYLOAD,
	AT_CRC = RUN_PAYLOAD + 4,

	/* of the header */
	AT_LAYOUT = 4,
	AT_PAGE_SIZE = 6,
	AT_ID = 8,
	AT_STAMP = 16,
	AT_SEED = 24,

	/* of the end */
	AT_PAGES = 4,
	AT_CHUNKS = 8,
	AT_TABLE_SIZE = 16,
	AT_KEYS = 24,
	AT_TOMBSTONES = 32,
	AT_KEY_BYTES = 40,
	AT_CHANGE = 48,
	AT_BELOW_CHANGE = 56,
	AT_BELOW_NEWEST = 64,

	/* of a page of directories */
	AT_OVER = 2,
	AT_DIRECTORIES = 8,
};

_Static_assert(AT_CRC + 4 == RUN_PAGE_SIZE, "FORMAT.md: the checksum is a page's end");
_Static_assert(RUN_LINE_SLOTS * 4 + 4 == RUN_LINE_SIZE, "FORMAT.md: a line is slots and a flag");
_Static_assert(RUN_TAG_BITS + 13 + 10 == 32 && RUN_DATA_PAGES_MAX == 1 << 13,
	       "FORMAT.md: the bits of a slot");

static const char magic[4] = {'D', 'W', 'R', 'N'}, end_magic[4] = {'D', 'W', 'R', 'E'};

bool run_place_is_valid(const struct run_place *place)
{
	return !place->change || place->change == (place->tombstone ? -1 : 1);
}

uint64_t run_hash(uint64_t seed, struct dw_bytes key)
{
	return XXH3_64bits_withSeed(key.data, key.size, seed);
}

/* --- pages --- */

static uint32_t page_crc(uint64_t stamp, uint32_t number, const uint8_t *page)
{
	uint8_t which[12];

	bytes_put64(which, stamp);
	bytes_put32(which + 8, number);
	return crc32c(crc32c(0, which, sizeof which), page, AT_CRC);
}

void run_page_seal(uint64_t stamp, uint32_t number, enum run_page_kind kind, uint8_t *page)
{
	bytes_put32(page + AT_KIND, kind);
	bytes_put32(page + AT_CRC, page_crc(stamp, number, page));
}

bool run_page_check(uint64_t stamp, uint32_t number, const uint8_t *page)
{
	uint32_t kind = bytes_get32(page + AT_KIND);

	return kind >= RUN_PAGE_HEADER && kind <= RUN_PAGE_END &&
	       bytes_get32(page + AT_CRC) == page_crc(stamp, number, page);
}

bool run_begins(const uint8_t start[8])
{
	return !memcmp(start, magic, sizeof magic);
}

void run_header_encode(const struct run_header *header, uint8_t *page)
{
	memset(page, 0, RUN_PAGE_SIZE);
	memcpy(page, magic, sizeof magic);
	bytes_put16(page + AT_LAYOUT, RUN_LAYOUT);
	bytes_put16(page + AT_PAGE_SIZE, RUN_PAGE_SIZE);
	bytes_put32(page + AT_ID, header->id);
	bytes_put64(page + AT_STAMP, header->stamp);
	bytes_put64(page + AT_SEED, header->seed);
	run_page_seal(header->stamp, 0, RUN_PAGE_HEADER, page);
}

bool run_header_decode(const uint8_t *page, uint32_t id, struct run_header *ret)
{
	struct run_header header = {
		.id = bytes_get32(page + AT_ID),
		.stamp = bytes_get64(page + AT_STAMP),
		.seed = bytes_get64(page + AT_SEED),
	};

	if (!run_page_check(header.stamp, 0, page) || memcmp(page, magic, sizeof magic) ||
	    bytes_get16(page + AT_LAYOUT) != RUN_LAYOUT ||
	    bytes_get16(page + AT_PAGE_SIZE) != RUN_PAGE_SIZE || header.id != id)
		return false;
	*ret = header;
	return true;
}

void run_end_encode(uint64_t stamp, const struct run_end *end, uint8_t *page)
{
	memset(page, 0, RUN_PAGE_SIZE);
	memcpy(page, end_magic, sizeof end_magic);
	bytes_put32(page + AT_PAGES, end->pages);
	bytes_put32(page + AT_CHUNKS, end->chunks);
	bytes_put64(page + AT_TABLE_SIZE, end->table_size);
	bytes_put64(page + AT_KEYS, end->keys);
	bytes_put64(page + AT_TOMBSTONES, end->tombstones);
	bytes_put64(page + AT_KEY_BYTES, end->key_bytes);
	bytes_put64(page + AT_CHANGE, (uint64_t)end->change);
	bytes_put64(page + AT_BELOW_CHANGE, (uint64_t)end->below_change);
	bytes_put64(page + AT_BELOW_NEWEST, (uint64_t)end->below_newest);
	run_page_seal(stamp, end->pages - 1, RUN_PAGE_END, page);
}

bool run_end_decode(uint64_t stamp, uint32_t pages, const uint8_t *page, struct run_end *ret)
{
	struct run_end end = {
		.pages = bytes_get32(page + AT_PAGES),
		.chunks = bytes_get32(page + AT_CHUNKS),
		.table_size = bytes_get64(page + AT_TABLE_SIZE),
		.keys = bytes_get64(page + AT_KEYS),
		.tombstones = bytes_get64(page + AT_TOMBSTONES),
		.key_bytes = bytes_get64(page + AT_KEY_BYTES),
		.change = (int64_t)bytes_get64(page + AT_CHANGE),
		.below_change = (int64_t)bytes_get64(page + AT_BELOW_CHANGE),
		.below_newest = (int64_t)bytes_get64(page + AT_BELOW_NEWEST),
	};

	if (end.pages != pages || !run_page_check(stamp, pages - 1, page) ||
	    memcmp(page, end_magic, sizeof end_magic) || end.tombstones > end.keys)
		return false;
	*ret = end;
	return true;
}

/* --- the table of chunks --- */

int run_chunk_add(struct buf *table, const struct run_chunk *chunk)
{
	int rc = buf_reserve(table, RUN_CHUNK_SIZE + chunk->key.size);

	if (rc < 0)
		return rc;
	uint8_t *p = table->data + table->size;
	bytes_put32(p, chunk->first_page);
	bytes_put32(p + 4, chunk->data_pages);
	bytes_put32(p + 8, chunk->blocks);
	bytes_put32(p + 12, chunk->keys);
	bytes_put32(p + 16, chunk->lines);
	bytes_put32(p + 20, chunk->directory_buckets);
	bytes_put32(p + 24, chunk->directory_pages);
	bytes_put32(p + 28, chunk->prefix_size);
	bytes_put32(p + 32, (uint32_t)chunk->key.size);
	bytes_put32(p + 36, 0);
	table->size += RUN_CHUNK_SIZE;
	return buf_add(table, chunk->key.data, chunk->key.size);
}

/* Whether numbers that hold in a run hold; then none of the sums above overflows. */
static bool chunk_is_sane(const struct run_chunk *chunk)
{
	return chunk->data_pages <= RUN_DATA_PAGES_MAX && chunk->blocks &&
	       chunk->blocks <= chunk->data_pages && chunk->keys >= chunk->blocks &&
	       chunk->keys <= RUN_CHUNK_KEYS_MAX && chunk->lines &&
	       chunk->lines <= RUN_CHUNK_KEYS_MAX &&
	       chunk->directory_buckets <= chunk->directory_pages &&
	       chunk->directory_pages <= UINT32_MAX / 4 && chunk->first_page <= UINT32_MAX / 2 &&
	       !chunk->directory_buckets == !chunk->directory_pages &&
	       chunk->prefix_size <= chunk->key.size;
}

bool run_chunk_next(struct dw_bytes table, size_t *at, uint32_t first_page, struct run_chunk *ret)
{
	if (table.size < *at || table.size - *at < RUN_CHUNK_SIZE)
		return false;
	const uint8_t *p = (const uint8_t *)table.data + *at;
	size_t key_size = bytes_get32(p + 32), left = table.size - *at - RUN_CHUNK_SIZE;
	struct run_chunk chunk = {
		.first_page = bytes_get32(p),
		.data_pages = bytes_get32(p + 4),
		.blocks = bytes_get32(p + 8),
		.keys = bytes_get32(p + 12),
		.lines = bytes_get32(p + 16),
		.directory_buckets = bytes_get32(p + 20),
		.directory_pages = bytes_get32(p + 24),
		.prefix_size = bytes_get32(p + 28),
		.key = {p + RUN_CHUNK_SIZE, key_size},
	};
	if (key_size > DW_KEY_SIZE_MAX || key_size > left || !chunk_is_sane(&chunk) ||
	    chunk.first_page != first_page)
		return false;
	*at += RUN_CHUNK_SIZE + key_size;
	*ret = chunk;
	return true;
}

/* --- the hash --- */

unsigned run_line_match(const uint8_t *line, uint64_t hash)
{
	uint32_t tag = (uint32_t)(hash & RUN_TAG_MASK);
	unsigned found = 0;

	/* a slot in use has an offset other than 0 */
	for (unsigned i = 0; i < RUN_LINE_SLOTS; i++) {
		uint32_t slot = run_line_slot(line, i);
		found |= (unsigned)((slot & RUN_TAG_MASK) == tag && slot >> 22) << i;
	}
	return found;
}

bool run_lines_add(uint8_t *lines, uint32_t count, uint64_t hash, uint32_t slot)
{
	uint32_t chain = count < RUN_LINE_CHAIN_MAX ? count : RUN_LINE_CHAIN_MAX;
	uint32_t at = run_line_of(hash, count);

	assert(run_slot_offset(slot));
	for (uint32_t n = 0; n < chain; n++) {
		uint8_t *line = lines + (size_t)at * RUN_LINE_SIZE;
		for (unsigned i = 0; i < RUN_LINE_SLOTS; i++) {
			if (run_line_slot(line, i))
				continue;
			bytes_put32(line + 4 * (size_t)i, slot);
			return true;
		}
		bytes_put32(line + 4 * (size_t)RUN_LINE_SLOTS, 1);
		at = at + 1 == count ? 0 : at + 1;
	}
	return false;
}

/* --- fences --- */

uint64_t run_fence(struct dw_bytes key, size_t skip)
{
	const uint8_t *p = key.data;
	uint64_t fence = 0;

	for (size_t i = 0; i < 8; i++)
		fence = fence << 8 | (skip + i < key.size ? p[skip + i] : 0);
	return fence;
}

/* --- directories --- */

void run_directory_page_encode(const struct run_directory *directories, uint32_t count, bool over,
			       uint8_t *page)
{
	assert(count <= RUN_DIRECTORIES_A_PAGE);
	memset(page, 0, RUN_PAGE_SIZE);
	bytes_put16(page, (uint16_t)count);
	bytes_put16(page + AT_OVER, over);
	for (uint32_t i = 0; i < count; i++) {
		uint8_t *p = page + AT_DIRECTORIES + (size_t)i * RUN_DIRECTORY_SIZE;
		assert(directories[i].change <= RUN_DIRECTORY_CHANGE_MAX);
		assert(directories[i].change >= -RUN_DIRECTORY_CHANGE_MAX);
		bytes_put64(p, directories[i].hash);
		/* the upper two bytes are the sign's */
		bytes_put32(p + 8, (uint32_t)directories[i].change);
		bytes_put16(p + 12, (uint16_t)((uint64_t)directories[i].change >> 32));
		bytes_put64(p + 14, (uint64_t)directories[i].newest);
	}
}

static int64_t signed_change(uint32_t low, uint16_t high)
{
	uint64_t v = (uint64_t)high << 32 | low;

	return (int64_t)(v >> 47 ? v | UINT64_MAX << 48 : v);
}

int run_directory_page_find(const uint8_t *page, struct run_directory *directory, bool *over_ret)
{
	uint32_t from = 0, to = bytes_get16(page);

	if (to > RUN_DIRECTORIES_A_PAGE)
		to = RUN_DIRECTORIES_A_PAGE;
	*over_ret = bytes_get16(page + AT_OVER);
	while (from < to) {
		uint32_t middle = (from + to) / 2;
		const uint8_t *p = page + AT_DIRECTORIES + (size_t)middle * RUN_DIRECTORY_SIZE;
		uint64_t there = bytes_get64(p);
		if (there == directory->hash) {
			directory->change = signed_change(bytes_get32(p + 8), bytes_get16(p + 12));
			directory->newest = (int64_t)bytes_get64(p + 14);
			return 1;
		}
		if (there < directory->hash)
			from = middle + 1;
		else
			to = middle;
	}
	return 0;
}
