/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_store.c - the public calls on a sound store: writing, reading, limits,
 * the lock, readers beside a writer, pinned values, the export.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "codec/record.h"
#include "tests/support/files.h"
#include "tests/support/stores.h"

static void test_basics(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct dw_stats stats;

	stores_expect(store, "a", NULL);
	stores_put(store, "a", "1");
	stores_put(store, "b", "");
	stores_put(store, "", "of the empty key");
	stores_put(store, "a", "22");
	stores_delete(store, "b");
	stores_delete(store, "never there");
	CHECK_EQ(dw_append_raw(store, stores_bytes("a"), stores_bytes("raw")), 0);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(dw_count(store), 2);
		stores_expect(store, "a", "22");
		stores_expect(store, "b", NULL);
		stores_expect(store, "", "of the empty key");
		dw_get_stats(store, &stats);
		CHECK_EQ(stats.next_txid, 8);
		CHECK_EQ(stats.puts, i ? 0 : 4);
		CHECK_EQ(stats.deletes, i ? 0 : 2);
		CHECK_EQ(stats.raws, i ? 0 : 1);
		CHECK_EQ(stats.live_bytes, 2 * 28 + 1 + 2 + 16);
		stores_close(store);
		store = stores_open(dir, 0);
	}
	stores_close(store);
}

/* NULL is as good as an address where there are no bytes. */
static void test_null_bytes(void)
{
	struct dw_store *store = stores_open(check_dir(), 0);
	const struct dw_bytes none = {NULL, 0};
	struct dw_value value;

	CHECK_EQ(dw_get(store, none, &value), -ENOENT);
	CHECK_EQ(dw_put(store, none, none), 0);
	CHECK(dw_contains(store, none));
	CHECK_EQ(dw_get(store, none, &value), 0);
	CHECK_EQ(value.size, 0);
	CHECK(value.data != NULL);
	free(value.data);
	CHECK_EQ(dw_delete(store, none), 0);
	CHECK_EQ(dw_append_raw(store, none, none), 0);
	CHECK_EQ(dw_count(store), 0);
	CHECK_EQ(dw_batch(store, NULL, 0), 0);
	stores_close(store);
	CHECK_EQ(dw_close(NULL), 0);
}

static void check_unwritten(struct dw_store *store, const struct dw_op *op, int want)
{
	struct dw_stats before, after;
	const struct dw_op ops[2] = {{.type = DW_PUT, .key = {"good", 4}}, *op};

	dw_get_stats(store, &before);
	CHECK_EQ(dw_batch(store, ops, 2), want);
	dw_get_stats(store, &after);
	CHECK_EQ(after.bytes, before.bytes);
	CHECK_EQ(after.next_txid, before.next_txid);
	stores_expect(store, "good", NULL);
}

static void test_limits(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	uint8_t *data = stores_noise(1, DW_VALUE_SIZE_MAX + 1);
	const struct dw_bytes key = {data, DW_KEY_SIZE_MAX}, value = {data + 1, DW_VALUE_SIZE_MAX};
	const struct dw_op long_key = {.type = DW_PUT, .key = {data, DW_KEY_SIZE_MAX + 1}};
	const struct dw_op long_value = {.type = DW_RAW, .value = {data, DW_VALUE_SIZE_MAX + 1}};
	const struct dw_op value_of_delete = {.type = DW_DELETE, .value = {data, 1}};
	const struct dw_op unknown = {.type = (enum dw_type)3};

	check_unwritten(store, &long_key, -E2BIG);
	check_unwritten(store, &long_value, -EFBIG);
	check_unwritten(store, &value_of_delete, -EINVAL);
	check_unwritten(store, &unknown, -EINVAL);
	CHECK_EQ(dw_put(store, key, value), 0);
	CHECK(stores_holds(store, key, value));
	stores_close(store);
	store = stores_open(dir, 0);
	CHECK(stores_holds(store, key, value));
	CHECK_EQ(dw_count(store), 1);
	stores_close(store);
	free(data);
}

enum { BATCH = 300 };

/* Small and large payloads mixed, far over the scratch buffer. */
static void test_batch(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct rng rng = check_rng();
	uint8_t *data = stores_noise(rng_next(&rng), 1 << 20);
	struct model model = {0};
	struct dw_op ops[BATCH];
	char keys[BATCH][16];

	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < BATCH; i++) {
			bool large = !rng_below(&rng, 8), gone = !rng_below(&rng, 6);
			size_t size = (size_t)rng_below(&rng, large ? 200000 : 3000);
			(void)snprintf(keys[i], sizeof keys[i], "%d", (int)rng_below(&rng, 200));
			ops[i] = (struct dw_op){
				.type = gone ? DW_DELETE : DW_PUT,
				.key = stores_bytes(keys[i]),
				.value = {data + rng_below(&rng, 500000), gone ? 0 : size},
			};
			if (gone)
				model_delete(&model, ops[i].key);
			else
				model_put(&model, ops[i].key, ops[i].value);
		}
		CHECK_EQ(dw_batch(store, ops, BATCH), 0);
		model_check(&model, store);
	}
	stores_close(store);
	store = stores_open(dir, 0);
	model_check(&model, store);
	stores_close(store);
	model_release(&model);
	free(data);
}

static void test_rotate(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 200);
	struct dw_stats stats;
	char key[16];

	for (int i = 0; i < 40; i++) {
		(void)snprintf(key, sizeof key, "key %02d", i);
		stores_put(store, key, "twenty bytes of text");
	}
	/* three records of 54 bytes a segment */
	CHECK_EQ(files_count_suffixed(dir, ".dwal"), 14);
	CHECK_EQ(dw_rotate(store), 0);
	CHECK_EQ(dw_sync(store), 0);
	dw_get_stats(store, &stats);
	CHECK_EQ(stats.active_segment, 15);
	CHECK_EQ(stats.rotations, 15);
	/* one record above the size gets a segment of its own */
	uint8_t *data = stores_noise(1, 1000);
	CHECK_EQ(dw_put(store, stores_bytes("big"), (struct dw_bytes){data, 1000}), 0);
	stores_put(store, "behind", "it");
	dw_get_stats(store, &stats);
	CHECK_EQ(stats.active_segment, 16);
	stores_close(store);
	store = stores_open(dir, 200);
	CHECK_EQ(dw_count(store), 42);
	stores_expect(store, "key 00", "twenty bytes of text");
	stores_expect(store, "behind", "it");
	CHECK(stores_holds(store, stores_bytes("big"), (struct dw_bytes){data, 1000}));
	stores_close(store);
	free(data);
}

static void write_record(const char *dir, const char *name, uint64_t txid, const char *key)
{
	const struct record_header header = {DW_PUT, txid, (uint32_t)strlen(key), 5};
	uint8_t bytes[128];
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	record_encode(&header, key, "value", bytes);
	files_write(dirfd, name, bytes, (size_t)record_size(&header));
	(void)close(dirfd);
}

static void test_last_segment_id(void)
{
	const char *dir = stores_dir();

	write_record(dir, "99999999.dwal", 7, "first");
	struct dw_store *store = stores_open(dir, 100);
	CHECK_EQ(dw_rotate(store), -EOVERFLOW);
	CHECK_EQ(dw_compact(store, NULL), 0); /* nothing is dead */
	for (int i = 0; i < 20; i++)
		stores_put(store, "over the size", "of a segment");
	CHECK_EQ(dw_compact(store, NULL), -EOVERFLOW);
	CHECK_EQ(dw_rotate(store), -EOVERFLOW);
	CHECK_EQ(dw_sync(store), 0);
	stores_close(store);
	CHECK_EQ(files_count_suffixed(dir, ".dwal"), 1);
	store = stores_open(dir, 100);
	CHECK_EQ(dw_count(store), 2);
	stores_expect(store, "first", "value");
	stores_expect(store, "over the size", "of a segment");
	stores_close(store);
}

static void test_last_txid(void)
{
	const char *dir = stores_dir();
	const struct dw_op ops[2] = {{.type = DW_PUT, .key = {"a", 1}},
				     {.type = DW_PUT, .key = {"b", 1}}};
	struct dw_report report;
	struct dw_stats stats;
	struct dw_store *store;

	write_record(dir, "00000001.dwal", UINT64_MAX - 1, "first");
	store = stores_open(dir, 0);
	CHECK_EQ(dw_batch(store, ops, 2), -EOVERFLOW);
	CHECK_EQ(dw_count(store), 1);
	CHECK_EQ(dw_batch(store, ops, 1), 0); /* takes the last one */
	CHECK_EQ(dw_batch(store, ops, 1), -EOVERFLOW);
	CHECK_EQ(dw_delete(store, stores_bytes("a")), -EOVERFLOW);
	dw_get_stats(store, &stats);
	CHECK_EQ(stats.next_txid, 0);
	stores_close(store);
	CHECK_EQ(dw_open(dir, NULL, &report, &store), 0);
	CHECK(report.last_txid == UINT64_MAX);
	CHECK_EQ(dw_count(store), 2);
	CHECK_EQ(dw_batch(store, ops, 1), -EOVERFLOW);
	stores_close(store);
}

static int count_visit(void *context, struct dw_bytes key, const struct dw_stat *stat)
{
	int *count = context;

	CHECK_EQ(stat->size, key.size);
	return ++*count == 10 ? 42 : 0;
}

static void test_walks(void)
{
	static const char *const keys[] = {
		"", "\x01", "a", "a/", "aa", "b", "same eight 1", "same eight 2", "\xff"};
	struct dw_store *store = stores_open(check_dir(), 0);
	struct dw_iter *iter = NULL;
	struct dw_item item;
	char value[32];
	int count = 0;

	for (int i = 8; i >= 0; i--)
		stores_put(store, keys[i], keys[i]);
	CHECK_EQ(dw_for_each(store, count_visit, &count), 0);
	CHECK_EQ(count, 9);
	CHECK_EQ(dw_iter_open(store, &iter), 0);
	stores_delete(store, "a"); /* the iterator is one moment */
	stores_put(store, "zz", "zz");
	stores_put(store, "b", "changed");
	CHECK_EQ(dw_iter_count(iter), 9);
	for (int i = 0; i < 9; i++) {
		CHECK_EQ(dw_iter_next(iter, &item), 1);
		CHECK_EQ(item.key.size, strlen(keys[i]));
		CHECK(!memcmp(item.key.data, keys[i], item.key.size));
		CHECK_EQ(dw_iter_read(iter, value, sizeof value, 0), item.key.size);
		CHECK(!memcmp(value, keys[i], item.key.size));
	}
	CHECK_EQ(dw_iter_next(iter, &item), 0);
	dw_iter_close(iter);
	stores_put(store, "yy", "yy");
	stores_put(store, "b", "b");
	count = 0;
	CHECK_EQ(dw_for_each(store, count_visit, &count), 42);
	stores_close(store);
}

struct seen {
	enum dw_finding_kind kind;
	pid_t pid;
	int count;
};

static void note(void *context, const struct dw_finding *finding)
{
	*(struct seen *)context = (struct seen){finding->kind, finding->pid, 1};
}

static void test_second_writer(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0), *second = NULL;
	struct seen seen = {.count = 0};
	const struct dw_options options = {.on_finding = note, .context = &seen};
	int status = -1;

	stores_put(store, "a", "1");
	CHECK_EQ(dw_open(dir, &options, NULL, &second), -EBUSY);
	CHECK(second == NULL);
	CHECK_EQ(seen.kind, DW_FINDING_LOCKED);
	CHECK_EQ(seen.pid, getpid());
	pid_t child = fork();
	CHECK(child >= 0);
	if (!child)
		_exit(dw_open(dir, &options, NULL, &second) == -EBUSY && seen.pid == getppid() ? 0
											       : 1);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	stores_close(store);
	store = stores_open(dir, 0);
	stores_expect(store, "a", "1");
	stores_close(store);
}

static void test_reader_beside(void)
{
	const char *dir = stores_dir();
	struct dw_store *writer = stores_open(dir, 100), *reader;
	struct dw_value value;
	char missing[160];

	stores_put(writer, "a", "1");
	stores_put(writer, "b", "2");
	reader = stores_open_reader(dir);
	stores_put(writer, "a", "changed");
	stores_delete(writer, "b");
	CHECK_EQ(dw_compact(writer, NULL), 0);
	stores_expect(reader, "a", "1"); /* its moment, though the file is gone */
	stores_expect(reader, "b", "2");
	CHECK_EQ(dw_put(reader, stores_bytes("c"), stores_bytes("3")), -EROFS);
	CHECK_EQ(dw_delete(reader, stores_bytes("a")), -EROFS);
	CHECK_EQ(dw_rotate(reader), -EROFS);
	CHECK_EQ(dw_compact(reader, NULL), -EROFS);
	CHECK_EQ(dw_sync(reader), 0);
	stores_close(reader);
	reader = stores_open_reader(dir);
	stores_expect(reader, "a", "changed");
	CHECK_EQ(dw_get(reader, stores_bytes("b"), &value), -ENOENT);
	stores_close(reader);
	stores_close(writer);
	(void)snprintf(missing, sizeof missing, "%s/missing/store", dir);
	CHECK_EQ(dw_open(missing, NULL, NULL, &reader), -ENOENT);
}

static void test_ref_survives(void)
{
	struct dw_store *store = stores_open(check_dir(), 0);
	struct dw_bytes key = stores_bytes("key");
	uint8_t *data = stores_noise(5, 700000), *got = malloc(700000);
	struct dw_ref ref, none;

	CHECK_EQ(dw_put(store, key, (struct dw_bytes){data, 700000}), 0);
	CHECK_EQ(dw_ref_get(store, key, &ref), 0);
	CHECK_EQ(ref.value_size, 700000);
	stores_put(store, "key", "overwritten");
	stores_delete(store, "key");
	stores_put(store, "other", "stays");
	CHECK_EQ(dw_compact(store, NULL), 0);
	CHECK_EQ(dw_ref_get(store, key, &none), -ENOENT);
	CHECK_EQ(dw_ref_read(store, &ref, key, got, 1000, 500000), 1000);
	CHECK(!memcmp(got, data + 500000, 1000));
	CHECK_EQ(dw_ref_read(store, &ref, key, got, 700000, 699999), 1);
	CHECK_EQ(dw_ref_read(store, &ref, key, got, 10, 700000), 0);
	CHECK_EQ(dw_ref_read(store, &ref, key, got, 10, UINT64_MAX), 0);
	CHECK_EQ(dw_ref_read(store, &ref, key, got, 700000, 0), 700000);
	CHECK(!memcmp(got, data, 700000));
	dw_ref_put(store, &ref);
	dw_ref_put(store, &ref);
	stores_close(store);
	free(data);
	free(got);
}

/* An export shows the moment at which it was opened. */
static void test_export_moment(void)
{
	static const char want[] = "{\"key_b64\":\"YQ==\",\"value_b64\":\"MQ==\"}\n"
				   "{\"key_b64\":\"Yg==\",\"value_b64\":\"Mg==\"}\n";
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct dw_export *export = NULL;
	char got[sizeof want + 10], path[160];
	size_t size = 0;
	ssize_t n;

	stores_put(store, "b", "2");
	stores_put(store, "a", "1");
	CHECK_EQ(dw_export_open(store, &export), 0);
	(void)snprintf(path, sizeof path, "%s/export.jsonl", dir);
	CHECK_EQ(dw_export_file(store, path), 0);
	stores_put(store, "a", "changed");
	stores_delete(store, "b");
	stores_put(store, "c", "3");
	CHECK_EQ(dw_compact(store, NULL), 0);
	while ((n = dw_export_read(export, got + size, 7)) > 0)
		size += (size_t)n;
	CHECK_EQ(n, 0);
	CHECK_EQ(size, sizeof want - 1);
	CHECK(!memcmp(got, want, size));
	dw_export_close(export);
	struct buf file = files_read(AT_FDCWD, path);
	CHECK_EQ(file.size, sizeof want - 1);
	CHECK(!memcmp(file.data, want, file.size));
	buf_release(&file);
	CHECK_EQ(dw_export_file(store, ""), -EISDIR);
	(void)snprintf(path, sizeof path, "%s/missing/x", dir);
	CHECK_EQ(dw_export_file(store, path), -ENOENT);
	stores_close(store);
}

static void test_commit_times(void)
{
	struct dw_store *store = stores_open(check_dir(), 0);
	const struct dw_op op = {.type = DW_PUT,
				 .key = {"k", 1},
				 .value = {"v", 1},
				 .mtime_set = true,
				 .mtime_ns = -123456789};
	struct dw_stat stat;
	struct dw_value value;

	CHECK_EQ(dw_batch(store, &op, 1), 0);
	CHECK_EQ(dw_rotate(store), 0);
	stores_put(store, "dead", "");
	stores_delete(store, "dead");
	CHECK_EQ(dw_compact(store, NULL), 0); /* moves it; its time stays */
	CHECK_EQ(dw_stat(store, op.key, &stat), 0);
	CHECK_EQ(stat.mtime_ns, -123456789);
	CHECK_EQ(stat.size, 1);
	CHECK_EQ(dw_get(store, op.key, &value), 0);
	CHECK_EQ(value.mtime_ns, -123456789);
	free(value.data);
	stores_close(store);
}

/* A txid tells one value of a key from another, and compaction keeps it. */
static void test_txid(void)
{
	struct dw_store *store = stores_open(stores_dir(), 0);
	uint64_t txid = 0, later = 0;

	CHECK_EQ(dw_txid(store, stores_bytes("a"), &txid), -ENOENT);
	stores_put(store, "a", "1");
	stores_put(store, "b", "1");
	CHECK_EQ(dw_txid(store, stores_bytes("b"), &txid), 0);
	CHECK_EQ(txid, 2);
	CHECK_EQ(dw_rotate(store), 0);
	stores_put(store, "a", "2");
	CHECK_EQ(dw_compact(store, NULL), 0);
	CHECK_EQ(dw_txid(store, stores_bytes("b"), &later), 0);
	CHECK_EQ(later, 2);
	CHECK_EQ(dw_txid(store, stores_bytes("a"), &later), 0);
	CHECK_EQ(later, 3);
	stores_delete(store, "a");
	CHECK_EQ(dw_txid(store, stores_bytes("a"), &later), -ENOENT);
	stores_close(store);
}

static void test_open_in(void)
{
	const struct dw_options create = {.create = true}, plain = {.create = false};
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0), *inner = NULL;
	char path[200];

	CHECK_EQ(dw_open_in(store, ".inner", &plain, NULL, &inner), -ENOENT);
	CHECK_EQ(dw_open_in(store, ".inner", &create, NULL, &inner), 0);
	stores_put(inner, "k", "inner");
	stores_put(store, "k", "outer");
	stores_close(inner);
	CHECK_EQ(dw_open_in(store, ".inner", &plain, NULL, &inner), 0);
	stores_expect(inner, "k", "inner");
	stores_expect(store, "k", "outer");
	stores_close(inner);
	stores_close(store);
	(void)snprintf(path, sizeof path, "%s/.inner", dir);
	inner = stores_open(path, 0);
	stores_expect(inner, "k", "inner");
	stores_close(inner);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"store_basics", test_basics},
		{"store_null_bytes", test_null_bytes},
		{"store_limits", test_limits},
		{"store_batch", test_batch},
		{"store_rotate", test_rotate},
		{"store_last_segment_id", test_last_segment_id},
		{"store_last_txid", test_last_txid},
		{"store_walks", test_walks},
		{"store_second_writer", test_second_writer},
		{"store_reader_beside", test_reader_beside},
		{"store_ref_survives", test_ref_survives},
		{"store_export_moment", test_export_moment},
		{"store_commit_times", test_commit_times},
		{"store_txid", test_txid},
		{"store_open_in", test_open_in},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
