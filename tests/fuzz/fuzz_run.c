/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fuzz_run.c - hostile bytes as a run: whatever they are, every answer is one that there is, in
 * bounded time and memory.
 *
 * The first byte is enum mode.  With PAGES the rest is pages: kind, size and bytes of the front,
 * size and bytes of the back, zeros between; they get right checksums.  Else it is the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index/run.h"
#include "index/runwriter.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/memio.h"

enum mode {
	PAGES = 1,
	ORDER = 2,  /* look-ups in front of the walk */
	NUMBER = 4, /* the last page has the right number of pages */
};

enum { PAGES_MAX = 40, KEYS_ASKED = 60, SEED = 5, AT_STAMP = 16, AT_PAGES = 4 };

static const char file_name[] = "00000001.run";

/* --- from an input to a file --- */

static void make_page(struct fuzz_input *in, uint8_t page[RUN_PAGE_SIZE])
{
	uint8_t kind = fuzz_byte(in);
	size_t front = fuzz_u16(in) % (RUN_PAYLOAD + 1);

	memset(page, 0, RUN_PAGE_SIZE);
	const uint8_t *bytes = fuzz_bytes(in, &front);
	if (front)
		memcpy(page, bytes, front);
	size_t back = fuzz_byte(in);
	bytes = fuzz_bytes(in, &back);
	if (back)
		memcpy(page + RUN_PAYLOAD - back, bytes, back);
	page[RUN_PAYLOAD] = kind;
}

static void make_file(struct fuzz_input *in, bool number, struct buf *ret)
{
	uint8_t page[RUN_PAGE_SIZE];
	uint64_t stamp = 0;

	for (uint32_t n = 0; in->size && n < PAGES_MAX; n++) {
		make_page(in, page);
		if (!n)
			stamp = bytes_get64(page + AT_STAMP);
		if (number && (!in->size || n + 1 == PAGES_MAX))
			bytes_put32(page + AT_PAGES, n + 1);
		run_page_seal(stamp, n, page[RUN_PAYLOAD], page);
		fuzz_add(ret, page, sizeof page);
	}
}

/* --- asking --- */

static void check_answer(struct run *run, int rc)
{
	FUZZ_CHECK(rc == 0 || rc == 1 || rc == -EBADMSG);
	FUZZ_CHECK(rc != -EBADMSG || run_is_damaged(run));
}

static void ask_for(struct run *run, struct dw_bytes key)
{
	const uint8_t *p = key.data;
	struct run_place place = {0};
	int64_t change, newest;

	check_answer(run, run_get(run, key, run_hash(run_figures(run)->seed, key), &place));
	FUZZ_CHECK(run_place_is_valid(&place));
	size_t asked = 0;
	for (size_t size = 1; size <= key.size && asked < 5; size++)
		if (p[size - 1] == '/') {
			check_answer(run,
				     run_below(run, (struct dw_bytes){p, size}, &change, &newest));
			asked++;
		}
}

/* Seek to a key of our own making, and look at some that follow. */
static void ask_from(struct run *run, struct run_cursor *cursor, struct dw_bytes key)
{
	struct dw_bytes next;
	struct run_place place;
	int rc = run_cursor_seek(cursor, key);

	check_answer(run, rc);
	for (int i = 0; i < 12; i++) {
		rc = run_cursor_next(cursor, &next, &place);
		check_answer(run, rc);
		if (rc <= 0)
			break;
		FUZZ_CHECK(next.size <= DW_KEY_SIZE_MAX);
	}
}

static void walk(struct run *run)
{
	uint64_t most = run_figures(run)->size / RUN_PAGE_SIZE * RUN_BLOCK_ENTRIES_MAX, seen = 0;
	struct run_cursor cursor, second;
	struct run_place place;
	struct dw_bytes key;
	int rc;

	FUZZ_CHECK(!run_cursor_init(&cursor, run) && !run_cursor_init(&second, run));
	while ((rc = run_cursor_next(&cursor, &key, &place)) == 1) {
		FUZZ_CHECK(key.size <= DW_KEY_SIZE_MAX && run_place_is_valid(&place));
		FUZZ_CHECK(++seen <= most);
		if (seen % 8 > 1 || seen / 8 > KEYS_ASKED)
			continue;
		ask_for(run, key);
		ask_from(run, &second, key);
	}
	check_answer(run, rc);
	run_cursor_release(&second);
	run_cursor_release(&cursor);
}

static void ask_some(struct run *run)
{
	static const char *const keys[] = {"",      "/",      "a",        "a/b",
					   "d/e/f", "file-7", "\xff\xff", "kk"};
	struct run_cursor cursor;

	FUZZ_CHECK(!run_cursor_init(&cursor, run));
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		struct dw_bytes key = {keys[i], strlen(keys[i])};
		ask_for(run, key);
		ask_from(run, &cursor, key);
	}
	run_cursor_release(&cursor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	struct memio *mem = memio_fresh();
	uint8_t mode = fuzz_byte(&in);
	struct buf file = {0};
	struct run *run;

	if (mode & PAGES)
		make_file(&in, mode & NUMBER, &file);
	else
		fuzz_add(&file, in.data, in.size);
	memio_put(mem, file_name, file.data, file.size);
	int dirfd = mem->io.open(&mem->io, AT_FDCWD, "/store", O_RDONLY | O_DIRECTORY, 0);
	FUZZ_CHECK(dirfd >= 0);
	int rc = run_open(&mem->io, dirfd, 1, &run);
	FUZZ_CHECK(!rc || rc == -EBADMSG);
	if (!rc) {
		if (mode & ORDER)
			ask_some(run);
		walk(run);
		ask_some(run);
		rc = run_verify(run);
		FUZZ_CHECK(!rc || run_is_damaged(run));
		run_unref(run);
	}
	(void)mem->io.close(&mem->io, dirfd);
	FUZZ_CHECK(memio_is_idle(mem));
	buf_release(&file);
	return 0;
}

/* --- seeds --- */

const unsigned fuzz_runs = 15000;

enum { SEEDS = 6 };

static void write_keys(struct runwriter *writer, size_t seed)
{
	static char key[5000];

	for (int i = 0; i < 12 + (int)seed * 8; i++) {
		struct run_place place = {.segment = 1, .offset = (uint64_t)(i * 77 % 50)};
		size_t size;
		place.tombstone = i % 5 == 4;
		place.change = (int8_t)(i % 3 ? 0 : place.tombstone ? -1 : 1);
		switch (seed) {
		case 0: size = (size_t)snprintf(key, sizeof key, "%04d", i); break;
		case 1:
			size = (size_t)snprintf(key, sizeof key, "d%02d/file-%d", i / 9, i % 9);
			break;
		case 2: /* one long key, and short ones */
			memset(key, 'k', sizeof key);
			size = i == 3 ? sizeof key : 1;
			key[0] = (char)('a' + i);
			break;
		default:
			memset(key, '/', sizeof key);
			size = 3 + (size_t)i;
			key[0] = (char)('a' + i / 4);
		}
		FUZZ_CHECK(!runwriter_add(writer, (struct dw_bytes){key, size}, &place));
	}
}

/* The other way round as make_page(). */
static void add_page(struct buf *ret, const uint8_t *page)
{
	size_t front = RUN_PAYLOAD, back = 0;

	if (page[RUN_PAYLOAD] == RUN_PAGE_BLOCK)
		for (back = 64, front -= back; back && !page[RUN_PAYLOAD - back];)
			back--;
	while (front && !page[front - 1])
		front--;
	fuzz_add_byte(ret, page[RUN_PAYLOAD]);
	fuzz_add_byte(ret, (uint8_t)front);
	fuzz_add_byte(ret, (uint8_t)(front >> 8));
	fuzz_add(ret, page, front);
	fuzz_add_byte(ret, (uint8_t)back);
	fuzz_add(ret, page + RUN_PAYLOAD - back, back);
}

bool fuzz_seed(size_t n, struct buf *ret)
{
	const struct runwriter_options options = {
		.id = 1, .seed = SEED, .chunk_keys = n % 2 ? 7 : 0};
	struct memio *mem = memio_fresh();
	struct runwriter *writer;

	if (n >= SEEDS)
		return false;
	int dirfd = mem->io.open(&mem->io, AT_FDCWD, "/store", O_RDONLY | O_DIRECTORY, 0);
	FUZZ_CHECK(dirfd >= 0);
	FUZZ_CHECK(!runwriter_open(&mem->io, dirfd, &options, &writer));
	write_keys(writer, n);
	FUZZ_CHECK(!runwriter_finish(writer, true));
	runwriter_free(writer);
	(void)mem->io.close(&mem->io, dirfd);
	const struct buf *file = memio_get(mem, file_name);
	FUZZ_CHECK(file);
	fuzz_add_byte(ret, n == 5 ? 0 : n % 2 ? PAGES | NUMBER : PAGES | NUMBER | ORDER);
	for (size_t at = 0; n != 5 && at < file->size; at += RUN_PAGE_SIZE)
		add_page(ret, file->data + at);
	if (n == 5)
		fuzz_add(ret, file->data, file->size);
	return true;
}
