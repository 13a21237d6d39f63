/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_hint.c - hints: what is written is loaded, and whatever else lies there is
 * believed only as far as it fits its segment.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "disk/hintfile.h"
#include "tests/support/check.h"
#include "tests/support/files.h"
#include "tests/support/page.h"

enum { RECORDS = 3000, KEY_MAX = 40 };

struct sample {
	struct hint_entry entries[RECORDS];
	uint64_t offsets[RECORDS];
	char keys[RECORDS][KEY_MAX];
	struct buf segment;
	char dir[128];
	int dirfd, segment_fd;
};

static struct hint_entry random_entry(struct rng *rng, char *key, uint64_t txid)
{
	struct hint_entry entry = {
		.header = {.type = (enum dw_type)rng_below(rng, 3),
			   .txid = rng_below(rng, 10) ? txid : rng_next(rng),
			   .key_size = (uint32_t)rng_below(rng, KEY_MAX)},
		.mtime_ns = (int64_t)rng_next(rng) >> rng_below(rng, 64),
	};

	if (entry.header.type != DW_DELETE)
		entry.header.payload_size = (uint32_t)rng_below(rng, 100);
	for (uint32_t i = 0; i < entry.header.key_size; i++)
		key[i] = (char)rng_next(rng);
	entry.key = (struct dw_bytes){key, entry.header.key_size};
	return entry;
}

/* A segment of random records and the hint that a writer of it leaves. */
static struct sample *make_sample(bool sealed)
{
	static const uint8_t payload[100] = {1, 2, 3};
	struct sample *s = calloc(1, sizeof *s);
	struct rng rng = check_rng();
	struct hintwriter writer;

	CHECK(s != NULL);
	(void)snprintf(s->dir, sizeof s->dir, "%s", check_dir());
	s->dirfd = open(s->dir, O_RDONLY | O_DIRECTORY);
	hintwriter_init(&writer, &io_posix, s->dirfd, 7, 0, 0);
	for (int i = 0; i < RECORDS; i++) {
		struct hint_entry *entry = &s->entries[i];
		*entry = random_entry(&rng, s->keys[i], (uint64_t)i + 1);
		s->offsets[i] = s->segment.size;
		size_t size = (size_t)record_size(&entry->header);
		CHECK_EQ(buf_reserve(&s->segment, size), 0);
		record_encode(&entry->header, entry->key.data, payload,
			      s->segment.data + s->segment.size);
		s->segment.size += size;
		hintwriter_add(&writer, entry, bytes_get32(s->segment.data + s->segment.size - 4));
	}
	hintwriter_release(&writer, sealed);
	files_write(s->dirfd, "00000007.dwal", s->segment.data, s->segment.size);
	s->segment_fd = openat(s->dirfd, "00000007.dwal", O_RDONLY);
	CHECK(s->segment_fd >= 0);
	return s;
}

static void free_sample(struct sample *s)
{
	buf_release(&s->segment);
	(void)close(s->dirfd);
	(void)close(s->segment_fd);
	free(s);
}

struct seen {
	const struct sample *sample;
	int count;
};

static int see(void *context, const struct hint_entry *entry, uint64_t offset)
{
	struct seen *seen = context;
	const struct hint_entry *want = &seen->sample->entries[seen->count];

	CHECK(seen->count < RECORDS);
	CHECK_EQ(offset, seen->sample->offsets[seen->count]);
	CHECK_EQ(entry->header.type, want->header.type);
	CHECK(entry->header.txid == want->header.txid);
	CHECK_EQ(entry->header.payload_size, want->header.payload_size);
	CHECK_EQ(entry->mtime_ns, want->mtime_ns);
	CHECK_EQ(entry->key.size, want->key.size);
	CHECK(!memcmp(entry->key.data, want->key.data, want->key.size));
	seen->count++;
	return 0;
}

static struct hint_loaded load(struct sample *s, struct seen *seen)
{
	struct hint_loaded loaded;

	*seen = (struct seen){.sample = s};
	CHECK_EQ(hint_load(&io_posix, s->dirfd, 7, s->segment_fd, s->segment.size, see, seen,
			   &loaded),
		 0);
	return loaded;
}

static void test_round_trip(void)
{
	struct sample *s = make_sample(true);
	struct seen seen;
	struct hint_loaded loaded = load(s, &seen);

	CHECK_EQ(seen.count, RECORDS);
	CHECK_EQ(loaded.covered, s->segment.size);
	CHECK(loaded.sealed);
	free_sample(s);
}

/* Without a clean end what is told is a prefix, and is not said to be all. */
static void test_unsealed(void)
{
	struct sample *s = make_sample(false);
	struct seen seen;
	struct hint_loaded loaded = load(s, &seen);

	CHECK(seen.count > 0 && seen.count < RECORDS);
	CHECK_EQ(loaded.covered, s->offsets[seen.count]);
	CHECK(!loaded.sealed);
	free_sample(s);
}

static void test_continued(void)
{
	struct sample *s = make_sample(false);
	struct hintwriter writer;
	struct seen seen;
	struct hint_loaded loaded = load(s, &seen);

	hintwriter_init(&writer, &io_posix, s->dirfd, 7, loaded.size, loaded.covered);
	for (int i = seen.count; i < RECORDS; i++) {
		uint64_t end = i + 1 < RECORDS ? s->offsets[i + 1] : s->segment.size;
		hintwriter_add(&writer, &s->entries[i], bytes_get32(s->segment.data + end - 4));
	}
	hintwriter_release(&writer, true);
	loaded = load(s, &seen);
	CHECK_EQ(seen.count, RECORDS);
	CHECK(loaded.sealed && loaded.covered == s->segment.size);
	free_sample(s);
}

/* A flipped bit anywhere, or a missing end: a prefix is told, never something else. */
static void test_damaged(void)
{
	struct sample *s = make_sample(true);
	struct rng rng = check_rng();
	struct buf hint = files_read(s->dirfd, "00000007.hint");
	struct seen seen;

	for (int i = 0; i < 400; i++) {
		size_t at = i < 200 ? (size_t)i : (size_t)rng_below(&rng, hint.size);
		uint8_t bit = (uint8_t)(1 << rng_below(&rng, 8));
		hint.data[at] ^= bit;
		files_write(s->dirfd, "00000007.hint", hint.data, hint.size);
		struct hint_loaded loaded = load(s, &seen);
		CHECK(!loaded.sealed && loaded.covered < s->segment.size);
		hint.data[at] ^= bit;
		files_write(s->dirfd, "00000007.hint", hint.data,
			    (size_t)rng_below(&rng, hint.size));
		CHECK(!load(s, &seen).sealed);
	}
	buf_release(&hint);
	free_sample(s);
}

/* The hint of another segment, or of an older state of this one. */
static void test_foreign(void)
{
	struct sample *s = make_sample(true);
	struct hint_loaded loaded;
	struct seen seen = {.sample = s};

	CHECK_EQ(renameat(s->dirfd, "00000007.hint", s->dirfd, "00000008.hint"), 0);
	CHECK_EQ(hint_load(&io_posix, s->dirfd, 8, s->segment_fd, s->segment.size, see, &seen,
			   &loaded),
		 0);
	CHECK_EQ(seen.count, 0);
	CHECK_EQ(renameat(s->dirfd, "00000008.hint", s->dirfd, "00000007.hint"), 0);
	/* the last record differs in its payload only */
	uint8_t *crc = s->segment.data + s->segment.size - 4;
	crc[0] ^= 1;
	files_write(s->dirfd, "00000007.dwal", s->segment.data, s->segment.size);
	loaded = load(s, &seen);
	CHECK(!loaded.sealed && loaded.covered < s->segment.size);
	/* a segment that lost its end */
	CHECK_EQ(ftruncate(s->segment_fd, 0) < 0, 1); /* open for reading only */
	s->segment.size = (size_t)s->offsets[RECORDS / 2];
	files_write(s->dirfd, "00000007.dwal", s->segment.data, s->segment.size);
	loaded = load(s, &seen);
	CHECK(!loaded.sealed && loaded.covered <= s->segment.size);
	CHECK_EQ(seen.count < RECORDS / 2 + 1, 1);
	free_sample(s);
}

/* Entries made to hurt, with right checksums. */
static void test_hostile(void)
{
	struct sample *s = make_sample(true);
	struct rng rng = check_rng();
	struct seen seen = {.sample = s};
	struct hint_loaded loaded;
	uint8_t bytes[HINT_HEADER_SIZE + HINT_BLOCK_HEADER_SIZE + 600];

	for (int i = 0; i < 3000; i++) {
		uint8_t *entries = bytes + HINT_HEADER_SIZE + HINT_BLOCK_HEADER_SIZE;
		struct hint_block block = {
			.end = rng_below(&rng, 2) ? s->segment.size : rng_next(&rng),
			.count = (uint32_t)rng_below(&rng, 100),
			.size = (uint32_t)rng_below(&rng, 600),
			.sealed = true,
		};
		for (uint32_t k = 0; k < block.size; k++)
			entries[k] = rng_below(&rng, 3) ? (uint8_t)rng_below(&rng, 3)
							: (uint8_t)rng_next(&rng);
		hint_header_encode(7, bytes);
		hint_block_encode(&block, entries, bytes + HINT_HEADER_SIZE);
		files_write(s->dirfd, "00000007.hint", bytes,
			    HINT_HEADER_SIZE + HINT_BLOCK_HEADER_SIZE + block.size);
		CHECK_EQ(hint_load(&io_posix, s->dirfd, 7, s->segment_fd, s->segment.size, see,
				   &seen, &loaded),
			 0);
		CHECK(loaded.covered <= s->segment.size);
		CHECK_EQ(seen.count, 0);
	}
	free_sample(s);
}

/* What is cut off is no entry, and is not stepped over: else bytes that belong to none
 * could end a block that must be filled exactly. */
static void test_cut_entry(void)
{
	const struct hint_entry entry = {{DW_PUT, 300, 3, 70000}, 1 << 20, {"key", 3}};
	struct hint_state state = {0};
	struct hint_entry got = {.mtime_ns = 77};
	struct buf bytes = {0};

	CHECK_EQ(hint_entry_add(&bytes, &state, &entry), 0);
	for (size_t size = 0; size <= bytes.size; size++) {
		bool whole = size == bytes.size;
		size_t at = 0;
		state = (struct hint_state){0};
		CHECK_EQ(hint_entry_next(bytes.data, size, &at, &state, &got), whole);
		CHECK_EQ(at, whole ? size : 0);
		CHECK_EQ(state.txid, whole ? 300 : 0);
		CHECK_EQ(got.mtime_ns, whole ? 1 << 20 : 77);
	}
	buf_release(&bytes);
}

/* --- the example of docs/FORMAT.md --- */

enum { EXAMPLE_RECORDS = 6 };
static const int64_t example_time_ns = 1704067200000000000;

static int see_example(void *context, const struct hint_entry *entry, uint64_t offset)
{
	int64_t *count = context;

	(void)offset;
	CHECK_EQ(entry->mtime_ns, example_time_ns + *count * 1000000);
	CHECK_EQ(entry->header.txid, *count + 1);
	(*count)++;
	return 0;
}

static void test_format_doc(void)
{
	struct buf segment = page_fenced("\n```hex\n"), hint = page_fenced("\n```hint\n");
	int dirfd = open(check_dir(), O_RDONLY | O_DIRECTORY);
	struct hintwriter writer;
	struct hint_loaded loaded;
	int64_t count = 0;
	size_t at = 0;

	hintwriter_init(&writer, &io_posix, dirfd, 1, 0, 0);
	for (int64_t i = 0; i < EXAMPLE_RECORDS; i++) {
		struct hint_entry entry = {.mtime_ns = example_time_ns + i * 1000000};
		CHECK_EQ(record_decode(segment.data + at, segment.size - at, &entry.header), 0);
		entry.key.data = segment.data + at + 24;
		entry.key.size = entry.header.key_size;
		at += (size_t)record_size(&entry.header);
		hintwriter_add(&writer, &entry, bytes_get32(segment.data + at - 4));
	}
	CHECK_EQ(at, segment.size);
	hintwriter_release(&writer, true);
	struct buf made = files_read(dirfd, "00000001.hint");
	CHECK_EQ(made.size, hint.size);
	CHECK(!memcmp(made.data, hint.data, hint.size));
	files_write(dirfd, "00000001.dwal", segment.data, segment.size);
	int fd = openat(dirfd, "00000001.dwal", O_RDONLY);
	CHECK(hint_is_sealed(&io_posix, dirfd, 1, segment.size));
	CHECK_EQ(hint_load(&io_posix, dirfd, 1, fd, segment.size, see_example, &count, &loaded), 0);
	CHECK_EQ(count, EXAMPLE_RECORDS);
	CHECK(loaded.sealed);
	(void)close(fd);
	(void)close(dirfd);
	buf_release(&made);
	buf_release(&segment);
	buf_release(&hint);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"hint_round_trip", test_round_trip},
		{"hint_unsealed", test_unsealed},
		{"hint_continued", test_continued},
		{"hint_damaged", test_damaged},
		{"hint_foreign", test_foreign},
		{"hint_hostile", test_hostile},
		{"hint_cut_entry", test_cut_entry},
		{"hint_format_doc", test_format_doc},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
