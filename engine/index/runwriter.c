/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * runwriter.c - see runwriter.h.
 *
 * A key goes into the block that is being made; a full block is written.  Kept for the end of the
 * chunk: the hash of each key with its entry's place, the first key of each block, and
 * the directories that are done.  Then the chunk's tables are written, and all that is forgotten.
 * Nothing is ever written but behind what is there.
 */
#include "index/runwriter.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/limits.h"
#include "codec/segname.h"
#include "index/runwriter_internal.h"

enum { DIRECTORIES_MAX = 1 << 18 }; /* of a chunk; one key may bring some more */

/* --- life --- */

/* No two files have the same, so that a page that a crash left of another one is noticed. */
static uint64_t make_stamp(void)
{
	struct {
		struct timespec now;
		uint64_t random;
	} from = {0};

	/* early at boot there may be none; the time does then */
	(void)!getrandom(&from.random, sizeof from.random, GRND_NONBLOCK);
	(void)clock_gettime(CLOCK_REALTIME, &from.now); /* cannot fail */
	return XXH3_64bits(&from, sizeof from);
}

static int allocate(struct runwriter *writer)
{
	writer->out = malloc((size_t)RUNWRITER_OUT_PAGES * RUN_PAGE_SIZE);
	writer->hashes = malloc(writer->chunk_keys_max * sizeof *writer->hashes);
	writer->firsts = malloc(RUN_DATA_PAGES_MAX * sizeof *writer->firsts);
	if (!writer->out || !writer->hashes || !writer->firsts)
		return -ENOMEM;
	return rundirs_init(&writer->dirs, writer->header.seed);
}

static int begin(struct runwriter *writer, struct io *io, int dirfd,
		 const struct runwriter_options *options)
{
	char name[SEGNAME_SIZE], temporary[SEGNAME_SIZE];
	int rc = allocate(writer);

	if (rc < 0)
		return rc;
	segname_format_run(options->id, name);
	segname_format_run_new(options->id, temporary);
	rc = atomicfile_init(&writer->file, io, dirfd, name, temporary, OWNER_MODE_NEW);
	if (rc < 0)
		return rc;
	if (options->owner)
		owner_apply(options->owner, io, writer->file.fd);
	uint8_t *page = runwriter_next_page(writer, &rc);
	if (page)
		run_header_encode(&writer->header, page);
	writer->chunk_page = writer->pages;
	return rc;
}

int runwriter_open(struct io *io, int dirfd, const struct runwriter_options *options,
		   struct runwriter **ret)
{
	struct runwriter *writer = calloc(1, sizeof *writer);
	uint32_t keys = options->chunk_keys;

	assert(options->id <= SEGMENT_ID_MAX);
	if (!writer)
		return -ENOMEM;
	writer->file.fd = -1;
	writer->header = (struct run_header){options->id, make_stamp(), options->seed};
	writer->chunk_keys_max = keys && keys < RUN_CHUNK_KEYS_MAX ? keys : RUN_CHUNK_KEYS_MAX;
	int rc = begin(writer, io, dirfd, options);
	if (rc < 0) {
		runwriter_free(writer);
		return rc;
	}
	*ret = writer;
	return 0;
}

void runwriter_free(struct runwriter *writer)
{
	if (!writer)
		return;
	atomicfile_release(&writer->file);
	run_block_builder_release(&writer->block);
	rundirs_release(&writer->dirs);
	buf_release(&writer->last);
	buf_release(&writer->first_keys);
	buf_release(&writer->block_first);
	buf_release(&writer->table);
	free(writer->out);
	free(writer->hashes);
	free(writer->firsts);
	free(writer);
}

uint64_t runwriter_size(const struct runwriter *writer)
{
	return (uint64_t)writer->pages * RUN_PAGE_SIZE;
}

/* --- the end of a block, of a chunk --- */

/* Write the block that is being made, if there is one. */
static int end_block(struct runwriter *writer)
{
	uint32_t count = writer->block.count;
	int rc = 0;

	if (!count)
		return 0;
	assert(writer->data_pages < RUN_DATA_PAGES_MAX);
	assert(count <= writer->chunk_keys);
	uint8_t *page = runwriter_next_page(writer, &rc);
	if (!page)
		return rc;
	run_block_builder_encode(&writer->block, page);
	runwriter_seal(writer, RUN_PAGE_BLOCK, page);
	struct hashed *hashes = writer->hashes + writer->chunk_keys - count;
	for (uint32_t i = 0; i < count; i++) {
		hashes[i].page = writer->data_pages;
		hashes[i].offset = writer->block.entries[i].offset;
	}
	writer->firsts[writer->first_count++] = (struct first){
		.page = writer->data_pages++,
		.size = (uint32_t)writer->block_first.size,
		.key_at = writer->first_keys.size,
	};
	run_block_builder_clear(&writer->block);
	return buf_add(&writer->first_keys, writer->block_first.data, writer->block_first.size);
}

static size_t common_size(struct dw_bytes a, struct dw_bytes b)
{
	const uint8_t *p = a.data, *q = b.data;
	size_t n = 0, max = a.size < b.size ? a.size : b.size;

	while (n + 8 <= max && bytes_get64(p + n) == bytes_get64(q + n))
		n += 8;
	while (n < max && p[n] == q[n])
		n++;
	return n;
}

static struct dw_bytes last_key(const struct runwriter *writer)
{
	return run_bytes(writer->last.data, writer->last.size);
}

/* Write the chunk's tables, if there is a chunk, and start another. */
static int end_chunk(struct runwriter *writer)
{
	if (!writer->chunk_keys)
		return 0;
	int rc = end_block(writer);
	if (rc < 0)
		return rc;
	struct run_chunk chunk = {
		.first_page = writer->chunk_page,
		.data_pages = writer->data_pages,
		.blocks = writer->first_count,
		.keys = writer->chunk_keys,
		.key = runwriter_first_key(writer, 0),
	};
	chunk.prefix_size = (uint32_t)common_size(chunk.key, last_key(writer));
	rc = runwriter_write_tables(writer, &chunk);
	if (!rc)
		rc = run_chunk_add(&writer->table, &chunk);
	if (rc < 0)
		return rc;
	assert(run_chunk_end_page(&chunk) == writer->pages);
	writer->end.chunks++;
	writer->chunk_page = writer->pages;
	writer->data_pages = writer->chunk_keys = writer->first_count = 0;
	writer->first_keys.size = 0;
	return 0;
}

/* --- keys --- */

/* Whether the chunk has no room left for a key that takes so many pages of its own. */
static bool chunk_is_full(const struct runwriter *writer, uint32_t long_pages)
{
	/* the block that is being made, and one more that the key may begin */
	return writer->chunk_keys == writer->chunk_keys_max ||
	       writer->data_pages + long_pages + 2 > RUN_DATA_PAGES_MAX ||
	       writer->dirs.done_count >= DIRECTORIES_MAX;
}

static int add_to_block(struct runwriter *writer, struct dw_bytes key, uint32_t long_page,
			const struct run_place *place)
{
	int rc = run_block_builder_add(&writer->block, key, long_page, place);

	if (!rc) {
		rc = end_block(writer);
		if (!rc)
			rc = run_block_builder_add(&writer->block, key, long_page, place);
		assert(rc); /* a block takes any key first */
	}
	if (rc < 0)
		return rc;
	writer->hashes[writer->chunk_keys++].hash = run_hash(writer->header.seed, key);
	if (writer->block.count > 1)
		return 0;
	writer->block_first.size = 0;
	return buf_add(&writer->block_first, key.data, key.size);
}

static int add_key(struct runwriter *writer, struct dw_bytes key, const struct run_place *place)
{
	uint32_t long_pages = key.size > RUN_KEY_INLINE_MAX ? run_long_pages(key.size) : 0;
	int rc = rundirs_leave(&writer->dirs, common_size(last_key(writer), key));

	if (!rc && chunk_is_full(writer, long_pages))
		rc = end_chunk(writer);
	if (!rc)
		rc = rundirs_enter(&writer->dirs, key, place);
	if (rc < 0)
		return rc;
	uint32_t long_page = writer->data_pages;
	if (long_pages) {
		rc = runwriter_write_bytes(writer, RUN_PAGE_LONG, key.data, key.size);
		if (rc < 0)
			return rc;
		writer->data_pages += long_pages;
	}
	rc = add_to_block(writer, key, long_page, place);
	writer->last.size = 0;
	return rc < 0 ? rc : buf_add(&writer->last, key.data, key.size);
}

static bool is_in_order(const struct runwriter *writer, struct dw_bytes key)
{
	size_t size = writer->last.size < key.size ? writer->last.size : key.size;
	int order = size ? memcmp(writer->last.data, key.data, size) : 0;

	return !writer->end.keys || order < 0 || (!order && writer->last.size < key.size);
}

int runwriter_add(struct runwriter *writer, struct dw_bytes key, const struct run_place *place)
{
	int rc = writer->failed ? -EINVAL : 0;

	assert(!writer->end.pages); /* not finished */
	key = run_bytes(key.data, key.size);
	if (!rc &&
	    (key.size > DW_KEY_SIZE_MAX || !run_place_is_valid(place) || !is_in_order(writer, key)))
		rc = -EINVAL;
	if (!rc)
		rc = add_key(writer, key, place);
	if (rc < 0) {
		writer->failed = true;
		return rc;
	}
	writer->end.keys++;
	writer->end.tombstones += place->tombstone;
	writer->end.key_bytes += key.size;
	writer->end.change += place->change;
	return 0;
}

/* --- the end --- */

static int write_end(struct runwriter *writer)
{
	const struct run_directory *root = &writer->dirs.open[0].sums;
	int rc = runwriter_write_bytes(writer, RUN_PAGE_CHUNKS, writer->table.data,
				       writer->table.size);

	if (rc < 0)
		return rc;
	uint8_t *page = runwriter_next_page(writer, &rc);
	if (!page)
		return rc;
	writer->end.pages = writer->pages;
	writer->end.table_size = writer->table.size;
	writer->end.below_change = root->change;
	writer->end.below_newest = root->newest;
	run_end_encode(writer->header.stamp, &writer->end, page);
	return runwriter_flush(writer);
}

int runwriter_finish(struct runwriter *writer, bool sync_directory)
{
	int rc = writer->failed ? -EINVAL : 0;

	assert(!writer->end.pages); /* once */
	if (!rc)
		rc = rundirs_leave(&writer->dirs, 0);
	if (!rc)
		rc = end_chunk(writer);
	if (!rc)
		rc = write_end(writer);
	if (!rc)
		rc = atomicfile_sync(&writer->file);
	writer->failed = rc < 0;
	return rc < 0 ? rc : atomicfile_commit(&writer->file, sync_directory);
}
