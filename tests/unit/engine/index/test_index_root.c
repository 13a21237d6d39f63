/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_index_root.c - when the files of an index are used, and when not: changes by other programs
 * in between, and damage.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "codec/segname.h"
#include "tests/support/files.h"
#include "tests/support/indexworld.h"
#include "tests/support/runs.h"
#include "tests/support/stores.h"

/* A world with three segments, a few runs and a checkpoint, in `dir`. */
struct scene {
	struct indexworld w;
	char dir[256];
	int dirfd;
	struct rng rng;
	size_t strays; /* runs that do not begin as one */
};

static struct scene *scene_new(void)
{
	struct scene *s = calloc(1, sizeof *s);

	CHECK(s != NULL);
	s->rng = check_rng();
	(void)snprintf(s->dir, sizeof s->dir, "%s", stores_dir());
	s->dirfd = open(s->dir, O_RDONLY | O_DIRECTORY);
	world_init(&s->w, &io_posix, s->dirfd);
	for (int part = 0; part < 3; part++) {
		for (int i = 0; i < 200; i++)
			world_change(&s->w, &s->rng);
		CHECK_EQ(world_checkpoint(&s->w), 0);
		if (part < 2)
			world_rotate(&s->w);
	}
	CHECK(s->w.segments.count >= 3);
	return s;
}

static void scene_free(struct scene *s)
{
	world_release(&s->w);
	CHECK_EQ(close(s->dirfd), 0);
	free(s);
}

/* 1: it is believed, and right; -1: it is not. */
static int opened(struct scene *s)
{
	char copy[256];

	(void)snprintf(copy, sizeof copy, "%s", stores_dir());
	files_copy(s->dir, copy);
	int rc = world_is_saved(&s->w, copy, &s->w.saved);
	/* rejected files are removed, so that no later opening uses them */
	if (rc == -1) {
		CHECK_EQ(files_count_suffixed(copy, ".run"), s->strays);
		CHECK_EQ(files_count_suffixed(copy, SEGNAME_INDEX), 0);
	}
	return rc;
}

static void set_mtime(const char *path, const struct stat *st, long more)
{
	const struct timespec times[] = {st->st_atim,
					 {st->st_mtim.tv_sec, st->st_mtim.tv_nsec + more}};

	CHECK_EQ(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* Another file with the same bytes and time. */
static void replace(const char *path)
{
	char other[300];
	struct stat st;
	struct buf bytes = files_read(AT_FDCWD, path);

	CHECK_EQ(stat(path, &st), 0);
	(void)snprintf(other, sizeof other, "%s.other", path);
	files_write(AT_FDCWD, other, bytes.data, bytes.size);
	set_mtime(other, &st, 0);
	CHECK_EQ(rename(other, path), 0);
	buf_release(&bytes);
}

/* A byte is another one; the time stays. */
static void flip(const char *path, off_t from_end)
{
	struct stat st;
	uint8_t byte;
	int fd = open(path, O_RDWR);

	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(pread(fd, &byte, 1, st.st_size - from_end), 1);
	byte ^= 1;
	CHECK_EQ(pwrite(fd, &byte, 1, st.st_size - from_end), 1);
	CHECK_EQ(close(fd), 0);
	set_mtime(path, &st, 0);
}

static void grow(const char *path, off_t more, bool timed)
{
	struct stat st;

	CHECK_EQ(stat(path, &st), 0);
	CHECK_EQ(truncate(path, st.st_size + more), 0);
	set_mtime(path, &st, timed ? 1 : 0);
}

static void add_empty(const struct scene *s, uint32_t id)
{
	char name[SEGNAME_SIZE];

	segname_format(id, name);
	int fd = openat(s->w.segment_dirfd, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	CHECK(fd >= 0);
	CHECK_EQ(close(fd), 0);
}

static void test_untouched(void)
{
	struct scene *s = scene_new();

	CHECK_EQ(opened(s), 1);
	scene_free(s);
}

/* Changes to a segment, number `i`; the last one, 2 of 3, is that of the position. */
enum deed { TOUCH, REPLACE, FLIP, GROW, CUT, REMOVE, ADD_BELOW, ADD_ABOVE, ADD_FIRST };

static void do_to(const struct scene *s, enum deed deed, size_t i)
{
	char path[256];
	struct stat st;

	world_segment_path(&s->w, i, path);
	CHECK_EQ(stat(path, &st), 0);
	switch (deed) {
	case TOUCH: set_mtime(path, &st, 1); break;
	case REPLACE: replace(path); break;
	case FLIP: flip(path, 1); break;
	case GROW: grow(path, 8, false); break;
	case CUT: grow(path, -1, false); break;
	case REMOVE: CHECK_EQ(unlink(path), 0); break;
	case ADD_FIRST: add_empty(s, 1); break;
	case ADD_BELOW: add_empty(s, s->w.segments.items[i]->id - 1); break;
	case ADD_ABOVE: add_empty(s, s->w.segments.items[i]->id + 1); break;
	}
}

static void test_foreign(void)
{
	static const struct {
		enum deed deed;
		int sealed, last; /* opened() after the change of a sealed one, of the last */
	} deeds[] = {
		{TOUCH, -1, 1},      {REPLACE, -1, -1},  {FLIP, -1, -1},
		{GROW, -1, 1},       {CUT, -1, -1},      {REMOVE, -1, -1},
		{ADD_BELOW, -1, -1}, {ADD_ABOVE, -1, 1}, {ADD_FIRST, -1, -1},
	};

	for (size_t i = 0; i < sizeof deeds / sizeof *deeds; i++)
		for (int last = 0; last < 2; last++) {
			struct scene *s = scene_new();
			size_t which = last ? s->w.segments.count - 1 : 1;
			do_to(s, deeds[i].deed, which);
			CHECK_EQ(opened(s), last ? deeds[i].last : deeds[i].sealed);
			scene_free(s);
		}
}

/* A segment that no key is in may go; it was compacted. */
static void test_compacted(void)
{
	struct scene *s = scene_new();

	world_compact(&s->w);
	CHECK_EQ(opened(s), 1);
	scene_free(s);
}

/* --- runs --- */

static void run_paths(const struct scene *s, char ret[4][600], size_t *count_ret)
{
	struct files files = files_snapshot(s->dir);

	*count_ret = 0;
	for (size_t i = 0; i < files.count && *count_ret < 4; i++)
		if (strstr(files.items[i].name, ".run"))
			(void)snprintf(ret[(*count_ret)++], 600, "%s/%s", s->dir,
				       files.items[i].name);
	files_release(&files);
	CHECK(*count_ret >= 2);
}

/* The same keys and places, with the same seed and id, written once more. */
static void write_again(const struct scene *s, const char *path)
{
	const struct run_figures *figures = run_figures(s->w.index.version->parts.runs[0]);
	const struct runwriter_options options = {.id = figures->id, .seed = figures->seed};
	const char *dir = stores_dir();
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY);
	struct run_cursor cursor;
	struct runwriter *writer;
	struct run_place place;
	struct dw_bytes key;
	char name[SEGNAME_SIZE];

	CHECK_EQ(run_cursor_init(&cursor, s->w.index.version->parts.runs[0]), 0);
	CHECK_EQ(runwriter_open(&io_posix, dirfd, &options, &writer), 0);
	while (run_cursor_next(&cursor, &key, &place) == 1)
		CHECK_EQ(runwriter_add(writer, key, &place), 0);
	CHECK_EQ(runwriter_finish(writer, true), 0);
	runwriter_free(writer);
	run_cursor_release(&cursor);
	segname_format_run(options.id, name);
	struct buf bytes = files_read(dirfd, name);
	CHECK_EQ(bytes.size, figures->size);
	CHECK(strstr(path, name) != NULL);
	files_write(AT_FDCWD, path, bytes.data, bytes.size);
	buf_release(&bytes);
	CHECK_EQ(close(dirfd), 0);
}

/* Missing, cut, another one's under its name, or one of the same name that says the same. */
static void test_runs(void)
{
	for (int deed = 0; deed < 4; deed++) {
		struct scene *s = scene_new();
		char paths[4][600];
		size_t count;
		run_paths(s, paths, &count);
		if (deed == 0) {
			CHECK_EQ(unlink(paths[0]), 0);
		} else if (deed == 1) {
			grow(paths[1], -RUN_PAGE_SIZE, false);
		} else if (deed == 2) {
			struct buf bytes = files_read(AT_FDCWD, paths[1]);
			files_write(AT_FDCWD, paths[0], bytes.data, bytes.size);
			buf_release(&bytes);
		} else {
			write_again(s, paths[count - 1]); /* the newest */
		}
		CHECK_EQ(opened(s), -1);
		scene_free(s);
	}
}

/* Each page of each run zeroed, one at a time: the answer is right, or that it is damaged, or
 * none of the runs is believed; never that a key is not there. */
static void test_damaged_pages(void)
{
	struct scene *s = scene_new();
	char paths[4][600];
	size_t count;
	unsigned said[3] = {0};

	run_paths(s, paths, &count);
	for (size_t i = 0; i < count; i++) {
		struct buf bytes = files_read(AT_FDCWD, paths[i]);
		uint8_t page[RUN_PAGE_SIZE];
		for (size_t at = 0; at < bytes.size; at += sizeof page) {
			memcpy(page, bytes.data + at, sizeof page);
			memset(bytes.data + at, 0, sizeof page);
			files_write(AT_FDCWD, paths[i], bytes.data, bytes.size);
			memcpy(bytes.data + at, page, sizeof page);
			s->strays = !at;
			int rc = opened(s);
			CHECK(rc == 1 || rc == -1 || rc == -EBADMSG);
			said[rc == 1 ? 0 : rc == -1 ? 1 : 2]++;
		}
		files_write(AT_FDCWD, paths[i], bytes.data, bytes.size);
		buf_release(&bytes);
	}
	s->strays = 0;
	CHECK_EQ(opened(s), 1);
	printf("  right %u, not believed %u, damaged %u\n", said[0], said[1], said[2]);
	CHECK(said[1] + said[2] > 0);
	scene_free(s);
}

/* A page that was sound when it was touched first, and is not any more. */
static void test_verify(void)
{
	struct scene *s = scene_new();
	char paths[4][600];
	size_t count;

	s->w.index.resident_max = 0; /* of what is held in memory the file does not matter */
	for (int i = 0; i < 100; i++)
		world_change(&s->w, &s->rng);
	CHECK_EQ(world_checkpoint(&s->w), 0);
	CHECK(!run_is_resident(s->w.index.version->parts.runs[0]));
	world_look(&s->w, &s->rng);
	CHECK_EQ(index_verify(&s->w.index, NULL), 0);
	CHECK(!index_is_damaged(&s->w.index));
	run_paths(s, paths, &count);
	flip(paths[count - 1], RUN_PAGE_SIZE + 1); /* the newest */
	CHECK_EQ(index_verify(&s->w.index, NULL), -EBADMSG);
	CHECK(index_is_damaged(&s->w.index));
	scene_free(s);
}

/* Another bit, another size, another kind of file. */
static void test_index_file(void)
{
	struct scene *s = scene_new();
	char path[300];

	(void)snprintf(path, sizeof path, "%s/%s", s->dir, SEGNAME_INDEX);
	flip(path, 9);
	CHECK_EQ(opened(s), -1);
	flip(path, 9);
	CHECK_EQ(opened(s), 1);
	grow(path, 1, false);
	CHECK_EQ(opened(s), -1);
	grow(path, -1, false);
	CHECK_EQ(unlink(path), 0);
	CHECK_EQ(symlink("elsewhere", path), 0);
	CHECK_EQ(opened(s), -1);
	scene_free(s);
}

/* Runs without a name in `index` go when a writer opens, and their ids are not given again: those
 * that are come from the widest gap, whatever names there are. */
static void test_leftovers(void)
{
	static const struct {
		uint32_t id, next, end;
		const char *start;
		bool goes;
	} leftovers[] = {
		{777, 778, SEGMENT_ID_MAX + 1, "DWRN....", true},
		{777, 778, SEGMENT_ID_MAX + 1, "DWRX....", false},
		{777, 778, SEGMENT_ID_MAX + 1, "DWRN", false},
		{SEGMENT_ID_MAX, 4, SEGMENT_ID_MAX, "DWRN....", true},
		{SEGMENT_ID_MAX, 4, SEGMENT_ID_MAX, "", false},
		{70000000, 4, 70000000, "", false},
	};

	for (size_t i = 0; i < sizeof leftovers / sizeof *leftovers; i++) {
		struct scene *s = scene_new();
		char path[300];
		(void)snprintf(path, sizeof path, "%s/%08u.run", s->dir, leftovers[i].id);
		files_write(AT_FDCWD, path, leftovers[i].start, strlen(leftovers[i].start));
		CHECK(world_reopen(&s->w));
		CHECK_EQ(access(path, F_OK) < 0, leftovers[i].goes);
		CHECK_EQ(s->w.index.next_run, leftovers[i].next);
		CHECK_EQ(s->w.index.run_end, leftovers[i].end);
		scene_free(s);
	}
}

/* Without the file the index goes on in memory; the next checkpoint makes it again. */
static void test_disown(void)
{
	struct scene *s = scene_new();

	CHECK_EQ(index_disown(&s->w.index), 0);
	CHECK_EQ(opened(s), -1);
	world_look(&s->w, &s->rng);
	CHECK_EQ(world_checkpoint(&s->w), 0);
	CHECK_EQ(opened(s), 1);
	scene_free(s);
}

/* No id is left before the next file that is there: it is not written over. */
static void test_no_id(void)
{
	struct scene *s = scene_new();

	s->w.index.run_end = s->w.index.next_run;
	world_set(&s->w, 1, true);
	CHECK_EQ(world_checkpoint(&s->w), -EOVERFLOW);
	CHECK_EQ(opened(s), 1);
	scene_free(s);
}

/* While a log is replayed there are runs, and no file that names them: it would lack keys,
 * unnoticed. */
static void test_runs_only(void)
{
	struct scene *s = scene_new();
	const struct index_position nowhere = {.segment = 0};

	for (size_t i = 0; i < WORLD_KEYS; i++)
		if (s->w.now.places[i].segment)
			world_set(&s->w, i, true);
	CHECK_EQ(index_checkpoint_begin(&s->w.index, &s->w.segments, &nowhere), 0);
	CHECK_EQ(index_checkpoint_write(&s->w.index, NULL), 0);
	CHECK_EQ(opened(s), -1);
	CHECK_EQ(index_join(&s->w.index, NULL), 1);
	CHECK_EQ(opened(s), -1);
	scene_free(s);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"index_untouched", test_untouched},
		{"index_foreign", test_foreign},
		{"index_compacted", test_compacted},
		{"index_runs", test_runs},
		{"index_damaged_pages", test_damaged_pages},
		{"index_file", test_index_file},
		{"index_leftovers", test_leftovers},
		{"index_no_id", test_no_id},
		{"index_disown", test_disown},
		{"index_runs_only", test_runs_only},
		{"index_verify", test_verify},
		{NULL, NULL},
	};

	return check_main(argc, argv, tests);
}
