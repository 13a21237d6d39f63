/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_codec.c - engine/codec: records, segment names, lines of the export.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "codec/jsonl.h"
#include "codec/record.h"
#include "codec/segname.h"
#include "tests/support/stores.h"

enum { SAMPLE_KEY = 7, SAMPLE_PAYLOAD = 20, SAMPLE = 28 + SAMPLE_KEY + SAMPLE_PAYLOAD };

static const struct record_header sample_header = {
	.type = DW_PUT,
	.txid = 0x0123456789abcdef,
	.key_size = SAMPLE_KEY,
	.payload_size = SAMPLE_PAYLOAD,
};

static void make_sample(uint8_t bytes[SAMPLE])
{
	record_encode(&sample_header, "a key: ", "twenty bytes of value", bytes);
}

static void seal(uint8_t *bytes, size_t size)
{
	bytes_put32(bytes + size - 4, crc32c(0, bytes, size - 4));
}

static bool same_header(const struct record_header *a, const struct record_header *b)
{
	return a->type == b->type && a->txid == b->txid && a->key_size == b->key_size &&
	       a->payload_size == b->payload_size;
}

static void test_layout(void)
{
	static const uint8_t head[24] = {'D',  'W',  'A',        'L',  1,    0,    1,
					 0,    0xef, 0xcd,       0xab, 0x89, 0x67, 0x45,
					 0x23, 0x01, SAMPLE_KEY, 0,    0,    0,    SAMPLE_PAYLOAD};
	uint8_t bytes[SAMPLE];

	make_sample(bytes);
	CHECK(!memcmp(bytes, head, sizeof head));
	CHECK(!memcmp(bytes + 24, "a key: ", 7));
	CHECK(!memcmp(bytes + 31, "twenty bytes of valu", 20));
	CHECK_EQ(bytes_get32(bytes + 51), crc32c(0, bytes, 51));
}

static void test_round_trip(void)
{
	struct rng rng = check_rng();
	uint8_t *data = stores_noise(rng_next(&rng), 4096), *bytes = malloc(8192);

	for (int i = 0; i < 2000; i++) {
		const struct record_header header = {
			.type = (enum dw_type)rng_below(&rng, 3),
			.txid = rng_next(&rng),
			.key_size = (uint32_t)(rng_below(&rng, 3) ? rng_below(&rng, 300) : 0),
			.payload_size = (uint32_t)(rng_below(&rng, 3) ? rng_below(&rng, 3000) : 0),
		};
		struct record_header got;
		size_t size = (size_t)record_size(&header);
		record_encode(&header, data, data + 300, bytes);
		CHECK_EQ(record_decode(bytes, size, &got), DW_DAMAGE_NONE);
		CHECK(same_header(&got, &header));
		CHECK(!memcmp(bytes + 24, data, header.key_size));
		CHECK(!memcmp(bytes + 24 + header.key_size, data + 300, header.payload_size));
		/* bytes behind the record do not matter */
		CHECK_EQ(record_decode(bytes, size + 1, &got), DW_DAMAGE_NONE);
	}
	free(data);
	free(bytes);
}

static void test_truncated(void)
{
	uint8_t bytes[SAMPLE];
	struct record_header got = {.txid = 42};

	make_sample(bytes);
	for (size_t size = 0; size < SAMPLE; size++)
		CHECK_EQ(record_decode(bytes, size, &got), DW_DAMAGE_TRUNCATED);
	CHECK_EQ(got.txid, 42);
}

static void test_every_bit(void)
{
	uint8_t bytes[SAMPLE];
	struct record_header got = {.txid = 42};

	make_sample(bytes);
	for (size_t bit = 0; bit < 8 * SAMPLE; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CHECK(record_decode(bytes, SAMPLE, &got) != DW_DAMAGE_NONE);
		CHECK_EQ(got.txid, 42);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	CHECK_EQ(record_decode(bytes, SAMPLE, &got), DW_DAMAGE_NONE);
}

/* Fields are checked in this order, whatever the CRC says: each step spoils one more,
 * from the last to the first. */
static void test_each_field(void)
{
	uint8_t bytes[SAMPLE];
	struct record_header got;

	make_sample(bytes);
	bytes[SAMPLE - 1] ^= 1;
	CHECK_EQ(record_decode(bytes, SAMPLE, &got), DW_DAMAGE_CRC);
	bytes_put32(bytes + 20, SAMPLE_PAYLOAD + 1);
	CHECK_EQ(record_decode(bytes, SAMPLE, &got), DW_DAMAGE_TRUNCATED);
	bytes_put32(bytes + 20, DW_VALUE_SIZE_MAX + 1);
	CHECK_EQ(record_decode(bytes, SAMPLE, &got), DW_DAMAGE_PAYLOAD_SIZE);
	bytes_put32(bytes + 16, DW_KEY_SIZE_MAX + 1);
	CHECK_EQ(record_decode(bytes, SAMPLE, &got), DW_DAMAGE_KEY_SIZE);
	bytes[7] = 1;
	CHECK_EQ(record_decode(bytes, SAMPLE, &got), DW_DAMAGE_FLAGS);
	bytes[6] = 3;
	CHECK_EQ(record_decode(bytes, SAMPLE, &got), DW_DAMAGE_TYPE);
	bytes[4] = 2;
	CHECK_EQ(record_decode(bytes, SAMPLE, &got), DW_DAMAGE_VERSION);
	bytes[3] = 'l';
	CHECK_EQ(record_decode(bytes, SAMPLE, &got), DW_DAMAGE_MAGIC);
}

/* A good CRC excuses nothing. */
static void test_sealed_fields(void)
{
	static const struct {
		size_t at;
		uint8_t value;
		enum dw_damage want;
	} cases[] = {
		{0, 'd', DW_DAMAGE_MAGIC},       {4, 0, DW_DAMAGE_VERSION},
		{5, 1, DW_DAMAGE_VERSION},       {6, 3, DW_DAMAGE_TYPE},
		{6, 255, DW_DAMAGE_TYPE},        {7, 128, DW_DAMAGE_FLAGS},
		{18, 2, DW_DAMAGE_KEY_SIZE},     {19, 255, DW_DAMAGE_KEY_SIZE},
		{23, 5, DW_DAMAGE_PAYLOAD_SIZE}, {23, 255, DW_DAMAGE_PAYLOAD_SIZE},
	};
	struct record_header got;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint8_t bytes[SAMPLE];
		make_sample(bytes);
		bytes[cases[i].at] = cases[i].value;
		seal(bytes, SAMPLE);
		CHECK_EQ(record_decode(bytes, SAMPLE, &got), cases[i].want);
		CHECK_EQ(record_header_decode(bytes, &got), cases[i].want);
	}
}

static void test_size_limits(void)
{
	struct record_header header = {DW_RAW, 1, DW_KEY_SIZE_MAX, DW_VALUE_SIZE_MAX}, got;
	uint8_t bytes[24];

	record_header_encode(&header, bytes);
	CHECK_EQ(record_header_decode(bytes, &got), DW_DAMAGE_NONE);
	CHECK(same_header(&got, &header));
	CHECK_EQ(record_size(&got), 28 + 65536 + 67108864);
	bytes_put32(bytes + 16, DW_KEY_SIZE_MAX + 1);
	CHECK_EQ(record_header_decode(bytes, &got), DW_DAMAGE_KEY_SIZE);
	bytes_put32(bytes + 16, 0);
	bytes_put32(bytes + 20, DW_VALUE_SIZE_MAX + 1);
	CHECK_EQ(record_header_decode(bytes, &got), DW_DAMAGE_PAYLOAD_SIZE);
}

static void test_segname(void)
{
	static const uint32_t ids[] = {0, 1, 42, 10000000, 99999999};
	char name[SEGNAME_SIZE];

	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
		uint32_t got = 7;
		segname_format(ids[i], name);
		CHECK_EQ(strlen(name), 13);
		CHECK(segname_parse(name, &got));
		CHECK_EQ(got, ids[i]);
		segname_format_compact(ids[i], name);
		CHECK(segname_is_unfinished(name));
		CHECK(!segname_parse(name, &got));
		segname_format_torn(ids[i], INT64_MAX, name);
		CHECK(!segname_parse(name, &got) && !segname_is_unfinished(name));
		segname_format_run(ids[i], name);
		CHECK(segname_parse_run(name, &got) && !segname_is_unfinished(name));
		CHECK_EQ(got, ids[i]);
		CHECK(!segname_parse(name, &got) && !segname_parse_hint(name, &got));
		segname_format_run_new(ids[i], name);
		CHECK(segname_is_unfinished(name) && !segname_parse_run(name, &got));
	}
	segname_format(42, name);
	CHECK(!strcmp(name, "00000042.dwal"));
	segname_format_torn(42, INT64_MAX, name);
	CHECK(!strcmp(name, "00000042.dwal.torn-9223372036854775807"));
	segname_format_torn(42, INT64_MIN, name);
	CHECK(!strcmp(name, "00000042.dwal.torn--9223372036854775808"));
}

static void test_segname_hostile(void)
{
	static const char *const names[] = {
		"",
		".",
		"..",
		"1.dwal",
		"0000001.dwal",
		"000000001.dwal",
		"00000001.DWAL",
		"00000001.dwal ",
		" 0000001.dwal",
		"+0000001.dwal",
		"-0000001.dwal",
		"0x000001.dwal",
		"0000000a.dwal",
		"00000001.dwal\n",
		"00000001.dwa",
		"00000001.dwall",
		"00000001dwal",
		"00000001",
		"00000001.",
		"00000001.dwal.tmp",
		".lock",
		"\xff\xff\xff\xff\xff\xff\xff\xff.dwal",
		"00000001.dwal.torn-1",
		"\xd9\xa0\xd9\xa1\xd9\xa2\xd9\xa3.dwal",
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		uint32_t id = 7;
		CHECK(!segname_parse(names[i], &id));
		CHECK_EQ(id, 7);
		CHECK(!segname_is_unfinished(names[i]));
	}
	CHECK(segname_is_unfinished("00000001.dwal.compact"));
	CHECK(!segname_is_unfinished("00000001.dwal.compact2"));
	CHECK(!segname_is_unfinished("0000001.dwal.compact"));
}

static void test_jsonl(void)
{
	struct buf buf = {0};
	static const char want[] = "{\"key_b64\":\"\",\"value_b64\":\"\"}\n"
				   "{\"key_b64\":\"Zm9v\",\"value_b64\":\"AP8Q\"}\n"
				   "{\"key_b64\":\"Zm8=\",\"value_b64\":\"Zm9vYg==\"}\n";

	CHECK_EQ(jsonl_add_key(&buf, (struct dw_bytes){NULL, 0}), 0);
	CHECK_EQ(jsonl_add_value(&buf, NULL, 0), 0);
	CHECK_EQ(jsonl_add_end(&buf), 0);
	CHECK_EQ(jsonl_add_key(&buf, stores_bytes("foo")), 0);
	CHECK_EQ(jsonl_add_value(&buf, "\x00\xff\x10", 3), 0);
	CHECK_EQ(jsonl_add_end(&buf), 0);
	CHECK_EQ(jsonl_add_key(&buf, stores_bytes("fo")), 0);
	CHECK_EQ(jsonl_add_value(&buf, "foo", 3), 0); /* in pieces */
	CHECK_EQ(jsonl_add_value(&buf, "b", 1), 0);
	CHECK_EQ(jsonl_add_end(&buf), 0);
	CHECK_EQ(buf.size, sizeof want - 1);
	CHECK(!memcmp(buf.data, want, sizeof want - 1));
	buf_release(&buf);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"codec_layout", test_layout},
		{"codec_round_trip", test_round_trip},
		{"codec_truncated", test_truncated},
		{"codec_every_bit", test_every_bit},
		{"codec_each_field", test_each_field},
		{"codec_sealed_fields", test_sealed_fields},
		{"codec_size_limits", test_size_limits},
		{"codec_segname", test_segname},
		{"codec_segname_hostile", test_segname_hostile},
		{"codec_jsonl", test_jsonl},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
