/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fuzz_runwriter.c - a set of keys: a run of them returns each key and each directory as it was
 * written, and no others.
 *
 * The input: keys of a chunk, then keys.  A key is made of the one before it: how many of its bytes
 * stay, how often which byte follows, then some bytes; and its place.
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

enum { KEYS_MAX = 500, BYTES_MAX = 1 << 18, SEED = 9 };

struct item {
	uint8_t *key; /* owned */
	size_t size;
	struct run_place place;
};

static struct item items[KEYS_MAX];
static size_t count;

static struct dw_bytes key_of(size_t i)
{
	return (struct dw_bytes){items[i].key, items[i].size};
}

static int compare(struct dw_bytes a, struct dw_bytes b)
{
	size_t size = a.size < b.size ? a.size : b.size;
	int order = size ? memcmp(a.data, b.data, size) : 0;

	return order ? order : a.size < b.size ? -1 : a.size > b.size;
}

static int compare_items(const void *a, const void *b)
{
	const struct item *p = a, *q = b;

	return compare((struct dw_bytes){p->key, p->size}, (struct dw_bytes){q->key, q->size});
}

/* --- from an input to keys --- */

static uint64_t some_number(struct fuzz_input *in)
{
	uint8_t how = fuzz_byte(in);
	uint64_t v = fuzz_byte(in);

	return how & 128 ? ~(v << how % 64) : v << how % 64;
}

static struct run_place make_place(struct fuzz_input *in)
{
	uint8_t how = fuzz_byte(in);
	struct run_place place = {.tombstone = how & 1, .segment = how};

	if (how & 2)
		place.change = place.tombstone ? -1 : 1;
	if (how & 4)
		place.offset = some_number(in);
	if (how & 8)
		place.mtime_ns = (int64_t)some_number(in);
	if (how & 16)
		place.value_size = (uint32_t)some_number(in);
	return place;
}

/* Returns the bytes of the key. */
static size_t make_key(struct fuzz_input *in, struct item *item, const struct item *before)
{
	size_t keep = fuzz_u16(in), repeat = fuzz_u16(in);
	uint8_t byte = fuzz_byte(in);
	size_t more = fuzz_byte(in);

	if (repeat & 0xc000) /* seldom long */
		repeat &= 15;
	keep = before ? keep % (before->size + 1) : 0;
	const uint8_t *bytes = fuzz_bytes(in, &more);
	item->size = keep + repeat + more;
	if (item->size > DW_KEY_SIZE_MAX)
		item->size = keep = repeat = more = 0;
	item->key = malloc(item->size + 1);
	FUZZ_CHECK(item->key);
	if (keep)
		memcpy(item->key, before->key, keep);
	memset(item->key + keep, byte, repeat);
	if (more)
		memcpy(item->key + keep + repeat, bytes, more);
	return item->size;
}

static void make_items(struct fuzz_input *in)
{
	size_t bytes = 0, kept = 0;

	for (count = 0; in->size && count < KEYS_MAX && bytes < BYTES_MAX; count++) {
		bytes += make_key(in, &items[count], count ? &items[count - 1] : NULL);
		items[count].place = make_place(in);
	}
	qsort(items, count, sizeof *items, compare_items);
	for (size_t i = 0; i < count; i++) {
		if (kept && !compare_items(&items[kept - 1], &items[i]))
			free(items[i].key);
		else
			items[kept++] = items[i];
	}
	count = kept;
}

/* --- comparing --- */

static bool same_place(const struct run_place *a, const struct run_place *b)
{
	return a->segment == b->segment && a->value_size == b->value_size &&
	       a->offset == b->offset && a->mtime_ns == b->mtime_ns &&
	       a->tombstone == b->tombstone && a->change == b->change;
}

static void check_walk(struct run *run)
{
	struct run_cursor cursor;
	struct run_place place;
	struct dw_bytes key;

	FUZZ_CHECK(!run_cursor_init(&cursor, run));
	for (size_t i = 0; i < count; i++) {
		FUZZ_CHECK(run_cursor_next(&cursor, &key, &place) == 1);
		FUZZ_CHECK(!compare(key, key_of(i)) && same_place(&place, &items[i].place));
	}
	FUZZ_CHECK(!run_cursor_next(&cursor, &key, &place));
	for (size_t i = 0; i < count; i += 1 + count / 50) {
		/* the same key again, and the next one by what is just greater */
		FUZZ_CHECK(!run_cursor_seek(&cursor, key_of(i)));
		FUZZ_CHECK(run_cursor_next(&cursor, &key, &place) == 1);
		FUZZ_CHECK(!compare(key, key_of(i)));
	}
	run_cursor_release(&cursor);
}

/* The directory that ends with byte `size` of a key, counted naively. */
static void check_below(struct run *run, struct dw_bytes key, size_t size)
{
	int64_t change = 0, newest = INT64_MIN, change_got, newest_got;

	for (size_t i = 0; i < count; i++) {
		if (items[i].size <= size || memcmp(items[i].key, key.data, size) != 0)
			continue;
		change += items[i].place.change;
		if (!items[i].place.tombstone && newest < items[i].place.mtime_ns)
			newest = items[i].place.mtime_ns;
	}
	FUZZ_CHECK(!run_below(run, (struct dw_bytes){key.data, size}, &change_got, &newest_got));
	FUZZ_CHECK(change_got == change && newest_got == newest);
}

static void check_key(struct run *run, size_t i)
{
	struct dw_bytes key = key_of(i);
	struct run_place place;
	size_t asked = 0;

	FUZZ_CHECK(run_get(run, key, run_hash(SEED, key), &place) == 1);
	FUZZ_CHECK(same_place(&place, &items[i].place));
	for (size_t size = 1; size <= key.size && asked < 3; size++)
		if (items[i].key[size - 1] == '/' && i % 8 == 0) {
			check_below(run, key, size);
			asked++;
		}
	/* one byte less, which may be the key before */
	if (!key.size)
		return;
	key.size--;
	bool there = i && !compare(key_of(i - 1), key);
	int rc = run_get(run, key, run_hash(SEED, key), &place);
	for (size_t j = i; j-- && !there && rc == 1;)
		there = !compare(key_of(j), key);
	FUZZ_CHECK(rc == there);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	struct memio *mem = memio_fresh();
	struct runwriter_options options = {.id = 1, .seed = SEED, .chunk_keys = fuzz_byte(&in)};
	struct runwriter *writer;
	struct run *run;

	make_items(&in);
	int dirfd = mem->io.open(&mem->io, AT_FDCWD, "/store", O_RDONLY | O_DIRECTORY, 0);
	FUZZ_CHECK(dirfd >= 0);
	FUZZ_CHECK(!runwriter_open(&mem->io, dirfd, &options, &writer));
	for (size_t i = 0; i < count; i++)
		FUZZ_CHECK(!runwriter_add(writer, key_of(i), &items[i].place));
	FUZZ_CHECK(!runwriter_finish(writer, true));
	runwriter_free(writer);
	FUZZ_CHECK(!run_open(&mem->io, dirfd, 1, &run));
	FUZZ_CHECK(run_figures(run)->keys == count);
	check_walk(run);
	for (size_t i = 0; i < count; i++)
		check_key(run, i);
	FUZZ_CHECK(!run_verify(run) && !run_is_damaged(run));
	run_unref(run);
	for (size_t i = 0; i < count; i++)
		free(items[i].key);
	(void)mem->io.close(&mem->io, dirfd);
	FUZZ_CHECK(memio_is_idle(mem));
	return 0;
}

/* --- seeds --- */

const unsigned fuzz_runs = 300;

static void add_item(struct buf *ret, uint32_t keep, uint32_t repeat, uint8_t byte,
		     const char *more)
{
	fuzz_add_byte(ret, (uint8_t)keep);
	fuzz_add_byte(ret, (uint8_t)(keep >> 8));
	fuzz_add_byte(ret, (uint8_t)repeat);
	fuzz_add_byte(ret, (uint8_t)(repeat >> 8));
	fuzz_add_byte(ret, byte);
	fuzz_add_byte(ret, (uint8_t)strlen(more));
	fuzz_add(ret, more, strlen(more));
}

bool fuzz_seed(size_t n, struct buf *ret)
{
	static const uint8_t chunk_keys[] = {0, 7, 1, 0, 40};

	if (n >= sizeof chunk_keys)
		return false;
	fuzz_add_byte(ret, chunk_keys[n]);
	for (int i = 0; i < 20 + (int)n * 60; i++) {
		char text[16];
		(void)snprintf(text, sizeof text, n % 2 ? "d%d/f%d" : "%04x", i % 7, i * 37);
		uint32_t repeat = n < 2 ? 0 : i % 9 == 0 ? (uint32_t)i * 70 : (uint32_t)(i % 300);
		add_item(ret, n > 2 ? (uint32_t)i : 0, repeat, n == 4 ? '/' : 'k', text);
		fuzz_add_byte(ret, (uint8_t)(i % 32));
		for (int bytes = i % 32 >> 2; bytes; bytes &= bytes - 1) {
			fuzz_add_byte(ret, (uint8_t)(i * 5));
			fuzz_add_byte(ret, (uint8_t)i);
		}
	}
	return true;
}
