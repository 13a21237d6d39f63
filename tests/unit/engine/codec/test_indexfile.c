/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_indexfile.c - the file `index`, bytes <-> struct.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/limits.h"
#include "codec/indexfile.h"
#include "tests/support/check.h"
#include "tests/support/page.h"

static struct indexfile_run runs[] = {{9, 0xfeedfacecafebeef, 4096 * 3, 17},
				      {2, 5, UINT64_MAX, UINT64_MAX}};
static struct indexfile_segment segments[] = {
	{1, 77, 1000, -5, 12345678901, 600, 400, 88},
	{4, 0, 0, 0, 3, 0, 0, 0},
	{SEGMENT_ID_MAX, 0xffffffff, 500, 0, 4, 100, 0, 99},
};

static struct indexfile sample(void)
{
	return (struct indexfile){
		.position = {SEGMENT_ID_MAX, 500, 100},
		.keys = 34,
		.seed = 0x1122334455667788,
		.runs = runs,
		.run_count = 2,
		.segments = segments,
		.segment_count = 3,
	};
}

static struct buf encoded(const struct indexfile *file)
{
	struct buf bytes = {0};

	CHECK_EQ(indexfile_encode(file, &bytes), 0);
	return bytes;
}

static int decode(const struct buf *bytes, struct indexfile *ret)
{
	return indexfile_decode((struct dw_bytes){bytes->data, bytes->size}, ret);
}

static void test_there_and_back(void)
{
	const struct indexfile file = sample();
	struct buf bytes = encoded(&file);
	struct indexfile back;

	CHECK_EQ(bytes.size, 64 + 2 * 32 + 3 * 56 + 4);
	CHECK_EQ(decode(&bytes, &back), 0);
	CHECK_EQ(back.position.offset, 500);
	CHECK_EQ(back.position.next_txid, 100);
	CHECK_EQ(back.keys, 34);
	CHECK_EQ(back.runs[1].keys, UINT64_MAX);
	CHECK_EQ(back.segments[0].mtime_ns, -5);
	CHECK_EQ(back.segments[0].raw_bytes, 400);
	struct buf again = encoded(&back);
	CHECK(again.size == bytes.size && !memcmp(again.data, bytes.data, bytes.size));
	buf_release(&again);
	indexfile_release(&back);
	buf_release(&bytes);
}

/* Whatever bit is another one, and wherever it ends. */
static void test_damaged(void)
{
	const struct indexfile file = sample();
	struct buf bytes = encoded(&file);
	struct indexfile back;
	size_t size = bytes.size;

	for (size_t bit = 0; bit < size * 8; bit++) {
		bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CHECK_EQ(decode(&bytes, &back), -EBADMSG);
		bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (bytes.size = 0; bytes.size < size; bytes.size++)
		CHECK_EQ(decode(&bytes, &back), -EBADMSG);
	CHECK_EQ(decode(&bytes, &back), 0);
	indexfile_release(&back);
	buf_release(&bytes);
}

/* Numbers that do not go together, under a right checksum. */
static void test_unsound(void)
{
	static const struct {
		size_t at;
		uint32_t value;
	} wrong[] = {
		{8, 2},                  /* another layout */
		{12, 3},                 /* more runs than there are */
		{12, 1 << 11},           /* too many */
		{16, 0},                 /* no segment */
		{16, UINT32_MAX},        /* more than can be */
		{20, 0},                 /* nothing covered */
		{20, 4},                 /* a segment that is not the last */
		{24, 499},               /* not as far as the last one */
		{56, 1},                 /* reserved */
		{64 + 32, 9},            /* a run twice */
		{128 + 56, 1},           /* segments out of order */
		{128 + 112, UINT32_MAX}, /* no id */
		{128 + 32, 601},         /* more live and raw bytes than there are */
		{128 + 56 + 40, 1},
	};

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		const struct indexfile file = sample();
		struct buf bytes = encoded(&file);
		struct indexfile back;
		bytes_put32(bytes.data + wrong[i].at, wrong[i].value);
		bytes_put32(bytes.data + bytes.size - 4, crc32c(0, bytes.data, bytes.size - 4));
		CHECK_EQ(decode(&bytes, &back), -EBADMSG);
		buf_release(&bytes);
	}
}

/* The tables of docs/FORMAT.md add up to the sizes of the code. */
static void test_tables(void)
{
	static const struct {
		const char *heading;
		long long size;
	} tables[] = {{"| offset | size | field of `index` |\n", INDEXFILE_HEADER_SIZE},
		      {"| offset | size | field of a run there |\n", INDEXFILE_RUN_SIZE},
		      {"| offset | size | field of a segment there |\n", INDEXFILE_SEGMENT_SIZE}};

	for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
		struct page_table table = page_find(tables[t].heading);
		long long expected = 0;
		for (size_t i = 0; i < table.count && expected < tables[t].size; i++) {
			CHECK_EQ(page_number(table.rows[i].cells[0]), expected);
			expected += page_number(table.rows[i].cells[1]);
		}
		CHECK_EQ(expected, tables[t].size);
		page_release(&table);
	}
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"indexfile_there_and_back", test_there_and_back},
		{"indexfile_damaged", test_damaged},
		{"indexfile_unsound", test_unsound},
		{"indexfile_tables", test_tables},
		{NULL, NULL},
	};

	return check_main(argc, argv, tests);
}
