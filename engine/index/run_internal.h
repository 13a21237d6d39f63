/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * run_internal.h - what the files of the reader of runs share.
 *
 * Whatever reads pages does so in run_guarded(), which survives that the file is cut meanwhile.
 */
#ifndef INDEX_RUN_INTERNAL_H
#define INDEX_RUN_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "codec/runblock.h"
#include "index/run.h"

struct run {
	atomic_uint refs;
	atomic_bool damaged;
	struct run_header header;
	struct run_end end;
	struct run_figures figures;
	struct mapping mapping;        /* data is NULL: there is none */
	_Atomic(uint8_t *) resident;   /* owned; all pages, checked; NULL: not there */
	pthread_mutex_t resident_lock; /* held while they are copied */
	_Atomic uint64_t *checked;     /* owned; a bit for each page: its checksum is right */
	struct buf table;              /* of chunks, as it is in the file */
	struct run_chunk *chunks;      /* owned; keys point into the table */
	uint64_t *fences; /* owned; of the chunks' first keys, behind what they share */
	size_t shared;    /* bytes that these keys begin with */
};

static inline uint32_t run_chunk_count(const struct run *run)
{
	return run->end.chunks;
}

/* Run `body`, which reads pages, must not lock or allocate, and returns nothing but through its
 * context.  0, or -EBADMSG: a page could not be read. */
int run_guarded(struct run *run, void (*body)(void *context), void *context);

/* All of them: the copied ones, or the mapped ones. */
static inline const uint8_t *run_pages(const struct run *run)
{
	const uint8_t *data = atomic_load_explicit(&run->resident, memory_order_acquire);

	return data ? data : run->mapping.data;
}

/* A page, checked; NULL: it is damaged, and the run is known to be.  Within run_guarded(). */
const uint8_t *run_page(struct run *run, uint32_t number);

/* Remember that there is damage; -EBADMSG. */
int run_damage(struct run *run);

/* The last chunk whose first key is `key` or less; false: all keys are greater. */
bool run_find_chunk(const struct run *run, struct dw_bytes key, uint32_t *ret);

/* Compare `key` with a long one of a chunk, as memcmp() and then by size.  0, or -EBADMSG.  Within
 * run_guarded(). */
int run_compare_long(struct run *run, const struct run_chunk *chunk, const struct run_entry *entry,
		     struct dw_bytes key, int *order_ret);

static inline int run_compare(struct dw_bytes a, struct dw_bytes b)
{
	size_t size = a.size < b.size ? a.size : b.size;
	int order = size ? memcmp(a.data, b.data, size) : 0;

	return order ? order : a.size < b.size ? -1 : a.size > b.size;
}

#endif
