/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_send.c - dw_send and dw_receive: a replica has the segments of the store, byte for byte.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/transfer.h"

static void test_whole(void)
{
	struct transfer p = transfer_pair(2000);

	transfer_put(p.store, 0, 200);
	stores_delete(p.store, "key 7");
	CHECK_EQ(transfer_all(p.from, p.to, NULL, NULL), 0);
	transfer_expect_same(p.from, p.to);
	/* again: all of it is there */
	CHECK_EQ(transfer_all(p.from, p.to, NULL, NULL), 0);
	transfer_expect_same(p.from, p.to);
	struct dw_store *replica = stores_open_reader(p.to);
	CHECK_EQ(dw_count(replica), 199);
	stores_expect(replica, "key 42", "the value of number 42");
	stores_expect(replica, "key 7", NULL);
	stores_close(replica);
	stores_close(p.store);
}

static void test_resumes(void)
{
	struct transfer p = transfer_pair(2000);

	for (int i = 0; i < 12; i++) {
		transfer_put(p.store, i * 9, i * 9 + 9);
		if (i % 5 == 4)
			CHECK_EQ(dw_rotate(p.store), 0);
		struct dw_position since = transfer_position(p.to);
		char *have = transfer_have(p.to);
		CHECK_EQ(
			transfer_all(p.from, p.to, i && i % 2 ? &since : NULL, i % 2 ? NULL : have),
			0);
		transfer_expect_same(p.from, p.to);
		free(have);
	}
	stores_close(p.store);
}

static void test_follows(void)
{
	struct transfer p = transfer_pair(2000);
	struct dw_send *send = transfer_sender(p.from, NULL, NULL);
	struct dw_receive *receive = transfer_receiver(p.to);
	struct dw_receive_progress progress;

	for (int i = 0; i < 30; i++) {
		transfer_put(p.store, i % 7, i % 7 + i);
		if (i % 10 == 9)
			CHECK_EQ(dw_compact(p.store, NULL), 0);
		if (i % 10 == 4)
			CHECK_EQ(dw_compact_with(p.store,
						 &(struct dw_compact_options){.dead_percent = 30},
						 NULL),
				 0);
		CHECK_EQ(transfer_pump(send, receive), 0);
		transfer_expect_same(p.from, p.to);
		struct dw_store *replica = stores_open_reader(p.to);
		CHECK_EQ(dw_count(replica), dw_count(p.store));
		stores_close(replica);
		dw_receive_progress(receive, &progress);
		CHECK_EQ(progress.segments_kept, 0);
		CHECK(progress.mark_time_ns > 0);
	}
	dw_receive_close(receive);
	dw_send_close(send);
	stores_close(p.store);
}

/* What a compaction did while nothing was sent. */
static void test_compacted_meanwhile(void)
{
	struct transfer p = transfer_pair(2000);
	struct dw_receive_progress progress;

	for (int i = 0; i < 6; i++)
		transfer_put(p.store, 0, 40); /* the oldest segments die */
	CHECK_EQ(transfer_all(p.from, p.to, NULL, NULL), 0);
	struct dw_position since = transfer_position(p.to);
	transfer_put(p.store, 20, 60);
	CHECK_EQ(dw_compact_with(p.store, &(struct dw_compact_options){.dead_percent = 90}, NULL),
		 0);
	struct files before = transfer_segments(p.from), after = transfer_segments(p.to);
	CHECK(strcmp(before.items[0].name, after.items[0].name) > 0);
	files_release(&before);
	files_release(&after);

	/* a position tells nothing of the copies: the replica keeps what it has */
	struct dw_send *send = transfer_sender(p.from, &since, NULL);
	struct dw_receive *receive = transfer_receiver(p.to);
	CHECK_EQ(transfer_pump(send, receive), 0);
	dw_receive_progress(receive, &progress);
	CHECK_EQ(progress.position.txid, 6 * 40 + 40);
	dw_receive_close(receive);
	dw_send_close(send);
	struct dw_store *replica = stores_open_reader(p.to);
	CHECK_EQ(dw_count(replica), 60);
	stores_close(replica);

	char *have = transfer_have(p.to);
	CHECK_EQ(transfer_all(p.from, p.to, NULL, have), 0);
	transfer_expect_same(p.from, p.to);
	free(have);
	stores_close(p.store);
}

/* All of it was compacted, the replica's end included: a copy of its last record proves that it
 * may go on, if nothing came in between. */
static void test_end_compacted(void)
{
	struct transfer p = transfer_pair(2000);
	struct dw_send *send;

	for (int i = 0; i < 3; i++) {
		transfer_put(p.store, 0, 40);
		stores_delete(p.store, "key 5");
		stores_put(p.store, "last", "the newest record");
		CHECK_EQ(transfer_all(p.from, p.to, NULL, NULL), 0);
		CHECK_EQ(dw_compact(p.store, NULL), 0);
		transfer_put(p.store, 100, 100 + 10 * i);
		char *have = transfer_have(p.to);
		CHECK_EQ(transfer_all(p.from, p.to, NULL, have), 0);
		transfer_expect_same(p.from, p.to);
		free(have);
	}
	char *have = transfer_have(p.to);
	transfer_put(p.store, 0, 40);
	CHECK_EQ(dw_compact(p.store, NULL), 0);
	CHECK_EQ(dw_send_open(p.from, &(struct dw_send_options){.have = have}, &send), -ESTALE);
	free(have);
	stores_close(p.store);
}

/* Commit times come with the hints of sealed segments. */
static void test_times(void)
{
	struct transfer p = transfer_pair(0);
	const struct dw_op op = {.type = DW_PUT,
				 .key = stores_bytes("old"),
				 .value = stores_bytes("value"),
				 .mtime_set = true,
				 .mtime_ns = 981173106000000000};
	struct dw_stat stat;

	CHECK_EQ(dw_batch(p.store, &op, 1), 0);
	CHECK_EQ(transfer_all(p.from, p.to, NULL, NULL), 0);
	CHECK_EQ(files_count_suffixed(p.to, ".hint"), 0);
	CHECK_EQ(dw_rotate(p.store), 0);
	char *have = transfer_have(p.to);
	CHECK_EQ(transfer_all(p.from, p.to, NULL, have), 0);
	free(have);
	CHECK_EQ(files_count_suffixed(p.to, ".hint"), 1);
	struct dw_store *replica = stores_open_reader(p.to);
	CHECK_EQ(dw_stat(replica, stores_bytes("old"), &stat), 0);
	CHECK_EQ(stat.mtime_ns, op.mtime_ns);
	stores_close(replica);
	replica = stores_open(p.to, 0);
	CHECK_EQ(dw_stat(replica, stores_bytes("old"), &stat), 0);
	CHECK_EQ(stat.mtime_ns, op.mtime_ns);
	stores_close(replica);
	stores_close(p.store);
}

/* From one snapshot to the next, and on to the store. */
static void test_snapshots(void)
{
	struct transfer p = transfer_pair(2000);
	char one[300], two[300];

	(void)snprintf(one, sizeof one, "%s/%s/one", p.from, DW_SNAPSHOT_DIRECTORY);
	(void)snprintf(two, sizeof two, "%s/%s/two", p.from, DW_SNAPSHOT_DIRECTORY);
	transfer_put(p.store, 0, 60);
	CHECK_EQ(dw_snapshot_create(p.store, "one", NULL), 0);
	transfer_put(p.store, 60, 90);
	CHECK_EQ(dw_snapshot_create(p.store, "two", NULL), 0);
	transfer_put(p.store, 90, 100);
	CHECK_EQ(transfer_all(one, p.to, NULL, NULL), 0);
	transfer_expect_same(one, p.to);
	struct dw_store *replica = stores_open_reader(p.to);
	CHECK_EQ(dw_count(replica), 60);
	stores_close(replica);
	char *have = transfer_have(p.to);
	CHECK_EQ(transfer_all(two, p.to, NULL, have), 0);
	transfer_expect_same(two, p.to);
	free(have);
	have = transfer_have(p.to);
	CHECK_EQ(transfer_all(p.from, p.to, NULL, have), 0);
	transfer_expect_same(p.from, p.to);
	free(have);
	/* and not back */
	CHECK_EQ(transfer_all(one, p.to, NULL, NULL), -EILSEQ);
	transfer_expect_same(p.from, p.to);
	stores_close(p.store);
}

static void test_attributes(void)
{
	struct transfer p = transfer_pair(2000);
	const struct dw_options options = {.create = true, .segment_size = 2000};
	const char *from = stores_path(p.from, DW_ATTR_DIRECTORY);
	const char *to = stores_path(p.to, DW_ATTR_DIRECTORY);
	struct dw_store *attrs;

	transfer_put(p.store, 0, 30);
	CHECK_EQ(transfer_all(p.from, p.to, NULL, NULL), 0);
	CHECK_EQ(dw_open_in(p.store, DW_ATTR_DIRECTORY, &options, NULL, &attrs), 0);
	for (int i = 0; i < 5; i++) {
		transfer_put(attrs, 0, 50 * i);
		transfer_put(p.store, 10, 30);
		char *have = transfer_have(p.to);
		CHECK_EQ(transfer_all(p.from, p.to, NULL, have), 0);
		transfer_expect_same(p.from, p.to);
		transfer_expect_same(from, to);
		free(have);
		struct dw_position since = transfer_position(p.to);
		transfer_put(p.store, 10, 12);
		CHECK_EQ(transfer_all(p.from, p.to, &since, NULL), 0);
		transfer_expect_same(p.from, p.to);
		transfer_expect_same(from, to);
	}
	stores_close(attrs);
	stores_close(p.store);
}

static void put_noise(struct dw_store *store, const char *key, size_t size)
{
	uint8_t *noise = stores_noise(size, size);

	CHECK_EQ(dw_put(store, stores_bytes(key), (struct dw_bytes){noise, size}), 0);
	free(noise);
}

static void test_large(void)
{
	struct transfer p = transfer_pair(0);

	put_noise(p.store, "first", 3 << 20);
	CHECK_EQ(transfer_all(p.from, p.to, NULL, NULL), 0);
	put_noise(p.store, "second", 7 << 20);
	CHECK_EQ(transfer_all(p.from, p.to, NULL, NULL), 0);
	transfer_expect_same(p.from, p.to);
	put_noise(p.store, "third", 5 << 20);
	put_noise(p.store, "fourth", 5 << 20);
	put_noise(p.store, "fifth", DW_VALUE_SIZE_MAX);
	struct dw_position since = transfer_position(p.to);
	CHECK_EQ(transfer_all(p.from, p.to, &since, NULL), 0);
	transfer_expect_same(p.from, p.to);
	stores_close(p.store);
}

/* Zeros ahead of the last record are none of the stream. */
static void test_guard(void)
{
	struct transfer p = transfer_pair(0);
	struct dw_send *send = transfer_sender(p.from, NULL, NULL);
	struct dw_receive *receive = transfer_receiver(p.to);
	struct stat st;

	for (int i = 0; i < 40; i++) {
		transfer_put(p.store, i, i + 1);
		CHECK_EQ(dw_sync(p.store), 0);
		CHECK_EQ(transfer_pump(send, receive), 0);
		struct dw_store *replica = stores_open_reader(p.to);
		CHECK_EQ(dw_count(replica), i + 1);
		stores_close(replica);
	}
	CHECK_EQ(stat(stores_path(p.from, "00000001.dwal"), &st), 0);
	CHECK(st.st_size > 100000);
	CHECK_EQ(stat(stores_path(p.to, "00000001.dwal"), &st), 0);
	CHECK(st.st_size < 10000);
	dw_receive_close(receive);
	dw_send_close(send);
	stores_close(p.store);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"send_whole", test_whole},
		{"send_resumes", test_resumes},
		{"send_follows", test_follows},
		{"send_compacted_meanwhile", test_compacted_meanwhile},
		{"send_end_compacted", test_end_compacted},
		{"send_times", test_times},
		{"send_snapshots", test_snapshots},
		{"send_attributes", test_attributes},
		{"send_large", test_large},
		{"send_guard", test_guard},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
