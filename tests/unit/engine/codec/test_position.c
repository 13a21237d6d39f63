/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_position.c - positions as text.
 */
#include <errno.h>
#include <string.h>

#include "tests/support/stores.h"

static const struct {
	const char *text;
	struct dw_position position;
} samples[] = {
	{"0", {0}},
	{"1042", {.txid = 1042}},
	{"5@3:0", {.txid = 5, .segment = 3}},
	{"1042@3:91827", {.txid = 1042, .segment = 3, .offset = 91827}},
	{"7@1:38:00c0ffee", {.txid = 7, .segment = 1, .offset = 38, .crc = 0xc0ffee}},
	{"18446744073709551615@4294967295:18446744073709551615:ffffffff",
	 {UINT64_MAX, UINT64_MAX, UINT32_MAX, UINT32_MAX}},
};

static bool same(const struct dw_position *a, const struct dw_position *b)
{
	return a->txid == b->txid && a->offset == b->offset && a->segment == b->segment &&
	       a->crc == b->crc;
}

static void test_round_trip(void)
{
	for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
		char text[DW_POSITION_TEXT_SIZE];
		struct dw_position position;
		dw_position_text(&samples[i].position, text);
		CHECK(!strcmp(text, samples[i].text));
		CHECK_EQ(dw_position_parse(text, &position), 0);
		CHECK(same(&position, &samples[i].position));
	}
}

static void test_refuses(void)
{
	static const char *const texts[] = {
		"",
		" 1",
		"-1",
		"+1",
		"1 ",
		"x",
		"@1:2",
		"1@",
		"1@2",
		"1@2:",
		"1@:2",
		"1@2:3:",
		"1@2:3:1234567",
		"1@2:3:123456789",
		"1@2:3:0x345678",
		"1@2:3:12345678:",
		"18446744073709551616",
		"1@4294967296:1",
	};
	const struct dw_position before = {.txid = 1, .offset = 2, .segment = 3, .crc = 4};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct dw_position position = before;
		CHECK_EQ(dw_position_parse(texts[i], &position), -EINVAL);
		CHECK(same(&position, &before));
	}
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"position_round_trip", test_round_trip},
		{"position_refuses", test_refuses},
		{NULL, NULL},
	};

	return check_main(argc, argv, tests);
}
