/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_format_run.c - docs/FORMAT.md, runs, held against the code.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "codec/runblock.h"
#include "tests/support/files.h"
#include "tests/support/page.h"
#include "tests/support/runs.h"

static const char name[] = "00000001.run";

enum { EXAMPLE_SEED = 1, EXAMPLE_STAMP = 2, EXAMPLE_KEYS = 3, AT_STAMP = 16 };

enum {
	COLUMN_KEY,
	COLUMN_SEGMENT,
	COLUMN_OFFSET,
	COLUMN_VALUE_SIZE,
	COLUMN_TIME,
	COLUMN_TOMBSTONE,
	COLUMN_CHANGE
};

/* The rows of a table follow each other from offset 0 to `size`, except for `open` rows at the end
 * with a letter as their size. */
static void check_table(const char *heading, long long size, size_t open)
{
	struct page_table table = page_find(heading);
	long long at = 0;

	CHECK(table.count > open);
	for (size_t i = 0; i < table.count; i++) {
		CHECK_EQ(page_number(table.rows[i].cells[0]), at);
		if (i + open < table.count)
			at += page_number(table.rows[i].cells[1]);
	}
	CHECK_EQ(at, size);
	page_release(&table);
}

static void test_tables(void)
{
	check_table("| offset | size | field of a page |\n", RUN_PAGE_SIZE, 0);
	check_table("| offset | size | field of the header of a run |\n", 32, 0);
	check_table("| offset | size | field of the end of a run |\n", 72, 0);
	check_table("| offset | size | field of a chunk |\n", RUN_CHUNK_SIZE, 1);
	check_table("| offset | size | field of a block of keys |\n", RUN_BLOCK_HEADER_SIZE, 1);
	check_table("| offset | size | field of a directory's entry |\n", RUN_DIRECTORY_SIZE, 0);
	CHECK_EQ(RUN_DIRECTORIES_A_PAGE, 185);
	CHECK_EQ(RUN_PAYLOAD, 4088);
	CHECK_EQ(RUN_DATA_PAGES_MAX, 8192);
	CHECK_EQ(RUN_CHUNK_KEYS_MAX, 524288);
	CHECK_EQ(RUN_KEY_INLINE_MAX, 1024);
	CHECK_EQ(RUN_LINES_A_PAGE, 63);
	CHECK_EQ(RUN_LINE_CHAIN_MAX, 64);
	CHECK_EQ(RUN_FENCES_A_PAGE, 340);
}

static struct dw_bytes row_key(const struct page_row *row, char text[PAGE_TEXT_MAX])
{
	size_t size = page_literal(row->cells[COLUMN_KEY], text);

	return (struct dw_bytes){text, size};
}

static struct run_place row_place(const struct page_row *row)
{
	return (struct run_place){
		.segment = (uint32_t)page_number(row->cells[COLUMN_SEGMENT]),
		.offset = (uint64_t)page_number(row->cells[COLUMN_OFFSET]),
		.value_size = (uint32_t)page_number(row->cells[COLUMN_VALUE_SIZE]),
		.mtime_ns = page_number(row->cells[COLUMN_TIME]),
		.tombstone = page_number(row->cells[COLUMN_TOMBSTONE]),
		.change = (int8_t)page_number(row->cells[COLUMN_CHANGE]),
	};
}

static void check_row(struct run *run, struct run_cursor *cursor, const struct page_row *row)
{
	struct run_place want = row_place(row), got;
	char text[PAGE_TEXT_MAX];
	struct dw_bytes key = row_key(row, text), next;

	for (int way = 0; way < 2; way++) {
		CHECK_EQ(way ? run_cursor_next(cursor, &next, &got)
			     : run_get(run, key, run_hash(EXAMPLE_SEED, key), &got),
			 1);
		CHECK_EQ(got.segment, want.segment);
		CHECK_EQ(got.offset, want.offset);
		CHECK_EQ(got.value_size, want.value_size);
		CHECK_EQ(got.mtime_ns, want.mtime_ns);
		CHECK_EQ(got.tombstone, want.tombstone);
		CHECK_EQ(got.change, want.change);
	}
	CHECK(next.size == key.size && !memcmp(next.data, key.data, key.size));
}

/* The example says what the table says. */
static void test_example(void)
{
	struct page_table table = page_find(
		"| key of the run | segment | offset | value size | time | tombstone | change |\n");
	int dirfd = open(check_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct buf bytes = page_fenced("\n```run\n");
	struct run_cursor cursor;
	struct run *run;
	int64_t change, newest;

	files_write(dirfd, name, bytes.data, bytes.size);
	CHECK_EQ(run_open(&io_posix, dirfd, 1, &run), 0);
	CHECK_EQ(run_verify(run), 0);
	CHECK_EQ(table.count, EXAMPLE_KEYS);
	CHECK_EQ(run_figures(run)->keys, table.count);
	CHECK_EQ(run_figures(run)->seed, EXAMPLE_SEED);
	CHECK_EQ(run_cursor_init(&cursor, run), 0);
	for (size_t i = 0; i < table.count; i++)
		check_row(run, &cursor, &table.rows[i]);
	CHECK_EQ(run_below(run, (struct dw_bytes){"users/", 6}, &change, &newest), 0);
	CHECK_EQ(change, 1);
	CHECK_EQ(newest, 1704067200002000000);
	CHECK_EQ(run_below(run, (struct dw_bytes){"tmp/", 4}, &change, &newest), 0);
	CHECK_EQ(change, 0);
	run_cursor_release(&cursor);
	run_unref(run);
	buf_release(&bytes);
	page_release(&table);
	(void)close(dirfd);
}

/* A writer makes the example's bytes, but for the stamp, which is always another one. */
static void test_written(void)
{
	struct page_table table = page_find(
		"| key of the run | segment | offset | value size | time | tombstone | change |\n");
	const struct runwriter_options options = {.id = 1, .seed = EXAMPLE_SEED};
	int dirfd = open(check_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct buf want = page_fenced("\n```run\n");
	struct runwriter *writer;

	CHECK_EQ(runwriter_open(&io_posix, dirfd, &options, &writer), 0);
	for (size_t i = 0; i < table.count; i++) {
		struct run_place place = row_place(&table.rows[i]);
		char text[PAGE_TEXT_MAX];
		CHECK_EQ(runwriter_add(writer, row_key(&table.rows[i], text), &place), 0);
	}
	CHECK_EQ(runwriter_finish(writer, true), 0);
	runwriter_free(writer);
	struct buf got = files_read(dirfd, name);
	CHECK_EQ(got.size, want.size);
	bytes_put64(got.data + AT_STAMP, EXAMPLE_STAMP);
	for (uint32_t i = 0; i < got.size / RUN_PAGE_SIZE; i++) {
		uint8_t *page = got.data + (size_t)i * RUN_PAGE_SIZE;
		run_page_seal(EXAMPLE_STAMP, i, bytes_get32(page + RUN_PAYLOAD), page);
	}
	CHECK(!memcmp(got.data, want.data, want.size));
	buf_release(&got);
	buf_release(&want);
	page_release(&table);
	(void)close(dirfd);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"format_run_tables", test_tables},
		{"format_run_example", test_example},
		{"format_run_written", test_written},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
