/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_damage.c - damaged stores: how opening judges each kind of damage (the table in
 * docs/FORMAT.md), how a torn tail is cut, which damage reading notices.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "codec/record.h"
#include "tests/support/files.h"
#include "tests/support/spoil.h"
#include "tests/support/stores.h"

static void spoil_zeros(struct buf *buf, size_t at)
{
	buf->size = at;
	CHECK_EQ(buf_reserve(buf, 5000), 0);
	memset(buf->data + at, 0, 5000);
	buf->size = at + 5000;
}
static void spoil_header_cut(struct buf *buf, size_t at)
{
	buf->size = at + 10;
}
static void spoil_payload_cut(struct buf *buf, size_t at)
{
	buf->size = at + 30;
}
static void spoil_payload_size(struct buf *buf, size_t at)
{
	bytes_put32(buf->data + at + 20, DW_VALUE_SIZE_MAX + 1);
}

static const struct row {
	const char *name;
	spoil_fn *spoil;
	bool torn; /* in the last segment */
	enum dw_damage last, earlier;
} rows[] = {
	{"header cut", spoil_header_cut, true, DW_DAMAGE_TRUNCATED, DW_DAMAGE_TRUNCATED},
	{"payload cut", spoil_payload_cut, true, DW_DAMAGE_TRUNCATED, DW_DAMAGE_TRUNCATED},
	{"crc", spoil_crc, true, DW_DAMAGE_CRC, DW_DAMAGE_CRC},
	{"zeros", spoil_zeros, true, DW_DAMAGE_ZEROS, DW_DAMAGE_MAGIC},
	{"magic", spoil_magic, false, DW_DAMAGE_MAGIC, DW_DAMAGE_MAGIC},
	{"version", spoil_version, false, DW_DAMAGE_VERSION, DW_DAMAGE_VERSION},
	{"type", spoil_type, false, DW_DAMAGE_TYPE, DW_DAMAGE_TYPE},
	{"flags", spoil_flags, false, DW_DAMAGE_FLAGS, DW_DAMAGE_FLAGS},
	{"key size", spoil_key_size, false, DW_DAMAGE_KEY_SIZE, DW_DAMAGE_KEY_SIZE},
	{"payload size", spoil_payload_size, false, DW_DAMAGE_PAYLOAD_SIZE, DW_DAMAGE_PAYLOAD_SIZE},
};
enum { ROWS = sizeof rows / sizeof *rows, SOUND = 28 + 1 + 5 };

/* Two segments, in each a sound record and one that gets spoilt in `segment`;
 * `torn_ret` is what stands behind the sound one there. */
static void make_damaged(const char *dir, const struct row *row, uint32_t segment,
			 struct buf *torn_ret)
{
	struct dw_store *store = stores_open(dir, 0);
	char path[160];

	stores_put(store, "a", "first");
	stores_put(store, "b", "a second value");
	CHECK_EQ(dw_rotate(store), 0);
	stores_put(store, "c", "third");
	stores_put(store, "d", "a fourth value");
	stores_close(store);
	(void)snprintf(path, sizeof path, "%s/%08u.dwal", dir, segment);
	struct buf bytes = files_read(AT_FDCWD, path);
	row->spoil(&bytes, SOUND);
	files_write(AT_FDCWD, path, bytes.data, bytes.size);
	/* damage as replay reports it; with its hint a segment is not read */
	files_remove_suffixed(dir, ".hint");
	*torn_ret = (struct buf){0};
	CHECK_EQ(buf_add(torn_ret, bytes.data + SOUND, bytes.size - SOUND), 0);
	buf_release(&bytes);
}

static void expect_refused(const char *dir, uint32_t segment, enum dw_damage damage)
{
	for (int reader = 0; reader < 2; reader++) {
		const struct dw_options options = {.read_only = reader};
		struct dw_store *store = NULL;
		struct dw_report report = {0};
		struct files before = files_snapshot(dir);
		int fds = stores_fd_count();
		CHECK_EQ(dw_open(dir, &options, &report, &store), -EBADMSG);
		CHECK(store == NULL);
		CHECK_EQ(report.segment, segment);
		CHECK_EQ(report.offset, SOUND);
		CHECK_EQ(report.damage, damage);
		CHECK_EQ(stores_fd_count(), fds);
		struct files after = files_snapshot(dir);
		/* the hint of a sound segment may be written */
		files_drop_suffixed(&before, ".hint");
		files_drop_suffixed(&after, ".hint");
		CHECK(files_equal(&before, &after));
		files_release(&before);
		files_release(&after);
	}
}

static void expect_quarantine(const char *dir, const struct buf *torn)
{
	struct files files = files_snapshot(dir);
	int found = 0;

	for (size_t i = 0; i < files.count; i++) {
		if (strncmp(files.items[i].name, "00000002.dwal.torn-", 19))
			continue;
		found++;
		CHECK_EQ(files.items[i].data.size, torn->size);
		CHECK(!memcmp(files.items[i].data.data, torn->data, torn->size));
		CHECK(!strstr(files.items[i].name, ".tmp"));
	}
	CHECK_EQ(found, 1);
	files_release(&files);
}

/* The tail is saved and cut, and what is appended from then on survives. */
static void expect_recovered(const char *dir, enum dw_damage damage, const struct buf *torn)
{
	struct dw_report report = {0};
	struct dw_store *store = NULL;

	for (int i = 0; i < 2; i++) {
		CHECK_EQ(dw_open(dir, NULL, &report, &store), 0);
		CHECK_EQ(report.torn_bytes, i ? 0 : torn->size);
		CHECK_EQ(report.damage, i ? DW_DAMAGE_NONE : damage);
		CHECK_EQ(report.records, 3 + i);
		if (damage == DW_DAMAGE_ZEROS)
			CHECK_EQ(files_count_suffixed(dir, ".torn"), 0);
		else
			expect_quarantine(dir, torn);
		stores_expect(store, "a", "first");
		stores_expect(store, "b", "a second value");
		stores_expect(store, "c", "third");
		stores_expect(store, "d", NULL);
		stores_expect(store, "later", i ? "on" : NULL);
		if (!i)
			stores_put(store, "later", "on");
		stores_close(store);
	}
}

static void test_table_last(void)
{
	for (size_t i = 0; i < ROWS; i++) {
		const char *dir = stores_dir();
		struct buf torn;
		printf("  %s\n", rows[i].name);
		make_damaged(dir, &rows[i], 2, &torn);
		if (rows[i].torn) {
			struct dw_store *reader = stores_open_reader(dir);
			CHECK_EQ(dw_count(reader), 3);
			stores_close(reader);
			CHECK_EQ(files_count_suffixed(dir, ".torn"), 0);
			expect_recovered(dir, rows[i].last, &torn);
		} else {
			expect_refused(dir, 2, rows[i].last);
		}
		buf_release(&torn);
	}
}

static void test_table_earlier(void)
{
	for (size_t i = 0; i < ROWS; i++) {
		const char *dir = stores_dir();
		struct buf torn;
		printf("  %s\n", rows[i].name);
		make_damaged(dir, &rows[i], 1, &torn);
		expect_refused(dir, 1, rows[i].earlier);
		buf_release(&torn);
	}
}

struct cut {
	int count;
	uint64_t size;
	char name[64];
};

static void note_cut(void *context, const struct dw_finding *finding)
{
	struct cut *cut = context;

	if (finding->kind != DW_FINDING_QUARANTINED)
		return;
	cut->count++;
	cut->size = finding->size;
	(void)snprintf(cut->name, sizeof cut->name, "%s", finding->name ? finding->name : "");
}

enum { HOLE = 600 << 20 };

/* Open a store whose only segment ends in `size` further bytes: zeros, but for `pieces` of a
 * record's first bytes at the multiples of HOLE / 4. */
static void recover_zeros(const char *dir, uint64_t size, int pieces, struct cut *cut)
{
	const struct dw_options options = {.on_finding = note_cut, .context = cut};
	struct dw_store *store = stores_open(dir, 0);
	char path[160];

	stores_put(store, "a", "first");
	stores_close(store);
	(void)snprintf(path, sizeof path, "%s/00000001.dwal", dir);
	CHECK_EQ(truncate(path, SOUND + (off_t)size), 0);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	for (int i = 0; i < pieces; i++)
		CHECK_EQ(pwrite(fd, "DWAL\1\0\1\0\5\0\0\0\0\0\0\0\377\0\0\0\377\377\377\1key", 27,
				SOUND + (off_t)i * HOLE / 4),
			 27);
	CHECK_EQ(close(fd), 0);
	*cut = (struct cut){.count = 0};
	CHECK_EQ(dw_open(dir, &options, NULL, &store), 0);
	CHECK_EQ(cut->count, 1);
	CHECK_EQ(cut->size, size);
	stores_expect(store, "a", "first");
	stores_put(store, "b", "goes on");
	stores_close(store);
	stores_close(stores_open_reader(dir));
}

/* A hole at the end of a file is not copied. */
static void test_zero_tail(void)
{
	struct dw_repair_report report;
	const char *dir = stores_dir();
	struct cut cut;
	struct stat st;
	char path[160];

	recover_zeros(dir, HOLE, 0, &cut);
	CHECK(!*cut.name);
	CHECK_EQ(files_count_suffixed(dir, ".torn"), 0);
	dir = stores_dir();
	recover_zeros(dir, HOLE, 1, &cut);
	(void)snprintf(path, sizeof path, "%s/%s", dir, cut.name);
	CHECK_EQ(stat(path, &st), 0);
	CHECK_EQ(st.st_size, 27 + 4096); /* a record may end in zeros */
	dir = stores_dir();
	recover_zeros(dir, HOLE, 2, &cut);
	(void)snprintf(path, sizeof path, "%s/%s", dir, cut.name);
	CHECK_EQ(stat(path, &st), 0);
	CHECK_EQ(st.st_size, HOLE / 4 + 27 + 4096);
	CHECK(st.st_blocks * 512 < 1 << 20);
	struct buf saved = files_read(AT_FDCWD, path);
	CHECK(!memcmp(saved.data, saved.data + HOLE / 4, 27));
	buf_release(&saved);
	/* the same of a segment that is not the last */
	dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	stores_put(store, "a", "first");
	CHECK_EQ(dw_rotate(store), 0);
	stores_close(store);
	(void)snprintf(path, sizeof path, "%s/00000001.dwal", dir);
	CHECK_EQ(truncate(path, HOLE), 0);
	CHECK_EQ(dw_repair(dir, true, NULL, NULL, NULL, &report), 0);
	CHECK_EQ(report.bytes_out, HOLE - SOUND);
	CHECK_EQ(files_count_suffixed(dir, ".torn"), 0);
	CHECK_EQ(stat(path, &st), 0);
	CHECK_EQ(st.st_size, SOUND);
}

/* Damage in the last segment with whole records behind: counted, saved, not appended to. */
static void test_records_behind(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct dw_report report;
	char path[160];

	for (int i = 0; i < 6; i++)
		stores_put(store, i == 1 ? "broken" : "key", "value");
	stores_close(store);
	(void)snprintf(path, sizeof path, "%s/00000001.dwal", dir);
	struct buf bytes = files_read(AT_FDCWD, path);
	bytes.data[36 + 30] ^= 1;
	files_remove_suffixed(dir, ".hint");
	files_write(AT_FDCWD, path, bytes.data, bytes.size);
	CHECK_EQ(dw_open(dir, NULL, &report, &store), 0);
	CHECK_EQ(report.damage, DW_DAMAGE_CRC);
	CHECK_EQ(report.offset, 36);
	CHECK_EQ(report.torn_bytes, bytes.size - 36);
	CHECK_EQ(report.records, 1);
	CHECK_EQ(report.records_behind, 4);
	stores_close(store);
	buf_release(&bytes);
}

/* Replace bytes of segment 1 in place while the store is open. */
static void overwrite(const char *dir, off_t at, const void *data, size_t size)
{
	char path[160];

	(void)snprintf(path, sizeof path, "%s/00000001.dwal", dir);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK_EQ(pwrite(fd, data, size, at), size);
	(void)close(fd);
}

static void note(void *context, const struct dw_finding *finding)
{
	*(struct dw_finding *)context = *finding;
}

static struct dw_store *open_noting(const char *dir, struct dw_finding *seen)
{
	const struct dw_options options = {.on_finding = note, .context = seen};
	struct dw_store *store = NULL;

	*seen = (struct dw_finding){0};
	CHECK_EQ(dw_open(dir, &options, NULL, &store), 0);
	return store;
}

static void expect_damage(struct dw_store *store, struct dw_finding *seen, enum dw_damage damage)
{
	struct dw_value value = {.size = 77};
	struct dw_verify_report report;
	struct dw_export *export = NULL;
	struct dw_ref ref;
	char byte, line[200];

	*seen = (struct dw_finding){0};
	CHECK_EQ(dw_get(store, stores_bytes("k"), &value), -EBADMSG);
	CHECK_EQ(value.size, 77);
	CHECK_EQ(seen->kind, DW_FINDING_DAMAGE);
	CHECK_EQ(seen->damage, damage);
	CHECK_EQ(seen->segment, 1);
	CHECK_EQ(seen->offset, 35);
	CHECK_EQ(dw_ref_get(store, stores_bytes("k"), &ref), 0);
	CHECK_EQ(dw_ref_read(store, &ref, stores_bytes("k"), &byte, 1, 0), -EBADMSG);
	dw_ref_put(store, &ref);
	stores_expect(store, "sound", "??");
	if (damage == DW_DAMAGE_KEY)
		return; /* the log is in order, only not what was asked for */
	CHECK_EQ(dw_verify(store, &report), -EBADMSG);
	CHECK_EQ(report.damaged, 1);
	CHECK_EQ(report.records, 2);
	CHECK_EQ(dw_export_open(store, &export), 0);
	CHECK_EQ(dw_export_read(export, line, sizeof line), -EBADMSG);
	dw_export_close(export);
}

/* "sound" at 0 (35 bytes), "k" at 35 (28 + 1 + 6), "k" again would be dead. */
static void test_read_notices(void)
{
	static const struct {
		off_t at;
		const char *bytes;
		enum dw_damage want;
	} cases[] = {
		{35 + 25, "V", DW_DAMAGE_CRC},   {35 + 30, "X", DW_DAMAGE_CRC},
		{35 + 32, "X", DW_DAMAGE_CRC},   {35, "d", DW_DAMAGE_MAGIC},
		{35 + 6, "\x02", DW_DAMAGE_KEY}, {35 + 24, "K", DW_DAMAGE_KEY},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *dir = stores_dir();
		struct dw_finding seen;
		struct dw_store *store = open_noting(dir, &seen);
		stores_put(store, "sound", "??");
		stores_put(store, "k", "valued");
		stores_put(store, "end", "");
		overwrite(dir, cases[i].at, cases[i].bytes, 1);
		struct dw_value value;
		CHECK_EQ(dw_get(store, stores_bytes("k"), &value), -EBADMSG);
		CHECK_EQ(seen.damage, cases[i].want);
		CHECK_EQ(seen.offset, 35);
		if (cases[i].want == DW_DAMAGE_CRC)
			expect_damage(store, &seen, cases[i].want);
		stores_close(store);
	}
}

/* A record that is sound, yet of another key of the same length. */
static void test_other_key(void)
{
	const char *dir = stores_dir();
	struct dw_finding seen;
	struct dw_store *store = open_noting(dir, &seen);
	const struct record_header header = {DW_PUT, 2, 1, 6};
	uint8_t bytes[64];

	stores_put(store, "sound", "??");
	stores_put(store, "k", "valued");
	record_encode(&header, "j", "valued", bytes);
	overwrite(dir, 35, bytes, (size_t)record_size(&header));
	expect_damage(store, &seen, DW_DAMAGE_KEY);
	stores_close(store);
}

/* A compaction that meets damage loses nothing. */
static void test_compact_refuses(void)
{
	const char *dir = stores_dir();
	struct dw_finding seen;
	struct dw_store *store = open_noting(dir, &seen);

	stores_put(store, "sound", "??");
	stores_put(store, "k", "valued");
	stores_put(store, "dead", "");
	stores_delete(store, "dead");
	CHECK_EQ(dw_rotate(store), 0);
	overwrite(dir, 35 + 30, "X", 1);
	CHECK_EQ(dw_compact(store, NULL), -EBADMSG);
	CHECK_EQ(seen.kind, DW_FINDING_DAMAGE);
	CHECK_EQ(seen.offset, 35);
	CHECK_EQ(files_count_suffixed(dir, "00000001.dwal"), 1);
	CHECK_EQ(files_count_suffixed(dir, ".compact"), 0);
	stores_expect(store, "sound", "??");
	stores_put(store, "more", "to come");
	stores_close(store);
}

static void test_no_segment_file(void)
{
	static const int wants[] = {-ELOOP, -EINVAL, -EINVAL};

	for (int kind = 0; kind < 3; kind++) {
		const char *dir = stores_dir();
		struct dw_store *store = stores_open(dir, 0);
		char path[160], other[160];
		int fds = stores_fd_count();
		stores_close(store);
		(void)snprintf(path, sizeof path, "%s/00000001.dwal", dir);
		(void)snprintf(other, sizeof other, "%s/other", dir);
		CHECK_EQ(rename(path, other), 0);
		if (kind == 0)
			CHECK_EQ(symlink("other", path), 0);
		else if (kind == 1)
			CHECK_EQ(mkfifo(path, 0600), 0);
		else
			CHECK_EQ(mkdir(path, 0700), 0);
		const struct dw_options reader = {.read_only = true};
		/* of the last segment, opened for writing, a directory says so itself */
		int rc = dw_open(dir, NULL, NULL, &store);
		CHECK(rc == wants[kind] || (kind == 2 && rc == -EISDIR));
		CHECK_EQ(dw_open(dir, &reader, NULL, &store), wants[kind]);
		CHECK(stores_fd_count() <= fds);
	}
}

/* A segment that is cut off under an open store: each read says so, none dies of it. */
static void test_cut_while_open(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	uint8_t *noise = stores_noise(3, 300000), *got = malloc(300000);
	const struct dw_bytes large = stores_bytes("large");
	struct dw_value value;
	struct dw_ref ref;
	char path[PATH_MAX];

	stores_put(store, "small", "value");
	CHECK_EQ(dw_put(store, large, (struct dw_bytes){noise, 300000}), 0);
	CHECK_EQ(dw_rotate(store), 0);
	stores_expect(store, "small", "value");
	CHECK_EQ(dw_ref_get(store, large, &ref), 0);
	CHECK_EQ(dw_ref_read(store, &ref, large, got, 1000, 100), 1000);
	CHECK(!memcmp(got, noise + 100, 1000));
	(void)snprintf(path, sizeof path, "%s/00000001.dwal", dir);
	CHECK_EQ(truncate(path, 0), 0);
	CHECK_EQ(dw_ref_read(store, &ref, large, got, 1000, 200000), -EBADMSG);
	CHECK_EQ(dw_get(store, large, &value), -EBADMSG);
	CHECK_EQ(dw_get(store, stores_bytes("small"), &value), -EBADMSG);
	dw_ref_put(store, &ref);
	stores_put(store, "small", "again");
	stores_expect(store, "small", "again");
	CHECK_EQ(dw_close(store), -ESTALE); /* a clean end would say that all is there */
	free(noise);
	free(got);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"damage_table_last", test_table_last},
		{"damage_table_earlier", test_table_earlier},
		{"damage_zero_tail", test_zero_tail},
		{"damage_records_behind", test_records_behind},
		{"damage_read_notices", test_read_notices},
		{"damage_other_key", test_other_key},
		{"damage_compact_refuses", test_compact_refuses},
		{"damage_no_segment_file", test_no_segment_file},
		{"damage_cut_while_open", test_cut_while_open},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
