/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_golden.c - the stores that the reference implementation wrote.
 *
 * Each store under tests/golden/read is opened as a reader and as a writer and
 * must give its expect.json; each list of operations under tests/golden/write
 * must produce the reference's segments byte for byte.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "codec/segname.h"
#include "datawal.h"
#include "tests/support/check.h"
#include "tests/support/files.h"

static struct dw_bytes decode_base64(const char *text)
{
	size_t size = strlen(text), n = size / 4 * 3;
	unsigned char *data = malloc(n + 3);

	CHECK(data != NULL);
	CHECK_EQ(EVP_DecodeBlock(data, (const unsigned char *)text, (int)size), n);
	while (size && text[--size] == '=')
		n--;
	return (struct dw_bytes){data, n};
}

static struct dw_bytes member_base64(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return decode_base64(text ? text : "");
}

static void free_bytes(struct dw_bytes bytes)
{
	free((void *)bytes.data);
}

static json_int_t member_int(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	CHECK(json_is_number(value));
	return (json_int_t)json_number_value(value);
}

static void check_live(struct dw_store *store, const json_t *live)
{
	struct dw_iter *iter = NULL;
	struct dw_item item;
	size_t i = 0;

	CHECK_EQ(dw_count(store), json_array_size(live));
	CHECK_EQ(dw_iter_open(store, &iter), 0);
	while (dw_iter_next(iter, &item) == 1) {
		const json_t *want = json_array_get(live, i++);
		struct dw_bytes key = member_base64(want, "key_b64");
		struct dw_value value;
		char crc[16];
		CHECK(key.size == item.key.size && !memcmp(key.data, item.key.data, key.size));
		CHECK_EQ(dw_get(store, key, &value), 0);
		CHECK_EQ(value.size, member_int(want, "size"));
		(void)snprintf(crc, sizeof crc, "%08x", crc32c(0, value.data, value.size));
		CHECK(!strcmp(crc, json_string_value(json_object_get(want, "crc32c"))));
		free(value.data);
		free_bytes(key);
	}
	CHECK_EQ(i, json_array_size(live));
	dw_iter_close(iter);
}

/* The highest txid can be larger than jansson's integers: compared as text. */
static void check_last_txid(const char *expect_path, uint64_t actual)
{
	char want[64];
	struct buf text = files_read(AT_FDCWD, expect_path);

	CHECK_EQ(buf_add(&text, "", 1), 0);
	const char *at = strstr((char *)text.data, "\"last_txid\":");
	CHECK(at != NULL);
	(void)snprintf(want, sizeof want, "\"last_txid\": %llu,", (unsigned long long)actual);
	CHECK(!strncmp(at, want, strlen(want)));
	buf_release(&text);
}

static void check_verdict(const json_t *expect, const char *expect_path, int rc,
			  const struct dw_report *report)
{
	const char *verdict = json_string_value(json_object_get(expect, "verdict"));

	CHECK(verdict != NULL);
	CHECK_EQ(report->records, member_int(expect, "records"));
	if (!strcmp(verdict, "error")) {
		const json_t *error = json_object_get(expect, "error");
		CHECK_EQ(rc, -EBADMSG);
		CHECK_EQ(report->segment, member_int(error, "segment"));
		CHECK_EQ(report->offset, member_int(error, "offset"));
		CHECK(!strcmp(dw_damage_name(report->damage),
			      json_string_value(json_object_get(error, "reason"))));
		return;
	}
	CHECK_EQ(rc, 0);
	CHECK_EQ(report->torn_bytes, member_int(expect, "torn_bytes"));
	CHECK_EQ(!strcmp(verdict, "torn"), report->torn_bytes > 0);
	CHECK_EQ(report->segments, json_array_size(json_object_get(expect, "segments")));
	check_last_txid(expect_path, report->last_txid);
}

/* A reader changes nothing; a torn store holds whole what it held. */
static void read_as_reader(const char *store_dir, const char *expect_path, const json_t *expect)
{
	const struct dw_options options = {.read_only = true};
	struct dw_report report = {0};
	struct dw_store *store = NULL;
	struct files before = files_snapshot(store_dir);
	int rc = dw_open(store_dir, &options, &report, &store);

	check_verdict(expect, expect_path, rc, &report);
	if (!rc)
		check_live(store, json_object_get(expect, "live"));
	CHECK_EQ(dw_close(store), 0);
	struct files after = files_snapshot(store_dir);
	CHECK(files_equal(&before, &after));
	files_release(&before);
	files_release(&after);
}

/* A directory with other files and no segment is an empty store to the reference, and none
 * here. */
static bool is_no_store(const char *dir)
{
	return strstr(dir, "d12_wrong_case_only") != NULL;
}

static void expect_no_store(const char *store_dir)
{
	const struct dw_options reading = {.read_only = true};
	struct files before = files_snapshot(store_dir);
	struct dw_store *store = NULL;

	CHECK_EQ(dw_open(store_dir, &reading, NULL, &store), -ENOMEDIUM);
	CHECK_EQ(dw_open(store_dir, NULL, NULL, &store), -ENOMEDIUM);
	struct files after = files_snapshot(store_dir);
	CHECK(files_equal(&before, &after));
	files_release(&before);
	files_release(&after);
}

/* Whether the torn bytes are zeros alone. */
static bool is_tail_zero(const struct files *files, const struct dw_report *report)
{
	char name[24];

	(void)snprintf(name, sizeof name, "%08u.dwal", report->segment);
	for (size_t i = 0; i < files->count; i++) {
		const struct buf *data = &files->items[i].data;
		if (strcmp(files->items[i].name, name))
			continue;
		for (uint64_t at = report->offset; at < data->size; at++)
			if (data->data[at])
				return false;
		return true;
	}
	return false;
}

/* A writer saves the torn bytes, but for zeros alone, and what it appends is there on replay. */
static void read_as_writer(const char *source, const json_t *expect)
{
	const struct dw_options options = {0};
	char dir[128];
	struct dw_report report = {0};
	struct dw_store *store = NULL;
	struct dw_value value;
	const struct dw_bytes key = {"written later", 13};
	bool exhausted = strstr(source, "txid_max") != NULL;

	(void)snprintf(dir, sizeof dir, "%s", check_dir());
	files_copy(source, dir);
	struct files before = files_snapshot(dir);
	int rc = dw_open(dir, &options, &report, &store);
	if (rc < 0) {
		CHECK(!strcmp(json_string_value(json_object_get(expect, "verdict")), "error"));
		struct files after = files_snapshot(dir);
		files_drop(&after, ".lock");
		files_drop_suffixed(&after, ".hint");
		CHECK(files_equal(&before, &after));
		files_release(&before);
		files_release(&after);
		return;
	}
	check_live(store, json_object_get(expect, "live"));
	CHECK_EQ(dw_put(store, key, key), exhausted ? -EOVERFLOW : 0);
	CHECK_EQ(dw_close(store), 0);
	store = NULL;
	if (report.torn_bytes)
		CHECK_EQ(files_count_suffixed(dir, ".torn-"), !is_tail_zero(&before, &report));
	CHECK_EQ(dw_open(dir, &options, &report, &store), 0);
	CHECK_EQ(report.torn_bytes, 0);
	CHECK_EQ(dw_count(store), json_array_size(json_object_get(expect, "live")) + !exhausted);
	if (!exhausted) {
		CHECK_EQ(dw_get(store, key, &value), 0);
		CHECK(value.size == key.size && !memcmp(value.data, key.data, key.size));
		free(value.data);
	}
	CHECK_EQ(dw_close(store), 0);
	files_release(&before);
}

typedef void case_fn(const char *dir, const char *name);

static void for_each_case(const char *dir, case_fn *run)
{
	struct dirent *entry;
	char path[512];
	int count = 0;
	DIR *d = opendir(dir);

	CHECK(d != NULL);
	while ((entry = readdir(d))) {
		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
		printf("  %s\n", entry->d_name);
		run(path, entry->d_name);
		count++;
	}
	(void)closedir(d);
	CHECK(count > 0);
}

static json_t *load_json(const char *path)
{
	json_error_t error;
	/* the highest txid does not fit jansson's integers */
	json_t *json = json_load_file(path, JSON_DECODE_INT_AS_REAL, &error);

	CHECK(json != NULL);
	return json;
}

static void read_case(const char *dir, const char *name)
{
	char store_dir[600], expect_path[600];

	(void)name;
	(void)snprintf(store_dir, sizeof store_dir, "%s/store", dir);
	(void)snprintf(expect_path, sizeof expect_path, "%s/expect.json", dir);
	if (is_no_store(dir)) {
		expect_no_store(store_dir);
		return;
	}
	json_t *expect = load_json(expect_path);
	read_as_reader(store_dir, expect_path, expect);
	read_as_writer(store_dir, expect);
	json_decref(expect);
}

static void test_read(void)
{
	for_each_case("tests/golden/read", read_case);
}

/* --- beside hints of every kind --- */

static struct {
	char dir[128];     /* where the case before left its hints */
	int kept, refused; /* stores that opened beside those, and that were refused */
} others;

/* The store opens, for reading and for writing, and holds what it should; or, unless it `must`, it
 * is refused: then a hint knows more than it holds. */
static bool opens_beside(const char *source, const json_t *expect, const struct files *hints,
			 bool must)
{
	char dir[128];

	(void)snprintf(dir, sizeof dir, "%s", check_dir());
	files_copy(source, dir);
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY);
	for (size_t i = 0; i < hints->count; i++)
		if (strstr(hints->items[i].name, ".hint"))
			files_write(dirfd, hints->items[i].name, hints->items[i].data.data,
				    hints->items[i].data.size);
	(void)close(dirfd);
	for (int read_only = 1; read_only >= 0; read_only--) {
		const struct dw_options options = {.read_only = read_only};
		struct dw_store *store = NULL;
		int rc = dw_open(dir, &options, NULL, &store);
		if (rc == -EBADMSG && !must && read_only)
			return false;
		CHECK_EQ(rc, 0);
		check_live(store, json_object_get(expect, "live"));
		CHECK_EQ(dw_close(store), 0);
	}
	return true;
}

static void swap_names(struct file_image *a, struct file_image *b)
{
	char name[sizeof a->name];

	memcpy(name, a->name, sizeof name);
	memcpy(a->name, b->name, sizeof name);
	memcpy(b->name, name, sizeof name);
}

static void sidecar_case(const char *dir, const char *name)
{
	char store_dir[600], expect_path[600], own[128];
	struct dw_store *store = NULL;

	(void)name;
	(void)snprintf(store_dir, sizeof store_dir, "%s/store", dir);
	(void)snprintf(expect_path, sizeof expect_path, "%s/expect.json", dir);
	(void)snprintf(own, sizeof own, "%s", check_dir());
	files_copy(store_dir, own);
	if (dw_open(own, NULL, NULL, &store))
		return; /* damaged, or no store */
	CHECK_EQ(dw_close(store), 0);
	json_t *expect = load_json(expect_path);
	struct files hints = files_snapshot(own);
	CHECK(opens_beside(store_dir, expect, &hints, true));
	for (size_t i = 0; i < hints.count; i++) { /* cut */
		struct buf *data = &hints.items[i].data;
		size_t size = data->size;
		for (size_t step = 1; strstr(hints.items[i].name, ".hint") && step < 5; step++) {
			data->size = size * step / 5;
			CHECK(opens_beside(store_dir, expect, &hints, true));
		}
		data->size = size;
	}
	for (size_t i = 0, first = SIZE_MAX; i < hints.count; i++) { /* exchanged */
		if (!strstr(hints.items[i].name, ".hint"))
			continue;
		if (first != SIZE_MAX) {
			swap_names(&hints.items[i], &hints.items[first]);
			CHECK(opens_beside(store_dir, expect, &hints, true));
		}
		first = i;
	}
	if (others.dir[0]) { /* of another log, older or newer, or of another state of this one */
		struct files foreign = files_snapshot(others.dir);
		bool opens = opens_beside(store_dir, expect, &foreign, false);
		others.kept += opens;
		others.refused += !opens;
		files_release(&foreign);
	}
	(void)snprintf(others.dir, sizeof others.dir, "%s", own);
	files_release(&hints);
	json_decref(expect);
}

static void test_sidecars(void)
{
	for_each_case("tests/golden/read", sidecar_case);
	printf("  %d opened beside hints of others, %d were refused\n", others.kept,
	       others.refused);
	CHECK(others.kept > 0 && others.refused > 0);
}

static void apply_line(struct dw_store *store, const char *line)
{
	json_error_t error;
	json_t *op = json_loads(line, 0, &error);

	CHECK(op != NULL);
	const char *what = json_string_value(json_object_get(op, "op"));
	struct dw_bytes key = member_base64(op, "key_b64"), value = member_base64(op, "value_b64");
	if (!strcmp(what, "put"))
		CHECK_EQ(dw_put(store, key, value), 0);
	else if (!strcmp(what, "delete"))
		CHECK_EQ(dw_delete(store, key), 0);
	else if (!strcmp(what, "raw"))
		CHECK_EQ(dw_append_raw(store, key, value), 0);
	else if (!strcmp(what, "rotate"))
		CHECK_EQ(dw_rotate(store), 0);
	else if (!strcmp(what, "sync"))
		CHECK_EQ(dw_sync(store), 0);
	else
		CHECK(false && "known operation");
	free_bytes(key);
	free_bytes(value);
	json_decref(op);
}

static void apply_file(struct dw_store *store, const char *path)
{
	char *line = NULL;
	size_t size = 0;
	FILE *file = fopen(path, "r");

	CHECK(file != NULL);
	while (getline(&line, &size, file) > 0)
		apply_line(store, line);
	free(line);
	(void)fclose(file);
}

static void check_same_segments(const char *actual_dir, const char *want_dir)
{
	struct files actual = files_snapshot(actual_dir), want = files_snapshot(want_dir);

	files_drop(&actual, ".lock");
	files_drop_suffixed(&actual, ".hint");
	files_drop(&want, ".gitkeep");
	CHECK(files_equal(&actual, &want));
	files_release(&actual);
	files_release(&want);
}

static void write_case(const char *dir, const char *name)
{
	const struct dw_options options = {0};
	struct dw_store *store = NULL;
	char path[600], out[128], compacted[128], export[160];

	(void)name;
	(void)snprintf(out, sizeof out, "%s", check_dir());
	CHECK_EQ(dw_open(out, &options, NULL, &store), 0);
	(void)snprintf(path, sizeof path, "%s/ops.jsonl", dir);
	apply_file(store, path);
	(void)snprintf(path, sizeof path, "%s/store", dir);
	check_same_segments(out, path);
	(void)snprintf(path, sizeof path, "%s/compacted", dir);
	if (!access(path, F_OK)) {
		(void)snprintf(compacted, sizeof compacted, "%s", check_dir());
		CHECK_EQ(dw_compact_to(store, compacted), 0);
		check_same_segments(compacted, path);
		CHECK_EQ(dw_compact_to(store, compacted), -EEXIST);
	}
	(void)snprintf(path, sizeof path, "%s/export.jsonl", dir);
	if (!access(path, F_OK)) {
		(void)snprintf(export, sizeof export, "%s/export.jsonl", check_dir());
		CHECK_EQ(dw_export_file(store, export), 0);
		struct buf want = files_read(AT_FDCWD, path), got = files_read(AT_FDCWD, export);
		CHECK(want.size == got.size &&
		      (!got.size || !memcmp(want.data, got.data, got.size)));
		buf_release(&want);
		buf_release(&got);
	}
	(void)snprintf(path, sizeof path, "%s/expect.json", dir);
	json_t *expect = load_json(path);
	check_live(store, json_object_get(expect, "live"));
	json_decref(expect);
	CHECK_EQ(dw_close(store), 0);
}

static void test_write(void)
{
	for_each_case("tests/golden/write", write_case);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"golden_read", test_read},
		{"golden_sidecars", test_sidecars},
		{"golden_write", test_write},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
