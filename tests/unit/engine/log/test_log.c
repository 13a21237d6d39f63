/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_log.c - the log reader and the figures of segments: every record in order, payloads
 * of any size in pieces, damage told and passed, a writer at work beside.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "tests/support/files.h"
#include "tests/support/stores.h"

static struct dw_log *open_log(const char *dir, uint32_t segment, uint64_t offset)
{
	struct dw_log *log = NULL;

	CHECK_EQ(dw_log_open(dir, segment, offset, NULL, &log), 0);
	return log;
}

static void expect_record(struct dw_log *log, enum dw_type type, uint64_t txid, const char *key,
			  const void *payload, size_t size)
{
	struct dw_record record;
	uint8_t *got = malloc(size + 10);

	CHECK_EQ(dw_log_next(log, &record), 1);
	CHECK_EQ(record.type, type);
	CHECK_EQ(record.txid, txid);
	CHECK_EQ(record.key.size, strlen(key));
	CHECK(!memcmp(record.key.data, key, record.key.size));
	CHECK_EQ(record.payload_size, size);
	CHECK_EQ(record.size, RECORD_OVERHEAD + strlen(key) + size);
	CHECK_EQ(dw_log_read(log, got, size + 10, 0), size);
	CHECK(!memcmp(got, payload, size));
	CHECK_EQ(dw_log_read(log, got, 10, size), 0);
	CHECK_EQ(dw_log_read(log, got, 10, size + 5), 0);
	for (size_t at = 0; at < size; at += 700001) {
		size_t want = size - at < 700001 ? size - at : 700001;
		CHECK_EQ(dw_log_read(log, got, 700001, at), want);
		CHECK(!memcmp(got, (const uint8_t *)payload + at, want));
	}
	/* the key stays where it was */
	CHECK(!memcmp(record.key.data, key, record.key.size));
	free(got);
}

static void test_records(void)
{
	enum { LARGE = 3 * SCAN_WINDOW_SIZE + 17 };
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	uint8_t *large = stores_noise(1, LARGE);
	struct dw_record record;
	struct dw_report report;
	uint64_t done, total;
	char byte;

	stores_put(store, "a", "one");
	CHECK_EQ(dw_put(store, stores_bytes("large"), (struct dw_bytes){large, LARGE}), 0);
	stores_delete(store, "a");
	CHECK_EQ(dw_rotate(store), 0);
	CHECK_EQ(dw_append_raw(store, stores_bytes(""), stores_bytes("raw")), 0);
	stores_put(store, "", "");
	struct dw_log *log = open_log(dir, 0, 0); /* with the writer beside */
	stores_put(store, "later", "unseen");
	CHECK_EQ(dw_log_read(log, &byte, 1, 0), -EINVAL);
	expect_record(log, DW_PUT, 1, "a", "one", 3);
	expect_record(log, DW_PUT, 2, "large", large, LARGE);
	expect_record(log, DW_DELETE, 3, "a", "", 0);
	expect_record(log, DW_RAW, 4, "", "raw", 3);
	dw_log_progress(log, &done, &total);
	CHECK(done && done < total);
	expect_record(log, DW_PUT, 5, "", "", 0);
	CHECK_EQ(dw_log_next(log, &record), 0);
	CHECK_EQ(dw_log_next(log, &record), 0);
	CHECK_EQ(dw_log_resume(log), -EINVAL);
	CHECK_EQ(dw_log_read(log, &byte, 1, 0), -EINVAL);
	dw_log_progress(log, &done, &total);
	CHECK_EQ(done, total);
	dw_log_report(log, &report);
	CHECK_EQ(report.segments, 2);
	CHECK_EQ(report.records, 5);
	CHECK_EQ(report.last_txid, 5);
	CHECK_EQ(report.torn_bytes, 0);
	dw_log_close(log);
	dw_log_close(NULL);
	stores_close(store);
	free(large);
}

static uint64_t first_txid(const char *dir, uint32_t segment, uint64_t offset)
{
	struct dw_log *log = open_log(dir, segment, offset);
	struct dw_record record;
	int rc = dw_log_next(log, &record);

	dw_log_close(log);
	CHECK(rc == 0 || rc == 1);
	return rc ? record.txid : 0;
}

/* Records of 31 bytes: two in segment 1, two in 2, segment 4 begins with the fifth. */
static void test_from(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	char from[160], to[160];
	struct dw_log *log = NULL;

	for (int i = 0; i < 5; i++) {
		stores_put(store, "k", "vv");
		if (i == 1 || i == 3)
			CHECK_EQ(dw_rotate(store), 0);
	}
	stores_close(store);
	(void)snprintf(from, sizeof from, "%s/00000003.dwal", dir);
	(void)snprintf(to, sizeof to, "%s/00000004.dwal", dir);
	CHECK_EQ(rename(from, to), 0);
	CHECK_EQ(first_txid(dir, 0, 0), 1);
	CHECK_EQ(first_txid(dir, 0, 31), 1); /* no segment is called 0 */
	CHECK_EQ(first_txid(dir, 1, 1), 2);
	CHECK_EQ(first_txid(dir, 1, 32), 3);
	CHECK_EQ(first_txid(dir, 2, 0), 3);
	CHECK_EQ(first_txid(dir, 2, 31), 4);
	CHECK_EQ(first_txid(dir, 3, 31), 5); /* the offset is for segment 3 alone */
	CHECK_EQ(first_txid(dir, 4, 31), 0);
	CHECK_EQ(first_txid(dir, 5, 0), 0);
	(void)snprintf(from, sizeof from, "%s/missing", dir);
	CHECK_EQ(dw_log_open(from, 0, 0, NULL, &log), -ENOENT);
	CHECK(log == NULL);
}

struct seen {
	struct dw_finding last;
	int count;
};

static void note(void *context, const struct dw_finding *finding)
{
	struct seen *seen = context;

	seen->last = *finding;
	seen->count++;
}

/* Flip a byte of the second record in segment `id`. */
static void flip(const char *dir, uint32_t id, size_t at)
{
	char path[160];

	(void)snprintf(path, sizeof path, "%s/%08u.dwal", dir, id);
	struct buf bytes = files_read(AT_FDCWD, path);
	bytes.data[at] ^= 1;
	files_write(AT_FDCWD, path, bytes.data, bytes.size);
	buf_release(&bytes);
}

static void test_damage(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct seen seen = {.count = 0};
	const struct dw_options options = {.on_finding = note, .context = &seen};
	struct dw_record record = {.txid = 77};
	struct dw_report report;
	struct dw_log *log = NULL;

	for (int i = 0; i < 6; i++) {
		stores_put(store, "k", "vv");
		if (i == 2)
			CHECK_EQ(dw_rotate(store), 0);
	}
	stores_close(store);
	flip(dir, 1, 31 + 29);
	flip(dir, 2, 31 + 6); /* the type: 1 becomes 0, so it is the CRC that differs */
	files_remove_suffixed(dir, "00000002.hint"); /* which says that it was closed */
	CHECK_EQ(dw_log_open(dir, 0, 0, &options, &log), 0);
	CHECK_EQ(dw_log_next(log, &record), 1);
	record.txid = 77;
	for (int i = 0; i < 2; i++)
		CHECK_EQ(dw_log_next(log, &record), -EBADMSG);
	CHECK_EQ(record.txid, 77);
	CHECK_EQ(seen.count, 1);
	CHECK_EQ(seen.last.kind, DW_FINDING_DAMAGE);
	CHECK_EQ(seen.last.segment, 1);
	CHECK_EQ(seen.last.offset, 31);
	dw_log_report(log, &report);
	CHECK_EQ(report.damage, DW_DAMAGE_CRC);
	CHECK_EQ(report.offset, 31);
	CHECK_EQ(dw_log_resume(log), 0);
	CHECK_EQ(dw_log_next(log, &record), 1);
	CHECK_EQ(record.txid, 3);
	CHECK_EQ(dw_log_next(log, &record), 1);
	CHECK_EQ(record.txid, 4);
	CHECK_EQ(dw_log_next(log, &record), 0); /* a torn tail is the end */
	CHECK_EQ(seen.count, 2);
	CHECK_EQ(seen.last.kind, DW_FINDING_TORN_TAIL);
	dw_log_report(log, &report);
	CHECK_EQ(report.segment, 2);
	CHECK_EQ(report.offset, 31);
	CHECK_EQ(report.torn_bytes, 62);
	CHECK_EQ(report.records_behind, 1);
	CHECK_EQ(report.records, 3);
	dw_log_close(log);
}

/* Damage again and again, of which the hint knows what is lost. */
static void test_damage_hinted(void)
{
	enum { RECORDS = 9 };
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct seen seen = {.count = 0};
	const struct dw_options options = {.on_finding = note, .context = &seen};
	struct dw_record record;
	struct dw_log *log = NULL;
	int rc, damaged = 0, sound = 0;

	for (int i = 0; i < RECORDS; i++)
		stores_put(store, "k", "vv");
	CHECK_EQ(dw_rotate(store), 0);
	stores_close(store);
	for (size_t i = 1; i < RECORDS; i += 2)
		flip(dir, 1, i * 31 + 29);
	CHECK_EQ(dw_log_open(dir, 0, 0, &options, &log), 0);
	while ((rc = dw_log_next(log, &record))) {
		sound += rc == 1;
		if (rc == 1)
			continue;
		CHECK_EQ(rc, -EBADMSG);
		damaged++;
		CHECK_EQ(seen.count, damaged); /* each is told once */
		CHECK_EQ(seen.last.kind, DW_FINDING_DAMAGE);
		CHECK_EQ(seen.last.offset, (2 * damaged - 1) * 31);
		CHECK_EQ(seen.last.key.size, 1);
		CHECK_EQ(seen.last.records_lost, 0); /* beside it */
		CHECK_EQ(dw_log_resume(log), 0);
	}
	CHECK_EQ(damaged, RECORDS / 2);
	CHECK_EQ(sound, RECORDS - RECORDS / 2);
	dw_log_close(log);
}

/* An open segment stays readable while the writer compacts it away. */
static void test_compacted_away(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 200);
	struct dw_record record;

	for (int i = 0; i < 40; i++)
		stores_put(store, "key", "value");
	struct dw_log *log = open_log(dir, 0, 0);
	CHECK_EQ(dw_compact(store, NULL), 0);
	for (uint64_t i = 1; i <= 40; i++) {
		CHECK_EQ(dw_log_next(log, &record), 1);
		CHECK_EQ(record.txid, i);
	}
	CHECK_EQ(dw_log_next(log, &record), 0);
	dw_log_close(log);
	int fds = stores_fd_count();
	log = open_log(dir, 0, 0);
	CHECK_EQ(dw_log_next(log, &record), 1);
	dw_log_close(log); /* in the middle */
	CHECK_EQ(stores_fd_count(), fds);
	stores_close(store);
}

static void test_segment_stats(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct dw_segment_stat *stats = NULL;
	size_t count = 0;

	stores_put(store, "a", "one");
	stores_put(store, "a", "two");
	stores_put(store, "b", "");
	CHECK_EQ(dw_append_raw(store, stores_bytes("r"), stores_bytes("aw")), 0);
	CHECK_EQ(dw_rotate(store), 0);
	stores_delete(store, "b");
	CHECK_EQ(dw_segment_stats(store, &stats, &count), 0);
	CHECK_EQ(count, 2);
	CHECK_EQ(stats[0].id, 1);
	CHECK_EQ(stats[0].records, 4);
	CHECK_EQ(stats[0].deletes, 0);
	CHECK_EQ(stats[0].size, 32 + 32 + 29 + 31);
	CHECK_EQ(stats[0].live_bytes, 32);
	CHECK_EQ(stats[0].raw_bytes, 31);
	CHECK_EQ(stats[1].id, 2);
	CHECK_EQ(stats[1].records, 1);
	CHECK_EQ(stats[1].deletes, 1);
	CHECK_EQ(stats[1].live_bytes, 0);
	free(stats);
	flip(dir, 1, 0);
	count = 77;
	CHECK_EQ(dw_segment_stats(store, &stats, &count), -EBADMSG);
	CHECK_EQ(count, 77);
	stores_close(store);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"log_records", test_records},
		{"log_from", test_from},
		{"log_damage", test_damage},
		{"log_damage_hinted", test_damage_hinted},
		{"log_compacted_away", test_compacted_away},
		{"log_segment_stats", test_segment_stats},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
