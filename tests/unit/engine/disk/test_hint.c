/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_hint.c - hints: an intact one is read as it was written, and any other bytes are used only
 * if they are bound to their segment.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "disk/sidecar.h"
#include "tests/support/check.h"
#include "tests/support/crashio.h"
#include "tests/support/files.h"
#include "tests/support/hints.h"
#include "tests/support/page.h"

static void test_round_trip(void)
{
	struct hints_sample *s = hints_make(true);
	struct hint_claims claims = hints_survey(s);

	CHECK_EQ(hints_read_all(s), HINTS_RECORDS);
	CHECK_EQ(claims.told, s->segment.size);
	CHECK_EQ(claims.synced, s->segment.size);
	CHECK(claims.sealed && claims.sampled && hints_is_bound(s));
	hints_free(s);
}

/* Without a clean end what is told is a prefix, and proves nothing. */
static void test_unsealed(void)
{
	struct hints_sample *s = hints_make(false);
	struct hint_claims claims = hints_survey(s);
	int count = hints_read_all(s);

	CHECK(count > 0 && count < HINTS_RECORDS);
	CHECK_EQ(claims.told, s->offsets[count]);
	CHECK(!claims.sealed && !claims.synced && !hints_is_bound(s));
	hints_free(s);
}

static void test_continued(void)
{
	struct hints_sample *s = hints_make(false);
	struct hint_claims claims = hints_survey(s);
	struct hintwriter writer;

	for (int round = 0; round < 3; round++) {
		hintwriter_init(&writer, &io_posix, s->dirfd, 7, &claims.end);
		for (int i = hints_read_all(s); i < HINTS_RECORDS; i++)
			hintwriter_add(&writer, &s->entries[i]);
		hints_seal(s, &writer);
		hintwriter_release(&writer);
		claims = hints_survey(s);
		CHECK_EQ(hints_read_all(s), HINTS_RECORDS);
		CHECK(claims.sealed && claims.told == s->segment.size && hints_is_bound(s));
	}
	/* a hints_seal with nothing new takes the place of the one before */
	struct buf hint = files_read(s->dirfd, "00000007.hint");
	CHECK_EQ(claims.end.size + HINT_BLOCK_HEADER_SIZE, hint.size);
	buf_release(&hint);
	hints_free(s);
}

/* A flipped bit anywhere, or a missing end: a prefix is told, never something else. */
static void test_damaged(void)
{
	struct hints_sample *s = hints_make(true);
	struct rng rng = check_rng();
	struct buf hint = files_read(s->dirfd, "00000007.hint");

	for (int i = 0; i < 400; i++) {
		size_t at = i < 200 ? (size_t)i : (size_t)rng_below(&rng, hint.size);
		uint8_t bit = (uint8_t)(1 << rng_below(&rng, 8));
		hint.data[at] ^= bit;
		files_write(s->dirfd, "00000007.hint", hint.data, hint.size);
		CHECK(!hints_is_bound(s) && hints_survey(s).told < s->segment.size);
		(void)hints_read_all(s);
		hint.data[at] ^= bit;
		files_write(s->dirfd, "00000007.hint", hint.data,
			    (size_t)rng_below(&rng, hint.size));
		CHECK(!hints_is_bound(s) && !hints_survey(s).synced);
		(void)hints_read_all(s);
	}
	buf_release(&hint);
	hints_free(s);
}

/* A hint of two blocks of ten records that differ, with `seed`, in nothing but their CRC fields;
 * returns where the second one starts. */
static size_t write_two_blocks(int dirfd, uint32_t seed)
{
	const struct hint_binding binding = {1, 1};
	struct hintwriter writer;
	size_t middle = 0;

	hintwriter_init(&writer, &io_posix, dirfd, 7, NULL);
	for (uint32_t i = 0; i < 20; i++) {
		const struct hint_entry entry = {
			{DW_PUT, i + 1, 3, 5}, i == 19 ? 4711 : seed + i, 1 << 20, {"key", 3}, 0};
		hintwriter_add(&writer, &entry);
		if (i != 9)
			continue;
		hintwriter_flush(&writer);
		middle = (size_t)writer.done.size;
	}
	hintwriter_seal(&writer, &binding);
	hintwriter_release(&writer);
	return middle;
}

/* A block of an older state before those of a newer one, as a power cut may leave it: each is
 * sound, and starts where the one before ends. */
static void test_mixed(void)
{
	int dirfd = open(check_dir(), O_RDONLY | O_DIRECTORY);
	struct hintreader reader;
	struct hint_claims claims;

	for (int mixed = 0; mixed < 2; mixed++) {
		size_t middle = write_two_blocks(dirfd, 100);
		struct buf old = files_read(dirfd, "00000007.hint");
		CHECK_EQ(write_two_blocks(dirfd, 200), middle);
		struct buf new = files_read(dirfd, "00000007.hint");
		CHECK_EQ(new.size, old.size);
		memcpy(new.data, mixed ? old.data : new.data, middle);
		files_write(dirfd, "00000007.hint", new.data, new.size);
		hintreader_init(&reader, &io_posix, dirfd, 7);
		CHECK_EQ(hintreader_survey(&reader, -1, &claims), 0);
		hintreader_release(&reader);
		CHECK_EQ(claims.told, (mixed ? 10 : 20) * (28 + 3 + 5));
		CHECK_EQ(claims.sealed, !mixed);
		buf_release(&old);
		buf_release(&new);
	}
	(void)close(dirfd);
}

/* One field of a block that is wrong, under a right checksum. */
enum wrong { NOTHING, START, END, COUNT_MORE, COUNT_LESS, CHAIN, WRONGS };

static void spoil(struct hint_block *block, enum wrong wrong)
{
	switch (wrong) {
	case START: /* and with it the end: the run itself fits */
		block->start += 28;
		block->end += 28;
		break;
	case END: block->end += 28; break;
	case COUNT_MORE: block->count++; break;
	case COUNT_LESS: block->count--; break;
	case CHAIN: block->before_crc ^= 1; break;
	default: break;
	}
}

static void test_block_fields(void)
{
	enum { EACH = 10 };
	struct hints_sample *s = hints_make(true);

	for (enum wrong wrong = NOTHING; wrong < WRONGS; wrong++) {
		uint8_t header[HINT_HEADER_SIZE], block_header[HINT_BLOCK_HEADER_SIZE];
		uint32_t crc = hint_header_encode(7, header);
		struct buf hint = {0};
		CHECK_EQ(buf_add(&hint, header, sizeof header), 0);
		for (int first = 0; first < 2 * EACH; first += EACH) {
			struct hint_state state = {0};
			struct buf entries = {0};
			for (int i = first; i < first + EACH; i++)
				CHECK_EQ(hint_entry_add(&entries, &state, &s->entries[i]), 0);
			struct hint_block block = {.start = s->offsets[first],
						   .end = s->offsets[first + EACH],
						   .count = EACH,
						   .size = (uint32_t)entries.size,
						   .last_crc = s->entries[first + EACH - 1].crc,
						   .before_crc = crc};
			spoil(&block, first ? wrong : NOTHING);
			hint_block_encode(&block, entries.data, block_header);
			crc = block.crc;
			CHECK_EQ(buf_add(&hint, block_header, sizeof block_header), 0);
			CHECK_EQ(buf_add(&hint, entries.data, entries.size), 0);
			buf_release(&entries);
		}
		files_write(s->dirfd, "00000007.hint", hint.data, hint.size);
		CHECK_EQ(hints_survey(s).told, s->offsets[wrong ? EACH : 2 * EACH]);
		CHECK_EQ(hints_read_all(s), wrong ? EACH : 2 * EACH);
		buf_release(&hint);
	}
	hints_free(s);
}

/* A binding without a hints_seal says nothing; nor does a hints_seal of so many bytes of a segment
 * that has more or less of them, though its time is the same. */
static void test_unsealed_binding(void)
{
	struct hints_sample *s = hints_make(true);
	struct buf hint = files_read(s->dirfd, "00000007.hint");
	const struct hint_binding binding = hints_binding(s);
	struct hint_block block = {0};
	struct sidecar sidecar;
	size_t at = HINT_HEADER_SIZE, last = at;

	for (int more = -1; more <= 1; more++) {
		uint64_t size = s->segment.size + (uint64_t)(int64_t)more;
		CHECK_EQ(sidecar_init(&sidecar, &io_posix, s->dirfd, 7, s->segment_fd, size,
				      &binding),
			 0);
		CHECK_EQ(sidecar.bound, !more);
		sidecar_release(&sidecar);
	}
	while (at < hint.size) {
		CHECK(hint_block_decode(HINT_LAYOUT, hint.data + at, &block));
		last = at;
		at += HINT_BLOCK_HEADER_SIZE + block.size;
	}
	CHECK(block.sealed && hints_is_bound(s));
	block.sealed = false;
	hint_block_encode(&block, hint.data + last + HINT_BLOCK_HEADER_SIZE, hint.data + last);
	files_write(s->dirfd, "00000007.hint", hint.data, hint.size);
	CHECK_EQ(hints_survey(s).told, s->segment.size);
	CHECK(!hints_is_bound(s) && !hints_survey(s).synced);
	buf_release(&hint);
	hints_free(s);
}

/* A hint that takes the place of another one is on disk before: a power cut must not leave an
 * empty file with its name. */
static void test_placed(void)
{
	struct crashio crash;
	struct hintwriter writer;
	const struct hint_entry entry = {{DW_PUT, 1, 3, 5}, 0x12345678, 1 << 20, {"key", 3}, 0};
	const char *dir = check_dir();
	bool synced = false, renamed = false;

	crashio_init(&crash, dir);
	int dirfd = crash.io.open(&crash.io, AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, 0);
	hintwriter_init_beside(&writer, &crash.io, dirfd, 7);
	hintwriter_add(&writer, &entry);
	hintwriter_seal(&writer, &(struct hint_binding){1, 2});
	hintwriter_place(&writer);
	hintwriter_release(&writer);
	for (size_t i = 0; i < crash.count; i++) {
		const struct crash_event *event = &crash.events[i];
		if (event->kind == CRASH_WRITE || event->kind == CRASH_SYNC)
			synced = event->kind == CRASH_SYNC;
		if (event->kind == CRASH_RENAME) {
			CHECK(synced && !strcmp(event->to, "00000007.hint"));
			renamed = true;
		}
	}
	CHECK(renamed);
	(void)crash.io.close(&crash.io, dirfd);
	crashio_release(&crash);
}

/* Each part of the binding counts. */
static void test_binding(void)
{
	struct hints_sample *s = hints_make(true);
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {0}};
	struct stat st;

	CHECK(hints_is_bound(s));
	CHECK_EQ(fstat(s->segment_fd, &st), 0);
	/* time */
	times[1] = (struct timespec){st.st_mtim.tv_sec, st.st_mtim.tv_nsec ^ 1};
	CHECK_EQ(utimensat(s->dirfd, "00000007.dwal", times, 0), 0);
	CHECK(!hints_is_bound(s));
	times[1] = st.st_mtim;
	CHECK_EQ(utimensat(s->dirfd, "00000007.dwal", times, 0), 0);
	CHECK(hints_is_bound(s));
	/* size */
	s->segment.size--;
	files_write(s->dirfd, "00000007.dwal", s->segment.data, s->segment.size);
	CHECK_EQ(utimensat(s->dirfd, "00000007.dwal", times, 0), 0);
	CHECK(!hints_is_bound(s));
	s->segment.size++;
	files_write(s->dirfd, "00000007.dwal", s->segment.data, s->segment.size);
	CHECK_EQ(utimensat(s->dirfd, "00000007.dwal", times, 0), 0);
	CHECK(hints_is_bound(s));
	/* the CRC field of the last record, and of the first block's last */
	s->segment.data[s->segment.size - 1] ^= 1;
	files_write(s->dirfd, "00000007.dwal", s->segment.data, s->segment.size);
	CHECK_EQ(utimensat(s->dirfd, "00000007.dwal", times, 0), 0);
	CHECK(!hints_is_bound(s));
	s->segment.data[s->segment.size - 1] ^= 1;
	struct buf hint = files_read(s->dirfd, "00000007.hint");
	uint64_t first_end = bytes_get64(hint.data + HINT_HEADER_SIZE + 16);
	s->segment.data[first_end - 1] ^= 1;
	files_write(s->dirfd, "00000007.dwal", s->segment.data, s->segment.size);
	CHECK_EQ(utimensat(s->dirfd, "00000007.dwal", times, 0), 0);
	CHECK(!hints_is_bound(s));
	s->segment.data[first_end - 1] ^= 1;
	/* the inode number */
	files_write(s->dirfd, "copy", s->segment.data, s->segment.size);
	CHECK_EQ(renameat(s->dirfd, "copy", s->dirfd, "00000007.dwal"), 0);
	CHECK_EQ(utimensat(s->dirfd, "00000007.dwal", times, 0), 0);
	(void)close(s->segment_fd);
	s->segment_fd = openat(s->dirfd, "00000007.dwal", O_RDONLY);
	CHECK(!hints_is_bound(s));
	buf_release(&hint);
	hints_free(s);
}

/* The hint of another segment. */
static void test_renamed(void)
{
	struct hints_sample *s = hints_make(true);

	CHECK_EQ(renameat(s->dirfd, "00000007.hint", s->dirfd, "00000008.hint"), 0);
	struct hintreader reader;
	hintreader_init(&reader, &io_posix, s->dirfd, 8);
	CHECK(reader.fd < 0);
	hintreader_release(&reader);
	hints_free(s);
}

/* Entries made to hurt, with right checksums. */
static void test_hostile(void)
{
	struct hints_sample *s = hints_make(true);
	struct rng rng = check_rng();
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
		block.last_crc = bytes_get32(s->segment.data + s->segment.size - 4);
		block.before_crc = hint_header_encode(7, bytes);
		hint_block_encode(&block, entries, bytes + HINT_HEADER_SIZE);
		files_write(s->dirfd, "00000007.hint", bytes,
			    HINT_HEADER_SIZE + HINT_BLOCK_HEADER_SIZE + block.size);
		struct hint_claims claims = hints_survey(s);
		/* sound by itself, as few are: then it is compared with the segment */
		CHECK(claims.told <= s->segment.size || !hints_is_bound(s));
		if (!claims.told)
			CHECK_EQ(claims.synced, 0);
	}
	hints_free(s);
}

/* An entry that is cut off is none, and is not stepped over: else bytes that belong to no entry
 * could end a block that must be filled exactly. */
static void test_cut_entry(void)
{
	const struct hint_entry entry = {
		{DW_PUT, 300, 3, 70000}, 0x12345678, 1 << 20, {"key", 3}, 0};
	struct hint_state state = {0};
	struct hint_entry got = {.mtime_ns = 77};
	struct buf bytes = {0};

	CHECK_EQ(hint_entry_add(&bytes, &state, &entry), 0);
	for (size_t size = 0; size <= bytes.size; size++) {
		bool whole = size == bytes.size;
		size_t at = 0;
		state = (struct hint_state){0};
		CHECK_EQ(hint_entry_next(HINT_LAYOUT, bytes.data, size, &at, &state, &got), whole);
		CHECK_EQ(at, whole ? size : 0);
		CHECK_EQ(state.txid, whole ? 300 : 0);
		CHECK_EQ(got.mtime_ns, whole ? 1 << 20 : 77);
	}
	buf_release(&bytes);
}

/* The clock is kept where a time was set, costs nothing elsewhere, and is read back in any case. */
static void test_clock(void)
{
	static const struct {
		int64_t mtime_ns, clock_ns, read;
		bool written;
	} cases[] = {
		{1000, 0, 1000, false},
		{1000, 1000, 1000, false},
		{1000, 1000 + HINT_CLOCK_NEAR_NS, 1000, false},
		{1000000000, 1000000000 - HINT_CLOCK_NEAR_NS, 1000000000, false},
		{1000, 1001 + HINT_CLOCK_NEAR_NS, 1001 + HINT_CLOCK_NEAR_NS, true},
		{1000000000, 999999999 - HINT_CLOCK_NEAR_NS, 999999999 - HINT_CLOCK_NEAR_NS, true},
		{INT64_MIN, INT64_MAX, INT64_MAX, true},
		{-5000000000, 1700000000000000000, 1700000000000000000, true},
	};
	struct hint_entry entry = {{DW_DELETE, 1, 3, 0}, 0x12345678, 0, {"key", 3}, 0}, got;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct hint_state state = {0}, plain = {0};
		struct buf bytes = {0}, without = {0};
		size_t at = 0;
		entry.mtime_ns = cases[i].mtime_ns;
		entry.clock_ns = 0;
		CHECK_EQ(hint_entry_add(&without, &plain, &entry), 0);
		entry.clock_ns = cases[i].clock_ns;
		CHECK_EQ(hint_entry_add(&bytes, &state, &entry), 0);
		CHECK_EQ(bytes.size > without.size, cases[i].written);
		CHECK_EQ(bytes.data[0], cases[i].written ? 0x80 | DW_DELETE : DW_DELETE);
		for (size_t size = 0; size <= bytes.size; size++) {
			state = (struct hint_state){0};
			CHECK_EQ(hint_entry_next(HINT_LAYOUT, bytes.data, size, &at, &state, &got),
				 size == bytes.size);
		}
		CHECK_EQ(got.clock_ns, cases[i].read);
		CHECK_EQ(got.mtime_ns, cases[i].mtime_ns);
		CHECK_EQ(got.header.type, DW_DELETE);
		at = 0;
		/* layout 1 has none */
		CHECK(!cases[i].written ||
		      !hint_entry_next(1, bytes.data, bytes.size, &at, &state, &got));
		buf_release(&bytes);
		buf_release(&without);
	}
}

/* --- the example of docs/FORMAT.md --- */

enum { EXAMPLE_RECORDS = 6 };
static const int64_t example_time_ns = 1704067200000000000;

/* As the segment was when the page was written. */
static const struct hint_binding example_binding = {1704067201000000000, 4711};

static void test_format_doc(void)
{
	struct buf segment = page_fenced("\n```hex\n"), hint = page_fenced("\n```hint\n");
	int dirfd = open(check_dir(), O_RDONLY | O_DIRECTORY);
	struct hintwriter writer;
	size_t at = 0;

	hintwriter_init(&writer, &io_posix, dirfd, 1, NULL);
	for (int64_t i = 0; i < EXAMPLE_RECORDS; i++) {
		struct hint_entry entry = {.mtime_ns = example_time_ns + i * 1000000};
		CHECK_EQ(record_decode(segment.data + at, segment.size - at, &entry.header), 0);
		entry.key.data = segment.data + at + 24;
		entry.key.size = entry.header.key_size;
		at += (size_t)record_size(&entry.header);
		entry.crc = bytes_get32(segment.data + at - 4);
		hintwriter_add(&writer, &entry);
	}
	CHECK_EQ(at, segment.size);
	hintwriter_seal(&writer, &example_binding);
	hintwriter_release(&writer);
	struct buf made = files_read(dirfd, "00000001.hint");
	CHECK_EQ(made.size, hint.size);
	CHECK(!memcmp(made.data, hint.data, hint.size));
	files_write(dirfd, "00000001.dwal", segment.data, segment.size);
	int fd = openat(dirfd, "00000001.dwal", O_RDONLY);
	struct sidecar sidecar;
	CHECK_EQ(sidecar_init(&sidecar, &io_posix, dirfd, 1, fd, segment.size, &example_binding),
		 0);
	CHECK(sidecar.bound);
	sidecar_release(&sidecar);
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
		{"hint_mixed", test_mixed},
		{"hint_block_fields", test_block_fields},
		{"hint_unsealed_binding", test_unsealed_binding},
		{"hint_placed", test_placed},
		{"hint_binding", test_binding},
		{"hint_renamed", test_renamed},
		{"hint_hostile", test_hostile},
		{"hint_cut_entry", test_cut_entry},
		{"hint_format_doc", test_format_doc},
		{"hint_clock", test_clock},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
