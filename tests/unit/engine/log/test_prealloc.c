/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_prealloc.c - the space behind the last record: when there are zeros and a guard, and
 * that they show in nothing but the file's size.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/record.h"
#include "disk/guard.h"
#include "store/store.h"
#include "tests/support/files.h"
#include "tests/support/spaceio.h"
#include "tests/support/stores.h"

enum { SYNCS = 20 }; /* enough to be called frequent */

static void put_and_sync(struct dw_store *store, int count)
{
	char key[16];

	for (int i = 0; i < count; i++) {
		(void)snprintf(key, sizeof key, "key %d", i);
		stores_put(store, key, "a small value");
		CHECK_EQ(dw_sync(store), 0);
	}
}

static struct stat segment_stat(const char *dir, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	CHECK_EQ(stat(path, &st), 0);
	return st;
}

static void on_finding(void *context, const struct dw_finding *finding)
{
	(void)finding;
	++*(int *)context;
}

/* Open the directory as it is now, as after the kill of this process: as a reader, and as a writer
 * on a copy. */
static void expect_unseen(const char *dir, int keys)
{
	int findings = 0;
	const struct dw_options reading = {
		.read_only = true, .on_finding = on_finding, .context = &findings};
	const struct dw_options writing = {.on_finding = on_finding, .context = &findings};
	const char *copy = stores_dir();
	struct dw_report report;
	struct dw_store *store;

	CHECK_EQ(dw_open(dir, &reading, &report, &store), 0);
	CHECK_EQ(report.torn_bytes, 0);
	CHECK_EQ(dw_count(store), keys);
	CHECK_EQ(dw_close(store), 0);
	files_copy(dir, copy);
	CHECK_EQ(dw_open(copy, &writing, &report, &store), 0);
	CHECK_EQ(report.torn_bytes, 0);
	CHECK_EQ(dw_count(store), keys);
	stores_put(store, "another", "value");
	CHECK_EQ(dw_close(store), 0);
	CHECK_EQ(findings, 0);
	CHECK_EQ(files_count_suffixed(copy, "torn"), 0);
}

static void test_on_and_off(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	uint8_t *large = stores_noise(1, 1 << 20);

	put_and_sync(store, 10);
	CHECK(!store->core->log.prealloc.on);
	CHECK_EQ(segment_stat(dir, "00000001.dwal").st_size, store->core->log.end);
	put_and_sync(store, SYNCS);
	CHECK(store->core->log.prealloc.on);
	CHECK_EQ(segment_stat(dir, "00000001.dwal").st_size, store->core->log.prealloc.size);
	expect_unseen(dir, SYNCS);
	/* a sealed segment ends with its last record */
	off_t end = (off_t)store->core->log.end;
	CHECK_EQ(dw_rotate(store), 0);
	CHECK_EQ(segment_stat(dir, "00000001.dwal").st_size, end);
	put_and_sync(store, 1);
	CHECK(store->core->log.prealloc.on);
	expect_unseen(dir, SYNCS);
	/* a large append is written without */
	CHECK_EQ(dw_put(store, stores_bytes("large"), (struct dw_bytes){large, 1 << 20}), 0);
	CHECK(!store->core->log.prealloc.on);
	CHECK_EQ(segment_stat(dir, "00000002.dwal").st_size, store->core->log.end);
	put_and_sync(store, SYNCS);
	CHECK(store->core->log.prealloc.on);
	end = (off_t)store->core->log.end;
	CHECK_EQ(dw_close(store), 0);
	CHECK_EQ(segment_stat(dir, "00000002.dwal").st_size, end);
	free(large);
}

/* However little of the guard finds room, the log goes on: without zeros, or when there is room
 * again.  Only a sync that failed ends writing. */
static void test_little_room(void)
{
	const struct dw_options options = {.create = true};

	for (int64_t room = 0; room < 2 * GUARD_SIZE; room++) {
		const char *dir = stores_dir();
		struct spaceio space;
		struct dw_store *store = NULL;
		spaceio_init(&space);
		CHECK_EQ(store_open(&space.io, dir, &options, NULL, &store), 0);
		for (int i = 0; !store->core->log.wants_zeros && i < SYNCS; i++)
			put_and_sync(store, 1);
		CHECK(store->core->log.wants_zeros && !store->core->log.prealloc.on);
		space.room = room;
		int rc = dw_put(store, stores_bytes("k"), stores_bytes("v"));
		CHECK(!rc || rc == -ENOSPC);
		CHECK(space.refused > 0);
		space.room = INT32_MAX;
		CHECK_EQ(dw_put(store, stores_bytes("k"), stores_bytes("v")), 0);
		expect_unseen(dir, 2);
		CHECK_EQ(dw_close(store), 0);
	}
}

/* Many appends without a sync between them make no needless zeros. */
static void test_bulk(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);

	put_and_sync(store, SYNCS);
	CHECK(store->core->log.prealloc.on);
	for (int i = 0; i < 80000; i++)
		stores_put(store, "again", "and again, with nobody who waits for the disk");
	CHECK(!store->core->log.prealloc.on);
	CHECK_EQ(dw_close(store), 0);
}

/* Blocks that were allocated for what is to come go back with rotation and close. */
static void test_blocks(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);

	stores_put(store, "key", "value");
	if (store->core->log.prealloc.no_blocks) {
		stores_close(store);
		check_skip("the file system allocates no blocks beforehand");
		return;
	}
	CHECK(segment_stat(dir, "00000001.dwal").st_blocks * 512 >= 1 << 20);
	CHECK_EQ(dw_rotate(store), 0);
	CHECK(segment_stat(dir, "00000001.dwal").st_blocks * 512 <= 64 << 10);
	CHECK(segment_stat(dir, "00000002.dwal").st_blocks * 512 >= 1 << 20);
	stores_put(store, "key", "value");
	stores_close(store);
	CHECK(segment_stat(dir, "00000002.dwal").st_blocks * 512 <= 64 << 10);
}

/* Conditions for a guard to be no finding, in the last segment only. */
static void test_told_apart(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct dw_report report;
	char path[PATH_MAX];
	uint8_t tail[64] = {0};

	stores_put(store, "key", "value");
	stores_close(store);
	(void)snprintf(path, sizeof path, "%s/00000001.dwal", dir);
	off_t end = segment_stat(dir, "00000001.dwal").st_size;
	static const struct {
		size_t guard, zeros;
		int at, value; /* a byte changed; -1: none */
		bool torn;
	} cases[] = {
		{24, 40, -1, 0, false}, {24, 0, -1, 0, false}, {23, 0, -1, 0, false},
		{23, 41, -1, 0, false}, /* its last byte is zero */
		{22, 0, -1, 0, true},   {24, 40, 60, 1, true}, {24, 40, 8, 1, true},
		{24, 40, 6, 1, true},   {24, 40, 23, 2, true}, {5, 0, -1, 0, true},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		memset(tail, 0, sizeof tail);
		memcpy(tail, guard_bytes, cases[i].guard);
		if (cases[i].at >= 0)
			tail[cases[i].at] = (uint8_t)cases[i].value;
		int fd = open(path, O_WRONLY);
		CHECK_EQ(ftruncate(fd, end), 0);
		size_t size = cases[i].guard + cases[i].zeros;
		CHECK_EQ(pwrite(fd, tail, size, end), size);
		(void)close(fd);
		store = stores_open_reader(dir);
		stores_close(store);
		CHECK_EQ(dw_open(dir, NULL, &report, &store), 0);
		CHECK_EQ(report.torn_bytes, cases[i].torn ? size : 0);
		stores_expect(store, "key", "value");
		CHECK_EQ(dw_close(store), 0);
		CHECK_EQ(segment_stat(dir, "00000001.dwal").st_size, end);
	}
	/* behind it a segment: then it is damage */
	int fd = open(path, O_WRONLY);
	CHECK_EQ(pwrite(fd, guard_bytes, GUARD_SIZE, end), GUARD_SIZE);
	(void)close(fd);
	(void)snprintf(path, sizeof path, "%s/00000002.dwal", dir);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	(void)close(fd);
	files_remove_suffixed(dir, ".hint");
	CHECK_EQ(dw_open(dir, NULL, &report, &store), -EBADMSG);
	CHECK_EQ(report.damage, DW_DAMAGE_TRUNCATED);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"prealloc_on_and_off", test_on_and_off},
		{"prealloc_little_room", test_little_room},
		{"prealloc_bulk", test_bulk},
		{"prealloc_blocks", test_blocks},
		{"prealloc_told_apart", test_told_apart},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
