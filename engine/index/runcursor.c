/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * runcursor.c - see run.h: the keys of a run in order.
 *
 * A block is copied when the cursor comes to it; later reads use the copy, which does not change,
 * and need no guard.  To find a key, fences are bisected; where several blocks have the fence of
 * the key, their first keys; then the block's own offsets.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "index/run.h"
#include "index/run_internal.h"

enum {
	PREFETCH_PAGES = 64, /* that the kernel reads at once when blocks are read in order */
	/* room for the prefix and the rest of any key that stands in its block */
	KEY_ROOM = 2 * RUN_PAGE_SIZE,
};

static const struct run_chunk *chunk_of(const struct run_cursor *cursor)
{
	return &cursor->run->chunks[cursor->chunk];
}

int run_cursor_init(struct run_cursor *cursor, struct run *run)
{
	*cursor = (struct run_cursor){.page = malloc(RUN_PAGE_SIZE)};
	if (!cursor->page || buf_reserve(&cursor->key, KEY_ROOM) < 0) {
		run_cursor_release(cursor);
		return -ENOMEM;
	}
	cursor->run = run_ref(run);
	cursor->fence = UINT32_MAX; /* the block before the first one */
	return 0;
}

void run_cursor_release(struct run_cursor *cursor)
{
	free(cursor->page);
	buf_release(&cursor->key);
	run_unref(cursor->run);
	*cursor = (struct run_cursor){0};
}

/* --- in run_guarded() --- */

struct step {
	struct run_cursor *cursor;
	struct dw_bytes key;
	int rc;
};

/* Where the page of fence `i` is, and the fence's number there; NULL: damaged. */
static const uint8_t *fence_page(struct run *run, const struct run_chunk *chunk, uint32_t *i)
{
	uint32_t number = run_chunk_fence_page(chunk) + *i / RUN_FENCES_A_PAGE;

	*i %= RUN_FENCES_A_PAGE;
	return run_page(run, number);
}

/* The page of block `i` of a chunk, and its number in the file; NULL: damaged. */
static const uint8_t *block_page(struct run *run, const struct run_chunk *chunk, uint32_t i,
				 uint32_t *number_ret)
{
	const uint8_t *page = fence_page(run, chunk, &i);

	if (!page)
		return NULL;
	uint32_t at = run_fence_page(page, i);
	if (at >= chunk->data_pages) {
		(void)run_damage(run); /* told by what is returned */
		return NULL;
	}
	*number_ret = chunk->first_page + at;
	return run_page(run, *number_ret);
}

/* Compare `key` with the key of an entry. */
static int compare_entry(struct run *run, const struct run_chunk *chunk,
			 const struct run_block *block, uint32_t offset, struct dw_bytes key,
			 int *order_ret)
{
	struct dw_bytes prefix = run_block_prefix(block);
	struct run_entry entry;

	if (!run_block_entry(block, offset, &entry))
		return run_damage(run);
	if (entry.long_size)
		return run_compare_long(run, chunk, &entry, key, order_ret);
	struct dw_bytes head = {key.data, key.size < prefix.size ? key.size : prefix.size};
	*order_ret = run_compare(head, prefix);
	if (*order_ret)
		return 0;
	struct dw_bytes tail = {(const uint8_t *)key.data + prefix.size, key.size - prefix.size};
	*order_ret = run_compare(tail, (struct dw_bytes){entry.rest, entry.rest_size});
	return 0;
}

/* Whether the first key of block `i` is `key` or less.  1, 0, -EBADMSG. */
static int block_begins_before(struct run *run, const struct run_chunk *chunk, uint32_t i,
			       struct dw_bytes key)
{
	uint32_t number;
	const uint8_t *page = block_page(run, chunk, i, &number);
	struct run_block block;
	int order = 0;

	if (!page)
		return -EBADMSG;
	if (!run_block_decode(page, &block))
		return run_damage(run);
	int rc = compare_entry(run, chunk, &block, block.start, key, &order);
	return rc < 0 ? rc : order >= 0;
}

/* The last block of the chunk that begins with `key` or less; the first one, if none does. */
static int find_block(struct run *run, const struct run_chunk *chunk, struct dw_bytes key,
		      uint32_t *ret)
{
	struct dw_bytes prefix = {chunk->key.data, chunk->prefix_size};
	struct dw_bytes head = {key.data, key.size < prefix.size ? key.size : prefix.size};
	uint32_t from = 0, to = chunk->blocks;
	int order = run_compare(head, prefix);

	if (order > 0)
		from = to;
	if (order < 0)
		to = 0;
	uint64_t fence = run_fence(key, prefix.size);
	while (from < to) {
		uint32_t middle = from + (to - from) / 2, i = middle;
		const uint8_t *page = fence_page(run, chunk, &i);
		if (!page)
			return -EBADMSG;
		uint64_t there = run_fence_get(page, i);
		int before = there < fence;
		if (there == fence)
			before = block_begins_before(run, chunk, middle, key);
		if (before < 0)
			return before;
		if (before)
			from = middle + 1;
		else
			to = middle;
	}
	*ret = from ? from - 1 : 0;
	return 0;
}

/* Copy block `fence` of the chunk; the cursor stands before its first entry. */
static int load_block(struct run_cursor *cursor)
{
	uint32_t number;
	const uint8_t *page = block_page(cursor->run, chunk_of(cursor), cursor->fence, &number);

	if (!page)
		return -EBADMSG;
	memcpy(cursor->page, page, RUN_PAGE_SIZE);
	if (!run_block_decode(cursor->page, &cursor->block))
		return run_damage(cursor->run);
	if (number % PREFETCH_PAGES == 0 && cursor->fence)
		mapping_prefetch(&cursor->run->mapping,
				 (uint64_t)(number + PREFETCH_PAGES) * RUN_PAGE_SIZE,
				 PREFETCH_PAGES * RUN_PAGE_SIZE);
	memcpy(cursor->key.data, cursor->page + RUN_BLOCK_HEADER_SIZE, cursor->block.prefix_size);
	cursor->prefix_gone = false;
	cursor->offset = cursor->block.start;
	cursor->left = cursor->block.count;
	return 0;
}

/* In the block, go on with the first entry that is `key` or greater. */
static int find_entry(struct run_cursor *cursor, struct dw_bytes key)
{
	const struct run_block *block = &cursor->block;
	uint32_t from = 0, to = run_block_restarts(block), offset = block->start;
	int order = 0, rc = 0;

	while (from < to) {
		uint32_t middle = (from + to) / 2;
		rc = compare_entry(cursor->run, chunk_of(cursor), block,
				   run_block_restart(block, middle), key, &order);
		if (rc < 0)
			return rc;
		if (order > 0)
			from = middle + 1;
		else
			to = middle;
	}
	uint32_t at = from ? (from - 1) * RUN_BLOCK_RESTART : 0;
	if (from)
		offset = run_block_restart(block, from - 1);
	for (; at < block->count; at++) {
		struct run_entry entry;
		rc = compare_entry(cursor->run, chunk_of(cursor), block, offset, key, &order);
		if (rc < 0)
			return rc;
		if (order <= 0)
			break;
		if (!run_block_entry(block, offset, &entry))
			return run_damage(cursor->run);
		offset = entry.next;
	}
	cursor->offset = offset;
	cursor->left = block->count - at;
	return 0;
}

static void seek_body(void *context)
{
	struct step *step = context;
	struct run_cursor *cursor = step->cursor;

	step->rc = find_block(cursor->run, chunk_of(cursor), step->key, &cursor->fence);
	if (!step->rc)
		step->rc = load_block(cursor);
	if (!step->rc)
		step->rc = find_entry(cursor, step->key);
}

static void load_body(void *context)
{
	struct step *step = context;

	step->rc = load_block(step->cursor);
}

/* A long key, into the cursor's memory. */
struct long_key {
	struct run_cursor *cursor;
	const struct run_entry *entry;
	int rc;
};

static void long_body(void *context)
{
	struct long_key *want = context;
	struct run_cursor *cursor = want->cursor;
	const struct run_entry *entry = want->entry;
	const struct run_chunk *chunk = chunk_of(cursor);

	if (entry->long_page > chunk->data_pages ||
	    run_long_pages(entry->long_size) > chunk->data_pages - entry->long_page) {
		want->rc = run_damage(cursor->run);
		return;
	}
	for (uint32_t at = 0; at < entry->long_size; at += RUN_PAYLOAD) {
		const uint8_t *page = run_page(cursor->run, chunk->first_page + entry->long_page +
								    at / RUN_PAYLOAD);
		if (!page) {
			want->rc = -EBADMSG;
			return;
		}
		uint32_t left = entry->long_size - at;
		memcpy(cursor->key.data + at, page, left < RUN_PAYLOAD ? left : RUN_PAYLOAD);
	}
}

/* --- moving --- */

static int guarded_step(struct step *step, void (*body)(void *context))
{
	struct run_cursor *cursor = step->cursor;
	int rc = run_guarded(cursor->run, body, step);

	if (!rc)
		rc = step->rc;
	cursor->lost = rc < 0;
	return rc;
}

int run_cursor_seek(struct run_cursor *cursor, struct dw_bytes key)
{
	key = run_bytes(key.data, key.size);
	struct step step = {.cursor = cursor, .key = key};

	assert(cursor->page);
	assert(key.data);
	cursor->lost = false;
	cursor->left = 0;
	if (!run_chunk_count(cursor->run))
		return 0;
	if (!run_find_chunk(cursor->run, key, &cursor->chunk)) {
		cursor->chunk = 0;
		cursor->fence = UINT32_MAX;
		return 0;
	}
	return guarded_step(&step, seek_body);
}

/* Go to the block behind.  1; 0: there is none. */
static int next_block(struct run_cursor *cursor)
{
	struct step step = {.cursor = cursor};

	if (cursor->chunk >= run_chunk_count(cursor->run))
		return 0;
	if (++cursor->fence == chunk_of(cursor)->blocks) {
		if (cursor->chunk + 1 == run_chunk_count(cursor->run)) {
			cursor->fence--;
			return 0;
		}
		cursor->chunk++;
		cursor->fence = 0;
	}
	int rc = guarded_step(&step, load_body);
	return rc < 0 ? rc : 1;
}

/* A long key takes the place of the block's prefix, which is put back after it was used. */
static int read_long(struct run_cursor *cursor, const struct run_entry *entry)
{
	struct long_key want = {cursor, entry, 0};

	if (buf_reserve(&cursor->key, entry->long_size) < 0)
		return -ENOMEM;
	int rc = run_guarded(cursor->run, long_body, &want);
	return rc < 0 ? rc : want.rc;
}

static int lose(struct run_cursor *cursor, int rc)
{
	cursor->lost = true;
	return rc;
}

int run_cursor_next(struct run_cursor *cursor, struct dw_bytes *key_ret,
		    struct run_place *place_ret)
{
	const struct run_block *block = &cursor->block;
	struct run_entry entry;
	struct run_place place;
	uint32_t size;

	assert(cursor->page);
	if (cursor->lost)
		return -EBADMSG;
	if (!cursor->left) {
		int rc = next_block(cursor);
		if (rc <= 0)
			return rc;
	}
	if (!run_block_entry(block, cursor->offset, &entry) ||
	    !run_block_place(block, entry.place, &place))
		return lose(cursor, run_damage(cursor->run));
	if (entry.long_size) {
		int rc = read_long(cursor, &entry);
		if (rc < 0)
			return lose(cursor, rc);
		size = entry.long_size;
		cursor->prefix_gone = true;
	} else {
		if (cursor->prefix_gone)
			memcpy(cursor->key.data, cursor->page + RUN_BLOCK_HEADER_SIZE,
			       block->prefix_size);
		cursor->prefix_gone = false;
		memcpy(cursor->key.data + block->prefix_size, entry.rest, entry.rest_size);
		size = block->prefix_size + entry.rest_size;
	}
	cursor->offset = entry.next;
	cursor->left--;
	*key_ret = (struct dw_bytes){cursor->key.data, size};
	*place_ret = place;
	return 1;
}
