/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_format_doc.c - docs/FORMAT.md, held against the code.
 *
 * The page is read, not repeated: its tables are found by their headings, its
 * worked segment is taken from the ```hex block.  Run from the top of the sources.
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
#include "fs/attrrecord.h"
#include "fs/volume.h"
#include "fs/xattr.h"
#include "tests/support/check.h"
#include "tests/support/files.h"

enum { CELLS_MAX = 8, ROWS_MAX = 64, LINE_BYTES = 16, TEXT_MAX = 1024 };

/* --- the page --- */

static char *read_page(void)
{
	struct buf page = files_read(AT_FDCWD, "docs/FORMAT.md");

	CHECK_EQ(buf_add(&page, "", 1), 0);
	return (char *)page.data;
}

struct row {
	char *cells[CELLS_MAX];
	size_t count;
};

struct table {
	char *page; /* owned; the cells point into it */
	struct row rows[ROWS_MAX];
	size_t count;
};

static char *trim(char *text)
{
	text += strspn(text, " ");
	for (size_t size = strlen(text); size && text[size - 1] == ' ';)
		text[--size] = '\0';
	return text;
}

/* `| a | b |` in place; its cells, without blanks around. */
static void split_row(char *line, struct row *ret)
{
	char *cell;

	line++; /* the first bar */
	while ((cell = strsep(&line, "|")) && line) {
		CHECK(ret->count < CELLS_MAX);
		ret->cells[ret->count++] = trim(cell);
	}
}

/* The rows below the heading line that reads `heading`. */
static struct table find_table(const char *heading)
{
	struct table table = {.page = read_page()};
	char *at = strstr(table.page, heading), *line;

	CHECK(at != NULL);
	CHECK(at == table.page || at[-1] == '\n');
	(void)strsep(&at, "\n"); /* the heading */
	(void)strsep(&at, "\n"); /* |---| */
	while ((line = strsep(&at, "\n")) && *line == '|') {
		CHECK(table.count < ROWS_MAX);
		split_row(line, &table.rows[table.count++]);
	}
	CHECK(table.count > 0);
	return table;
}

static void table_release(struct table *table)
{
	free(table->page);
}

/* A number in decimal and nothing else. */
static long long number(const char *cell)
{
	char *end;
	long long value = strtoll(cell, &end, 10);

	CHECK(end != cell && !*end);
	return value;
}

/* What stands between the backquotes of a cell (nothing, if it is empty), with \0 and
 * {N} put out; ended by a NUL that does not count. */
static size_t literal(const char *cell, char ret[TEXT_MAX])
{
	size_t size = strlen(cell), used = 0;

	if (size) {
		CHECK(size >= 2 && cell[0] == '`' && cell[size - 1] == '`');
		size--;
	}
	for (size_t i = 1; i < size; i++) {
		CHECK(used < TEXT_MAX - 1);
		if (cell[i] == '\\') {
			CHECK(cell[++i] == '0');
			ret[used++] = '\0';
		} else if (cell[i] == '{') {
			size_t times = strtoul(cell + i + 1, NULL, 10) - 1;
			CHECK(used && used + times < TEXT_MAX);
			memset(ret + used, ret[used - 1], times);
			used += times;
			i += strcspn(cell + i, "}");
		} else {
			ret[used++] = cell[i];
		}
	}
	ret[used] = '\0';
	return used;
}

/* One line of xxd's: its offset, its bytes in pairs, and what they read like. */
static void parse_hex_line(const char *line, struct buf *ret)
{
	uint8_t bytes[LINE_BYTES];
	size_t count = 0;
	char *at;

	CHECK_EQ(strtoul(line, &at, 16), ret->size);
	CHECK(*at == ':');
	for (at++; count < LINE_BYTES && !(at[0] == ' ' && at[1] == ' '); count++) {
		char digits[3] = "";
		at += *at == ' ';
		memcpy(digits, at, 2);
		CHECK_EQ(strspn(digits, "0123456789abcdef"), 2);
		bytes[count] = (uint8_t)strtoul(digits, NULL, 16);
		at += 2;
	}
	at += strspn(at, " ");
	CHECK_EQ(strlen(at), count);
	for (size_t i = 0; i < count; i++)
		CHECK_EQ(at[i], bytes[i] >= ' ' && bytes[i] < 127 ? bytes[i] : '.');
	CHECK_EQ(buf_add(ret, bytes, count), 0);
}

/* The bytes of the worked example behind a fence. */
static struct buf fenced(const char *fence)
{
	struct buf bytes = {0};
	char *page = read_page(), *at = strstr(page, fence), *line;

	CHECK(at != NULL);
	at += strlen(fence);
	while ((line = strsep(&at, "\n")) && *line != '`')
		parse_hex_line(line, &bytes);
	free(page);
	CHECK(bytes.size > 0);
	return bytes;
}

/* The segment of the worked example. */
static struct buf example(void)
{
	return fenced("\n```hex\n");
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
	struct table table = find_table("| offset | size | field |\n");
	long long expected = 0;
	size_t i;

	for (i = 0; i < table.count && strcmp(table.rows[i].cells[1], "K"); i++) {
		CHECK_EQ(number(table.rows[i].cells[0]), expected);
		expected += number(table.rows[i].cells[1]);
	}
	CHECK_EQ(expected, RECORD_HEADER_SIZE);
	CHECK_EQ(table.count, i + 3); /* key, payload, trailer */
	CHECK_EQ(number(table.rows[i].cells[0]), RECORD_HEADER_SIZE);
	CHECK(!strcmp(table.rows[i + 1].cells[0], "24+K"));
	CHECK(!strcmp(table.rows[i + 1].cells[1], "P"));
	CHECK(!strcmp(table.rows[i + 2].cells[0], "24+K+P"));
	CHECK_EQ(number(table.rows[i + 2].cells[1]), RECORD_TRAILER_SIZE);
	table_release(&table);
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
	struct table table = find_table("| limit | value |\n");

	CHECK_EQ(table.count, sizeof limits / sizeof *limits);
	for (size_t i = 0; i < table.count; i++) {
		CHECK(!strcmp(table.rows[i].cells[0], limits[i].name));
		CHECK_EQ(number(table.rows[i].cells[1]), limits[i].value);
	}
	table_release(&table);
	CHECK_EQ(crc32c(0, "123456789", 9), 0xe3069283);
}

/* --- the example --- */

enum { COLUMN_OFFSET = 1, COLUMN_SIZE, COLUMN_TYPE, COLUMN_TXID, COLUMN_KEY, COLUMN_PAYLOAD };

static struct table records_table(void)
{
	return find_table("| record | offset | size | type | txid | key | payload | crc |\n");
}

static enum dw_type type_of(const struct row *row)
{
	static const char *const names[] = {"Raw", "Put", "Delete"};

	for (int i = 0; i < 3; i++)
		if (!strcmp(row->cells[COLUMN_TYPE], names[i]))
			return (enum dw_type)i;
	CHECK(false && "known type");
	return DW_RAW;
}

static void check_record(const struct buf *segment, const struct row *row, uint64_t *offset)
{
	char key[TEXT_MAX], payload[TEXT_MAX], crc[16];
	size_t key_size = literal(row->cells[COLUMN_KEY], key);
	size_t payload_size = literal(row->cells[COLUMN_PAYLOAD], payload);
	const uint8_t *at = segment->data + *offset;
	struct record_header header;

	CHECK_EQ(number(row->cells[COLUMN_OFFSET]), *offset);
	CHECK_EQ(record_decode(at, segment->size - *offset, &header), DW_DAMAGE_NONE);
	CHECK_EQ(number(row->cells[COLUMN_SIZE]), record_size(&header));
	CHECK_EQ(header.type, type_of(row));
	CHECK_EQ(header.txid, number(row->cells[COLUMN_TXID]));
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
	struct table table = records_table();
	struct buf segment = example();
	uint64_t offset = 0;

	for (size_t i = 0; i < table.count; i++)
		check_record(&segment, &table.rows[i], &offset);
	CHECK_EQ(offset, segment.size);
	buf_release(&segment);
	table_release(&table);
}

/* The table that takes the first record apart. */
static void test_fields(void)
{
	struct table table = find_table("| offset | bytes | meaning |\n");
	struct table records = records_table();
	struct buf segment = example();
	size_t offset = 0;

	for (size_t i = 0; i < table.count; i++) {
		char text[TEXT_MAX], *at = text, *pair;
		(void)literal(table.rows[i].cells[1], text);
		CHECK_EQ(number(table.rows[i].cells[0]), offset);
		while ((pair = strsep(&at, " ")))
			CHECK_EQ(strtoul(pair, NULL, 16), segment.data[offset++]);
	}
	CHECK_EQ(offset, number(records.rows[0].cells[COLUMN_SIZE]));
	buf_release(&segment);
	table_release(&records);
	table_release(&table);
}

static void check_view(struct dw_store *store)
{
	struct table table = find_table("| live key | value |\n");
	struct dw_iter *iter = NULL;
	struct dw_item item;
	size_t i = 0;

	CHECK_EQ(dw_count(store), table.count);
	CHECK_EQ(dw_iter_open(store, &iter), 0);
	for (; dw_iter_next(iter, &item) == 1; i++) {
		char key[TEXT_MAX], want[TEXT_MAX];
		size_t key_size = literal(table.rows[i].cells[0], key);
		size_t size = literal(table.rows[i].cells[1], want);
		struct dw_value value;
		CHECK(item.key.size == key_size && !memcmp(item.key.data, key, key_size));
		CHECK_EQ(dw_get(store, item.key, &value), 0);
		CHECK(value.size == size && !memcmp(value.data, want, size));
		free(value.data);
	}
	CHECK_EQ(i, table.count);
	dw_iter_close(iter);
	table_release(&table);
}

/* The ```jsonl block is the export of the store. */
static void check_export(struct dw_store *store)
{
	static const char fence[] = "\n```jsonl\n";
	char *page = read_page(), *at = strstr(page, fence), bytes[TEXT_MAX];
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
	struct table table = find_table("| what | count |\n");

	CHECK_EQ(table.count, sizeof counts / sizeof *counts);
	for (size_t i = 0; i < table.count; i++) {
		CHECK(!strcmp(table.rows[i].cells[0], counts[i].name));
		CHECK_EQ(counts[i].value, number(table.rows[i].cells[1]));
	}
	table_release(&table);
}

static void test_replay(void)
{
	const struct dw_options options = {.read_only = true};
	struct table table = records_table();
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
	table_release(&table);
}

/* The same operations give the same bytes. */
static void test_rewrite(void)
{
	struct table table = records_table();
	struct buf segment = example();
	struct dw_store *store = NULL;
	char dir[128], path[160];

	(void)snprintf(dir, sizeof dir, "%s", check_dir());
	CHECK_EQ(dw_open(dir, NULL, NULL, &store), 0);
	for (size_t i = 0; i < table.count; i++) {
		char key[TEXT_MAX], payload[TEXT_MAX];
		const struct dw_op op = {
			.type = type_of(&table.rows[i]),
			.key = {key, literal(table.rows[i].cells[COLUMN_KEY], key)},
			.value = {payload, literal(table.rows[i].cells[COLUMN_PAYLOAD], payload)},
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
	table_release(&table);
}

/* --- damage --- */

/* Do to the last record, which starts at `last`, what the reason names. */
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
	struct table table = records_table();
	size_t at = (size_t)number(table.rows[table.count - 1].cells[COLUMN_OFFSET]);
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
	table_release(&table);
}

static void test_damage(void)
{
	struct table table =
		find_table("| reason | found | in the last segment | in an earlier one |\n");

	CHECK_EQ(table.count, DW_DAMAGE_ZEROS); /* all that replay can find */
	for (size_t i = 0; i < table.count; i++) {
		char reason[TEXT_MAX];
		(void)literal(table.rows[i].cells[0], reason);
		check_damage(reason, table.rows[i].cells[2], true);
		check_damage(reason, table.rows[i].cells[3], false);
	}
	table_release(&table);
}

/* --- names --- */

enum { NAME_KEY, NAME_VALUE, NAME_BESIDE, NAME_SHOWN };

static struct volume *open_volume(bool flat, struct dw_store *store)
{
	const struct volume_options options = {.flat = flat, .reserved = ".datawal"};
	struct volume *volume = NULL;

	CHECK_EQ(volume_open(store, &options, &volume), 0);
	return volume;
}

static struct dw_store *open_store(void)
{
	struct dw_store *store = NULL;

	CHECK_EQ(dw_open(check_dir(), NULL, NULL, &store), 0);
	return store;
}

/* The key is shown under that path, as a file with its value or as a directory. */
static void check_shown(const struct row *row, bool flat)
{
	char key[TEXT_MAX], beside[TEXT_MAX], path[TEXT_MAX], *at = path, *name;
	struct dw_store *store = open_store();
	struct dw_bytes value = {"v", strcmp(row->cells[NAME_VALUE], "empty") != 0};
	struct volume_entry entry = {.node = NULL};
	struct node *node;
	bool is_dir = false;

	CHECK_EQ(dw_put(store, (struct dw_bytes){key, literal(row->cells[NAME_KEY], key)}, value),
		 0);
	if (*row->cells[NAME_BESIDE]) {
		size_t size = literal(row->cells[NAME_BESIDE], beside);
		CHECK_EQ(dw_put(store, (struct dw_bytes){beside, size}, value), 0);
	}
	struct volume *volume = open_volume(flat, store);
	node = volume_root(volume);
	CHECK(literal(row->cells[NAME_SHOWN], path) > 0);
	while ((name = strsep(&at, "/"))) {
		is_dir = !*name;
		if (is_dir)
			break;
		CHECK_EQ(volume_lookup(volume, node, name, &entry), 0);
		node = entry.node;
	}
	CHECK_EQ(S_ISDIR(entry.st.st_mode), is_dir);
	CHECK_EQ(entry.st.st_size, value.size);
	CHECK_EQ(volume_close(volume), 0);
}

/* And the other way: a file created under that path gets that key. */
static void check_created(const struct row *row, bool flat)
{
	char key[TEXT_MAX], path[TEXT_MAX], *at = path, *name;
	size_t key_size = literal(row->cells[NAME_KEY], key);
	const struct volume_cred cred = {0};
	struct volume *volume = open_volume(flat, open_store());
	struct node *node = volume_root(volume);
	struct volume_entry entry;

	(void)literal(row->cells[NAME_SHOWN], path);
	while ((name = strsep(&at, "/")) && at) {
		CHECK_EQ(volume_mkdir(volume, &cred, node, name, 0755, &entry), 0);
		node = entry.node;
	}
	CHECK_EQ(volume_mknod(volume, &cred, node, name, S_IFREG | 0644, &entry), 0);
	CHECK(dw_contains(volume_store(volume), (struct dw_bytes){key, key_size}));
	CHECK_EQ(volume_close(volume), 0);
}

/* Neither a file beside a directory nor a shortened name can be made from its name, and
 * an empty value under a key that ends in a slash is a marker. */
static bool is_creatable(const struct row *row, bool flat)
{
	const char *key = row->cells[NAME_KEY];
	size_t size = strlen(key);

	if (*row->cells[NAME_BESIDE] || strchr(key, '{'))
		return false;
	return flat || size < 2 || key[size - 2] != '/';
}

static void check_names(const char *heading, bool flat)
{
	struct table table = find_table(heading);

	for (size_t i = 0; i < table.count; i++) {
		check_shown(&table.rows[i], flat);
		if (is_creatable(&table.rows[i], flat))
			check_created(&table.rows[i], flat);
	}
	table_release(&table);
}

static void test_names(void)
{
	check_names("| key | value | beside it | shown as |\n", false);
	check_names("| flat key | value | beside it | shown as |\n", true);
}

/* --- attributes --- */

static long long part(const struct table *table, const char *name)
{
	for (size_t i = 0; i < table->count; i++) {
		const char *cell = table->rows[i].cells[1];
		if (!strcmp(table->rows[i].cells[0], name))
			return *cell == '0' ? strtoll(cell, NULL, 8) : number(cell);
	}
	CHECK(false);
	return 0;
}

static void test_attributes(void)
{
	struct buf bytes = fenced("\n```attr\n");
	struct table table = find_table("| part of the example | value |");
	struct attr_record record, before;
	struct xattrs *xattrs;
	char text[8];

	CHECK(attr_record_decode((struct dw_bytes){bytes.data, bytes.size}, &record));
	CHECK_EQ(record.attrs.set, ATTR_MODE | ATTR_GID | ATTR_CTIME | ATTR_MTIME);
	CHECK_EQ(record.attrs.mode, part(&table, "mode"));
	CHECK_EQ(record.attrs.gid, part(&table, "group id"));
	CHECK_EQ(record.attrs.ctime_ns, part(&table, "ctime"));
	CHECK_EQ(record.attrs.txid, part(&table, "txid"));
	CHECK_EQ(record.attrs.mtime_ns, part(&table, "mtime"));
	CHECK_EQ(record.since, part(&table, "since"));
	CHECK(attr_record_decode(record.before, &before));
	CHECK_EQ(before.attrs.set, ATTR_MODE);
	CHECK_EQ(before.attrs.mode, part(&table, "mode before"));
	CHECK_EQ(xattrs_new(record.xattrs, &xattrs), 0);
	CHECK_EQ(xattrs_get(xattrs, "user.lang", text, sizeof text), 2);
	CHECK(!memcmp(text, "de", 2));
	CHECK_EQ(table.count, 8);
	/* and back: the same bytes */
	uint8_t *again = malloc(attr_record_size(&record));
	CHECK(again != NULL);
	CHECK_EQ(attr_record_size(&record), bytes.size);
	attr_record_encode(&record, again);
	CHECK(!memcmp(again, bytes.data, bytes.size));
	free(again);
	free(xattrs);
	table_release(&table);
	buf_release(&bytes);
}

/* The sizes of the fields, each alone. */
static void test_attribute_fields(void)
{
	static const struct attr_record records[] = {
		{.attrs = {.set = ATTR_MODE}},
		{.attrs = {.set = ATTR_UID}},
		{.attrs = {.set = ATTR_GID}},
		{.attrs = {.set = ATTR_CTIME}},
		{.attrs = {.set = ATTR_MTIME}}, /* with a txid */
		{.attrs = {.set = ATTR_MTIME}},
		{.attrs = {.set = ATTR_ATIME}},
		{.attrs = {.set = ATTR_SYMLINK}},
		{.xattrs = {"\1\0\0\0\0n", 6}},
		{.since = 1},
	};
	struct table table = find_table("| bit | size | field of an attribute record |");

	CHECK_EQ(table.count, 12);
	for (size_t i = 0; i < 10; i++) {
		const struct row *row = &table.rows[i + 2];
		bool with_txid = records[i].attrs.set & (ATTR_MTIME | ATTR_ATIME);
		uint8_t bytes[32];
		size_t size = attr_record_size(&records[i]) - 4 - records[i].xattrs.size;
		CHECK_EQ(number(row->cells[0]), i);
		CHECK_EQ(size, strtoul(row->cells[1], NULL, 10) + (with_txid ? 8 : 0));
		attr_record_encode(&records[i], bytes);
		CHECK_EQ(bytes[0] | bytes[1] << 8, 1);
		CHECK_EQ(bytes[2] | bytes[3] << 8,
			 1 << i | (with_txid ? 1 << 4 : 0) | (i == 4 ? 1 << 5 : 0));
	}
	table_release(&table);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"format_doc_offsets", test_offsets},
		{"format_doc_limits", test_limits},
		{"format_doc_records", test_records},
		{"format_doc_fields", test_fields},
		{"format_doc_replay", test_replay},
		{"format_doc_rewrite", test_rewrite},
		{"format_doc_damage", test_damage},
		{"format_doc_names", test_names},
		{"format_doc_attributes", test_attributes},
		{"format_doc_attribute_fields", test_attribute_fields},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
