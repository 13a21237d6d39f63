/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * naive.c - see naive.h.  Uses nothing of the engine but the public calls that
 * naive_check() compares with.
 */
#include "tests/fuzz/naive.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

bool naive_same(struct dw_bytes a, struct dw_bytes b)
{
	return a.size == b.size && (!a.size || !memcmp(a.data, b.data, a.size));
}

static struct naive_pair *find(const struct naive_view *view, struct dw_bytes key)
{
	for (size_t i = 0; i < view->count; i++)
		if (naive_same(view->pairs[i].key, key))
			return &view->pairs[i];
	return NULL;
}

const struct naive_pair *naive_find(const struct naive_view *view, struct dw_bytes key)
{
	return find(view, key);
}

void naive_put(struct naive_view *view, const struct naive_pair *pair)
{
	struct naive_pair *there = find(view, pair->key);

	if (!there) {
		view->pairs = reallocarray(view->pairs, view->count + 1, sizeof *view->pairs);
		FUZZ_CHECK(view->pairs);
		there = &view->pairs[view->count++];
	}
	*there = *pair;
}

void naive_delete(struct naive_view *view, struct dw_bytes key)
{
	struct naive_pair *there = find(view, key);

	if (there)
		*there = view->pairs[--view->count];
}

void naive_release(struct naive_view *view)
{
	free(view->pairs);
	*view = (struct naive_view){0};
}

uint32_t naive_crc(const uint8_t *data, size_t size)
{
	static uint32_t table[256]; /* a byte, bit by bit */
	uint32_t crc = 0xffffffff;

	for (uint32_t i = 0; !table[255] && i < 256; i++) {
		uint32_t v = i;
		for (int bit = 0; bit < 8; bit++)
			v = v & 1 ? v >> 1 ^ 0x82f63b78 : v >> 1;
		table[i] = v;
	}
	for (size_t i = 0; i < size; i++)
		crc = crc >> 8 ^ table[(crc ^ data[i]) & 255];
	return ~crc;
}

static uint64_t number(const uint8_t *p, int size)
{
	uint64_t v = 0;

	while (size--)
		v = v << 8 | p[size];
	return v;
}

enum dw_damage naive_decode(const uint8_t *data, size_t size, struct naive_record *ret)
{
	size_t zeros = 0;

	if (size < 24)
		return DW_DAMAGE_TRUNCATED;
	if (memcmp(data, "DWAL", 4) != 0) {
		while (zeros < size && !data[zeros])
			zeros++;
		return zeros == size ? DW_DAMAGE_ZEROS : DW_DAMAGE_MAGIC;
	}
	uint64_t key_size = number(data + 16, 4), payload_size = number(data + 20, 4);
	if (number(data + 4, 2) != 1)
		return DW_DAMAGE_VERSION;
	if (data[6] > 2)
		return DW_DAMAGE_TYPE;
	if (data[7])
		return DW_DAMAGE_FLAGS;
	if (key_size > 65536)
		return DW_DAMAGE_KEY_SIZE;
	if (payload_size > 67108864)
		return DW_DAMAGE_PAYLOAD_SIZE;
	if (28 + key_size + payload_size > size)
		return DW_DAMAGE_TRUNCATED;
	size_t covered = (size_t)(24 + key_size + payload_size);
	if (number(data + covered, 4) != naive_crc(data, covered))
		return DW_DAMAGE_CRC;
	*ret = (struct naive_record){
		.type = data[6],
		.txid = number(data + 8, 8),
		.key = {data + 24, (size_t)key_size},
		.payload = {data + 24 + key_size, (size_t)payload_size},
		.size = covered + 4,
	};
	return DW_DAMAGE_NONE;
}

struct naive_segment naive_replay(struct naive_view *view, uint32_t id, const uint8_t *data,
				  size_t size, bool last)
{
	struct naive_segment segment = {0};
	struct naive_record record;

	while (segment.end < size) {
		segment.damage = naive_decode(data + segment.end, size - segment.end, &record);
		if (segment.damage)
			break;
		const struct naive_pair pair = {record.key, record.payload, segment.end, id};
		if (record.type == DW_PUT)
			naive_put(view, &pair);
		else if (record.type == DW_DELETE)
			naive_delete(view, record.key);
		segment.records++;
		if (record.txid > segment.last_txid)
			segment.last_txid = record.txid;
		segment.end += record.size;
	}
	bool torn = segment.damage == DW_DAMAGE_TRUNCATED || segment.damage == DW_DAMAGE_CRC ||
		    segment.damage == DW_DAMAGE_ZEROS;
	segment.refuses = segment.damage && !(last && torn);
	if (!last && segment.damage == DW_DAMAGE_ZEROS)
		segment.damage = DW_DAMAGE_MAGIC;
	return segment;
}

void naive_check(const struct naive_view *view, struct dw_store *store)
{
	struct dw_iter *iter = NULL;
	struct dw_value value;
	struct dw_item item;
	size_t seen = 0;

	FUZZ_CHECK(dw_count(store) == view->count);
	FUZZ_CHECK(!dw_iter_open(store, &iter));
	while (dw_iter_next(iter, &item) == 1) {
		const struct naive_pair *pair = find(view, item.key);
		FUZZ_CHECK(pair);
		FUZZ_CHECK(!dw_get(store, item.key, &value));
		FUZZ_CHECK(naive_same(pair->value, (struct dw_bytes){value.data, value.size}));
		free(value.data);
		seen++;
	}
	FUZZ_CHECK(seen == view->count);
	dw_iter_close(iter);
}

void naive_fix(uint8_t *data, size_t size)
{
	size_t at = 0;

	while (size - at >= 28) {
		uint64_t covered = 24 + number(data + at + 16, 4) + number(data + at + 20, 4);
		if (covered + 4 > size - at)
			break;
		uint32_t crc = naive_crc(data + at, (size_t)covered);
		for (int i = 0; i < 4; i++)
			data[at + (size_t)covered + (size_t)i] = (uint8_t)(crc >> 8 * i);
		at += (size_t)covered + 4;
	}
}
