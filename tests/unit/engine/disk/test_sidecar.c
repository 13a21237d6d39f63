/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_sidecar.c - stores whose hints do not fit their segments: of another log, older, newer,
 * of a copy, or all that is left of a segment.
 *
 * A hint must never hide a key or invent one; what it proves to be lost must be told by name;
 * and no sound store may look damaged.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "store/store.h"
#include "tests/support/check.h"
#include "tests/support/files.h"
#include "tests/support/page.h"
#include "tests/support/stores.h"

enum { TIME_S = 1700000000 };

/* What opening or repairing said. */
struct told {
	unsigned damage, sidecars, lost, kinds[DW_DAMAGE_HINT + 1];
	uint64_t records_lost;
	char keys[400]; /* of LOST, each with its dw_left and a blank behind */
	char damaged_key[40];
	char text[400]; /* of the last finding of damage */
};

static void note(void *context, const struct dw_finding *finding)
{
	struct told *told = context;
	size_t at = strlen(told->keys);

	switch (finding->kind) {
	case DW_FINDING_DAMAGE:
		told->damage++;
		told->kinds[finding->damage]++;
		told->records_lost += finding->records_lost;
		(void)snprintf(told->damaged_key, sizeof told->damaged_key, "%.*s",
			       (int)finding->key.size, (const char *)finding->key.data);
		(void)dw_finding_text(finding, told->text, sizeof told->text);
		break;
	case DW_FINDING_LOST:
		told->lost++;
		(void)snprintf(told->keys + at, sizeof told->keys - at, "%.*s:%d ",
			       (int)finding->key.size, (const char *)finding->key.data,
			       (int)finding->left);
		break;
	case DW_FINDING_SIDECAR: told->sidecars++; break;
	default: break;
	}
}

static int open_telling(const char *dir, bool read_only, struct told *told, struct dw_store **ret)
{
	const struct dw_options options = {
		.read_only = read_only, .on_finding = note, .context = told};

	*told = (struct told){0};
	*ret = NULL;
	return dw_open(dir, &options, NULL, ret);
}

static void put_at(struct dw_store *store, const char *key, const char *value, int64_t second)
{
	const struct dw_op op = {.type = DW_PUT,
				 .key = stores_bytes(key),
				 .value = stores_bytes(value),
				 .mtime_set = true,
				 .mtime_ns = (TIME_S + second) * 1000000000};

	CHECK_EQ(dw_batch(store, &op, 1), 0);
}

static int64_t second_of(struct dw_store *store, const char *key)
{
	struct dw_stat stat;

	CHECK_EQ(dw_stat(store, stores_bytes(key), &stat), 0);
	return stat.mtime_ns / 1000000000 - TIME_S;
}

/* Three segments, closed: a key or two in each, told apart by `letter`.  The last record of each
 * segment is the same whatever the letter. */
static void make_store(const char *dir, char letter)
{
	struct dw_store *store = stores_open(dir, 0);
	char key[3] = {letter, '0', '\0'};

	for (int i = 0; i < 3; i++) {
		key[1] = (char)('1' + i);
		put_at(store, key, "value", i);
		put_at(store, "end", "of it", 10 + i);
		if (i < 2)
			CHECK_EQ(dw_rotate(store), 0);
	}
	stores_close(store);
}

/* In place, as cp(1) does. */
static void copy_over(const char *from, const char *to, const char *name)
{
	struct buf bytes = files_read(AT_FDCWD, stores_path(from, name));

	files_write(AT_FDCWD, stores_path(to, name), bytes.data, bytes.size);
	buf_release(&bytes);
}

static void expect_three(const char *dir, char letter, bool read_only)
{
	struct told told;
	struct dw_store *store;
	char key[3] = {letter, '0', '\0'};

	CHECK_EQ(open_telling(dir, read_only, &told, &store), 0);
	CHECK_EQ(told.damage, 0);
	CHECK_EQ(dw_count(store), 4);
	for (key[1] = '1'; key[1] <= '3'; key[1]++)
		stores_expect(store, key, "value");
	stores_expect(store, "end", "of it");
	stores_close(store);
}

/* A hint of another log whose last record happens to be that of the segment. */
static void test_fits_by_chance(void)
{
	static const char *const names[] = {"00000001.dwal", "00000002.dwal", "00000003.dwal"};

	for (int which = 0; which < 8; which++) {
		const char *dir = stores_dir(), *other = stores_dir();
		make_store(dir, 'a');
		make_store(other, 'b');
		for (int i = 0; i < 3; i++)
			copy_over(other, dir, names[i]);
		if (which & 1) /* a reader first: it changes nothing */
			expect_three(dir, 'b', true);
		if (which & 2)
			expect_three(dir, 'b', false);
		struct dw_store *store = stores_open(dir, 0);
		if (which & 4)
			CHECK_EQ(dw_compact(store, NULL), 0);
		stores_close(store);
		expect_three(dir, 'b', false);
		files_remove_suffixed(dir, ".hint"); /* what any other reader sees */
		expect_three(dir, 'b', true);
	}
}

/* Hints of other segments of the same store, and of other moments of the same segment. */
static void test_swapped(void)
{
	const char *dir = stores_dir();

	make_store(dir, 'a');
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY);
	CHECK_EQ(renameat2(dirfd, "00000001.hint", dirfd, "00000002.hint", RENAME_EXCHANGE), 0);
	(void)close(dirfd);
	expect_three(dir, 'a', true);
	expect_three(dir, 'a', false);
	expect_three(dir, 'a', false);
}

/* A sealed segment, or one that was closed, holds less than it did: told, nothing changed, and
 * after a repair the store goes on. */
static void check_loss(const char *dir, enum dw_damage damage, const char *open_keys,
		       const char *repair_keys)
{
	for (int read_only = 1; read_only >= 0; read_only--) {
		struct files before = files_snapshot(dir);
		struct told told;
		struct dw_store *store;
		CHECK_EQ(open_telling(dir, read_only, &told, &store), -EBADMSG);
		CHECK_EQ(told.damage, 1);
		CHECK_EQ(told.kinds[damage], 1);
		CHECK(!strcmp(told.keys, open_keys));
		CHECK(strstr(told.text, "datawal repair") != NULL);
		struct files after = files_snapshot(dir);
		CHECK(files_equal(&before, &after));
		files_release(&before);
		files_release(&after);
	}
	for (int do_it = 0; do_it < 3; do_it++) {
		struct told told = {0};
		const struct dw_options options = {.on_finding = note, .context = &told};
		struct dw_repair_report report;
		CHECK_EQ(dw_repair(dir, do_it, &options, NULL, NULL, &report), 0);
		CHECK_EQ(report.segments_short, do_it < 2);
		CHECK(!strcmp(told.keys, do_it < 2 ? repair_keys : ""));
		CHECK_EQ(report.keys_lost, told.lost);
	}
	CHECK_EQ(files_count_suffixed(dir, ".hint.lost-"), 1);
	struct told told;
	struct dw_store *store;
	for (int read_only = 1; read_only >= 0; read_only--) {
		CHECK_EQ(open_telling(dir, read_only, &told, &store), 0);
		CHECK_EQ(told.damage + told.lost + told.sidecars, 0);
		stores_close(store);
	}
}

static void test_emptied(void)
{
	const char *dir = stores_dir();

	make_store(dir, 'a');
	CHECK_EQ(truncate(stores_path(dir, "00000002.dwal"), 0), 0);
	check_loss(dir, DW_DAMAGE_SHORTENED, "a2:0 end:0 ", "a2:1 ");
	struct dw_store *store = stores_open(dir, 0);
	stores_expect(store, "a1", "value");
	stores_expect(store, "a2", NULL);
	stores_expect(store, "a3", "value");
	CHECK_EQ(second_of(store, "a1"), 0);
	CHECK_EQ(second_of(store, "a3"), 2);
	stores_close(store);
}

static void test_cut(void)
{
	const char *dir = stores_dir();

	make_store(dir, 'a');
	CHECK_EQ(truncate(stores_path(dir, "00000001.dwal"), 28 + 2 + 5), 0);
	check_loss(dir, DW_DAMAGE_SHORTENED, "end:0 ", "");
	struct dw_store *store = stores_open(dir, 0);
	CHECK_EQ(dw_count(store), 4);
	CHECK_EQ(second_of(store, "a1"), 0); /* what is left keeps its time */
	stores_close(store);
}

static void test_removed(void)
{
	for (int i = 1; i <= 3; i++) {
		const char *dir = stores_dir();
		char name[32], keys[40], lost[40];
		make_store(dir, 'a');
		(void)snprintf(name, sizeof name, "0000000%d.dwal", i);
		CHECK_EQ(unlink(stores_path(dir, name)), 0);
		(void)snprintf(keys, sizeof keys, "a%d:0 end:0 ", i);
		(void)snprintf(lost, sizeof lost, i == 3 ? "a%d:1 end:3 " : "a%d:1 ", i);
		check_loss(dir, DW_DAMAGE_MISSING, keys, lost);
	}
}

/* The last segment: closed in order, all of it was on disk. */
static void test_last_cut(void)
{
	const char *dir = stores_dir();

	make_store(dir, 'a');
	CHECK_EQ(truncate(stores_path(dir, "00000003.dwal"), 28 + 2 + 5), 0);
	check_loss(dir, DW_DAMAGE_SHORTENED, "end:0 ", "end:3 ");
	dir = stores_dir();
	make_store(dir, 'a');
	CHECK_EQ(truncate(stores_path(dir, "00000003.dwal"), 28 + 2 + 5 + 3), 0);
	struct told told;
	struct dw_store *store;
	for (int read_only = 0; read_only < 2; read_only++) {
		CHECK_EQ(open_telling(dir, read_only, &told, &store), -EBADMSG);
		CHECK_EQ(told.kinds[DW_DAMAGE_TRUNCATED], 1);
		CHECK(!strcmp(told.damaged_key, "end"));
	}
	/* bytes behind what was closed are a torn tail as ever */
	dir = stores_dir();
	make_store(dir, 'a');
	struct buf bytes = files_read(AT_FDCWD, stores_path(dir, "00000003.dwal"));
	CHECK_EQ(buf_add(&bytes, "DWAL\1\0\1", 7), 0);
	files_write(AT_FDCWD, stores_path(dir, "00000003.dwal"), bytes.data, bytes.size);
	buf_release(&bytes);
	expect_three(dir, 'a', true);
	expect_three(dir, 'a', false);
}

/* What was not synced may be gone, though the hint knows of it. */
static void test_unsynced(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	char key[64];

	/* so many that blocks are written before the end */
	for (int i = 0; i < 3000; i++) {
		(void)snprintf(key, sizeof key, "a key of some length, number %d", i);
		put_at(store, key, "", i);
	}
	stores_kill(store);
	CHECK_EQ(truncate(stores_path(dir, "00000001.dwal"), 28 + 30), 0);
	struct told told;
	for (int read_only = 1; read_only >= 0; read_only--) {
		CHECK_EQ(open_telling(dir, read_only, &told, &store), 0);
		CHECK_EQ(told.damage + told.sidecars, 0);
		CHECK_EQ(dw_count(store), 1);
		CHECK_EQ(second_of(store, "a key of some length, number 0"), 0);
		stores_close(store);
	}
	/* nor does a hint prove anything that is left without its segment, unsealed */
	dir = stores_dir();
	store = stores_open(dir, 0);
	for (int i = 0; i < 3000; i++) {
		(void)snprintf(key, sizeof key, "a key of some length, number %d", i);
		put_at(store, key, "", i);
	}
	stores_kill(store);
	CHECK_EQ(unlink(stores_path(dir, "00000001.dwal")), 0);
	CHECK_EQ(open_telling(dir, false, &told, &store), 0);
	CHECK_EQ(told.damage, 0);
	stores_close(store);
}

/* cp -a, rsync -a: other inodes, the same bytes.  Read once, times kept. */
static void test_copied(void)
{
	const char *dir = stores_dir(), *copy = stores_dir();
	struct files files;

	make_store(dir, 'a');
	files = files_snapshot(dir);
	files_restore(&files, copy);
	files_release(&files);
	for (int round = 0; round < 3; round++) {
		struct dw_store *store = NULL;
		struct told told;
		CHECK_EQ(open_telling(copy, !round, &told, &store), 0);
		CHECK_EQ(told.damage + told.sidecars, 0);
		CHECK_EQ(second_of(store, "a1"), 0);
		CHECK_EQ(second_of(store, "a2"), 1);
		CHECK_EQ(second_of(store, "a3"), 2);
		CHECK_EQ(second_of(store, "end"), 12);
		/* the second writer finds hints that are bound */
		for (size_t i = 0; round == 2 && i < 3; i++)
			CHECK(store->core->segments.items[i]->hinted > 0);
		for (size_t i = 0; round < 2 && i < 3; i++)
			CHECK_EQ(store->core->segments.items[i]->hinted, 0);
		stores_close(store);
	}
}

/* An older copy of the segments beside newer hints: what they know more is lost, by name. */
static void test_older_copy(void)
{
	const char *dir = stores_dir(), *backup = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct files files;
	struct told told;

	put_at(store, "a", "one", 0);
	stores_close(store);
	files = files_snapshot(dir);
	files_restore(&files, backup);
	files_release(&files);
	store = stores_open(dir, 0);
	put_at(store, "a", "two", 1);
	put_at(store, "b", "one", 2);
	stores_close(store);
	copy_over(backup, dir, "00000001.dwal");
	CHECK_EQ(open_telling(dir, false, &told, &store), -EBADMSG);
	CHECK(!strcmp(told.keys, "a:0 b:0 "));
	struct dw_repair_report report;
	const struct dw_options options = {.on_finding = note, .context = &told};
	told = (struct told){0};
	CHECK_EQ(dw_repair(dir, true, &options, NULL, NULL, &report), 0);
	CHECK(!strcmp(told.keys, "a:3 b:1 "));
	store = stores_open(dir, 0);
	stores_expect(store, "a", "one");
	CHECK_EQ(second_of(store, "a"), 0);
	stores_close(store);
	/* ... and other records were appended to it since: another log, and no damage */
	store = stores_open(dir, 0);
	put_at(store, "c", "one", 3);
	stores_close(store);
	store = stores_open(backup, 0);
	put_at(store, "d", "another", 4);
	stores_close(store);
	copy_over(backup, dir, "00000001.dwal");
	CHECK_EQ(open_telling(dir, false, &told, &store), 0);
	CHECK_EQ(told.sidecars, 1);
	CHECK_EQ(second_of(store, "a"), 0);
	stores_close(store);
	/* what it knew is put aside, beside what the repair did */
	CHECK_EQ(files_count_suffixed(dir, ".hint.lost-"), 2);
}

/* A compacted copy in the place of the segments, all hints left: another log. */
static void test_exchanged(void)
{
	for (int read_first = 0; read_first < 2; read_first++) {
		const char *dir = stores_dir(), *fresh = stores_dir();
		struct dw_store *store;
		struct told told;
		make_store(dir, 'a');
		store = stores_open(dir, 0);
		CHECK_EQ(dw_compact_to(store, fresh), 0);
		stores_close(store);
		files_remove_suffixed(dir, ".dwal");
		copy_over(fresh, dir, "00000001.dwal");
		if (read_first) {
			CHECK_EQ(open_telling(dir, true, &told, &store), 0);
			CHECK_EQ(told.sidecars, 1);
			stores_close(store);
		}
		CHECK_EQ(open_telling(dir, false, &told, &store), 0);
		CHECK_EQ(told.damage, 0);
		CHECK_EQ(told.sidecars, 3); /* one that is not used, two that are removed */
		stores_close(store);
		expect_three(dir, 'a', false);
		CHECK_EQ(open_telling(dir, false, &told, &store), 0);
		CHECK_EQ(told.sidecars, 0);
		stores_close(store);
	}
}

/* A removal that is lost brings the value back, and that is said. */
static void test_undeleted(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);

	put_at(store, "kept", "v", 0);
	put_at(store, "gone", "v", 0);
	put_at(store, "empty", "", 0);
	CHECK_EQ(dw_rotate(store), 0);
	stores_delete(store, "gone");
	stores_delete(store, "never there");
	put_at(store, "empty", "full", 1);
	CHECK_EQ(dw_append_raw(store, stores_bytes("raw"), stores_bytes("x")), 0);
	CHECK_EQ(dw_rotate(store), 0);
	stores_close(store);
	CHECK_EQ(unlink(stores_path(dir, "00000002.dwal")), 0);
	check_loss(dir, DW_DAMAGE_MISSING, "empty:0 gone:0 never there:0 ", "empty:2 gone:4 ");
}

/* Damaged bytes are told with their key: by the hint, or by their own word. */
static void test_key_of_damage(void)
{
	for (int hinted = 0; hinted < 2; hinted++) {
		for (int part = 0; part < 2; part++) {
			const char *dir = stores_dir();
			struct told told;
			struct dw_store *store;
			make_store(dir, 'a');
			struct buf bytes = files_read(AT_FDCWD, stores_path(dir, "00000002.dwal"));
			bytes.data[part ? 0 : 28] ^= 0xff; /* the magic, or the value */
			files_write(AT_FDCWD, stores_path(dir, "00000002.dwal"), bytes.data,
				    bytes.size);
			buf_release(&bytes);
			if (!hinted)
				files_remove_suffixed(dir, ".hint");
			CHECK_EQ(open_telling(dir, true, &told, &store), -EBADMSG);
			CHECK(!strcmp(told.damaged_key, hinted || !part ? "a2" : ""));
			CHECK(!strstr(told.text, "'a2'") == !told.damaged_key[0]);
			told = (struct told){0};
			const struct dw_options options = {.on_finding = note, .context = &told};
			struct dw_repair_report report;
			CHECK_EQ(dw_repair(dir, true, &options, NULL, NULL, &report), 0);
			CHECK(!strcmp(told.keys, hinted || !part ? "a2:1 " : ""));
			CHECK_EQ(open_telling(dir, false, &told, &store), 0);
			CHECK_EQ(told.damage + told.sidecars, 0);
			CHECK_EQ(dw_count(store), 3);
			if (hinted)
				CHECK_EQ(second_of(store, "a3"), 2);
			stores_close(store);
		}
	}
}

/* Whoever reads everything finds a hint that lies, however well it is bound. */
static void test_lies(void)
{
	for (int how = 0; how < 3; how++) {
		const char *dir = stores_dir(), *other = stores_dir();
		struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {0}};
		struct told told;
		struct dw_store *store;
		struct stat st;
		make_store(dir, 'a');
		make_store(other, 'b');
		CHECK_EQ(stat(stores_path(dir, "00000001.dwal"), &st), 0);
		copy_over(other, dir, "00000001.dwal");
		times[1] = st.st_mtim;
		CHECK_EQ(utimensat(AT_FDCWD, stores_path(dir, "00000001.dwal"), times, 0), 0);
		CHECK_EQ(open_telling(dir, false, &told, &store), 0);
		CHECK(store->core->segments.items[0]->hinted > 0);
		struct dw_verify_report report;
		if (how == 0) {
			CHECK_EQ(dw_compact(store, NULL), -EBADMSG);
			CHECK_EQ(told.kinds[DW_DAMAGE_HINT], 1);
			CHECK(!strcmp(told.damaged_key, "b1"));
		} else if (how == 1) {
			CHECK_EQ(dw_verify(store, &report), -EBADMSG);
			CHECK_EQ(told.kinds[DW_DAMAGE_HINT], 1);
		}
		stores_close(store);
		told = (struct told){0};
		const struct dw_options options = {.on_finding = note, .context = &told};
		struct dw_repair_report repaired;
		CHECK_EQ(dw_repair(dir, true, &options, NULL, NULL, &repaired), 0);
		CHECK_EQ(open_telling(dir, false, &told, &store), 0);
		stores_expect(store, "b1", "value");
		CHECK_EQ(dw_compact(store, NULL), 0);
		stores_expect(store, "b1", "value");
		stores_close(store);
	}
}

/* Hints of earlier versions: their times count, and they prove nothing. */
static void test_layout_1(void)
{
	static const uint8_t hint[] = {
		0x44, 0x57, 0x48, 0x54, 0x01, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0xdb, 0x06,
		0xf5, 0xdb, 0x44, 0x57, 0x48, 0x42, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x00, 0xda, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x06, 0x00,
		0x00, 0x00, 0x54, 0x00, 0x00, 0x00, 0xb5, 0xde, 0xa3, 0x58, 0x16, 0xe1, 0xef, 0x9b,
		0x01, 0x07, 0x03, 0x02, 0x80, 0x80, 0xa8, 0x96, 0xe0, 0x85, 0x88, 0xa6, 0x2f, 0x75,
		0x73, 0x65, 0x72, 0x73, 0x2f, 0x31, 0x01, 0x07, 0x03, 0x02, 0x80, 0x89, 0x7a, 0x75,
		0x73, 0x65, 0x72, 0x73, 0x2f, 0x32, 0x01, 0x07, 0x06, 0x02, 0x80, 0x89, 0x7a, 0x75,
		0x73, 0x65, 0x72, 0x73, 0x2f, 0x31, 0x02, 0x07, 0x00, 0x02, 0x80, 0x89, 0x7a, 0x75,
		0x73, 0x65, 0x72, 0x73, 0x2f, 0x32, 0x00, 0x04, 0x02, 0x02, 0x80, 0x89, 0x7a, 0x6e,
		0x6f, 0x74, 0x65, 0x01, 0x04, 0x00, 0x02, 0x80, 0x89, 0x7a, 0x74, 0x6d, 0x70, 0x2f};
	struct buf segment = page_fenced("\n```hex\n");
	const char *dir = stores_dir();
	struct dw_store *store;
	struct dw_stat stat;
	struct told told;

	for (int round = 0; round < 4; round++) {
		if (round % 2 == 0) {
			files_write(AT_FDCWD, stores_path(dir, "00000001.dwal"), segment.data,
				    segment.size);
			files_write(AT_FDCWD, stores_path(dir, "00000001.hint"), hint, sizeof hint);
			if (round == 2) /* not the last one */
				files_write(AT_FDCWD, stores_path(dir, "00000002.dwal"), "", 0);
		}
		CHECK_EQ(open_telling(dir, false, &told, &store), 0);
		CHECK_EQ(told.damage + told.sidecars, 0);
		CHECK_EQ(dw_stat(store, stores_bytes("tmp/"), &stat), 0);
		CHECK_EQ(stat.mtime_ns, 1704067200005000000);
		CHECK_EQ(store->core->segments.items[0]->hinted, round % 2 ? segment.size : 0);
		stores_close(store);
	}
	/* nothing is lost by its word */
	files_write(AT_FDCWD, stores_path(dir, "00000001.dwal"), segment.data, 38);
	files_write(AT_FDCWD, stores_path(dir, "00000001.hint"), hint, sizeof hint);
	CHECK_EQ(open_telling(dir, false, &told, &store), 0);
	CHECK_EQ(dw_count(store), 1);
	stores_close(store);
	CHECK_EQ(unlink(stores_path(dir, "00000001.dwal")), 0);
	files_write(AT_FDCWD, stores_path(dir, "00000001.hint"), hint, sizeof hint);
	CHECK_EQ(open_telling(dir, false, &told, &store), 0);
	CHECK_EQ(told.damage, 0);
	CHECK(access(stores_path(dir, "00000001.hint"), F_OK) < 0);
	stores_close(store);
	buf_release(&segment);
}

/* --- a writer at work while others read --- */

struct busy {
	struct io io; /* first: the engine hands it back */
	struct dw_store *writer;
	int lists, at; /* before listing so often, the writer goes on */
	bool compacts;
	const char *name; /* and compacts before this one is opened */
};

static int busy_open(struct io *io, int dirfd, const char *name, int flags, mode_t mode)
{
	struct busy *busy = (struct busy *)io;

	if (busy->name && !strcmp(name, busy->name)) {
		busy->name = NULL;
		CHECK_EQ(dw_compact(busy->writer, NULL), 0);
	}
	return io_posix.open(&io_posix, dirfd, name, flags, mode);
}

static int busy_list(struct io *io, int dirfd, io_name_fn *visit, void *context)
{
	struct busy *busy = (struct busy *)io;

	if (++busy->lists == busy->at) {
		put_at(busy->writer, "more", "of it", 0);
		CHECK_EQ(dw_rotate(busy->writer), 0);
		put_at(busy->writer, "still more", "of it", 0);
		CHECK_EQ(dw_rotate(busy->writer), 0);
		if (busy->compacts)
			CHECK_EQ(dw_compact(busy->writer, NULL), 0);
	}
	return io_posix.list(&io_posix, dirfd, visit, context);
}

static void test_live_reader(void)
{
	const struct dw_options reading = {.read_only = true};

	for (int i = 0; i < 21; i++) {
		const char *dir = stores_dir();
		struct busy busy = {.io = io_posix,
				    .at = 1 + i / 3,
				    .compacts = i % 3 == 1,
				    .name = i % 3 == 2 ? "00000004.dwal" : NULL};
		struct dw_store *store = NULL;
		make_store(dir, 'a');
		busy.writer = stores_open(dir, 0);
		put_at(busy.writer, "more", "at first", 0);
		busy.io.list = busy_list;
		busy.io.open = busy_open;
		CHECK_EQ(store_open(&busy.io, dir, &reading, NULL, &store), 0);
		for (int k = 1; k <= 3; k++) {
			char key[3] = {'a', (char)('0' + k), '\0'};
			stores_expect(store, key, "value");
		}
		stores_close(store);
		stores_close(busy.writer);
	}
}

/* --- what must be on disk before what --- */

struct ordered {
	struct io io;         /* first: the engine hands it back */
	bool hints_gone;      /* a hint was unlinked, and the directory not synced since */
	int new_fd, segments; /* of a hint beside; unlinked */
	bool new_synced;
	int placed;
	bool refuses_lost; /* no hint can be put aside */
};

static int ordered_open(struct io *io, int dirfd, const char *name, int flags, mode_t mode)
{
	struct ordered *o = (struct ordered *)io;
	int fd = io_posix.open(&io_posix, dirfd, name, flags, mode);

	if (strstr(name, ".hint.new")) {
		o->new_fd = fd;
		o->new_synced = false;
	}
	return fd;
}

static int ordered_fdatasync(struct io *io, int fd)
{
	struct ordered *o = (struct ordered *)io;

	o->new_synced = o->new_synced || fd == o->new_fd;
	return io_posix.fdatasync(&io_posix, fd);
}

static int ordered_fsync(struct io *io, int fd)
{
	((struct ordered *)io)->hints_gone = false;
	return io_posix.fsync(&io_posix, fd);
}

static int ordered_rename(struct io *io, int dirfd, const char *from, const char *to)
{
	struct ordered *o = (struct ordered *)io;

	if (o->refuses_lost && strstr(to, ".hint.lost-"))
		return -EIO;
	if (strstr(from, ".hint.new")) {
		CHECK(o->new_synced);
		o->placed++;
	}
	return io_posix.rename(&io_posix, dirfd, from, to);
}

static int ordered_unlink(struct io *io, int dirfd, const char *name)
{
	struct ordered *o = (struct ordered *)io;
	int rc = io_posix.unlink(&io_posix, dirfd, name);

	if (!rc && !strcmp(name + 8, ".hint"))
		o->hints_gone = true;
	if (!rc && !strcmp(name + 8, ".dwal")) {
		CHECK(!o->hints_gone);
		o->segments++;
	}
	return rc;
}

static struct ordered ordered_io(void)
{
	struct ordered o = {.io = io_posix, .new_fd = -1};

	o.io.open = ordered_open;
	o.io.fdatasync = ordered_fdatasync;
	o.io.fsync = ordered_fsync;
	o.io.rename = ordered_rename;
	o.io.unlink = ordered_unlink;
	return o;
}

static void test_order(void)
{
	const char *dir = stores_dir(), *copy = stores_dir();
	const struct dw_options writing = {.read_only = false};
	struct ordered o = ordered_io();
	struct dw_store *store = NULL;

	make_store(dir, 'a');
	struct files files = files_snapshot(dir);
	files_restore(&files, copy);
	files_release(&files);
	CHECK_EQ(store_open(&o.io, copy, &writing, NULL, &store), 0);
	CHECK_EQ(o.placed, 3);
	CHECK_EQ(dw_compact(store, NULL), 0);
	CHECK_EQ(o.segments, 3);
	stores_close(store);
}

/* Segments were exchanged, and opening fails half way: still nothing is missing. */
static void test_exchanged_failed(void)
{
	const char *dir = stores_dir(), *fresh = stores_dir();
	const struct dw_options writing = {.read_only = false};
	struct ordered o = ordered_io();
	struct dw_store *store;
	struct told told;

	make_store(dir, 'a');
	store = stores_open(dir, 0);
	CHECK_EQ(dw_compact_to(store, fresh), 0);
	stores_close(store);
	files_remove_suffixed(dir, ".dwal");
	copy_over(fresh, dir, "00000001.dwal");
	files_write(AT_FDCWD, stores_path(dir, "00000004.dwal"), "", 0);
	o.refuses_lost = true;
	for (int i = 0; i < 2; i++)
		CHECK_EQ(store_open(&o.io, dir, &writing, NULL, &store), -EIO);
	CHECK_EQ(open_telling(dir, false, &told, &store), 0);
	CHECK_EQ(told.damage, 0);
	CHECK_EQ(told.sidecars, 3);
	stores_close(store);
	expect_three(dir, 'a', false);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"sidecar_fits_by_chance", test_fits_by_chance},
		{"sidecar_swapped", test_swapped},
		{"sidecar_emptied", test_emptied},
		{"sidecar_cut", test_cut},
		{"sidecar_removed", test_removed},
		{"sidecar_last_cut", test_last_cut},
		{"sidecar_unsynced", test_unsynced},
		{"sidecar_copied", test_copied},
		{"sidecar_older_copy", test_older_copy},
		{"sidecar_exchanged", test_exchanged},
		{"sidecar_undeleted", test_undeleted},
		{"sidecar_key_of_damage", test_key_of_damage},
		{"sidecar_lies", test_lies},
		{"sidecar_layout_1", test_layout_1},
		{"sidecar_live_reader", test_live_reader},
		{"sidecar_order", test_order},
		{"sidecar_exchanged_failed", test_exchanged_failed},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
