/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_format_names.c - docs/FORMAT.md, names and attributes, held against the code.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "datawal.h"
#include "fs/attr/attrrecord.h"
#include "fs/attr/xattr.h"
#include "fs/volume/volume.h"
#include "tests/support/page.h"

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
static void check_shown(const struct page_row *row, bool flat)
{
	char key[PAGE_TEXT_MAX], beside[PAGE_TEXT_MAX], path[PAGE_TEXT_MAX], *at = path, *name;
	struct dw_store *store = open_store();
	struct dw_bytes value = {"v", strcmp(row->cells[NAME_VALUE], "empty") != 0};
	struct volume_entry entry = {.node = NULL};
	struct node *node;
	bool is_dir = false;

	CHECK_EQ(dw_put(store, (struct dw_bytes){key, page_literal(row->cells[NAME_KEY], key)},
			value),
		 0);
	if (*row->cells[NAME_BESIDE]) {
		size_t size = page_literal(row->cells[NAME_BESIDE], beside);
		CHECK_EQ(dw_put(store, (struct dw_bytes){beside, size}, value), 0);
	}
	struct volume *volume = open_volume(flat, store);
	node = volume_root(volume);
	CHECK(page_literal(row->cells[NAME_SHOWN], path) > 0);
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
static void check_created(const struct page_row *row, bool flat)
{
	char key[PAGE_TEXT_MAX], path[PAGE_TEXT_MAX], *at = path, *name;
	size_t key_size = page_literal(row->cells[NAME_KEY], key);
	const struct volume_cred cred = {0};
	struct volume *volume = open_volume(flat, open_store());
	struct node *node = volume_root(volume);
	struct volume_entry entry;

	(void)page_literal(row->cells[NAME_SHOWN], path);
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
static bool is_creatable(const struct page_row *row, bool flat)
{
	const char *key = row->cells[NAME_KEY];
	size_t size = strlen(key);

	if (*row->cells[NAME_BESIDE] || strchr(key, '{'))
		return false;
	return flat || size < 2 || key[size - 2] != '/';
}

static void check_names(const char *heading, bool flat)
{
	struct page_table table = page_find(heading);

	for (size_t i = 0; i < table.count; i++) {
		check_shown(&table.rows[i], flat);
		if (is_creatable(&table.rows[i], flat))
			check_created(&table.rows[i], flat);
	}
	page_release(&table);
}

static void test_names(void)
{
	check_names("| key | value | beside it | shown as |\n", false);
	check_names("| flat key | value | beside it | shown as |\n", true);
}

/* --- attributes --- */

static long long part(const struct page_table *table, const char *name)
{
	for (size_t i = 0; i < table->count; i++) {
		const char *cell = table->rows[i].cells[1];
		if (!strcmp(table->rows[i].cells[0], name))
			return *cell == '0' ? strtoll(cell, NULL, 8) : page_number(cell);
	}
	CHECK(false);
	return 0;
}

static void test_attributes(void)
{
	struct buf bytes = page_fenced("\n```attr\n");
	struct page_table table = page_find("| part of the example | value |");
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
	page_release(&table);
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
	struct page_table table = page_find("| bit | size | field of an attribute record |");

	CHECK_EQ(table.count, 12);
	for (size_t i = 0; i < 10; i++) {
		const struct page_row *row = &table.rows[i + 2];
		bool with_txid = records[i].attrs.set & (ATTR_MTIME | ATTR_ATIME);
		uint8_t bytes[32];
		size_t size = attr_record_size(&records[i]) - 4 - records[i].xattrs.size;
		CHECK_EQ(page_number(row->cells[0]), i);
		CHECK_EQ(size, strtoul(row->cells[1], NULL, 10) + (with_txid ? 8 : 0));
		attr_record_encode(&records[i], bytes);
		CHECK_EQ(bytes[0] | bytes[1] << 8, 1);
		CHECK_EQ(bytes[2] | bytes[3] << 8,
			 1 << i | (with_txid ? 1 << 4 : 0) | (i == 4 ? 1 << 5 : 0));
	}
	page_release(&table);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"format_doc_names", test_names},
		{"format_doc_attributes", test_attributes},
		{"format_doc_attribute_fields", test_attribute_fields},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
