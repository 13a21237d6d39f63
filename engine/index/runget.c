/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * runget.c - see run.h: looking up one key, and one directory.
 *
 * A key is hashed: the chunk it would be in is found in memory, then a line of the chunk's hash
 * says which entries of which blocks to compare.  A key that is not there mostly costs the line
 * alone.
 */
#include "index/run.h"

#include <assert.h>
#include <errno.h>

#include "index/run_internal.h"

bool run_find_chunk(const struct run *run, struct dw_bytes key, uint32_t *ret)
{
	uint32_t from = 0, to = run_chunk_count(run);

	if (!to)
		return false;
	struct dw_bytes head = key, shared = {run->chunks[0].key.data, run->shared};
	if (head.size > shared.size)
		head.size = shared.size;
	int order = run_compare(head, shared);
	if (order < 0)
		return false;
	uint64_t fence = run_fence(key, run->shared);
	if (order > 0)
		from = to;
	/* chunks below `from` begin with `key` or less, those from `to` on with more */
	while (from < to) {
		uint32_t middle = from + (to - from) / 2;
		uint64_t there = run->fences[middle];
		if (there < fence ||
		    (there == fence && run_compare(run->chunks[middle].key, key) <= 0))
			from = middle + 1;
		else
			to = middle;
	}
	if (!from)
		return false;
	*ret = from - 1;
	return true;
}

int run_compare_long(struct run *run, const struct run_chunk *chunk, const struct run_entry *entry,
		     struct dw_bytes key, int *order_ret)
{
	size_t size = key.size < entry->long_size ? key.size : entry->long_size;
	const uint8_t *p = key.data;

	if (entry->long_page > chunk->data_pages ||
	    run_long_pages(entry->long_size) > chunk->data_pages - entry->long_page)
		return run_damage(run);
	for (size_t at = 0; at < size; at += RUN_PAYLOAD) {
		size_t n = size - at < RUN_PAYLOAD ? size - at : RUN_PAYLOAD;
		const uint8_t *page = run_page(run, chunk->first_page + entry->long_page +
							    (uint32_t)(at / RUN_PAYLOAD));
		if (!page)
			return -EBADMSG;
		*order_ret = memcmp(p + at, page, n);
		if (*order_ret)
			return 0;
	}
	*order_ret = key.size < entry->long_size ? -1 : key.size > entry->long_size;
	return 0;
}

/* --- a key --- */

/* Whether the entry is that of the key.  1, 0, -EBADMSG. */
static int entry_is_key(struct run *run, struct dw_bytes key, const struct run_chunk *chunk,
			const struct run_block *block, const struct run_entry *entry)
{
	struct dw_bytes prefix = run_block_prefix(block);
	int order = 0;

	if (entry->long_size) {
		if (entry->long_size != key.size)
			return 0;
		int rc = run_compare_long(run, chunk, entry, key, &order);
		return rc < 0 ? rc : !order;
	}
	return key.size == prefix.size + entry->rest_size &&
	       !memcmp((const uint8_t *)key.data + prefix.size, entry->rest, entry->rest_size) &&
	       !memcmp(key.data, prefix.data, prefix.size);
}

/* Look at the entry that a slot of the hash names.  1: it is the key's. */
static int try_slot(struct run *run, struct run_probe *probe, const struct run_chunk *chunk,
		    uint32_t slot)
{
	uint32_t at = run_slot_page(slot);
	struct run_block block;
	struct run_entry entry;

	if (at >= chunk->data_pages)
		return run_damage(run);
	const uint8_t *page = run_page(run, chunk->first_page + at);
	if (!page)
		return -EBADMSG;
	/* the entry is fetched while the block's header is */
	__builtin_prefetch(page + run_slot_offset(slot));
	if (!run_block_decode(page, &block) ||
	    !run_block_entry(&block, run_slot_offset(slot), &entry))
		return run_damage(run);
	int rc = entry_is_key(run, probe->key, chunk, &block, &entry);
	if (rc == 1 && !run_block_place(&block, entry.place, &probe->place))
		return run_damage(run);
	return rc;
}

static int get_from_chunk(struct run *run, struct run_probe *probe, const struct run_chunk *chunk)
{
	uint32_t at = run_line_of(probe->hash, chunk->lines), first = run_chunk_hash_page(chunk);
	uint32_t chain = chunk->lines < RUN_LINE_CHAIN_MAX ? chunk->lines : RUN_LINE_CHAIN_MAX;

	for (uint32_t n = 0; n < chain; n++) {
		const uint8_t *page = run_page(run, first + at / RUN_LINES_A_PAGE);
		if (!page)
			return -EBADMSG;
		const uint8_t *line = page + at % RUN_LINES_A_PAGE * (size_t)RUN_LINE_SIZE;
		for (unsigned found = run_line_match(line, probe->hash); found;
		     found &= found - 1) {
			uint32_t slot = run_line_slot(line, (unsigned)__builtin_ctz(found));
			int rc = try_slot(run, probe, chunk, slot);
			if (rc)
				return rc;
		}
		if (!run_line_is_over(line))
			return 0;
		at = at + 1 == chunk->lines ? 0 : at + 1;
	}
	return 0; /* no writer makes a longer chain */
}

/* Where a hash looks first in a chunk; nothing is read. */
static const uint8_t *first_line(const struct run *run, const struct run_chunk *chunk,
				 uint64_t hash)
{
	uint32_t at = run_line_of(hash, chunk->lines);
	size_t page = run_chunk_hash_page(chunk) + at / RUN_LINES_A_PAGE;

	return run_pages(run) + page * RUN_PAGE_SIZE + at % RUN_LINES_A_PAGE * RUN_LINE_SIZE;
}

void run_prefetch(const struct run *run, struct dw_bytes key, uint64_t hash)
{
	uint32_t chunk;

	if (run_find_chunk(run, run_bytes(key.data, key.size), &chunk))
		__builtin_prefetch(first_line(run, &run->chunks[chunk], hash));
}

/* Fetch the first entry that has the tag.  The page may not have been checked yet, so its contents
 * are only advice. */
static void prefetch_entry(const struct run *run, const struct run_chunk *chunk, uint64_t hash)
{
	const uint8_t *line = first_line(run, chunk, hash);
	unsigned found = run_line_match(line, hash);

	if (!found)
		return;
	uint32_t slot = run_line_slot(line, (unsigned)__builtin_ctz(found));
	size_t number = chunk->first_page + run_slot_page(slot);
	if (run_slot_page(slot) >= chunk->data_pages)
		return;
	const uint8_t *page = run_pages(run) + number * RUN_PAGE_SIZE;
	__builtin_prefetch(page);
	__builtin_prefetch(page + run_slot_offset(slot));
}

struct get {
	struct run *run;
	struct run_probe probe;
};

static void get_body(void *context)
{
	struct get *get = context;
	uint32_t chunk;

	get->probe.rc = run_find_chunk(get->run, get->probe.key, &chunk)
				? get_from_chunk(get->run, &get->probe, &get->run->chunks[chunk])
				: 0;
}

int run_get(struct run *run, struct dw_bytes key, uint64_t hash, struct run_place *ret)
{
	struct get get = {run, {.key = run_bytes(key.data, key.size), .hash = hash}};

	assert(key.data || !key.size);
	int rc = run_guarded(run, get_body, &get);
	if (!rc)
		rc = get.probe.rc;
	if (rc == 1)
		*ret = get.probe.place;
	return rc;
}

/* --- several keys --- */

enum { AT_ONCE = 32 };

struct gets {
	struct run *run;
	struct run_probe *probes;
	size_t count; /* AT_ONCE at most */
};

/* Three passes over the probes: the memory one probe needs is fetched while others are processed.
 */
static void get_many_body(void *context)
{
	struct gets *gets = context;
	struct run *run = gets->run;
	const struct run_chunk *chunks[AT_ONCE] = {NULL};
	uint32_t chunk;

	for (size_t i = 0; i < gets->count; i++) {
		if (!run_find_chunk(run, gets->probes[i].key, &chunk))
			continue;
		chunks[i] = &run->chunks[chunk];
		__builtin_prefetch(first_line(run, chunks[i], gets->probes[i].hash));
	}
	for (size_t i = 0; i < gets->count; i++)
		if (chunks[i])
			prefetch_entry(run, chunks[i], gets->probes[i].hash);
	for (size_t i = 0; i < gets->count; i++)
		gets->probes[i].rc =
			chunks[i] ? get_from_chunk(run, &gets->probes[i], chunks[i]) : 0;
}

void run_get_many(struct run *run, struct run_probe *probes, size_t count)
{
	while (count) {
		struct gets gets = {run, probes, count < AT_ONCE ? count : AT_ONCE};
		for (size_t i = 0; i < gets.count; i++) {
			assert(probes[i].key.data || !probes[i].key.size);
			probes[i].key = run_bytes(probes[i].key.data, probes[i].key.size);
			probes[i].rc = -EBADMSG; /* unless it is answered */
		}
		(void)run_guarded(run, get_many_body, &gets); /* told by what is still set */
		probes += gets.count;
		count -= gets.count;
	}
}

/* --- a directory --- */

struct below {
	struct run *run;
	struct run_directory directory;
	uint32_t chunk;
	int rc;
};

static void below_body(void *context)
{
	struct below *below = context;
	const struct run_chunk *chunk = &below->run->chunks[below->chunk];
	uint32_t at = run_directory_bucket(below->directory.hash, chunk->directory_buckets);

	below->rc = 0;
	for (; at < chunk->directory_pages; at++) {
		const uint8_t *page = run_page(below->run, run_chunk_directory_page(chunk) + at);
		bool over = false;
		if (!page)
			below->rc = -EBADMSG;
		else
			below->rc = run_directory_page_find(page, &below->directory, &over);
		if (below->rc || !over)
			return;
	}
}

/* The last chunk with a key below the directory, if there is one: it holds the sum over all chunks.
 * False: there is none. */
static bool find_last_chunk(const struct run *run, struct dw_bytes name, uint32_t *ret)
{
	uint32_t from = 0, to = run_chunk_count(run);

	while (from < to) {
		uint32_t middle = from + (to - from) / 2;
		struct dw_bytes key = run->chunks[middle].key;
		/* keys that begin with the name do not sort after the directory */
		if (key.size > name.size)
			key.size = name.size;
		if (run_compare(key, name) <= 0)
			from = middle + 1;
		else
			to = middle;
	}
	*ret = from - 1;
	return from;
}

int run_below(struct run *run, struct dw_bytes prefix, int64_t *change_ret, int64_t *newest_ret)
{
	struct below below = {.run = run};

	if (prefix.size && ((const uint8_t *)prefix.data)[prefix.size - 1] != '/')
		return -EINVAL;
	if (!prefix.size) {
		*change_ret = run->end.below_change;
		*newest_ret = run->end.below_newest;
		return 0;
	}
	if (find_last_chunk(run, prefix, &below.chunk)) {
		below.directory.hash = run_hash(run->header.seed, prefix);
		int rc = run_guarded(run, below_body, &below);
		if (rc < 0 || below.rc < 0)
			return -EBADMSG;
	}
	*change_ret = below.rc ? below.directory.change : 0;
	*newest_ret = below.rc ? below.directory.newest : INT64_MIN;
	return 0;
}
