/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_run.c - engine/index: writing runs, and reading them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "tests/support/faultio.h"
#include "tests/support/files.h"
#include "tests/support/runs.h"
#include "tests/support/stores.h"

static const struct run_place put = {.segment = 3, .value_size = 5, .offset = 77, .change = 1};

static int open_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

static struct dw_bytes text(const char *s)
{
	return (struct dw_bytes){s, strlen(s)};
}

static struct runwriter *start(int dirfd)
{
	const struct runwriter_options options = {.id = 1, .seed = RUNS_SEED};
	struct runwriter *writer;

	CHECK_EQ(runwriter_open(&io_posix, dirfd, &options, &writer), 0);
	return writer;
}

/* --- writing --- */

static void test_nothing(void)
{
	struct rng rng = check_rng();
	struct runs_array none = {0};
	int dirfd = open_dir(check_dir());
	struct run *run;

	CHECK_EQ(run_open(&io_posix, dirfd, 1, &run), -ENOENT);
	CHECK_EQ(runs_write(&io_posix, dirfd, 1, 0, &none), 0);
	CHECK_EQ(run_open(&io_posix, dirfd, 1, &run), 0);
	CHECK_EQ(runs_check(run, &none, &rng, false), 0);
	CHECK_EQ(run_figures(run)->keys, 0);
	CHECK_EQ(run_figures(run)->size, 2 * RUN_PAGE_SIZE);
	run_unref(run);
	(void)close(dirfd);
}

static void test_figures(void)
{
	int dirfd = open_dir(check_dir());
	struct runwriter *writer = start(dirfd);
	const struct run_place gone = {.tombstone = true, .change = -1};
	const struct run_place again = {.segment = 1};
	struct run *run;

	CHECK_EQ(runwriter_add(writer, text(""), &put), 0);
	CHECK_EQ(runwriter_add(writer, text("a/b"), &put), 0);
	CHECK_EQ(runwriter_add(writer, text("a/c"), &gone), 0);
	CHECK_EQ(runwriter_add(writer, text("a/d"), &put), 0);
	CHECK_EQ(runwriter_add(writer, text("e"), &again), 0);
	CHECK_EQ(runwriter_finish(writer, true), 0);
	uint64_t size = runwriter_size(writer);
	runwriter_free(writer);
	CHECK_EQ(run_open(&io_posix, dirfd, 1, &run), 0);
	const struct run_figures *figures = run_figures(run);
	CHECK_EQ(figures->id, 1);
	CHECK_EQ(figures->seed, RUNS_SEED);
	CHECK_EQ(figures->size, size);
	CHECK_EQ(figures->keys, 5);
	CHECK_EQ(figures->tombstones, 1);
	CHECK_EQ(figures->change, 2);
	CHECK_EQ(figures->key_bytes, 10);
	int64_t change, newest;
	CHECK_EQ(run_below(run, text("a"), &change, &newest), -EINVAL);
	CHECK_EQ(run_below(run, text("a/"), &change, &newest), 0);
	CHECK_EQ(change, 1);
	run_unref(run);
	(void)close(dirfd);
}

/* A key that may not be added ends the writer, and nothing is left. */
static void refuse(struct dw_bytes key, const struct run_place *place)
{
	const char *dir = check_dir();
	int dirfd = open_dir(dir);
	struct runwriter *writer = start(dirfd);

	CHECK_EQ(runwriter_add(writer, text("m"), &put), 0);
	CHECK_EQ(runwriter_add(writer, key, place), -EINVAL);
	CHECK_EQ(runwriter_add(writer, text("z"), &put), -EINVAL);
	CHECK_EQ(runwriter_finish(writer, true), -EINVAL);
	CHECK_EQ(files_count_suffixed(dir, ".run"), 1);
	runwriter_free(writer);
	CHECK_EQ(files_count_suffixed(dir, ".run"), 0);
	(void)close(dirfd);
}

static void test_refused(void)
{
	static char large[DW_KEY_SIZE_MAX + 1];
	const struct run_place put_less = {.change = -1}, put_more = {.change = 2};
	const struct run_place remove_more = {.tombstone = true, .change = 1};

	memset(large, 'n', sizeof large);
	refuse(text("m"), &put);
	refuse(text("l"), &put);
	refuse(text(""), &put);
	refuse((struct dw_bytes){large, sizeof large}, &put);
	refuse(text("n"), &put_less);
	refuse(text("n"), &put_more);
	refuse(text("n"), &remove_more);
}

static void test_given_up(void)
{
	const char *dir = check_dir();
	int dirfd = open_dir(dir), before = stores_fd_count();
	struct runwriter *writer = start(dirfd);

	CHECK_EQ(runwriter_add(writer, text("a"), &put), 0);
	CHECK_EQ(files_count_suffixed(dir, ".run.new"), 1);
	runwriter_free(writer);
	CHECK_EQ(files_count_suffixed(dir, ".run"), 0);
	CHECK_EQ(stores_fd_count(), before);
	runwriter_free(NULL);
	(void)close(dirfd);
}

/* A leftover of a crash, and a run of the same id, are replaced. */
static void test_replaced(void)
{
	struct rng rng = check_rng();
	const char *dir = check_dir();
	int dirfd = open_dir(dir);
	struct runs_array a = runs_make(&rng, RUNS_TREE, 100), b = runs_make(&rng, RUNS_FLAT, 100);
	struct run *run;

	files_write(dirfd, "00000001.run.new", "left", 4);
	CHECK_EQ(runs_write(&io_posix, dirfd, 1, 0, &a), 0);
	CHECK_EQ(run_open(&io_posix, dirfd, 1, &run), 0);
	CHECK_EQ(runs_write(&io_posix, dirfd, 1, 0, &b), 0);
	CHECK_EQ(files_count_suffixed(dir, ".run"), 1);
	CHECK_EQ(runs_check(run, &a, &rng, false), 0); /* it is still open */
	run_unref(run);
	CHECK_EQ(run_open(&io_posix, dirfd, 1, &run), 0);
	CHECK_EQ(runs_check(run, &b, &rng, false), 0);
	run_unref(run);
	runs_release(&a);
	runs_release(&b);
	(void)close(dirfd);
}

/* More keys than a chunk takes, in numbers and in bytes. */
static void test_many(void)
{
	enum { MANY = RUN_CHUNK_KEYS_MAX + 1000 };
	int dirfd = open_dir(check_dir());
	struct runwriter *writer = start(dirfd);
	struct run *run;
	char key[32];

	for (unsigned i = 0; i < MANY; i++) {
		(void)snprintf(key, sizeof key, "%08u", i);
		CHECK_EQ(runwriter_add(writer, text(key), &put), 0);
	}
	CHECK_EQ(runwriter_finish(writer, false), 0);
	runwriter_free(writer);
	CHECK_EQ(run_open(&io_posix, dirfd, 1, &run), 0);
	for (unsigned i = 0; i < MANY; i += 7) {
		struct run_place place;
		(void)snprintf(key, sizeof key, "%08u", i);
		CHECK_EQ(run_get(run, text(key), run_hash(RUNS_SEED, text(key)), &place), 1);
	}
	CHECK_EQ(run_verify(run), 0);
	run_unref(run);
	(void)close(dirfd);
}

/* Long keys fill the pages of a chunk long before it has its number of keys. */
static void test_many_long(void)
{
	enum { MANY = 1100, SIZE = DW_KEY_SIZE_MAX };
	struct runs_array array = {calloc(MANY, sizeof *array.items), MANY};
	struct rng rng = check_rng();
	int dirfd = open_dir(check_dir());
	struct run *run;

	for (unsigned i = 0; i < MANY; i++) {
		array.items[i] = (struct runs_item){malloc(SIZE), SIZE, put};
		memset(array.items[i].key, 'k', SIZE);
		(void)snprintf((char *)array.items[i].key + SIZE - 9, 9, "%08u", i);
	}
	CHECK_EQ(runs_write(&io_posix, dirfd, 1, 0, &array), 0);
	CHECK_EQ(run_open(&io_posix, dirfd, 1, &run), 0);
	CHECK(run_figures(run)->size / RUN_PAGE_SIZE > 2 * RUN_DATA_PAGES_MAX);
	CHECK_EQ(runs_check(run, &array, &rng, false), 0);
	run_unref(run);
	runs_release(&array);
	(void)close(dirfd);
}

/* A key of slashes alone has as many directories as it has bytes, and costs time in proportion. */
static void test_deep(void)
{
	enum { KEYS = 8, SIZE = DW_KEY_SIZE_MAX };
	int dirfd = open_dir(check_dir());
	struct runwriter *writer = start(dirfd);
	char *key = malloc(SIZE);
	struct run *run;
	int64_t change, newest;

	CHECK(key != NULL);
	for (int i = 0; i < KEYS; i++) {
		memset(key, '/', SIZE);
		key[0] = (char)('a' + i);
		CHECK_EQ(runwriter_add(writer, (struct dw_bytes){key, SIZE}, &put), 0);
	}
	CHECK_EQ(runwriter_finish(writer, true), 0);
	runwriter_free(writer);
	CHECK_EQ(run_open(&io_posix, dirfd, 1, &run), 0);
	for (size_t size = 2; size < SIZE; size += 997) {
		CHECK_EQ(run_below(run, (struct dw_bytes){key, size}, &change, &newest), 0);
		CHECK_EQ(change, 1);
	}
	CHECK_EQ(run_below(run, (struct dw_bytes){key, SIZE}, &change, &newest), 0);
	CHECK_EQ(change, 0);
	run_unref(run);
	free(key);
	(void)close(dirfd);
}

/* A key that looks in the hash as another one does, and ends or begins as it, is another one. */
static void test_alike(void)
{
	enum { KEYS = 10 }; /* one line */
	int dirfd = open_dir(check_dir()), alike = 0;
	struct runwriter *writer = start(dirfd);
	struct run_place place;
	char key[16];
	struct run *run;

	for (int i = 0; i < KEYS; i++) {
		(void)snprintf(key, sizeof key, "pr%d", i);
		CHECK_EQ(runwriter_add(writer, text(key), &put), 0);
	}
	CHECK_EQ(runwriter_finish(writer, true), 0);
	runwriter_free(writer);
	CHECK_EQ(run_open(&io_posix, dirfd, 1, &run), 0);
	for (int n = 0; n < 1 << 16; n++)
		for (int i = 0; i < KEYS; i++) {
			const uint8_t bytes[3] = {(uint8_t)n, (uint8_t)(n >> 8),
						  (uint8_t)('0' + i)};
			struct dw_bytes other = {bytes, sizeof bytes};
			uint64_t hash = run_hash(RUNS_SEED, other);
			bool same = !memcmp(bytes, "pr", 2);
			CHECK_EQ(run_get(run, other, hash, &place), same);
			(void)snprintf(key, sizeof key, "pr%d", i);
			alike += !same && !((run_hash(RUNS_SEED, text(key)) ^ hash) & RUN_TAG_MASK);
		}
	CHECK(alike > 100);
	run_unref(run);
	(void)close(dirfd);
}

/* --- system calls that fail --- */

/* Each call in turn says that the disk is full: nothing is left, and another try does it. */
static void test_writer_faults(void)
{
	struct rng rng = check_rng();
	struct runs_array array = runs_make(&rng, RUNS_FLAT, 60000);
	const char *dir = check_dir();
	int dirfd = open_dir(dir), before = stores_fd_count();
	struct faultio fault;
	struct run *run;

	for (uint64_t n = 1;; n++) {
		faultio_init(&fault);
		faultio_arm(&fault, FAULTIO_ERROR, ENOSPC, n);
		int rc = runs_write(&fault.io, dirfd, 1, 0, &array);
		CHECK_EQ(stores_fd_count(), before);
		if (!fault.hit) {
			CHECK_EQ(rc, 0);
			CHECK(n > 5);
			break;
		}
		CHECK_EQ(rc, -ENOSPC);
		/* the directory's sync is the last call, when the run has its name */
		bool named = !strcmp(fault.where, "fsync");
		CHECK_EQ(files_count_suffixed(dir, ".run.new"), 0);
		CHECK_EQ(files_count_suffixed(dir, ".run"), named);
		files_remove_suffixed(dir, ".run");
	}
	CHECK_EQ(run_open(&io_posix, dirfd, 1, &run), 0);
	CHECK_EQ(runs_check(run, &array, &rng, false), 0);
	run_unref(run);
	runs_release(&array);
	(void)close(dirfd);
}

static void test_reader_faults(void)
{
	struct rng rng = check_rng();
	struct runs_array array = runs_make(&rng, RUNS_TREE, 500);
	int dirfd = open_dir(check_dir()), before = stores_fd_count();
	struct faultio fault;
	struct run *run;

	CHECK_EQ(runs_write(&io_posix, dirfd, 1, 100, &array), 0);
	for (uint64_t n = 1;; n++) {
		faultio_init(&fault);
		fault.io.map = NULL;
		faultio_arm(&fault, FAULTIO_ERROR, EIO, n);
		int rc = run_open(&fault.io, dirfd, 1, &run);
		if (!rc) {
			CHECK_EQ(runs_check(run, &array, &rng, false), 0);
			run_unref(run);
		}
		CHECK_EQ(stores_fd_count(), before);
		if (!fault.hit)
			break;
		CHECK(rc == -EIO || (!rc && !strcmp(fault.where, "close")));
	}
	runs_release(&array);
	(void)close(dirfd);
}

/* --- what is no run --- */

static void test_no_run(void)
{
	struct rng rng = check_rng();
	struct runs_array array = runs_make(&rng, RUNS_FLAT, 100);
	int dirfd = open_dir(check_dir());
	struct run *run;

	CHECK_EQ(runs_write(&io_posix, dirfd, 1, 0, &array), 0);
	CHECK_EQ(symlinkat("00000001.run", dirfd, "00000002.run"), 0);
	CHECK_EQ(run_open(&io_posix, dirfd, 2, &run), -ELOOP);
	CHECK_EQ(mkdirat(dirfd, "00000003.run", 0700), 0);
	CHECK_EQ(run_open(&io_posix, dirfd, 3, &run), -EBADMSG);
	CHECK_EQ(mkfifoat(dirfd, "00000004.run", 0600), 0);
	CHECK_EQ(run_open(&io_posix, dirfd, 4, &run), -EBADMSG);
	CHECK_EQ(renameat(dirfd, "00000001.run", dirfd, "00000005.run"), 0);
	CHECK_EQ(run_open(&io_posix, dirfd, 5, &run), -EBADMSG); /* it says 1 */
	CHECK_EQ(unlinkat(dirfd, "00000003.run", AT_REMOVEDIR), 0);
	runs_release(&array);
	(void)close(dirfd);
}

/* --- cursors --- */

/* The key stays while the cursor does not move, and the run while the cursor is there. */
static void test_cursor(void)
{
	int dirfd = open_dir(check_dir());
	struct runwriter *writer = start(dirfd);
	struct run_cursor cursor;
	struct dw_bytes key;
	struct run_place place;
	struct run *run;

	CHECK_EQ(runwriter_add(writer, text("a"), &put), 0);
	CHECK_EQ(runwriter_add(writer, text("b/c"), &put), 0);
	CHECK_EQ(runwriter_add(writer, text("b/d"), &put), 0);
	CHECK_EQ(runwriter_finish(writer, true), 0);
	runwriter_free(writer);
	CHECK_EQ(run_open(&io_posix, dirfd, 1, &run), 0);
	CHECK_EQ(run_cursor_init(&cursor, run), 0);
	run_unref(run);
	CHECK_EQ(run_cursor_next(&cursor, &key, &place), 1);
	CHECK(key.size == 1 && !memcmp(key.data, "a", 1));
	CHECK_EQ(place.offset, put.offset);
	CHECK_EQ(run_cursor_seek(&cursor, text("b0")), 0);
	CHECK_EQ(run_cursor_next(&cursor, &key, &place), 0);
	CHECK(key.size == 1); /* untouched */
	CHECK_EQ(run_cursor_seek(&cursor, text("b/")), 0);
	CHECK_EQ(run_cursor_next(&cursor, &key, &place), 1);
	CHECK(key.size == 3 && !memcmp(key.data, "b/c", 3));
	CHECK_EQ(run_cursor_seek(&cursor, text("")), 0);
	CHECK_EQ(run_cursor_next(&cursor, &key, &place), 1);
	CHECK_EQ(run_cursor_next(&cursor, &key, &place), 1);
	CHECK_EQ(run_cursor_next(&cursor, &key, &place), 1);
	CHECK_EQ(run_cursor_next(&cursor, &key, &place), 0);
	run_cursor_release(&cursor);
	struct run_cursor unused = {0};
	run_cursor_release(&unused);
	(void)close(dirfd);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"run_nothing", test_nothing},
		{"run_figures", test_figures},
		{"run_refused", test_refused},
		{"run_given_up", test_given_up},
		{"run_replaced", test_replaced},
		{"run_many", test_many},
		{"run_many_long", test_many_long},
		{"run_deep", test_deep},
		{"run_alike", test_alike},
		{"run_writer_faults", test_writer_faults},
		{"run_reader_faults", test_reader_faults},
		{"run_no_run", test_no_run},
		{"run_cursor", test_cursor},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
