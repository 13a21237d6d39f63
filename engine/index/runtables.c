/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * runtables.c - see runwriter_internal.h: the lookup tables of a chunk of a run.
 *
 * The hash is filled in memory, where its size is bounded by that of a chunk; each page is written
 * once, in order.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "index/runwriter_internal.h"

enum {
	KEYS_A_LINE = 11,   /* of the 15 that have room: seldom is a line full */
	LINES_GROW_MAX = 4, /* times the lines are doubled if keys do not find room */
	DIRECTORIES_A_BUCKET = RUN_DIRECTORIES_A_PAGE * 7 / 8,
};

/* Lines with all keys of the chunk; the caller frees them.  NULL: `*rc_ret`. */
static uint8_t *fill_lines(const struct runwriter *writer, uint32_t *count_ret, int *rc_ret)
{
	uint32_t count = writer->chunk_keys / KEYS_A_LINE + 1;

	for (int n = 0; n <= LINES_GROW_MAX; n++, count *= 2) {
		uint8_t *lines = calloc(count, RUN_LINE_SIZE);
		if (!lines) {
			*rc_ret = -ENOMEM;
			return NULL;
		}
		uint32_t i = 0;
		for (; i < writer->chunk_keys; i++) {
			const struct hashed *h = &writer->hashes[i];
			if (!run_lines_add(lines, count, h->hash,
					   run_slot(h->hash, h->page, h->offset)))
				break;
		}
		if (i == writer->chunk_keys) {
			*count_ret = count;
			return lines;
		}
		free(lines);
	}
	*rc_ret = -EOVERFLOW; /* more keys with one hash than a chain holds */
	return NULL;
}

static int write_hash(struct runwriter *writer, struct run_chunk *chunk)
{
	int rc = 0;
	uint8_t *lines = fill_lines(writer, &chunk->lines, &rc);

	if (!lines)
		return rc;
	for (uint32_t at = 0; at < chunk->lines && !rc; at += RUN_LINES_A_PAGE) {
		uint32_t n = chunk->lines - at;
		if (n > RUN_LINES_A_PAGE)
			n = RUN_LINES_A_PAGE;
		uint8_t *page = runwriter_next_page(writer, &rc);
		if (!page)
			break;
		memcpy(page, lines + (size_t)at * RUN_LINE_SIZE, (size_t)n * RUN_LINE_SIZE);
		runwriter_seal(writer, RUN_PAGE_HASH, page);
	}
	free(lines);
	return rc;
}

struct dw_bytes runwriter_first_key(const struct runwriter *writer, uint32_t i)
{
	const struct first *first = &writer->firsts[i];

	return first->size ? run_bytes(writer->first_keys.data + first->key_at, first->size)
			   : run_bytes(NULL, 0);
}

static int write_fences(struct runwriter *writer, const struct run_chunk *chunk)
{
	uint8_t *page = NULL;
	int rc = 0;

	for (uint32_t i = 0; i < writer->first_count; i++) {
		uint32_t at = i % RUN_FENCES_A_PAGE;
		if (!at) {
			if (page)
				runwriter_seal(writer, RUN_PAGE_FENCES, page);
			page = runwriter_next_page(writer, &rc);
			if (!page)
				return rc;
		}
		run_fence_put(page, at,
			      run_fence(runwriter_first_key(writer, i), chunk->prefix_size),
			      writer->firsts[i].page);
	}
	assert(page); /* a chunk has a block */
	runwriter_seal(writer, RUN_PAGE_FENCES, page);
	return 0;
}

static int compare_directories(const void *a, const void *b)
{
	const struct run_directory *p = a, *q = b;

	return p->hash < q->hash ? -1 : p->hash > q->hash;
}

/* Sorted by their hashes, each goes into the page of its bucket or, where that is full, into the
 * next one with room. */
static int write_directories(struct runwriter *writer, struct run_chunk *chunk)
{
	struct run_directory *all = writer->dirs.done;
	uint32_t count = writer->dirs.done_count, at = 0, buckets = 0;
	int rc = 0;

	if (!count)
		return 0;
	qsort(all, count, sizeof *all, compare_directories);
	buckets = count / DIRECTORIES_A_BUCKET + 1;
	chunk->directory_buckets = buckets;
	while (at < count || chunk->directory_pages < buckets) {
		uint32_t n = 0;
		while (at + n < count && n < RUN_DIRECTORIES_A_PAGE &&
		       run_directory_bucket(all[at + n].hash, buckets) <= chunk->directory_pages)
			n++;
		bool over = at + n < count && run_directory_bucket(all[at + n].hash, buckets) <=
						      chunk->directory_pages;
		uint8_t *page = runwriter_next_page(writer, &rc);
		if (!page)
			return rc;
		run_directory_page_encode(all + at, n, over, page);
		runwriter_seal(writer, RUN_PAGE_DIRECTORIES, page);
		chunk->directory_pages++;
		at += n;
	}
	writer->dirs.done_count = 0;
	return 0;
}

int runwriter_write_tables(struct runwriter *writer, struct run_chunk *chunk)
{
	assert(writer->chunk_keys);
	assert(!writer->block.count);
	int rc = write_hash(writer, chunk);
	if (!rc)
		rc = write_fences(writer, chunk);
	return rc < 0 ? rc : write_directories(writer, chunk);
}
