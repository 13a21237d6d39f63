/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_compact.c - compaction in place, and into a fresh store.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "codec/record.h"
#include "store/store.h"
#include "tests/support/files.h"
#include "tests/support/stores.h"

/* Every record of a directory of segments, by ascending id and offset. */
struct listing {
	struct record_header headers[1000];
	char keys[1000][16];
	size_t count;
	uint64_t bytes;
};

static void list_records(const char *dir, struct listing *ret)
{
	struct files files = files_snapshot(dir);

	*ret = (struct listing){.count = 0};
	for (size_t i = 0; i < files.count; i++) {
		const struct buf *data = &files.items[i].data;
		if (!strstr(files.items[i].name, ".dwal") || strlen(files.items[i].name) != 13)
			continue;
		for (size_t at = 0; at < data->size;) {
			struct record_header *header = &ret->headers[ret->count];
			CHECK_EQ(record_decode(data->data + at, data->size - at, header), 0);
			CHECK(header->key_size < 16 && ret->count < 999);
			memcpy(ret->keys[ret->count++], data->data + at + 24, header->key_size);
			at += (size_t)record_size(header);
		}
		ret->bytes += data->size;
	}
	files_release(&files);
}

static bool lists(const struct listing *listing, enum dw_type type, uint64_t txid, const char *key)
{
	for (size_t i = 0; i < listing->count; i++)
		if (listing->headers[i].txid == txid)
			return listing->headers[i].type == type && !strcmp(listing->keys[i], key);
	return false;
}

static void expect_sample(struct dw_store *store)
{
	CHECK_EQ(dw_count(store), 3);
	stores_expect(store, "keep", "1");
	stores_expect(store, "over", "new");
	stores_expect(store, "back", "again");
	stores_expect(store, "gone", NULL);
}

static void put_sample(struct dw_store *store)
{
	stores_put(store, "keep", "1");   /* 1 */
	stores_put(store, "over", "old"); /* 2 */
	stores_put(store, "gone", "x");   /* 3 */
	stores_put(store, "back", "y");   /* 4 */
	CHECK_EQ(dw_rotate(store), 0);
	CHECK_EQ(dw_append_raw(store, stores_bytes("raw"), stores_bytes("kept")), 0); /* 5 */
	stores_delete(store, "gone");                                                 /* 6 */
	stores_delete(store, "back");                                                 /* 7 */
	stores_put(store, "over", "new");                                             /* 8 */
	CHECK_EQ(dw_rotate(store), 0);
	stores_put(store, "back", "again"); /* 9 */
	stores_delete(store, "never");      /* 10 */
}

static void test_view_unchanged(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct dw_compact_report report;
	struct listing before, after;
	struct dw_stats stats;

	put_sample(store);
	expect_sample(store);
	list_records(dir, &before);
	CHECK_EQ(before.count, 10);
	CHECK_EQ(dw_compact(store, &report), 0);
	expect_sample(store);
	list_records(dir, &after);
	CHECK_EQ(after.count, 5);
	CHECK(lists(&after, DW_PUT, 1, "keep"));
	CHECK(lists(&after, DW_RAW, 5, "raw"));
	CHECK(lists(&after, DW_PUT, 8, "over"));
	CHECK(lists(&after, DW_PUT, 9, "back"));
	CHECK(lists(&after, DW_DELETE, 10, "never")); /* the highest txid stays */
	CHECK_EQ(report.segments_before, 3);
	CHECK_EQ(report.segments_after, 1);
	CHECK_EQ(report.bytes_before, before.bytes);
	CHECK_EQ(report.bytes_after, after.bytes);
	dw_get_stats(store, &stats);
	CHECK_EQ(stats.compactions, 1);
	CHECK_EQ(stats.segments, 2);
	CHECK_EQ(stats.bytes, after.bytes);
	CHECK_EQ(stats.next_txid, 11);
	stores_close(store);
	store = stores_open(dir, 0);
	expect_sample(store);
	dw_get_stats(store, &stats);
	CHECK_EQ(stats.next_txid, 11);
	stores_close(store);
}

/* Whatever ended the log, the next txid is the same after compactions and reopens. */
static void test_txid_never_back(void)
{
	static const enum dw_type last[] = {DW_RAW, DW_PUT, DW_DELETE};

	for (size_t i = 0; i < 3; i++) {
		const char *dir = stores_dir();
		const struct dw_op op = {.type = last[i], .key = {"last", 4}};
		for (int round = 0; round < 4; round++) {
			struct dw_store *store = stores_open(dir, 0);
			struct dw_stats stats;
			if (!round) {
				put_sample(store);
				CHECK_EQ(dw_batch(store, &op, 1), 0);
			}
			CHECK_EQ(dw_compact(store, NULL), 0);
			dw_get_stats(store, &stats);
			CHECK_EQ(stats.next_txid, 12);
			stores_expect(store, "gone", NULL);
			stores_close(store);
		}
	}
}

/* A store in which everything is dead. */
static void test_all_dead(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct dw_compact_report report;
	struct listing after;

	CHECK_EQ(dw_compact(store, &report), 0);
	CHECK_EQ(report.segments_before, 0);
	for (int i = 0; i < 10; i++) {
		stores_put(store, "k", "v");
		stores_delete(store, "k");
	}
	CHECK_EQ(dw_compact(store, &report), 0);
	list_records(dir, &after);
	CHECK_EQ(after.count, 1);
	CHECK(lists(&after, DW_DELETE, 20, "k"));
	stores_put(store, "k", "v");
	CHECK_EQ(dw_compact(store, &report), 0);
	list_records(dir, &after);
	CHECK_EQ(after.count, 1);
	CHECK(lists(&after, DW_PUT, 21, "k"));
	stores_close(store);
}

/* Outputs split at the segment size; a value above the scan window goes over whole. */
static void test_large(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 1 << 20);
	uint8_t *data = stores_noise(3, 5 << 20);
	struct dw_compact_report report;
	struct model model = {0};
	char key[16];

	for (int i = 0; i < 40; i++) {
		struct dw_bytes value = {data + i, (size_t)(i % 10 == 3 ? 3 << 20 : i * 10000)};
		(void)snprintf(key, sizeof key, "k%d", i % 30);
		CHECK_EQ(dw_put(store, stores_bytes(key), value), 0);
		model_put(&model, stores_bytes(key), value);
	}
	CHECK_EQ(dw_compact(store, &report), 0);
	CHECK(report.bytes_after < report.bytes_before);
	CHECK(report.segments_after > 4);
	model_check(&model, store);
	stores_close(store);
	store = stores_open(dir, 1 << 20);
	model_check(&model, store);
	stores_close(store);
	model_release(&model);
	free(data);
}

static void test_leftovers(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	put_sample(store);
	stores_close(store);
	files_write(dirfd, "00000007.dwal.compact", "half", 4);
	files_write(dirfd, "00000008.dwal.compact", "", 0);
	files_write(dirfd, "not.dwal.compact", "ours", 4);
	store = stores_open_reader(dir);
	stores_close(store);
	CHECK_EQ(files_count_suffixed(dir, ".compact"), 3);
	store = stores_open(dir, 0);
	CHECK_EQ(files_count_suffixed(dir, ".compact"), 1);
	expect_sample(store);
	stores_close(store);
	(void)close(dirfd);
}

static void test_compact_to(void)
{
	const char *dir = stores_dir(), *out = stores_dir();
	struct dw_store *store = stores_open(dir, 0), *copy;
	struct listing listing;

	put_sample(store);
	CHECK_EQ(dw_compact_to(store, out), 0);
	list_records(out, &listing);
	CHECK_EQ(listing.count, 3);
	CHECK(lists(&listing, DW_PUT, 1, "back"));
	CHECK(lists(&listing, DW_PUT, 2, "keep"));
	CHECK(lists(&listing, DW_PUT, 3, "over"));
	CHECK_EQ(dw_compact_to(store, out), -EEXIST);
	CHECK_EQ(dw_compact_to(store, dir), -EEXIST);
	/* among other files only if that is asked for */
	const char *among = stores_dir();
	int among_fd = open(among, O_RDONLY | O_DIRECTORY);
	files_write(among_fd, "file", "precious", 8);
	CHECK_EQ(dw_compact_to(store, among), -ENOMEDIUM);
	CHECK_EQ(files_count_suffixed(among, ""), 1);
	CHECK_EQ(dw_compact_to_among(store, among), 0);
	CHECK_EQ(dw_compact_to_among(store, among), -EEXIST);
	struct buf precious = files_read(among_fd, "file");
	CHECK(precious.size == 8 && !memcmp(precious.data, "precious", 8));
	buf_release(&precious);
	(void)close(among_fd);
	expect_sample(store);
	copy = stores_open(out, 0);
	expect_sample(copy);
	stores_close(copy);
	stores_close(store);
}

enum { PAIRS = 8, ROUNDS = 60 };

/* Each round writes the same value to all pairs with one batch, so that whoever
 * opens the store sees them equal and never older than before. */
static void write_rounds(struct dw_store *store)
{
	char keys[PAIRS][16], value[16];
	struct dw_op ops[PAIRS];

	for (int round = 1; round <= ROUNDS; round++) {
		(void)snprintf(value, sizeof value, "%08d", round);
		for (int i = 0; i < PAIRS; i++) {
			(void)snprintf(keys[i], sizeof keys[i], "k%d", i);
			ops[i] = (struct dw_op){.type = DW_PUT,
						.key = stores_bytes(keys[i]),
						.value = stores_bytes(value)};
		}
		if (dw_batch(store, ops, PAIRS) || dw_delete(store, stores_bytes("ghost")) ||
		    (round % 3 == 0 && dw_compact(store, NULL)))
			_exit(1);
	}
	_exit(dw_close(store) ? 1 : 0);
}

static int read_round(const char *dir)
{
	struct dw_store *store = stores_open_reader(dir);
	struct dw_value value;
	char key[16];
	int last = 0;

	for (int i = PAIRS - 1; i >= 0; i--) {
		(void)snprintf(key, sizeof key, "k%d", i);
		CHECK_EQ(dw_get(store, stores_bytes(key), &value), 0);
		CHECK_EQ(value.size, 8);
		int round = 0;
		for (size_t at = 0; at < value.size; at++)
			round = round * 10 + ((char *)value.data)[at] - '0';
		free(value.data);
		/* a reader may catch an append in its middle: a prefix of the batch */
		last = i == PAIRS - 1 ? round : last;
		CHECK(round == last || round == last + 1);
	}
	stores_expect(store, "ghost", NULL);
	stores_close(store);
	return last;
}

static void test_reader_in_parallel(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 300);
	int status, last = 0, opened = 0;

	stores_put(store, "ghost", "deleted ever since");
	for (int i = 0; i < PAIRS; i++) {
		char key[16];
		(void)snprintf(key, sizeof key, "k%d", i);
		stores_put(store, key, "00000000");
	}
	stores_delete(store, "ghost");
	pid_t child = fork();
	CHECK(child >= 0);
	if (!child)
		write_rounds(store);
	while (waitpid(child, &status, WNOHANG) == 0) {
		int round = read_round(dir);
		CHECK(round >= last);
		last = round;
		opened++;
	}
	CHECK_EQ(status, 0);
	CHECK_EQ(read_round(dir), ROUNDS);
	CHECK(opened > 0);
	(void)dw_close(store); /* the child's log went on: only memory is let go */
}

/* An index with an outdated place for a key: the record that it does not know is not dropped, and
 * the next opening builds the index anew. */
static void test_lying_index(void)
{
	char dir[128];
	struct dw_compact_report report;
	struct index_prepared prepared;
	struct keydir_place old;
	struct dw_store *snapshot;

	(void)snprintf(dir, sizeof dir, "%s", stores_dir());
	struct dw_store *store = stores_open(dir, 0);
	stores_put(store, "k", "old");
	CHECK_EQ(dw_rotate(store), 0);
	stores_put(store, "k", "new");
	CHECK_EQ(dw_rotate(store), 0);
	struct core *core = store->core;
	log_lock(&core->log);
	struct keydir_place place = {.segment = core->segments.items[0], .value_size = 3};
	CHECK_EQ(index_prepare(&core->index, stores_bytes("k"), &prepared), 0);
	index_set(&core->index, &prepared, &place, &old);
	log_unlock(&core->log);
	stores_expect(store, "k", "old");
	CHECK_EQ(dw_snapshot(store, &snapshot), 0); /* so that it lies below */
	CHECK_EQ(dw_compact(store, &report), -EIO);
	CHECK_EQ(dw_close(snapshot), 0);
	stores_close(store);
	store = stores_open(dir, 0);
	stores_expect(store, "k", "new");
	stores_close(store);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"compact_view_unchanged", test_view_unchanged},
		{"compact_txid_never_back", test_txid_never_back},
		{"compact_all_dead", test_all_dead},
		{"compact_large", test_large},
		{"compact_leftovers", test_leftovers},
		{"compact_to", test_compact_to},
		{"compact_reader_in_parallel", test_reader_in_parallel},
		{"compact_lying_index", test_lying_index},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
