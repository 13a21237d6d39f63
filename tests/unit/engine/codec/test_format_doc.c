/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_format_doc.c - docs/FORMAT.md, records and damage, held against the code.
 *
 * The page is read, not repeated: its tables are found by their headings, its
 * worked segment is taken from the ```hex block.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/limits.h"
#include "codec/record.h"
#include "datawal.h"
#include "tests/support/check.h"
#include "tests/support/files.h"
#include "tests/support/page.h"

/* The segment of the worked example. */
static struct buf example(void)
{
	return page_fenced("\n```hex\n");
}

static void write_segment(const char *dir, unsigned id, const void *data, size_t size)
{
	char path[160];

	(void)snprintf(path, sizeof path, "%s/%08u.dwal", dir, id);
	files_write(AT_FDCWD, path, data, size);
}

/* --- records --- */

static void test_offsets(void)
{
	struct page_table table = page_find("| offset | size | field |\n");
	long long expected = 0;
	size_t i;

	for (i = 0; i < table.count && strcmp(table.rows[i].cells[1], "K"); i++) {
		CHECK_EQ(page_number(table.rows[i].cells[0]), expected);
		expected += page_number(table.rows[i].cells[1]);
	}
	CHECK_EQ(expected, RECORD_HEADER_SIZE);
	CHECK_EQ(table.count, i + 3); /* key, payload, trailer */
	CHECK_EQ(page_number(table.rows[i].cells[0]), RECORD_HEADER_SIZE);
	CHECK(!strcmp(table.rows[i + 1].cells[0], "24+K"));
	CHECK(!strcmp(table.rows[i + 1].cells[1], "P"));
	CHECK(!strcmp(table.rows[i + 2].cells[0], "24+K+P"));
	CHECK_EQ(page_number(table.rows[i + 2].cells[1]), RECORD_TRAILER_SIZE);
	page_release(&table);
}

static void test_limits(void)
{
	static const struct {
		const char *name;
		long long value;
	} limits[] = {
		{"header", RECORD_HEADER_SIZE},    {"trailer", RECORD_TRAILER_SIZE},
		{"key, at most", DW_KEY_SIZE_MAX}, {"payload, at most", DW_VALUE_SIZE_MAX},
		{"first segment", SEGMENT_ID_MIN}, {"last possible segment", SEGMENT_ID_MAX},
	};
	struct page_table table = page_find("| limit | value |\n");

	CHECK_EQ(table.count, sizeof limits / sizeof *limits);
	for (size_t i = 0; i < table.count; i++) {
		CHECK(!strcmp(table.rows[i].cells[0], limits[i].name));
		CHECK_EQ(page_number(table.rows[i].cells[1]), limits[i].value);
	}
	page_release(&table);
	CHECK_EQ(crc32c(0, "123456789", 9), 0xe3069283);
}

/* --- the example --- */

enum { COLUMN_OFFSET = 1, COLUMN_SIZE, COLUMN_TYPE, COLUMN_TXID, COLUMN_KEY, COLUMN_PAYLOAD };

static struct page_table records_table(void)
{
	return page_find("| record | offset | size | type | txid | key | payload | crc |\n");
}

static enum dw_type type_of(const struct page_row *row)
{
	static const char *const names[] = {"Raw", "Put", "Delete"};

	for (int i = 0; i < 3; i++)
		if (!strcmp(row->cells[COLUMN_TYPE], names[i]))
			return (enum dw_type)i;
	CHECK(false && "known type");
	return DW_RAW;
}

static void check_record(const struct buf *segment, const struct page_row *row, uint64_t *offset)
{
	char key[PAGE_TEXT_MAX], payload[PAGE_TEXT_MAX], crc[16];
	size_t key_size = page_literal(row->cells[COLUMN_KEY], key);
	size_t payload_size = page_literal(row->cells[COLUMN_PAYLOAD], payload);
	const uint8_t *at = segment->data + *offset;
	struct record_header header;

	CHECK_EQ(page_number(row->cells[COLUMN_OFFSET]), *offset);
	CHECK_EQ(record_decode(at, segment->size - *offset, &header), DW_DAMAGE_NONE);
	CHECK_EQ(page_number(row->cells[COLUMN_SIZE]), record_size(&header));
	CHECK_EQ(header.type, type_of(row));
	CHECK_EQ(header.txid, page_number(row->cells[COLUMN_TXID]));
	CHECK_EQ(header.key_size, key_size);
	CHECK_EQ(header.payload_size, payload_size);
	CHECK(!memcmp(at + RECORD_HEADER_SIZE, key, key_size));
	CHECK(!memcmp(at + RECORD_HEADER_SIZE + key_size, payload, payload_size));
	*offset += record_size(&header);
	(void)snprintf(crc, sizeof crc, "`%08x`",
		       bytes_get32(segment->data + *offset - RECORD_TRAILER_SIZE));
	CHECK(!strcmp(row->cells[row->count - 1], crc));
}

/* The table of the records and the bytes say the same. */
static void test_records(void)
{
	struct page_table table = records_table();
	struct buf segment = example();
	uint64_t offset = 0;

	for (size_t i = 0; i < table.count; i++)
		check_record(&segment, &table.rows[i], &offset);
	CHECK_EQ(offset, segment.size);
	buf_release(&segment);
	page_release(&table);
}

/* The table that takes the first record apart. */
static void test_fields(void)
{
	struct page_table table = page_find("| offset | bytes | meaning |\n");
	struct page_table records = records_table();
	struct buf segment = example();
	size_t offset = 0;

	for (size_t i = 0; i < table.count; i++) {
		char text[PAGE_TEXT_MAX], *at = text, *pair;
		(void)page_literal(table.rows[i].cells[1], text);
		CHECK_EQ(page_number(table.rows[i].cells[0]), offset);
		while ((pair = strsep(&at, " ")))
			CHECK_EQ(strtoul(pair, NULL, 16), segment.data[offset++]);
	}
	CHECK_EQ(offset, page_number(records.rows[0].cells[COLUMN_SIZE]));
	buf_release(&segment);
	page_release(&records);
	page_release(&table);
}

static void check_view(struct dw_store *store)
{
	struct page_table table = page_find("| live key | value |\n");
	struct dw_iter *iter = NULL;
	struct dw_item item;
	size_t i = 0;

	CHECK_EQ(dw_count(store), table.count);
	CHECK_EQ(dw_iter_open(store, &iter), 0);
	for (; dw_iter_next(iter, &item) == 1; i++) {
		char key[PAGE_TEXT_MAX], want[PAGE_TEXT_MAX];
		size_t key_size = page_literal(table.rows[i].cells[0], key);
		size_t size = page_literal(table.rows[i].cells[1], want);
		struct dw_value value;
		CHECK(item.key.size == key_size && !memcmp(item.key.data, key, key_size));
		CHECK_EQ(dw_get(store, item.key, &value), 0);
		CHECK(value.size == size && !memcmp(value.data, want, size));
		free(value.data);
	}
	CHECK_EQ(i, table.count);
	dw_iter_close(iter);
	page_release(&table);
}

/* The ```jsonl block is the export of the store. */
static void check_export(struct dw_store *store)
{
	static const char fence[] = "\n```jsonl\n";
	char *page = page_read(), *at = strstr(page, fence), bytes[PAGE_TEXT_MAX];
	struct dw_export *export = NULL;

	CHECK(at != NULL);
	at += strlen(fence);
	CHECK_EQ(dw_export_open(store, &export), 0);
	ssize_t size = dw_export_read(export, bytes, sizeof bytes);
	CHECK(size > 0 && size < (ssize_t)sizeof bytes);
	CHECK(!strncmp(at, bytes, (size_t)size) && at[size] == '`');
	dw_export_close(export);
	free(page);
}

static void check_counts(struct dw_store *store, const struct dw_report *report)
{
	const struct {
		const char *name;
		uint64_t value;
	} counts[] = {
		{"segments", report->segments},      {"valid records", report->records},
		{"highest txid", report->last_txid}, {"bytes of valid records", report->offset},
		{"live keys", dw_count(store)},
	};
	struct page_table table = page_find("| what | count |\n");

	CHECK_EQ(table.count, sizeof counts / sizeof *counts);
	for (size_t i = 0; i < table.count; i++) {
		CHECK(!strcmp(table.rows[i].cells[0], counts[i].name));
		CHECK_EQ(counts[i].value, page_number(table.rows[i].cells[1]));
	}
	page_release(&table);
}

static void test_replay(void)
{
	const struct dw_options options = {.read_only = true};
	struct page_table table = records_table();
	struct buf segment = example();
	struct dw_report report = {0};
	struct dw_store *store = NULL;
	char dir[128];

	(void)snprintf(dir, sizeof dir, "%s", check_dir());
	write_segment(dir, SEGMENT_ID_MIN, segment.data, segment.size);
	CHECK_EQ(dw_open(dir, &options, &report, &store), 0);
	CHECK_EQ(report.records, table.count);
	CHECK_EQ(report.torn_bytes, 0);
	CHECK_EQ(report.offset, segment.size);
	check_counts(store, &report);
	check_view(store);
	check_export(store);
	CHECK_EQ(dw_close(store), 0);
	buf_release(&segment);
	page_release(&table);
}

/* The same operations give the same bytes. */
static void test_rewrite(void)
{
	struct page_table table = records_table();
	struct buf segment = example();
	struct dw_store *store = NULL;
	char dir[128], path[160];

	(void)snprintf(dir, sizeof dir, "%s", check_dir());
	CHECK_EQ(dw_open(dir, NULL, NULL, &store), 0);
	for (size_t i = 0; i < table.count; i++) {
		char key[PAGE_TEXT_MAX], payload[PAGE_TEXT_MAX];
		const struct dw_op op = {
			.type = type_of(&table.rows[i]),
			.key = {key, page_literal(table.rows[i].cells[COLUMN_KEY], key)},
			.value = {payload,
				  page_literal(table.rows[i].cells[COLUMN_PAYLOAD], payload)},
		};
		CHECK_EQ(dw_batch(store, &op, 1), 0);
	}
	CHECK_EQ(dw_close(store), 0);
	(void)snprintf(path, sizeof path, "%s/00000001.dwal", dir);
	struct buf written = files_read(AT_FDCWD, path);
	CHECK_EQ(written.size, segment.size);
	CHECK(!memcmp(written.data, segment.data, segment.size));
	buf_release(&written);
	buf_release(&segment);
	page_release(&table);
}

/* --- damage --- */

/* Damage the last record, which starts at `last`, as the reason says. */
static void inflict(const char *reason, struct buf *segment, size_t last)
{
	static const uint8_t zeros[64];
	uint8_t *record = segment->data + last;

	if (!strcmp(reason, "truncated"))
		segment->size--;
	else if (!strcmp(reason, "crc"))
		segment->data[segment->size - 1] ^= 1;
	else if (!strcmp(reason, "zeros"))
		CHECK_EQ(buf_add(segment, zeros, sizeof zeros), 0);
	else if (!strcmp(reason, "magic"))
		record[0] ^= 1;
	else if (!strcmp(reason, "version"))
		record[4] = 2;
	else if (!strcmp(reason, "type"))
		record[6] = 3;
	else if (!strcmp(reason, "flags"))
		record[7] = 1;
	else if (!strcmp(reason, "key_size"))
		bytes_put32(record + 16, DW_KEY_SIZE_MAX + 1);
	else if (!strcmp(reason, "payload_size"))
		bytes_put32(record + 20, DW_VALUE_SIZE_MAX + 1);
	else
		CHECK(false && "known reason");
}

static void check_damage(const char *reason, const char *verdict, bool last)
{
	const struct dw_options options = {.read_only = true};
	struct page_table table = records_table();
	size_t at = (size_t)page_number(table.rows[table.count - 1].cells[COLUMN_OFFSET]);
	struct buf segment = example();
	struct dw_report report = {0};
	struct dw_store *store = NULL;
	char dir[128];

	(void)snprintf(dir, sizeof dir, "%s", check_dir());
	if (!strcmp(reason, "zeros"))
		at = segment.size;
	inflict(reason, &segment, at);
	write_segment(dir, 1, segment.data, segment.size);
	if (!last)
		write_segment(dir, 2, "", 0);
	int rc = dw_open(dir, &options, &report, &store);
	if (!strcmp(verdict, "torn tail")) {
		CHECK_EQ(rc, 0);
		CHECK_EQ(report.torn_bytes, segment.size - at);
	} else {
		CHECK(!strcmp(verdict, "error"));
		CHECK_EQ(rc, -EBADMSG);
	}
	CHECK_EQ(report.segment, 1);
	CHECK_EQ(report.offset, at);
	if (!last && !strcmp(reason, "zeros"))
		reason = "magic";
	CHECK(!strcmp(dw_damage_name(report.damage), reason));
	CHECK_EQ(dw_close(store), 0);
	buf_release(&segment);
	page_release(&table);
}

static void test_damage(void)
{
	struct page_table table =
		page_find("| reason | found | in the last segment | in an earlier one |\n");

	CHECK_EQ(table.count, DW_DAMAGE_ZEROS); /* all that replay can find */
	for (size_t i = 0; i < table.count; i++) {
		char reason[PAGE_TEXT_MAX];
		(void)page_literal(table.rows[i].cells[0], reason);
		check_damage(reason, table.rows[i].cells[2], true);
		check_damage(reason, table.rows[i].cells[3], false);
	}
	page_release(&table);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"format_doc_offsets", test_offsets}, {"format_doc_limits", test_limits},
		{"format_doc_records", test_records}, {"format_doc_fields", test_fields},
		{"format_doc_replay", test_replay},   {"format_doc_rewrite", test_rewrite},
		{"format_doc_damage", test_damage},   {NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
