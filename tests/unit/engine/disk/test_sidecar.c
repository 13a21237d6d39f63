/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_sidecar.c - stores with hints that do not fit their segments: of another log, older, newer,
 * of a copy.
 *
 * A hint must never hide a key or invent one; and no sound store may look damaged.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store.h"
#include "tests/support/files.h"
#include "tests/support/page.h"
#include "tests/support/sidecars.h"
#include "tests/support/stores.h"

/* A hint of another log whose last record happens to be that of the segment. */
static void test_fits_by_chance(void)
{
	static const char *const names[] = {"00000001.dwal", "00000002.dwal", "00000003.dwal"};

	for (int which = 0; which < 8; which++) {
		const char *dir = stores_dir(), *other = stores_dir();
		sidecars_make(dir, 'a');
		sidecars_make(other, 'b');
		for (int i = 0; i < 3; i++)
			sidecars_copy_over(other, dir, names[i]);
		if (which & 1) /* a reader first: it changes nothing */
			sidecars_expect(dir, 'b', true);
		if (which & 2)
			sidecars_expect(dir, 'b', false);
		struct dw_store *store = stores_open(dir, 0);
		if (which & 4)
			CHECK_EQ(dw_compact(store, NULL), 0);
		stores_close(store);
		sidecars_expect(dir, 'b', false);
		files_remove_suffixed(dir, ".hint"); /* the view of a reader without hints */
		sidecars_expect(dir, 'b', true);
	}
}

/* Hints of other segments of the same store, and of other moments of the same segment. */
static void test_swapped(void)
{
	const char *dir = stores_dir();

	sidecars_make(dir, 'a');
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY);
	CHECK_EQ(renameat2(dirfd, "00000001.hint", dirfd, "00000002.hint", RENAME_EXCHANGE), 0);
	(void)close(dirfd);
	sidecars_expect(dir, 'a', true);
	sidecars_expect(dir, 'a', false);
	sidecars_expect(dir, 'a', false);
}

/* cp -a, rsync -a: other inodes, the same bytes.  Read once, times kept. */
static void test_copied(void)
{
	const char *dir = stores_dir(), *copy = stores_dir();
	struct files files;

	sidecars_make(dir, 'a');
	files = files_snapshot(dir);
	files_restore(&files, copy);
	files_release(&files);
	for (int round = 0; round < 3; round++) {
		struct dw_store *store = NULL;
		struct sidecars_told told;
		CHECK_EQ(sidecars_open(copy, !round, &told, &store), 0);
		CHECK_EQ(told.damage + told.sidecars, 0);
		CHECK_EQ(sidecars_second_of(store, "a1"), 0);
		CHECK_EQ(sidecars_second_of(store, "a2"), 1);
		CHECK_EQ(sidecars_second_of(store, "a3"), 2);
		CHECK_EQ(sidecars_second_of(store, "end"), 12);
		/* the second writer finds hints that are bound */
		for (size_t i = 0; round == 2 && i < 3; i++)
			CHECK(store->core->segments.items[i]->hinted > 0);
		for (size_t i = 0; round < 2 && i < 3; i++)
			CHECK_EQ(store->core->segments.items[i]->hinted, 0);
		stores_close(store);
	}
}

/* An older copy of the segments beside newer hints: keys that only the hints have are lost, by
 * name. */
static void test_older_copy(void)
{
	const char *dir = stores_dir(), *backup = stores_dir();
	struct dw_store *store = stores_open(dir, 0);
	struct files files;
	struct sidecars_told told;

	sidecars_put_at(store, "a", "one", 0);
	stores_close(store);
	files = files_snapshot(dir);
	files_restore(&files, backup);
	files_release(&files);
	store = stores_open(dir, 0);
	sidecars_put_at(store, "a", "two", 1);
	sidecars_put_at(store, "b", "one", 2);
	stores_close(store);
	sidecars_copy_over(backup, dir, "00000001.dwal");
	CHECK_EQ(sidecars_open(dir, false, &told, &store), -EBADMSG);
	CHECK(!strcmp(told.keys, "a:0 b:0 "));
	struct dw_repair_report report;
	const struct dw_options options = {.on_finding = sidecars_note, .context = &told};
	told = (struct sidecars_told){0};
	CHECK_EQ(dw_repair(dir, true, &options, NULL, NULL, &report), 0);
	CHECK(!strcmp(told.keys, "a:3 b:1 "));
	store = stores_open(dir, 0);
	stores_expect(store, "a", "one");
	CHECK_EQ(sidecars_second_of(store, "a"), 0);
	stores_close(store);
	/* ... and other records were appended to it since: another log, and no damage */
	store = stores_open(dir, 0);
	sidecars_put_at(store, "c", "one", 3);
	stores_close(store);
	store = stores_open(backup, 0);
	sidecars_put_at(store, "d", "another", 4);
	stores_close(store);
	sidecars_copy_over(backup, dir, "00000001.dwal");
	CHECK_EQ(sidecars_open(dir, false, &told, &store), 0);
	CHECK_EQ(told.sidecars, 1);
	CHECK_EQ(sidecars_second_of(store, "a"), 0);
	stores_close(store);
	/* the hint is put aside, beside the one of the repair */
	CHECK_EQ(files_count_suffixed(dir, ".hint.lost-"), 2);
}

/* A compacted copy in the place of the segments, all hints left: another log. */
static void test_exchanged(void)
{
	for (int read_first = 0; read_first < 2; read_first++) {
		const char *dir = stores_dir(), *fresh = stores_dir();
		struct dw_store *store;
		struct sidecars_told told;
		sidecars_make(dir, 'a');
		store = stores_open(dir, 0);
		CHECK_EQ(dw_compact_to(store, fresh), 0);
		stores_close(store);
		files_remove_suffixed(dir, ".dwal");
		sidecars_copy_over(fresh, dir, "00000001.dwal");
		if (read_first) {
			CHECK_EQ(sidecars_open(dir, true, &told, &store), 0);
			CHECK_EQ(told.sidecars, 1);
			stores_close(store);
		}
		CHECK_EQ(sidecars_open(dir, false, &told, &store), 0);
		CHECK_EQ(told.damage, 0);
		CHECK_EQ(told.sidecars, 3); /* one that is not used, two that are removed */
		stores_close(store);
		sidecars_expect(dir, 'a', false);
		CHECK_EQ(sidecars_open(dir, false, &told, &store), 0);
		CHECK_EQ(told.sidecars, 0);
		stores_close(store);
	}
}

/* Reading everything finds a hint that lies, however well it is bound. */
static void test_lies(void)
{
	for (int how = 0; how < 3; how++) {
		const char *dir = stores_dir(), *other = stores_dir();
		struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {0}};
		struct sidecars_told told;
		struct dw_store *store;
		struct stat st;
		sidecars_make(dir, 'a');
		sidecars_make(other, 'b');
		CHECK_EQ(stat(stores_path(dir, "00000001.dwal"), &st), 0);
		sidecars_copy_over(other, dir, "00000001.dwal");
		times[1] = st.st_mtim;
		CHECK_EQ(utimensat(AT_FDCWD, stores_path(dir, "00000001.dwal"), times, 0), 0);
		CHECK_EQ(sidecars_open(dir, false, &told, &store), 0);
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
		told = (struct sidecars_told){0};
		const struct dw_options options = {.on_finding = sidecars_note, .context = &told};
		struct dw_repair_report repaired;
		CHECK_EQ(dw_repair(dir, true, &options, NULL, NULL, &repaired), 0);
		CHECK_EQ(sidecars_open(dir, false, &told, &store), 0);
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
	struct sidecars_told told;

	for (int round = 0; round < 4; round++) {
		if (round % 2 == 0) {
			files_write(AT_FDCWD, stores_path(dir, "00000001.dwal"), segment.data,
				    segment.size);
			files_write(AT_FDCWD, stores_path(dir, "00000001.hint"), hint, sizeof hint);
			if (round == 2) /* not the last one */
				files_write(AT_FDCWD, stores_path(dir, "00000002.dwal"), "", 0);
		}
		CHECK_EQ(sidecars_open(dir, false, &told, &store), 0);
		CHECK_EQ(told.damage + told.sidecars, 0);
		CHECK_EQ(dw_stat(store, stores_bytes("tmp/"), &stat), 0);
		CHECK_EQ(stat.mtime_ns, 1704067200005000000);
		CHECK_EQ(store->core->segments.items[0]->hinted, round % 2 ? segment.size : 0);
		stores_close(store);
	}
	/* nothing is lost by its word */
	files_write(AT_FDCWD, stores_path(dir, "00000001.dwal"), segment.data, 38);
	files_write(AT_FDCWD, stores_path(dir, "00000001.hint"), hint, sizeof hint);
	CHECK_EQ(sidecars_open(dir, false, &told, &store), 0);
	CHECK_EQ(dw_count(store), 1);
	stores_close(store);
	CHECK_EQ(unlink(stores_path(dir, "00000001.dwal")), 0);
	files_write(AT_FDCWD, stores_path(dir, "00000001.hint"), hint, sizeof hint);
	CHECK_EQ(sidecars_open(dir, false, &told, &store), 0);
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
		sidecars_put_at(busy->writer, "more", "of it", 0);
		CHECK_EQ(dw_rotate(busy->writer), 0);
		sidecars_put_at(busy->writer, "still more", "of it", 0);
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
		sidecars_make(dir, 'a');
		busy.writer = stores_open(dir, 0);
		sidecars_put_at(busy.writer, "more", "at first", 0);
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

	sidecars_make(dir, 'a');
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
	struct sidecars_told told;

	sidecars_make(dir, 'a');
	store = stores_open(dir, 0);
	CHECK_EQ(dw_compact_to(store, fresh), 0);
	stores_close(store);
	files_remove_suffixed(dir, ".dwal");
	sidecars_copy_over(fresh, dir, "00000001.dwal");
	files_write(AT_FDCWD, stores_path(dir, "00000004.dwal"), "", 0);
	o.refuses_lost = true;
	for (int i = 0; i < 2; i++)
		CHECK_EQ(store_open(&o.io, dir, &writing, NULL, &store), -EIO);
	CHECK_EQ(sidecars_open(dir, false, &told, &store), 0);
	CHECK_EQ(told.damage, 0);
	CHECK_EQ(told.sidecars, 3);
	stores_close(store);
	sidecars_expect(dir, 'a', false);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"sidecar_fits_by_chance", test_fits_by_chance},
		{"sidecar_swapped", test_swapped},
		{"sidecar_copied", test_copied},
		{"sidecar_older_copy", test_older_copy},
		{"sidecar_exchanged", test_exchanged},
		{"sidecar_lies", test_lies},
		{"sidecar_layout_1", test_layout_1},
		{"sidecar_live_reader", test_live_reader},
		{"sidecar_order", test_order},
		{"sidecar_exchanged_failed", test_exchanged_failed},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
