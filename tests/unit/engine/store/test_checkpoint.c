/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_checkpoint.c - the index of a store on disk: when it is written, when it is believed, and
 * that nothing is lost or invented where it is not.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/checkpoint.h"
#include "store/store.h"
#include "tests/support/files.h"
#include "tests/support/stores.h"

enum { KEYS = 60, SEGMENT = 2000 };

struct told {
	int io, damage, taken; /* taken: names that are another program's */
};

static void note(void *context, const struct dw_finding *finding)
{
	struct told *told = context;

	told->io += finding->kind == DW_FINDING_IO;
	told->taken += finding->kind == DW_FINDING_IO && finding->error == EEXIST;
	told->damage += finding->kind == DW_FINDING_DAMAGE;
}

static struct dw_store *open_within(const char *dir, uint64_t budget, struct dw_report *report,
				    struct told *told)
{
	const struct dw_options options = {.create = true,
					   .segment_size = SEGMENT,
					   .index_keys = 8,
					   .index_budget = budget,
					   .on_finding = told ? note : NULL,
					   .context = told};
	struct dw_store *store = NULL;

	CHECK_EQ(dw_open(dir, &options, report, &store), 0);
	return store;
}

static struct dw_store *open_small(const char *dir, struct dw_report *report, struct told *told)
{
	return open_within(dir, 0, report, told);
}

static const char *key_of(int i)
{
	static char key[20];

	(void)snprintf(key, sizeof key, "dir%d/key %03d", i % 3, i);
	return key;
}

static const char *value_of(int i, int round)
{
	static char value[80];

	(void)snprintf(value, sizeof value, "the value of number %d, of some length, round %d", i,
		       round);
	return value;
}

static void put_all(struct dw_store *store, int round)
{
	for (int i = 0; i < KEYS; i++)
		stores_put(store, key_of(i), value_of(i, round));
}

/* In one append, so that a checkpoint has them all. */
static void put_at_once(struct dw_store *store, int round)
{
	static char keys[KEYS][20], values[KEYS][80];
	struct dw_op ops[KEYS];

	for (int i = 0; i < KEYS; i++) {
		(void)snprintf(keys[i], sizeof keys[i], "%s", key_of(i));
		(void)snprintf(values[i], sizeof values[i], "%s", value_of(i, round));
		ops[i] = (struct dw_op){.type = DW_PUT,
					.key = stores_bytes(keys[i]),
					.value = stores_bytes(values[i])};
	}
	CHECK_EQ(dw_batch(store, ops, KEYS), 0);
}

static void expect_all(struct dw_store *store, int round)
{
	CHECK_EQ(dw_count(store), KEYS);
	for (int i = 0; i < KEYS; i++)
		stores_expect(store, key_of(i), value_of(i, round));
	stores_expect(store, "never there", NULL);
}

static bool there(const char *dir, const char *name)
{
	char path[300];

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	return !access(path, F_OK);
}

/* After a clean close nothing is replayed; after a kill what came behind the last checkpoint. */
static void test_believed(void)
{
	const char *dir = stores_dir();
	struct dw_report report;
	struct dw_store *store = open_small(dir, &report, NULL);

	put_all(store, 1);
	stores_close(store);
	CHECK(there(dir, "index"));
	store = open_small(dir, &report, NULL);
	CHECK(report.records < 8);
	CHECK_EQ(report.last_txid, KEYS);
	expect_all(store, 1);
	for (int i = 0; i < 5; i++)
		stores_put(store, key_of(i), value_of(i, 2));
	stores_delete(store, key_of(5));
	stores_kill(store);
	store = open_small(dir, &report, NULL);
	CHECK(report.records < 14);
	CHECK_EQ(dw_count(store), KEYS - 1);
	stores_expect(store, key_of(5), NULL);
	for (int i = 0; i < 5; i++)
		stores_expect(store, key_of(i), value_of(i, 2));
	stores_expect(store, key_of(6), value_of(6, 1));
	stores_close(store);
	struct dw_store *reader = stores_open_reader(dir);
	CHECK_EQ(dw_count(reader), KEYS - 1);
	stores_expect(reader, key_of(4), value_of(4, 2));
	stores_close(reader);
}

/* Few keys make no files. */
static void test_few(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);

	put_all(store, 1);
	stores_close(store);
	CHECK(!there(dir, "index"));
	CHECK(!there(dir, "00000001.run"));
}

/* A program that knows no index has written meanwhile: it appended, compacted, or took a segment
 * away and brought another. */
static void test_foreign(void)
{
	const char *dir = stores_dir(), *other = stores_dir();
	char path[300], to[300];
	struct dw_store *store = open_small(dir, NULL, NULL);

	put_all(store, 1);
	stores_close(store);
	for (int i = 0; i < 2; i++) {
		/* its own records, at the end and in a copy of the first segment */
		(void)snprintf(path, sizeof path, "%s/index", dir);
		(void)snprintf(to, sizeof to, "%s/index", other);
		struct buf bytes = files_read(AT_FDCWD, path);
		CHECK_EQ(unlink(path), 0);
		const struct dw_options options = {.segment_size = i ? SEGMENT : 0,
						   .index_keys = UINT64_MAX};
		CHECK_EQ(dw_open(dir, &options, NULL, &store), 0);
		put_all(store, 2 + i);
		if (i)
			CHECK_EQ(dw_compact(store, NULL), 0);
		stores_kill(store);
		files_write(AT_FDCWD, path, bytes.data, bytes.size);
		buf_release(&bytes);
		store = open_small(dir, NULL, NULL);
		expect_all(store, 2 + i);
		stores_close(store);
		store = open_small(dir, NULL, NULL);
		expect_all(store, 2 + i);
		stores_close(store);
	}
}

/* A store with one segment, KEYS records, and an index that covers most of them; `*at_ret`: where
 * record number 30 stands. */
static void make_one_segment(const char *dir, const struct dw_options *options, off_t *at_ret)
{
	struct dw_store *store = NULL;
	struct dw_stat stat;

	CHECK_EQ(dw_open(dir, options, NULL, &store), 0);
	put_all(store, 1);
	CHECK_EQ(dw_sync(store), 0);
	CHECK_EQ(dw_stat(store, stores_bytes(key_of(30)), &stat), 0);
	*at_ret = (off_t)stat.offset;
	stores_kill(store);
}

/* The last segment is damaged, or ends, before what a checkpoint says was on disk: that is no torn
 * tail.  Nothing is cut off, and nothing forgotten; a repair goes on with what there is. */
static void test_cut(bool shortened)
{
	const char *dir = stores_dir();
	struct dw_options options = {.create = true, .index_keys = 8};
	struct dw_store *store = NULL;
	struct dw_repair_report repaired;
	struct dw_report report;
	char path[300];
	off_t at;

	make_one_segment(dir, &options, &at);
	(void)snprintf(path, sizeof path, "%s/00000001.dwal", dir);
	struct buf bytes = files_read(AT_FDCWD, path);
	bytes.data[at + 50] ^= 1; /* in the value */
	bytes.size = shortened ? (size_t)at : bytes.size;
	int fd = open(path, O_RDWR | O_TRUNC); /* the file stays the same */
	CHECK(fd >= 0);
	CHECK_EQ(write(fd, bytes.data, bytes.size), (ssize_t)bytes.size);
	CHECK_EQ(close(fd), 0);
	for (int i = 0; i < 4; i++) {
		options.read_only = i % 2;
		CHECK_EQ(dw_open(dir, &options, &report, &store), -EBADMSG);
		CHECK_EQ(report.damage, shortened ? DW_DAMAGE_SHORTENED : DW_DAMAGE_CRC);
		CHECK_EQ(report.offset, at);
		CHECK(there(dir, "index"));
	}
	struct buf after = files_read(AT_FDCWD, path);
	CHECK(after.size == bytes.size && !memcmp(after.data, bytes.data, after.size));
	CHECK_EQ(dw_repair(dir, true, NULL, NULL, NULL, &repaired), 0);
	CHECK_EQ(dw_open(dir, &options, &report, &store), 0);
	CHECK_EQ(dw_count(store), shortened ? 30 : KEYS - 1);
	stores_expect(store, key_of(29), value_of(29, 1));
	stores_expect(store, key_of(30), NULL);
	stores_close(store);
	buf_release(&bytes);
	buf_release(&after);
}

static void test_damaged_segment(void)
{
	test_cut(false);
}

static void test_short_segment(void)
{
	test_cut(true);
}

/* A store that is refused keeps its index: when the segment that is missing is back, nothing is
 * built anew. */
static void test_refused(void)
{
	const char *dir = stores_dir();
	struct dw_report report;
	struct dw_store *store = open_small(dir, NULL, NULL);
	char path[300], aside[300];

	put_at_once(store, 1);
	CHECK_EQ(dw_rotate(store), 0);
	put_at_once(store, 2);
	stores_close(store);
	(void)snprintf(path, sizeof path, "%s/00000002.dwal", dir);
	(void)snprintf(aside, sizeof aside, "%s/aside", dir);
	CHECK_EQ(rename(path, aside), 0);
	const struct dw_options options = {.segment_size = SEGMENT, .index_keys = 8};
	CHECK_EQ(dw_open(dir, &options, NULL, &store), -EBADMSG);
	CHECK_EQ(rename(aside, path), 0);
	store = open_small(dir, &report, NULL);
	CHECK_EQ(report.records, 0);
	expect_all(store, 2);
	stores_close(store);
}

static void damage_runs(const char *dir)
{
	const uint8_t zeros[64] = {0};
	char path[300];

	for (int id = 1; id < 100; id++) {
		(void)snprintf(path, sizeof path, "%s/%08d.run", dir, id);
		int fd = open(path, O_RDWR);
		if (fd < 0)
			continue;
		CHECK_EQ(pwrite(fd, zeros, sizeof zeros, 4096 + 100), sizeof zeros);
		CHECK_EQ(close(fd), 0);
	}
}

/* The same met while the end of the log is replayed: the log is not what is damaged. */
static void test_damaged_at_open(void)
{
	const char *dir = stores_dir();
	struct told told = {0};
	struct dw_report report;
	struct dw_store *store = open_small(dir, NULL, NULL);

	put_all(store, 1);
	stores_close(store);
	store = open_small(dir, NULL, NULL);
	for (int i = 0; i < 6; i++)
		stores_put(store, key_of(i), value_of(i, 2));
	stores_kill(store);
	damage_runs(dir);
	store = open_within(dir, 1, &report, &told); /* not met before */
	CHECK_EQ(told.io + told.damage, 0);
	CHECK_EQ(report.torn_bytes, 0);
	CHECK_EQ(report.records, KEYS + 6);
	CHECK_EQ(dw_count(store), KEYS);
	for (int i = 0; i < KEYS; i++)
		stores_expect(store, key_of(i), value_of(i, i < 6 ? 2 : 1));
	stores_close(store);
}

/* A page of a run is damaged: that is an error, never a missing key, and the next opening builds
 * the index anew. */
static void expect_damaged(bool closed)
{
	const char *dir = stores_dir();
	struct told told = {0};
	struct dw_store *store = open_small(dir, NULL, NULL);
	int failed = 0;

	put_at_once(store, 1);
	stores_close(store);
	damage_runs(dir);
	store = open_within(dir, 1, NULL, &told); /* nothing is read at once, in which it is met */
	for (int i = 0; i < KEYS; i++) {
		struct dw_value value;
		int rc = dw_get(store, stores_bytes(key_of(i)), &value);
		CHECK(rc == 0 || rc == -EIO);
		failed += rc != 0;
		if (!rc)
			free(value.data);
	}
	CHECK_EQ(told.io, 1);
	CHECK(!there(dir, "index"));
	/* whatever is written or compacted: it is not named again */
	(void)dw_compact(store, NULL); /* whatever it comes to */
	CHECK_EQ(checkpoint_write(store->core, NULL), -EIO);
	CHECK(!there(dir, "index"));
	if (closed)
		stores_close(store);
	else
		stores_kill(store);
	store = open_small(dir, NULL, NULL);
	expect_all(store, 1);
	stores_close(store);
	printf("  %d of %d look-ups failed\n", failed, KEYS);
	CHECK(failed > 0);
}

static void test_damaged(void)
{
	expect_damaged(false);
	expect_damaged(true);
}

/* No valid index names a segment that a compaction removed. */
static void test_compacted(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = open_small(dir, NULL, NULL), *snapshot = NULL;
	struct dw_report report;

	for (int round = 1; round <= 4; round++) {
		put_all(store, round);
		CHECK_EQ(dw_snapshot(store, &snapshot), 0);
		put_all(store, round + 1);
		CHECK_EQ(dw_compact(store, NULL), 0);
		expect_all(snapshot, round);
		expect_all(store, round + 1);
		stores_close(snapshot);
		CHECK_EQ(dw_compact(store, NULL), 0);
		if (round % 2)
			stores_kill(store);
		else
			stores_close(store);
		store = open_small(dir, &report, NULL);
		CHECK(report.records < KEYS);
		expect_all(store, round + 1);
	}
	stores_close(store);
}

/* The same where nothing else would have told the index on disk. */
static void test_compacted_at_once(void)
{
	const char *dir = stores_dir();
	const struct dw_options options = {.segment_size = SEGMENT, .index_keys = 100 * KEYS};
	struct dw_store *store = open_small(dir, NULL, NULL);
	struct dw_report report;

	put_all(store, 1);
	stores_close(store);
	CHECK_EQ(dw_open(dir, &options, NULL, &store), 0);
	put_all(store, 2);
	CHECK_EQ(dw_compact(store, NULL), 0);
	expect_all(store, 2);
	stores_kill(store);
	CHECK(there(dir, "index"));
	CHECK_EQ(dw_open(dir, &options, &report, &store), 0);
	CHECK(report.records < KEYS / 2);
	expect_all(store, 2);
	stores_close(store);
}

/* A file or a directory of another program has a name that the index would take: it stays as it
 * is, which is told, and the store works. */
static void test_taken(void)
{
	static const char *const names[] = {"index", "00000003.run", "99999999.run"};

	for (int i = 0; i < 6; i++) {
		const char *dir = stores_dir(), *name = names[i / 2];
		char path[300];
		(void)snprintf(path, sizeof path, "%s/%s", dir, name);
		stores_close(open_small(dir, NULL, NULL));
		if (i % 2)
			CHECK_EQ(mkdir(path, 0700), 0);
		else
			files_write(AT_FDCWD, path, "my own words", 12);
		for (int round = 1; round < 4; round++) {
			struct told told = {0};
			struct dw_store *store = open_small(dir, NULL, &told);
			CHECK_EQ(told.taken, 1);
			if (round > 1)
				expect_all(store, round - 1);
			put_all(store, round);
			if (round == 2)
				CHECK_EQ(dw_compact(store, NULL), 0);
			expect_all(store, round);
			CHECK(index_pending(&store->core->index) <= 16);
			CHECK_EQ(told.io, 1);
			stores_close(store);
		}
		CHECK_EQ(there(dir, "index"), true);
		struct dw_store *reader = stores_open_reader(dir);
		expect_all(reader, 3);
		stores_close(reader);
		if (i % 2) {
			CHECK_EQ(rmdir(path), 0);
			continue;
		}
		struct buf bytes = files_read(AT_FDCWD, path);
		CHECK(bytes.size == 12 && !memcmp(bytes.data, "my own words", 12));
		buf_release(&bytes);
	}
}

/* A log that is replayed as a whole makes no more runs than as many puts would. */
static void test_rebuild(void)
{
	enum { MANY = 400 };
	const char *dir = stores_dir();
	const struct dw_options unbounded = {.create = true, .index_keys = UINT64_MAX};
	struct dw_store *store = NULL;
	char key[20];

	CHECK_EQ(dw_open(dir, &unbounded, NULL, &store), 0);
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(key, sizeof key, "%d", i * 7 % MANY);
		stores_put(store, key, "value");
	}
	stores_kill(store);
	store = open_small(dir, NULL, NULL);
	const struct parts *parts = &store->core->index.version->parts;
	printf("  %zu runs\n", parts->run_count);
	CHECK(parts->run_count && parts->run_count <= 8);
	CHECK_EQ(dw_count(store), MANY);
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(key, sizeof key, "%d", i);
		stores_expect(store, key, "value");
	}
	stores_close(store);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"checkpoint_believed", test_believed},
		{"checkpoint_few", test_few},
		{"checkpoint_taken", test_taken},
		{"checkpoint_foreign", test_foreign},
		{"checkpoint_damaged_segment", test_damaged_segment},
		{"checkpoint_short_segment", test_short_segment},
		{"checkpoint_refused", test_refused},
		{"checkpoint_rebuild", test_rebuild},
		{"checkpoint_damaged", test_damaged},
		{"checkpoint_damaged_at_open", test_damaged_at_open},
		{"checkpoint_compacted", test_compacted},
		{"checkpoint_compacted_at_once", test_compacted_at_once},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
