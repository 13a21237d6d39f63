/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_run_damage.c - engine/index: whatever becomes of a run's bytes, an answer is right or
 * -EBADMSG; it is never "no such key" for one that is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/files.h"
#include "tests/support/runs.h"

static const char name[] = "00000001.run";

struct world {
	struct rng rng;
	int dirfd;
	struct runs_array array;
	struct buf good; /* the file as it was written */
};

static struct world make_world(enum runs_flavor flavor, size_t count, uint32_t chunk_keys)
{
	struct world w = {.rng = check_rng()};

	w.dirfd = open(check_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(w.dirfd >= 0);
	w.array = runs_make(&w.rng, flavor, count);
	CHECK_EQ(runs_write(&io_posix, w.dirfd, 1, chunk_keys, &w.array), 0);
	w.good = files_read(w.dirfd, name);
	return w;
}

static void release_world(struct world *w)
{
	runs_release(&w->array);
	buf_release(&w->good);
	(void)close(w->dirfd);
}

/* Ask the file that is there now for everything; how many answers were -EBADMSG. */
static size_t ask(struct world *w)
{
	struct run *run;
	int rc = run_open(&io_posix, w->dirfd, 1, &run);

	if (rc == -EBADMSG)
		return 1;
	CHECK_EQ(rc, 0);
	size_t bad = runs_check(run, &w->array, &w->rng, true);
	CHECK_EQ(run_verify(run), -EBADMSG);
	CHECK_EQ(run_make_resident(run), -EBADMSG);
	CHECK(run_is_damaged(run));
	run_unref(run);
	return bad;
}

static void write_back(struct world *w)
{
	files_write(w->dirfd, name, w->good.data, w->good.size);
}

/* Zero each page in turn: something needs it, and says so. */
static void zero_pages(enum runs_flavor flavor, size_t count, uint32_t chunk_keys)
{
	static const uint8_t zeros[RUN_PAGE_SIZE];
	struct world w = make_world(flavor, count, chunk_keys);
	bool seen[RUN_PAGE_END + 1] = {false};

	for (size_t at = 0; at < w.good.size; at += RUN_PAGE_SIZE) {
		uint8_t page[RUN_PAGE_SIZE];
		memcpy(page, w.good.data + at, sizeof page);
		memcpy(w.good.data + at, zeros, sizeof zeros);
		write_back(&w);
		memcpy(w.good.data + at, page, sizeof page);
		uint32_t kind = bytes_get32(page + RUN_PAYLOAD);
		CHECK(kind <= RUN_PAGE_END);
		seen[kind] = true;
		/* of very deep directories not all are asked for */
		bool needed = kind != RUN_PAGE_DIRECTORIES || flavor == RUNS_TREE;
		CHECK(ask(&w) > 0 || !needed);
	}
	for (int kind = RUN_PAGE_HEADER; kind <= RUN_PAGE_END; kind++)
		CHECK(seen[kind] || kind == RUN_PAGE_LONG || kind == RUN_PAGE_DIRECTORIES);
	CHECK(seen[RUN_PAGE_LONG] == (flavor == RUNS_LONG));
	release_world(&w);
}

static void test_zero_flat(void)
{
	zero_pages(RUNS_FLAT, 4000, 1500);
}

static void test_zero_tree(void)
{
	zero_pages(RUNS_TREE, 3000, 700);
}

static void test_zero_mixed(void)
{
	zero_pages(RUNS_MIXED, 800, 300);
}

static void test_zero_long(void)
{
	zero_pages(RUNS_LONG, 60, 20);
}

/* Any bit. */
static void test_bits(void)
{
	struct world w = make_world(RUNS_TREE, 800, 300);

	for (int n = 0; n < 400; n++) {
		uint64_t bit = rng_below(&w.rng, w.good.size * 8);
		w.good.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		write_back(&w);
		w.good.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CHECK(ask(&w) > 0);
	}
	release_world(&w);
}

/* A page that is sound, but another one's: of the same run, or of another with the same keys, as a
 * crash may leave it where blocks are used again. */
static void test_other_page(void)
{
	struct world w = make_world(RUNS_FLAT, 2000, 0);

	CHECK_EQ(runs_write(&io_posix, w.dirfd, 1, 0, &w.array), 0);
	struct buf other = files_read(w.dirfd, name);
	CHECK_EQ(other.size, w.good.size);
	for (size_t at = 0; at < w.good.size; at += RUN_PAGE_SIZE) {
		size_t from = at + RUN_PAGE_SIZE < w.good.size ? at + RUN_PAGE_SIZE : 0;
		uint8_t page[RUN_PAGE_SIZE];
		memcpy(page, w.good.data + at, sizeof page);
		memcpy(w.good.data + at, other.data + at, sizeof page);
		write_back(&w);
		CHECK(ask(&w) > 0);
		memcpy(w.good.data + at, page, sizeof page);
		memcpy(w.good.data + at, w.good.data + from, sizeof page);
		write_back(&w);
		CHECK(ask(&w) > 0);
		memcpy(w.good.data + at, page, sizeof page);
	}
	buf_release(&other);
	release_world(&w);
}

/* A file that ends early, at a page or within one, or goes on. */
static void test_sizes(void)
{
	struct world w = make_world(RUNS_TREE, 800, 300);
	struct run *run;

	for (size_t size = 0; size < w.good.size; size += RUN_PAGE_SIZE / 2) {
		files_write(w.dirfd, name, w.good.data, size);
		CHECK_EQ(run_open(&io_posix, w.dirfd, 1, &run), -EBADMSG);
	}
	CHECK_EQ(buf_reserve(&w.good, RUN_PAGE_SIZE), 0);
	memset(w.good.data + w.good.size, 0, RUN_PAGE_SIZE);
	files_write(w.dirfd, name, w.good.data, w.good.size + RUN_PAGE_SIZE);
	CHECK_EQ(run_open(&io_posix, w.dirfd, 1, &run), -EBADMSG);
	release_world(&w);
}

/* A file that is cut while it is mapped. */
static void test_cut(void)
{
	struct world w = make_world(RUNS_TREE, 500, 150);
	struct run *run;

	/* the last two pages were read when it was opened */
	for (size_t size = 0; size + 2 * RUN_PAGE_SIZE < w.good.size; size += 5 * RUN_PAGE_SIZE) {
		write_back(&w);
		CHECK_EQ(run_open(&io_posix, w.dirfd, 1, &run), 0);
		int fd = openat(w.dirfd, name, O_WRONLY | O_CLOEXEC);
		CHECK_EQ(ftruncate(fd, (off_t)size), 0);
		(void)close(fd);
		CHECK(runs_check(run, &w.array, &w.rng, true) > 0);
		CHECK_EQ(run_verify(run), -EBADMSG);
		CHECK_EQ(run_make_resident(run), -EBADMSG);
		run_unref(run);
	}
	release_world(&w);
}

/* A block copied before the file was cut is right to the end. */
static void test_cut_resident(void)
{
	struct world w = make_world(RUNS_TREE, 3000, 700);
	struct run *run;

	CHECK_EQ(run_open(&io_posix, w.dirfd, 1, &run), 0);
	CHECK_EQ(run_make_resident(run), 0);
	int fd = openat(w.dirfd, name, O_WRONLY | O_CLOEXEC);
	CHECK_EQ(ftruncate(fd, 0), 0);
	(void)close(fd);
	CHECK_EQ(runs_check(run, &w.array, &w.rng, false), 0);
	run_unref(run);
	release_world(&w);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"run_zero_pages_flat", test_zero_flat},
		{"run_zero_pages_tree", test_zero_tree},
		{"run_zero_pages_mixed", test_zero_mixed},
		{"run_zero_pages_long", test_zero_long},
		{"run_any_bit", test_bits},
		{"run_page_of_another", test_other_page},
		{"run_of_another_size", test_sizes},
		{"run_cut_while_mapped", test_cut},
		{"run_cut_when_resident", test_cut_resident},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
