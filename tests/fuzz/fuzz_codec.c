/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fuzz_codec.c - the pure codecs, by the first byte: a record against the naive reader,
 * entries of a hint and there and back, names in a store's directory.
 */
#include <string.h>

#include "codec/hint.h"
#include "codec/segname.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/naive.h"

enum what { RECORD, FIXED_RECORD, ENTRIES, NAME, WHATS };

static void fuzz_record(const uint8_t *data, size_t size)
{
	struct naive_record want;
	struct record_header got;
	enum dw_damage damage = record_decode(data, size, &got);
	enum dw_damage expected = naive_decode(data, size, &want);
	struct buf again = {0};

	/* zeros are left to the code that sees the end of the segment */
	FUZZ_CHECK(damage == (expected == DW_DAMAGE_ZEROS ? DW_DAMAGE_MAGIC : expected));
	if (damage)
		return;
	FUZZ_CHECK(got.type == want.type && got.txid == want.txid);
	FUZZ_CHECK(got.key_size == want.key.size && got.payload_size == want.payload.size);
	FUZZ_CHECK(record_size(&got) == want.size);
	FUZZ_CHECK(!buf_reserve(&again, want.size));
	record_encode(&got, want.key.data, want.payload.data, again.data);
	FUZZ_CHECK(!memcmp(again.data, data, want.size));
	buf_release(&again);
}

static void fuzz_entries(const uint8_t *data, size_t size)
{
	struct hint_state state = {0}, state_out = {0}, state_in = {0};
	struct hint_entry entry, back;
	struct buf out = {0};
	size_t at = 0, at_in = 0;
	uint64_t count = 0;

	for (; hint_entry_next(HINT_LAYOUT, data, size, &at, &state, &entry); count++) {
		FUZZ_CHECK(at <= size);
		FUZZ_CHECK((const uint8_t *)entry.key.data + entry.key.size == data + at);
		FUZZ_CHECK(!hint_entry_add(&out, &state_out, &entry));
		FUZZ_CHECK(
			hint_entry_next(HINT_LAYOUT, out.data, out.size, &at_in, &state_in, &back));
		FUZZ_CHECK(at_in == out.size);
		FUZZ_CHECK(back.header.type == entry.header.type &&
			   back.header.txid == entry.header.txid &&
			   back.header.payload_size == entry.header.payload_size &&
			   back.mtime_ns == entry.mtime_ns && naive_same(back.key, entry.key));
	}
	FUZZ_CHECK(count * 9 <= size);
	buf_release(&out);
}

/* Eight digits, and then exactly this. */
static bool is_name(const char *name, const char *tail, uint32_t *ret)
{
	char want[64];

	if (strlen(name) != 8 + strlen(tail))
		return false;
	memcpy(want, name, 8);
	strcpy(want + 8, tail);
	*ret = 0;
	for (int i = 0; i < 8; i++) {
		if (!strchr("0123456789", name[i]))
			return false;
		*ret = *ret * 10 + (uint32_t)(name[i] - '0');
	}
	return !strcmp(want, name);
}

static void fuzz_name(const uint8_t *data, size_t size)
{
	char name[300] = "", back[SEGNAME_SIZE];
	uint32_t id = 0, want;

	memcpy(name, data, size < sizeof name - 1 ? size : sizeof name - 1);
	bool segment = is_name(name, ".dwal", &want);
	FUZZ_CHECK(segname_parse(name, &id) == segment);
	if (segment) {
		segname_format(id, back);
		FUZZ_CHECK(id == want && !strcmp(back, name));
	}
	bool hint = is_name(name, ".hint", &want);
	FUZZ_CHECK(segname_parse_hint(name, &id) == hint);
	if (hint) {
		segname_format_hint(id, back);
		FUZZ_CHECK(id == want && !strcmp(back, name));
	}
	bool compact = is_name(name, ".dwal.compact", &want);
	bool unfinished = segname_is_unfinished(name);
	FUZZ_CHECK(!compact || unfinished);
	FUZZ_CHECK(!unfinished || (!segment && !hint));
	if (unfinished && !compact) {
		size_t length = strlen(name);
		if (is_name(name, ".hint.new", &want))
			return;
		FUZZ_CHECK(length > 23 && !strcmp(name + length - 4, ".tmp"));
		FUZZ_CHECK(!memcmp(name + 8, ".dwal.torn-", 11));
	}
}

const unsigned fuzz_runs = 8000;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	enum what what = (enum what)(fuzz_byte(&input) % WHATS);
	struct buf fixed = {0};

	switch (what) {
	case FIXED_RECORD:
		fuzz_add(&fixed, input.data, input.size);
		naive_fix(fixed.data, fixed.size);
		fuzz_record(fixed.data, fixed.size);
		break;
	case RECORD: fuzz_record(input.data, input.size); break;
	case ENTRIES: fuzz_entries(input.data, input.size); break;
	default: fuzz_name(input.data, input.size);
	}
	buf_release(&fixed);
	return 0;
}

static void add_entries(struct buf *ret)
{
	static const struct hint_entry entries[] = {
		{{DW_PUT, 1, 3, 70000}, 1, 1700000000000000000, {"key", 3}, 0},
		{{DW_DELETE, 2, 1, 0}, 0, 1700000000001000000, {"k", 1}, 0},
		{{DW_RAW, UINT64_MAX, 0, 5}, UINT32_MAX, INT64_MIN, {"", 0}, 0},
		{{DW_PUT, 3, 4, DW_VALUE_SIZE_MAX}, 77, INT64_MAX, {"last", 4}, 0},
	};
	struct hint_state state = {0};

	for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
		FUZZ_CHECK(!hint_entry_add(ret, &state, &entries[i]));
}

bool fuzz_seed(size_t n, struct buf *ret)
{
	static const char *const names[] = {
		"00000001.dwal",
		"99999999.dwal",
		"00000042.hint",
		"00000042.dwal.compact",
		"00000042.dwal.torn-1690000000000000000",
		"00000042.dwal.torn-1690000000000000000.tmp",
		"0000001.dwal",
		"00000001.DWAL",
	};
	static const struct record_header header = {DW_PUT, 77, 3, 5};

	if (n < 2) {
		fuzz_add_byte(ret, (uint8_t)n);
		FUZZ_CHECK(!buf_reserve(ret, 100));
		record_encode(&header, "key", "value", ret->data + 1);
		ret->size += (size_t)record_size(&header);
		return true;
	}
	if (n == 2) {
		fuzz_add_byte(ret, ENTRIES);
		add_entries(ret);
		return true;
	}
	if (n - 3 >= sizeof names / sizeof *names)
		return false;
	fuzz_add_byte(ret, NAME);
	fuzz_add(ret, names[n - 3], strlen(names[n - 3]));
	return true;
}
