/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fuzz_indexfile.c - the file `index`: whatever its bytes, a file that decodes is consistent, and
 * encodes to the same bytes.
 *
 * The first byte of an input says whether its checksum is made right, so that more than that is
 * looked at.
 */
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "codec/indexfile.h"
#include "tests/fuzz/fuzz.h"

const unsigned fuzz_runs = 300000;

static void check_sound(const struct indexfile *file)
{
	const struct indexfile_segment *last = &file->segments[file->segment_count - 1];

	FUZZ_CHECK(file->segment_count && file->run_count <= INDEXFILE_RUNS_MAX);
	FUZZ_CHECK(file->position.segment && file->position.segment == last->id);
	FUZZ_CHECK(file->position.offset == last->size);
	for (size_t i = 0; i < file->segment_count; i++) {
		const struct indexfile_segment *s = &file->segments[i];
		FUZZ_CHECK(s->live_bytes <= s->size && s->raw_bytes <= s->size - s->live_bytes);
		FUZZ_CHECK(!i || s[-1].id < s->id);
	}
}

/* Bytes that are reserved are written as zeros, and read whatever they are; so what was written is
 * read as it was. */
static void check_again(const struct indexfile *file)
{
	struct buf once = {0}, twice = {0};
	struct indexfile back;

	FUZZ_CHECK(!indexfile_encode(file, &once));
	FUZZ_CHECK(!indexfile_decode((struct dw_bytes){once.data, once.size}, &back));
	FUZZ_CHECK(!indexfile_encode(&back, &twice));
	FUZZ_CHECK(once.size == twice.size && !memcmp(once.data, twice.data, once.size));
	indexfile_release(&back);
	buf_release(&once);
	buf_release(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct indexfile file;
	struct buf bytes = {0};

	if (!size)
		return 0;
	FUZZ_CHECK(!buf_reserve(&bytes, size));
	FUZZ_CHECK(!buf_add(&bytes, data + 1, size - 1));
	if (data[0] && bytes.size > 4)
		bytes_put32(bytes.data + bytes.size - 4, crc32c(0, bytes.data, bytes.size - 4));
	int rc = indexfile_decode((struct dw_bytes){bytes.data, bytes.size}, &file);
	FUZZ_CHECK(!rc || rc == -EBADMSG);
	if (!rc) {
		check_sound(&file);
		check_again(&file);
		indexfile_release(&file);
	}
	buf_release(&bytes);
	return 0;
}

bool fuzz_seed(size_t n, struct buf *ret)
{
	static struct indexfile_run runs[] = {{7, 1, 8192, 3}, {2, 5, 4096, 9}};
	static struct indexfile_segment segments[] = {{1, 77, 1000, -5, 12, 600, 400, 88},
						      {4, 0, 500, 0, 3, 100, 0, 99}};
	const struct indexfile file = {
		.position = {4, 500, 100},
		.keys = 12,
		.seed = 99,
		.runs = runs,
		.run_count = n / 2,
		.segments = segments,
		.segment_count = 2,
	};

	if (n >= 6)
		return false;
	fuzz_add_byte(ret, (uint8_t)(n % 2));
	FUZZ_CHECK(!indexfile_encode(&file, ret));
	return true;
}
