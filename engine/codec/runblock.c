/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * runblock.c - see runblock.h.
 *
 * The size of an entry depends on the prefix and on the widths of the whole block.  Both seldom
 * change from one key to the next: then only its size is added; else the sizes of all entries are
 * summed up again, so that a block never runs over its page, however mixed the lengths of its keys.
 */
#include "codec/runblock.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

enum {
	AT_COUNT = 0,
	AT_PREFIX = 2,
	AT_START = 4,
	AT_BITS = 6,
	AT_KIND = 11,
	AT_VALUE_SIZE = 12,
	AT_SEGMENT = 16,
	AT_OFFSET = 20,
	AT_TIME = 28,

	/* Instead of a rest's size, which else is the first byte of an entry. */
	REST_SIZE_FOLLOWS = 254,
	REST_IS_LONG = 255,
	SIZE_FIELD = 2, /* bytes */
	LONG_FIELD = 8,

	KIND_TOMBSTONE = 1,
	KIND_CHANGE = 2,
};

static const uint8_t bits_max[RUN_COLUMNS] = {2, 32, 32, 64, 64};

_Static_assert(AT_TIME + 8 <= RUN_BLOCK_HEADER_SIZE, "FORMAT.md: the header of a block");
_Static_assert(AT_BITS + RUN_COLUMNS == AT_KIND, "FORMAT.md: a byte for each column");
_Static_assert(RUN_BLOCK_ENTRIES_MAX < 1 << 10, "FORMAT.md: a slot has 10 bits for the offset");

static uint32_t align4(uint32_t n)
{
	return (n + 3) & ~3u;
}

/* --- reading --- */

bool run_block_decode(const uint8_t *page, struct run_block *ret)
{
	struct run_block block = {
		.page = page,
		.count = bytes_get16(page + AT_COUNT),
		.prefix_size = bytes_get16(page + AT_PREFIX),
		.start = bytes_get16(page + AT_START),
		.base = {page[AT_KIND], bytes_get32(page + AT_VALUE_SIZE),
			 bytes_get32(page + AT_SEGMENT), bytes_get64(page + AT_OFFSET),
			 bytes_get64(page + AT_TIME)},
	};
	uint32_t bits = 0;

	for (int i = 0; i < RUN_COLUMNS; i++) {
		block.bits[i] = page[AT_BITS + i];
		if (block.bits[i] > bits_max[i])
			return false;
		bits += block.bits[i];
	}
	block.place_size = (bits + 7) / 8;
	if (!block.count || block.count > RUN_BLOCK_ENTRIES_MAX ||
	    block.prefix_size > RUN_KEY_INLINE_MAX)
		return false;
	block.limit = RUN_PAYLOAD - 2 * run_block_restarts(&block);
	if (block.start > block.limit || block.start % 4 ||
	    block.start < RUN_BLOCK_HEADER_SIZE + block.prefix_size)
		return false;
	*ret = block;
	return true;
}

bool run_block_entry(const struct run_block *block, uint32_t offset, struct run_entry *ret)
{
	uint32_t at = offset + 1 + block->place_size, limit = block->limit;

	if (offset < block->start || offset % 4 || at > limit)
		return false;
	const uint8_t *page = block->page;
	struct run_entry entry = {.place = page + offset + 1, .rest_size = page[offset]};
	if (entry.rest_size == REST_SIZE_FOLLOWS) {
		if (at + SIZE_FIELD > limit)
			return false;
		entry.rest_size = bytes_get16(page + at);
		at += SIZE_FIELD;
	} else if (entry.rest_size == REST_IS_LONG) {
		if (at + LONG_FIELD > limit)
			return false;
		entry.rest_size = 0;
		entry.long_size = bytes_get32(page + at);
		entry.long_page = bytes_get32(page + at + 4);
		at += LONG_FIELD;
		if (entry.long_size <= RUN_KEY_INLINE_MAX || entry.long_size > DW_KEY_SIZE_MAX)
			return false;
	}
	if (entry.rest_size > limit - at)
		return false;
	entry.rest = page + at;
	entry.next = align4(at + entry.rest_size);
	*ret = entry;
	return true;
}

/* The bits of a place.  One read may reach into the page's trailer, not beyond. */
static uint64_t bits_get(const uint8_t *place, uint32_t at, uint32_t width)
{
	const uint8_t *p = place + at / 8;
	uint32_t shift = at % 8;
	uint64_t v = bytes_get64(p) >> shift;

	if (shift + width > 64)
		v |= (uint64_t)p[8] << (64 - shift);
	return width < 64 ? v & ((1ull << width) - 1) : v;
}

bool run_block_place(const struct run_block *block, const uint8_t *place, struct run_place *ret)
{
	uint64_t numbers[RUN_COLUMNS];
	uint32_t at = 0;

	for (int i = 0; i < RUN_COLUMNS; i++) {
		/* sums wrap: unsigned arithmetic on both sides */
		numbers[i] = block->base[i] + bits_get(place, at, block->bits[i]);
		at += block->bits[i];
	}
	if (numbers[RUN_KIND] > (KIND_TOMBSTONE | KIND_CHANGE))
		return false;
	bool tombstone = numbers[RUN_KIND] & KIND_TOMBSTONE;
	int change = numbers[RUN_KIND] & KIND_CHANGE ? tombstone ? -1 : 1 : 0;
	*ret = (struct run_place){
		.segment = (uint32_t)numbers[RUN_SEGMENT],
		.value_size = (uint32_t)numbers[RUN_VALUE_SIZE],
		.offset = numbers[RUN_OFFSET],
		.mtime_ns = (int64_t)numbers[RUN_TIME],
		.tombstone = tombstone,
		.change = (int8_t)change,
	};
	return true;
}

/* --- writing --- */

static uint32_t width_of(uint64_t n)
{
	return n ? 64 - (uint32_t)__builtin_clzll(n) : 0;
}

static uint32_t place_size(const uint64_t *least, const uint64_t *most)
{
	uint32_t bits = 0;

	for (int i = 0; i < RUN_COLUMNS; i++)
		bits += width_of(most[i] - least[i]);
	return (bits + 7) / 8;
}

static uint32_t entry_size(const struct run_pending *entry, uint32_t prefix_size, uint32_t place)
{
	uint32_t rest = entry->key_size - prefix_size;

	if (entry->long_size)
		return align4(1 + place + LONG_FIELD);
	return align4(1 + place + (rest >= REST_SIZE_FOLLOWS ? SIZE_FIELD : 0) + rest);
}

static uint32_t common_size(const uint8_t *a, const uint8_t *b, uint32_t max)
{
	uint32_t n = 0;

	while (n + 8 <= max && bytes_get64(a + n) == bytes_get64(b + n))
		n += 8;
	while (n < max && a[n] == b[n])
		n++;
	return n;
}

static void numbers_of(const struct run_place *place, uint64_t ret[RUN_COLUMNS])
{
	ret[RUN_KIND] =
		(place->tombstone ? KIND_TOMBSTONE : 0u) | (place->change ? KIND_CHANGE : 0u);
	ret[RUN_VALUE_SIZE] = place->value_size;
	ret[RUN_SEGMENT] = place->segment;
	ret[RUN_OFFSET] = place->offset;
	/* as an unsigned number it is in order for all times from 1970 on, and never wrong */
	ret[RUN_TIME] = (uint64_t)place->mtime_ns;
}

void run_block_builder_release(struct run_block_builder *builder)
{
	buf_release(&builder->keys);
	free(builder->entries);
	*builder = (struct run_block_builder){0};
}

void run_block_builder_clear(struct run_block_builder *builder)
{
	builder->keys.size = 0;
	builder->count = 0;
	builder->prefix_size = 0;
	builder->entries_size = 0;
}

/* The layout of the block if the entry after the last one were added. */
struct trial {
	uint32_t prefix_size, entries_size;
	uint64_t least[RUN_COLUMNS], most[RUN_COLUMNS];
};

static struct trial try_entry(const struct run_block_builder *builder)
{
	const struct run_pending *entry = &builder->entries[builder->count];
	const uint8_t *keys = builder->keys.data;
	struct trial t = {.prefix_size = entry->key_size};

	if (builder->count) {
		uint32_t max = builder->prefix_size;
		if (max > entry->key_size)
			max = entry->key_size;
		t.prefix_size = max ? common_size(keys, keys + entry->key_at, max) : 0;
	}
	for (int i = 0; i < RUN_COLUMNS; i++) {
		uint64_t n = entry->numbers[i];
		t.least[i] = builder->count && builder->least[i] < n ? builder->least[i] : n;
		t.most[i] = builder->count && builder->most[i] > n ? builder->most[i] : n;
	}
	uint32_t place = place_size(t.least, t.most), from = 0;
	if (builder->count && t.prefix_size == builder->prefix_size &&
	    place == place_size(builder->least, builder->most)) {
		t.entries_size = builder->entries_size;
		from = builder->count;
	}
	for (uint32_t i = from; i <= builder->count; i++)
		t.entries_size += entry_size(&builder->entries[i], t.prefix_size, place);
	return t;
}

static bool fits(const struct trial *t, uint32_t count)
{
	uint32_t restarts = (count + RUN_BLOCK_RESTART - 1) / RUN_BLOCK_RESTART;

	return count <= RUN_BLOCK_ENTRIES_MAX &&
	       align4(RUN_BLOCK_HEADER_SIZE + t->prefix_size) + t->entries_size + 2 * restarts <=
		       RUN_PAYLOAD;
}

int run_block_builder_add(struct run_block_builder *builder, struct dw_bytes key,
			  uint32_t long_page, const struct run_place *place)
{
	bool is_long = key.size > RUN_KEY_INLINE_MAX;
	uint32_t size = is_long ? RUN_KEY_INLINE_MAX : (uint32_t)key.size;
	size_t keys_before = builder->keys.size;

	if (!builder->entries) {
		/* one more than fit, for the one that does not */
		builder->entries = calloc(RUN_BLOCK_ENTRIES_MAX + 1, sizeof *builder->entries);
		if (!builder->entries)
			return -ENOMEM;
	}
	int rc = buf_add(&builder->keys, key.data, size);
	if (rc < 0)
		return rc;
	struct run_pending *entry = &builder->entries[builder->count];
	*entry = (struct run_pending){
		.key_at = (uint32_t)keys_before,
		.key_size = size,
		.long_size = is_long ? (uint32_t)key.size : 0,
		.long_page = is_long ? long_page : 0,
	};
	numbers_of(place, entry->numbers);
	struct trial t = try_entry(builder);
	if (!fits(&t, builder->count + 1)) {
		assert(builder->count);
		builder->keys.size = keys_before;
		return 0;
	}
	builder->count++;
	builder->prefix_size = t.prefix_size;
	builder->entries_size = t.entries_size;
	memcpy(builder->least, t.least, sizeof t.least);
	memcpy(builder->most, t.most, sizeof t.most);
	return 1;
}

/* Numbers one behind the other, bit by bit, into bytes that are zero. */
static void bits_put(uint8_t *place, uint32_t at, uint32_t width, uint64_t v)
{
	while (width) {
		uint32_t shift = at % 8, n = 8 - shift < width ? 8 - shift : width;
		place[at / 8] = (uint8_t)(place[at / 8] | (v & ((1u << n) - 1)) << shift);
		v >>= n;
		at += n;
		width -= n;
	}
}

static void put_header(const struct run_block_builder *builder, const uint8_t *bits, uint8_t *page)
{
	uint32_t start = align4(RUN_BLOCK_HEADER_SIZE + builder->prefix_size);

	memset(page, 0, RUN_PAGE_SIZE);
	bytes_put16(page + AT_COUNT, (uint16_t)builder->count);
	bytes_put16(page + AT_PREFIX, (uint16_t)builder->prefix_size);
	bytes_put16(page + AT_START, (uint16_t)start);
	memcpy(page + AT_BITS, bits, RUN_COLUMNS);
	page[AT_KIND] = (uint8_t)builder->least[RUN_KIND];
	bytes_put32(page + AT_VALUE_SIZE, (uint32_t)builder->least[RUN_VALUE_SIZE]);
	bytes_put32(page + AT_SEGMENT, (uint32_t)builder->least[RUN_SEGMENT]);
	bytes_put64(page + AT_OFFSET, builder->least[RUN_OFFSET]);
	bytes_put64(page + AT_TIME, builder->least[RUN_TIME]);
	if (builder->prefix_size)
		memcpy(page + RUN_BLOCK_HEADER_SIZE, builder->keys.data, builder->prefix_size);
}

/* The entry's bytes; returns the offset behind. */
static uint32_t put_entry(const struct run_block_builder *builder, const struct run_pending *entry,
			  const uint8_t *bits, uint8_t *page)
{
	uint32_t at = entry->offset + 1, bit = 0, rest = entry->key_size - builder->prefix_size;

	for (int i = 0; i < RUN_COLUMNS; i++) {
		bits_put(page + at, bit, bits[i], entry->numbers[i] - builder->least[i]);
		bit += bits[i];
	}
	at += (bit + 7) / 8;
	page[entry->offset] = (uint8_t)rest;
	if (entry->long_size) {
		page[entry->offset] = REST_IS_LONG;
		bytes_put32(page + at, entry->long_size);
		bytes_put32(page + at + 4, entry->long_page);
		return align4(at + LONG_FIELD);
	}
	if (rest >= REST_SIZE_FOLLOWS) {
		page[entry->offset] = REST_SIZE_FOLLOWS;
		bytes_put16(page + at, (uint16_t)rest);
		at += SIZE_FIELD;
	}
	if (rest)
		memcpy(page + at, builder->keys.data + entry->key_at + builder->prefix_size, rest);
	return align4(at + rest);
}

void run_block_builder_encode(struct run_block_builder *builder, uint8_t *page)
{
	uint8_t bits[RUN_COLUMNS];

	assert(builder->count);
	for (int i = 0; i < RUN_COLUMNS; i++)
		bits[i] = (uint8_t)width_of(builder->most[i] - builder->least[i]);
	put_header(builder, bits, page);
	uint32_t at = bytes_get16(page + AT_START);
	for (uint32_t i = 0; i < builder->count; i++) {
		struct run_pending *entry = &builder->entries[i];
		entry->offset = at;
		if (i % RUN_BLOCK_RESTART == 0)
			bytes_put16(page + RUN_PAYLOAD - 2 * ((size_t)i / RUN_BLOCK_RESTART + 1),
				    (uint16_t)at);
		at = put_entry(builder, entry, bits, page);
	}
	uint32_t restarts = (builder->count + RUN_BLOCK_RESTART - 1) / RUN_BLOCK_RESTART;
	assert(at <= RUN_PAYLOAD - 2 * restarts);
}
