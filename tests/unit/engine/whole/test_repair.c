/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_repair.c - damage goes out, whole records behind it come back, nothing is lost:
 * for every kind of damage, with each system call failing, and after a crash anywhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/bytes.h"
#include "codec/record.h"
#include "tests/support/crashio.h"
#include "tests/support/faultio.h"
#include "tests/support/files.h"
#include "tests/support/spoil.h"
#include "tests/support/stores.h"
#include "whole/repair.h"

enum { RECORDS = 4, SIZE = 28 + 2 + 7, CALLS_MAX = 500, RANDOM_TRIES = 3 };

/* Records "k0".."k3" of SIZE bytes each in every segment, all keys differing by segment. */
static void make_store(const char *dir, int segments)
{
	struct dw_store *store = stores_open(dir, 0);
	char key[16];

	for (int s = 0; s < segments; s++) {
		if (s)
			CHECK_EQ(dw_rotate(store), 0);
		for (int i = 0; i < RECORDS; i++) {
			(void)snprintf(key, sizeof key, "%c%d", 'a' + s, i);
			stores_put(store, key, "a value");
		}
	}
	stores_close(store);
}

static const char *segment_path(const char *dir, uint32_t id)
{
	static char path[160];

	(void)snprintf(path, sizeof path, "%s/%08u.dwal", dir, id);
	return path;
}

static void spoil_payload_size(struct buf *buf, size_t at)
{
	bytes_put32(buf->data + at + 20, 1000);
}
static void spoil_zeros(struct buf *buf, size_t at)
{
	memset(buf->data + at, 0, SIZE);
}

static spoil_fn *const spoilers[] = {
	spoil_crc,   spoil_magic,    spoil_version,      spoil_type,
	spoil_flags, spoil_key_size, spoil_payload_size, spoil_zeros,
};
enum { SPOILERS = sizeof spoilers / sizeof *spoilers };

static void spoil(const char *dir, uint32_t segment, int record, spoil_fn *how)
{
	struct buf bytes = files_read(AT_FDCWD, segment_path(dir, segment));

	how(&bytes, (size_t)record * SIZE);
	files_write(AT_FDCWD, segment_path(dir, segment), bytes.data, bytes.size);
	buf_release(&bytes);
}

struct seen {
	struct dw_repair_range ranges[16];
	char names[16][64];
	size_t count;
};

static void note(void *context, const struct dw_repair_range *range)
{
	struct seen *seen = context;

	CHECK(seen->count < 16);
	(void)snprintf(seen->names[seen->count], 64, "%s",
		       range->quarantine ? range->quarantine : "");
	seen->ranges[seen->count++] = *range;
}

static const struct file_image *find_file(const struct files *files, const char *name)
{
	for (size_t i = 0; i < files->count; i++)
		if (!strcmp(files->items[i].name, name))
			return &files->items[i];
	return NULL;
}

/* A dry run that changes nothing and tells the same; then the repair. */
static struct dw_repair_report repair(const char *dir, struct seen *seen)
{
	struct files before = files_snapshot(dir);
	struct dw_repair_report plan, report;
	struct seen planned = {.count = 0};
	int fds = stores_fd_count();

	CHECK_EQ(dw_repair(dir, false, NULL, note, &planned, &plan), 0);
	struct files after = files_snapshot(dir);
	CHECK(files_equal(&before, &after));
	*seen = (struct seen){.count = 0};
	CHECK_EQ(dw_repair(dir, true, NULL, note, seen, &report), 0);
	CHECK_EQ(stores_fd_count(), fds);
	CHECK(!memcmp(&plan, &report, sizeof plan));
	CHECK_EQ(seen->count, planned.count);
	for (size_t i = 0; i < seen->count; i++) {
		const struct dw_repair_range *range = &seen->ranges[i];
		char name[24];
		CHECK_EQ(range->segment, planned.ranges[i].segment);
		CHECK_EQ(range->offset, planned.ranges[i].offset);
		CHECK_EQ(range->size, planned.ranges[i].size);
		CHECK_EQ(range->damage, planned.ranges[i].damage);
		if (range->damage == DW_DAMAGE_SHORTENED) { /* there are no bytes to save */
			CHECK(files_count_suffixed(dir, seen->names[i]) == 1);
			continue;
		}
		(void)snprintf(name, sizeof name, "%08u.dwal", range->segment);
		const uint8_t *taken = find_file(&before, name)->data.data + range->offset;
		if (!*seen->names[i]) {
			for (uint64_t at = 0; at < range->size; at++)
				CHECK_EQ(taken[at], 0);
			continue;
		}
		struct buf saved = {0};
		int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		saved = files_read(dirfd, seen->names[i]);
		(void)close(dirfd);
		CHECK_EQ(saved.size, range->size);
		CHECK(!memcmp(saved.data, taken, saved.size));
		buf_release(&saved);
	}
	CHECK_EQ(files_count_suffixed(dir, ".compact"), 0);
	CHECK_EQ(files_count_suffixed(dir, ".tmp"), 0);
	files_release(&before);
	files_release(&after);
	return report;
}

static void expect_keys(const char *dir, int segments, const char *missing)
{
	struct dw_store *store = stores_open(dir, 0);
	char key[16];

	for (int s = 0; s < segments; s++)
		for (int i = 0; i < RECORDS; i++) {
			(void)snprintf(key, sizeof key, "%c%d", 'a' + s, i);
			stores_expect(store, key, strstr(missing, key) ? NULL : "a value");
		}
	stores_put(store, "goes", "on");
	stores_close(store);
}

static void test_sound(void)
{
	const char *dir = stores_dir(), *empty = stores_dir();
	struct seen seen;

	make_store(dir, 2);
	struct dw_repair_report report = repair(dir, &seen);
	CHECK_EQ(report.segments, 2);
	CHECK_EQ(report.segments_damaged, 0);
	CHECK_EQ(report.records, 8);
	CHECK_EQ(seen.count, 0);
	CHECK_EQ(dw_repair(empty, true, NULL, NULL, NULL, &report), -ENOENT);
	char missing[200];
	(void)snprintf(missing, sizeof missing, "%s/missing", empty);
	CHECK_EQ(dw_repair(missing, false, NULL, NULL, NULL, &report), -ENOENT);
}

/* Each kind of damage, at each record, in a sealed segment and in the last. */
static void test_table(void)
{
	for (int kind = 0; kind < SPOILERS; kind++) {
		for (int record = 0; record < RECORDS; record++) {
			for (uint32_t segment = 1; segment <= 2; segment++) {
				const char *dir = stores_dir();
				char missing[16];
				struct seen seen;
				make_store(dir, 2);
				spoil(dir, segment, record, spoilers[kind]);
				struct dw_repair_report report = repair(dir, &seen);
				CHECK_EQ(report.segments_damaged, 1);
				CHECK_EQ(report.ranges, 1);
				CHECK_EQ(report.bytes_out, SIZE);
				CHECK_EQ(report.records, 7);
				CHECK_EQ(report.records_behind, RECORDS - 1 - record);
				CHECK_EQ(seen.ranges[0].segment, segment);
				CHECK_EQ(seen.ranges[0].offset, record * SIZE);
				(void)snprintf(missing, sizeof missing, "%c%d",
					       (char)('a' + (int)segment - 1), record);
				expect_keys(dir, 2, missing);
			}
		}
	}
}

/* A sealed segment that was cut short, and one of which nothing is left. */
static void test_truncated(void)
{
	const char *dir = stores_dir();
	struct seen seen;

	make_store(dir, 3);
	CHECK_EQ(truncate(segment_path(dir, 1), 2 * SIZE + 30), 0);
	spoil(dir, 2, 0, spoil_zeros);
	CHECK_EQ(truncate(segment_path(dir, 2), SIZE), 0);
	struct dw_repair_report report = repair(dir, &seen);
	CHECK_EQ(report.segments_damaged, 2);
	CHECK_EQ(report.bytes_out, 30 + SIZE);
	CHECK_EQ(report.records, 6);
	CHECK_EQ(report.records_behind, 0);
	CHECK_EQ(report.segments_short, 2);
	CHECK_EQ(report.keys_lost, 6);
	CHECK_EQ(seen.ranges[0].damage, DW_DAMAGE_TRUNCATED);
	CHECK_EQ(seen.ranges[1].damage, DW_DAMAGE_SHORTENED);
	CHECK_EQ(seen.ranges[1].records, 2); /* of these one was cut */
	expect_keys(dir, 3, "a2 a3 b0 b1 b2 b3");
	CHECK_EQ(files_count_suffixed(dir, "00000001.dwal.torn-"), 1);
	CHECK_EQ(files_count_suffixed(dir, "00000002.dwal.torn-"), 0); /* zeros alone */
}

static void test_several(void)
{
	const char *dir = stores_dir();
	struct seen seen;

	make_store(dir, 3);
	spoil(dir, 1, 0, spoil_crc);
	spoil(dir, 1, 2, spoil_magic);
	spoil(dir, 2, 1, spoil_flags);
	spoil(dir, 2, 2, spoil_crc);
	spoil(dir, 3, 3, spoil_payload_size);
	struct dw_repair_report report = repair(dir, &seen);
	CHECK_EQ(report.segments_damaged, 3);
	CHECK_EQ(report.ranges, 4); /* two neighbours are one */
	CHECK_EQ(report.bytes_out, 5 * SIZE);
	CHECK_EQ(report.records_behind, 2 + 1);
	expect_keys(dir, 3, "a0 a2 b1 b2 c3");
	report = repair(dir, &seen);
	CHECK_EQ(report.segments_damaged, 0);
}

/* A value that holds records, damaged: they are no records of this log, whichever field
 * of the record around them is wrong. */
static void test_embedded(void)
{
	static spoil_fn *const kinds[] = {spoil_crc, spoil_magic, spoil_version, spoil_type,
					  spoil_flags};

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		const char *dir = stores_dir();
		struct dw_store *store = stores_open(dir, 0);
		const struct record_header header = {DW_PUT, 9, 5, 2};
		uint8_t value[100] = "some text";
		struct seen seen;
		record_encode(&header, "wrong", "no", value + 20);
		stores_put(store, "a0", "a value");
		CHECK_EQ(dw_put(store, stores_bytes("x"), (struct dw_bytes){value, sizeof value}),
			 0);
		stores_put(store, "y", "behind");
		stores_close(store);
		spoil(dir, 1, 1, kinds[i]);
		struct dw_repair_report report = repair(dir, &seen);
		CHECK_EQ(report.bytes_out, 28 + 1 + sizeof value);
		CHECK_EQ(report.records, 2);
		store = stores_open(dir, 0);
		stores_expect(store, "wrong", NULL);
		stores_expect(store, "y", "behind");
		stores_close(store);
	}
}

/* So much damage in a row that a search with a small budget would give up. */
static void test_long_damage(void)
{
	enum { MANY = 3000, VALUE = 8000 };
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	uint8_t *value = stores_noise(1, VALUE);
	struct seen seen;
	char key[16];

	for (int i = 0; i < MANY; i++) {
		(void)snprintf(key, sizeof key, "%06d", i);
		CHECK_EQ(dw_put(store, stores_bytes(key), (struct dw_bytes){value, VALUE}), 0);
	}
	stores_close(store);
	struct buf bytes = files_read(AT_FDCWD, segment_path(dir, 1));
	for (int i = 0; i < MANY - 5; i++) /* each looks like a record, and none is one */
		bytes.data[(size_t)i * (28 + 6 + VALUE) + 40] ^= 1;
	bytes.data[16] ^= 1; /* nor does the first say where it ends */
	files_write(AT_FDCWD, segment_path(dir, 1), bytes.data, bytes.size);
	buf_release(&bytes);
	struct dw_repair_report report = repair(dir, &seen);
	CHECK_EQ(report.ranges, 1);
	CHECK_EQ(report.records_behind, 5);
	free(value);
}

static void test_locked(void)
{
	const char *dir = stores_dir();
	struct dw_repair_report report = {.segments = 77};
	struct dw_store *store;

	make_store(dir, 1);
	store = stores_open(dir, 0);
	CHECK_EQ(dw_repair(dir, false, NULL, NULL, NULL, &report), -EBUSY);
	CHECK_EQ(dw_repair(dir, true, NULL, NULL, NULL, &report), -EBUSY);
	CHECK_EQ(report.segments, 77);
	stores_close(store);
	CHECK_EQ(dw_repair(dir, true, NULL, NULL, NULL, &report), 0);
}

/* --- faults and crashes --- */

static void make_damaged(const char *dir)
{
	make_store(dir, 3);
	spoil(dir, 1, 1, spoil_crc);
	spoil(dir, 2, 0, spoil_magic);
	spoil(dir, 2, 2, spoil_zeros);
	spoil(dir, 3, 3, spoil_payload_size);
}

static const struct {
	uint32_t segment;
	int record;
} spoilt[] = {{1, 1}, {2, 0}, {2, 2}, {3, 3}};

static bool holds_quarantine(const struct files *files, uint32_t segment, const uint8_t *bytes)
{
	char part[32];

	(void)snprintf(part, sizeof part, "%08u.dwal.torn-", segment);
	for (size_t i = 0; i < files->count; i++)
		if (!strncmp(files->items[i].name, part, strlen(part)) &&
		    !strstr(files->items[i].name, ".tmp") && files->items[i].data.size == SIZE &&
		    !memcmp(files->items[i].data.data, bytes, SIZE))
			return true;
	return false;
}

/* Each segment is as it was, or repaired with what was taken out beside it; whether all
 * of them are repaired. */
static bool check_nothing_lost(const struct files *before, const struct files *after)
{
	bool repaired = true;

	for (uint32_t id = 1; id <= 3; id++) {
		char name[24];
		struct buf want = {0};
		(void)snprintf(name, sizeof name, "%08u.dwal", id);
		const struct file_image *old = find_file(before, name),
					*now = find_file(after, name);
		CHECK(now != NULL);
		if (now->data.size == old->data.size) {
			CHECK(!memcmp(now->data.data, old->data.data, old->data.size));
			repaired = false;
			continue;
		}
		for (int i = 0; i < RECORDS; i++) {
			const uint8_t *record = old->data.data + (size_t)i * SIZE;
			bool bad = false;
			for (size_t j = 0; j < sizeof spoilt / sizeof *spoilt; j++)
				bad |= spoilt[j].segment == id && spoilt[j].record == i;
			bool zeros = !record[0] && !memcmp(record, record + 1, SIZE - 1);
			CHECK(!bad || zeros || holds_quarantine(after, id, record));
			if (!bad)
				CHECK_EQ(buf_add(&want, record, SIZE), 0);
		}
		CHECK_EQ(now->data.size, want.size);
		CHECK(!memcmp(now->data.data, want.data, want.size));
		buf_release(&want);
	}
	return repaired;
}

/* Once more and without trouble: it gets to its end from any state. */
static void check_finishes(const char *dir, const struct files *before)
{
	struct faultio quick; /* for its syncs, which do nothing */
	struct dw_repair_report report;

	faultio_init(&quick);
	CHECK_EQ(repair_store(&quick.io, dir, true, NULL, NULL, NULL, &report), 0);
	struct files after = files_snapshot(dir);
	CHECK(check_nothing_lost(before, &after));
	CHECK_EQ(report.records, 8);
	files_release(&after);
	struct dw_store *store = stores_open_reader(dir);
	CHECK_EQ(dw_count(store), 8);
	stores_close(store);
	CHECK_EQ(files_count_suffixed(dir, ".compact"), 0);
	CHECK_EQ(files_count_suffixed(dir, ".tmp"), 0);
}

static bool fault_once(const struct files *before, enum faultio_kind kind, int error,
		       uint64_t fail_at)
{
	struct dw_repair_report report = {.segments = 77};
	const char *dir = stores_dir();
	struct faultio fault;
	int fds = stores_fd_count();

	files_restore(before, dir);
	faultio_init(&fault);
	faultio_arm(&fault, kind, error, fail_at);
	int rc = repair_store(&fault.io, dir, true, NULL, NULL, NULL, &report);
	CHECK(!rc || (fault.hit && rc == -error));
	CHECK(!rc || report.segments == 77);
	if (kind == FAULTIO_EINTR || (kind == FAULTIO_SHORT && !error))
		CHECK_EQ(rc, 0); /* the caller must not notice */
	CHECK_EQ(stores_fd_count(), fds);
	struct files after = files_snapshot(dir);
	bool repaired = check_nothing_lost(before, &after);
	CHECK(rc || repaired);
	check_finishes(dir, before);
	files_release(&after);
	return fault.hit;
}

static void test_faults(void)
{
	static const struct {
		enum faultio_kind kind;
		int error;
	} kinds[] = {
		{FAULTIO_ERROR, EIO},    {FAULTIO_ERROR, ENOSPC}, {FAULTIO_SHORT, 0},
		{FAULTIO_SHORT, ENOSPC}, {FAULTIO_EINTR, EINTR},
	};

	const char *dir = stores_dir();

	make_damaged(dir);
	struct files before = files_snapshot(dir);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		uint64_t n = 1;
		while (n < CALLS_MAX && fault_once(&before, kinds[i].kind, kinds[i].error, n))
			n++;
		printf("  %llu calls\n", (unsigned long long)n - 1);
		CHECK(n > 20 && n < CALLS_MAX);
	}
	files_release(&before);
}

static void check_crash(const struct crashio *crash, size_t point, enum crash_policy policy,
			struct rng *rng, const struct files *before)
{
	const char *dir = stores_dir();
	struct files state;

	crashio_rebuild(crash, point, policy, 0, rng, &state);
	(void)check_nothing_lost(before, &state);
	files_restore(&state, dir);
	check_finishes(dir, before);
	files_release(&state);
}

static void test_crashes(void)
{
	struct rng rng = check_rng();
	const char *dir = stores_dir();
	struct dw_repair_report report;
	struct crashio crash;
	char path[128];

	(void)snprintf(path, sizeof path, "%s", dir); /* stores_dir() wraps around */
	make_damaged(path);
	struct files before = files_snapshot(path);
	crashio_init(&crash, path);
	CHECK_EQ(repair_store(&crash.io, path, true, NULL, NULL, NULL, &report), 0);
	printf("  %zu calls\n", crash.count);
	CHECK(crash.count > 20);
	for (size_t point = 0; point <= crash.count; point++) {
		check_crash(&crash, point, CRASH_KEEP_ALL, &rng, &before);
		check_crash(&crash, point, CRASH_DROP, &rng, &before);
		for (int i = 0; i < RANDOM_TRIES; i++) {
			check_crash(&crash, point, CRASH_PREFIX, &rng, &before);
			check_crash(&crash, point, CRASH_SUBSET, &rng, &before);
		}
	}
	crashio_release(&crash);
	files_release(&before);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"repair_sound", test_sound},         {"repair_table", test_table},
		{"repair_truncated", test_truncated}, {"repair_several", test_several},
		{"repair_embedded", test_embedded},   {"repair_long_damage", test_long_damage},
		{"repair_locked", test_locked},       {"repair_faults", test_faults},
		{"repair_crashes", test_crashes},     {NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
