/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * indexfile.c - see indexfile.h.
 */
#include "codec/indexfile.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/limits.h"

static const uint8_t magic[8] = "DWALINDX";

/* Where a field of the header stands; docs/FORMAT.md has the table. */
enum {
	LAYOUT_AT = 8,
	RUN_COUNT_AT = 12,
	SEGMENT_COUNT_AT = 16,
	POSITION_SEGMENT_AT = 20,
	POSITION_OFFSET_AT = 24,
	NEXT_TXID_AT = 32,
	KEYS_AT = 40,
	SEED_AT = 48,
	RESERVED_AT = 56,
};

bool indexfile_begins(const uint8_t start[8])
{
	return !memcmp(start, magic, sizeof magic);
}

void indexfile_release(struct indexfile *file)
{
	free(file->runs);
	free(file->segments);
	*file = (struct indexfile){0};
}

/* --- writing --- */

static void put_header(const struct indexfile *file, uint8_t *p)
{
	memset(p, 0, INDEXFILE_HEADER_SIZE);
	memcpy(p, magic, sizeof magic);
	bytes_put32(p + LAYOUT_AT, INDEXFILE_LAYOUT);
	bytes_put32(p + RUN_COUNT_AT, (uint32_t)file->run_count);
	bytes_put32(p + SEGMENT_COUNT_AT, (uint32_t)file->segment_count);
	bytes_put32(p + POSITION_SEGMENT_AT, file->position.segment);
	bytes_put64(p + POSITION_OFFSET_AT, file->position.offset);
	bytes_put64(p + NEXT_TXID_AT, file->position.next_txid);
	bytes_put64(p + KEYS_AT, file->keys);
	bytes_put64(p + SEED_AT, file->seed);
}

static void put_run(const struct indexfile_run *run, uint8_t *p)
{
	bytes_put32(p, run->id);
	bytes_put32(p + 4, 0);
	bytes_put64(p + 8, run->stamp);
	bytes_put64(p + 16, run->size);
	bytes_put64(p + 24, run->keys);
}

static void put_segment(const struct indexfile_segment *segment, uint8_t *p)
{
	bytes_put32(p, segment->id);
	bytes_put32(p + 4, segment->crc);
	bytes_put64(p + 8, segment->size);
	bytes_put64(p + 16, (uint64_t)segment->mtime_ns);
	bytes_put64(p + 24, segment->inode);
	bytes_put64(p + 32, segment->live_bytes);
	bytes_put64(p + 40, segment->raw_bytes);
	bytes_put64(p + 48, segment->last_txid);
}

static size_t size_of(size_t runs, size_t segments)
{
	return INDEXFILE_HEADER_SIZE + runs * INDEXFILE_RUN_SIZE +
	       segments * INDEXFILE_SEGMENT_SIZE + INDEXFILE_TRAILER_SIZE;
}

int indexfile_encode(const struct indexfile *file, struct buf *ret)
{
	size_t size = size_of(file->run_count, file->segment_count);
	int rc = buf_reserve(ret, size);

	assert(file->run_count <= INDEXFILE_RUNS_MAX);
	assert(file->segment_count && file->position.segment);
	if (rc < 0)
		return rc;
	uint8_t *start = ret->data + ret->size, *p = start;
	put_header(file, p);
	p += INDEXFILE_HEADER_SIZE;
	for (size_t i = 0; i < file->run_count; i++, p += INDEXFILE_RUN_SIZE)
		put_run(&file->runs[i], p);
	for (size_t i = 0; i < file->segment_count; i++, p += INDEXFILE_SEGMENT_SIZE)
		put_segment(&file->segments[i], p);
	bytes_put32(p, crc32c(0, start, (size_t)(p - start)));
	ret->size += size;
	return 0;
}

/* --- reading --- */

static struct indexfile_run get_run(const uint8_t *p)
{
	return (struct indexfile_run){
		.id = bytes_get32(p),
		.stamp = bytes_get64(p + 8),
		.size = bytes_get64(p + 16),
		.keys = bytes_get64(p + 24),
	};
}

static struct indexfile_segment get_segment(const uint8_t *p)
{
	return (struct indexfile_segment){
		.id = bytes_get32(p),
		.crc = bytes_get32(p + 4),
		.size = bytes_get64(p + 8),
		.mtime_ns = (int64_t)bytes_get64(p + 16),
		.inode = bytes_get64(p + 24),
		.live_bytes = bytes_get64(p + 32),
		.raw_bytes = bytes_get64(p + 40),
		.last_txid = bytes_get64(p + 48),
	};
}

/* The checksum does not prove that the fields are consistent; check that. */
static bool is_sound(const struct indexfile *file)
{
	for (size_t i = 0; i < file->run_count; i++)
		for (size_t j = 0; j < i; j++)
			if (file->runs[i].id == file->runs[j].id)
				return false;
	for (size_t i = 0; i < file->segment_count; i++) {
		const struct indexfile_segment *s = &file->segments[i];
		if (s->id > SEGMENT_ID_MAX || s->live_bytes > s->size ||
		    s->raw_bytes > s->size - s->live_bytes || (i && s[-1].id >= s->id))
			return false;
	}
	const struct indexfile_segment *last = &file->segments[file->segment_count - 1];
	return file->position.segment && last->id == file->position.segment &&
	       last->size == file->position.offset;
}

static void get_header(const uint8_t *p, struct indexfile *ret)
{
	*ret = (struct indexfile){
		.position = {.segment = bytes_get32(p + POSITION_SEGMENT_AT),
			     .offset = bytes_get64(p + POSITION_OFFSET_AT),
			     .next_txid = bytes_get64(p + NEXT_TXID_AT)},
		.keys = bytes_get64(p + KEYS_AT),
		.seed = bytes_get64(p + SEED_AT),
		.run_count = bytes_get32(p + RUN_COUNT_AT),
		.segment_count = bytes_get32(p + SEGMENT_COUNT_AT),
	};
}

static bool is_whole(struct dw_bytes bytes, struct indexfile *ret)
{
	const uint8_t *p = bytes.data;

	if (bytes.size < size_of(0, 1) || memcmp(p, magic, sizeof magic) ||
	    bytes_get32(p + LAYOUT_AT) != INDEXFILE_LAYOUT || bytes_get64(p + RESERVED_AT))
		return false;
	get_header(p, ret);
	if (ret->run_count > INDEXFILE_RUNS_MAX || !ret->segment_count ||
	    ret->segment_count > bytes.size / INDEXFILE_SEGMENT_SIZE ||
	    bytes.size != size_of(ret->run_count, ret->segment_count))
		return false;
	size_t covered = bytes.size - INDEXFILE_TRAILER_SIZE;
	return crc32c(0, p, covered) == bytes_get32(p + covered);
}

int indexfile_decode(struct dw_bytes bytes, struct indexfile *ret)
{
	const uint8_t *p = (const uint8_t *)bytes.data + INDEXFILE_HEADER_SIZE;
	struct indexfile file;

	if (!is_whole(bytes, &file))
		return -EBADMSG;
	file.runs = calloc(file.run_count + 1, sizeof *file.runs);
	file.segments = calloc(file.segment_count, sizeof *file.segments);
	if (!file.runs || !file.segments) {
		indexfile_release(&file);
		return -ENOMEM;
	}
	for (size_t i = 0; i < file.run_count; i++, p += INDEXFILE_RUN_SIZE)
		file.runs[i] = get_run(p);
	for (size_t i = 0; i < file.segment_count; i++, p += INDEXFILE_SEGMENT_SIZE)
		file.segments[i] = get_segment(p);
	if (!is_sound(&file)) {
		indexfile_release(&file);
		return -EBADMSG;
	}
	*ret = file;
	return 0;
}
