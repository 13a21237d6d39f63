/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * run.c - see run.h: opening and closing, pages and their checksums, memory.
 *
 * Opening reads the first page, the last one, and the table of chunks, which stays in memory.
 */
#include "index/run.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/bulk.h"
#include "base/limits.h"
#include "codec/segname.h"
#include "index/run_internal.h"

/* --- pages --- */

int run_damage(struct run *run)
{
	atomic_store_explicit(&run->damaged, true, memory_order_relaxed);
	return -EBADMSG;
}

bool run_is_damaged(const struct run *run)
{
	return atomic_load_explicit(&run->damaged, memory_order_relaxed);
}

bool run_is_resident(const struct run *run)
{
	return atomic_load_explicit(&run->resident, memory_order_acquire);
}

int run_guarded(struct run *run, void (*body)(void *context), void *context)
{
	if (run_is_resident(run)) {
		body(context);
		return 0;
	}
	return mapping_try(&run->mapping, body, context) < 0 ? run_damage(run) : 0;
}

static bool check_page(struct run *run, uint32_t number, const uint8_t *page)
{
	if (!run_page_check(run->header.stamp, number, page)) {
		(void)run_damage(run); /* told by what is returned */
		return false;
	}
	(void)atomic_fetch_or_explicit(&run->checked[number / 64], 1ull << number % 64,
				       memory_order_relaxed);
	return true;
}

const uint8_t *run_page(struct run *run, uint32_t number)
{
	if (number >= run->end.pages) {
		(void)run_damage(run); /* a table that leads nowhere */
		return NULL;
	}
	const uint8_t *page = run_pages(run) + (size_t)number * RUN_PAGE_SIZE;
	uint64_t bits = atomic_load_explicit(&run->checked[number / 64], memory_order_relaxed);
	if (bits >> number % 64 & 1 || check_page(run, number, page))
		return page;
	return NULL;
}

/* --- opening --- */

/* Bytes of the file, into memory of ours. */
struct copy {
	const uint8_t *from;
	uint8_t *to;
	size_t size;
};

static void copy_body(void *context)
{
	struct copy *copy = context;

	memcpy(copy->to, copy->from, copy->size);
}

static int copy_page(struct run *run, uint32_t number, uint8_t *ret)
{
	struct copy copy = {run_pages(run) + (size_t)number * RUN_PAGE_SIZE, ret, RUN_PAGE_SIZE};

	return run_guarded(run, copy_body, &copy);
}

/* Header and end, which say what else there is. */
static int read_ends(struct run *run, uint32_t id, uint32_t pages)
{
	uint8_t page[RUN_PAGE_SIZE];
	int rc = copy_page(run, 0, page);

	if (rc < 0)
		return rc;
	if (!run_header_decode(page, id, &run->header))
		return -EBADMSG;
	rc = copy_page(run, pages - 1, page);
	if (rc < 0)
		return rc;
	return run_end_decode(run->header.stamp, pages, page, &run->end) ? 0 : -EBADMSG;
}

/* The table of chunks lies in front of the last page. */
static int read_table(struct run *run)
{
	uint64_t size = run->end.table_size, pages = run_pages_for(size, RUN_PAYLOAD);
	uint8_t page[RUN_PAGE_SIZE];

	if (size > (uint64_t)run->end.pages * RUN_PAYLOAD || pages > run->end.pages - 2)
		return -EBADMSG;
	if (buf_reserve(&run->table, size) < 0)
		return -ENOMEM;
	uint32_t first = run->end.pages - 1 - (uint32_t)pages;
	for (uint32_t i = 0; i < pages; i++) {
		size_t n =
			size - run->table.size < RUN_PAYLOAD ? size - run->table.size : RUN_PAYLOAD;
		int rc = copy_page(run, first + i, page);
		if (rc < 0)
			return rc;
		if (!run_page_check(run->header.stamp, first + i, page))
			return -EBADMSG;
		rc = buf_add(&run->table, page, n);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* The chunks follow each other, from the header to their table, and their keys ascend. */
static int read_chunks(struct run *run)
{
	uint32_t count = run->end.chunks, page = 1;
	uint64_t pages = run_pages_for(run->end.table_size, RUN_PAYLOAD), keys = 0;
	struct dw_bytes table = {run->table.data, run->table.size};
	size_t at = 0;

	if (count > table.size / RUN_CHUNK_SIZE)
		return -EBADMSG;
	run->chunks = calloc(count + !count, sizeof *run->chunks);
	run->fences = calloc(count + !count, sizeof *run->fences);
	if (!run->chunks || !run->fences)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		struct run_chunk *chunk = &run->chunks[i];
		if (!run_chunk_next(table, &at, page, chunk) ||
		    (i && run_compare(chunk[-1].key, chunk->key) >= 0))
			return -EBADMSG;
		page = run_chunk_end_page(chunk);
		keys += chunk->keys;
		if (page > run->end.pages - 1 - pages)
			return -EBADMSG;
	}
	if (at != table.size || page + pages + 1 != run->end.pages || keys != run->end.keys)
		return -EBADMSG;
	return 0;
}

/* The common prefix of sorted keys is that of the first and the last of them. */
static void make_fences(struct run *run)
{
	uint32_t count = run->end.chunks;

	if (!count)
		return;
	struct dw_bytes a = run->chunks[0].key, b = run->chunks[count - 1].key;
	const uint8_t *p = a.data, *q = b.data;
	while (run->shared < a.size && run->shared < b.size && p[run->shared] == q[run->shared])
		run->shared++;
	for (uint32_t i = 0; i < count; i++)
		run->fences[i] = run_fence(run->chunks[i].key, run->shared);
}

static int load(struct run *run, uint32_t id, uint64_t size)
{
	uint32_t pages = (uint32_t)(size / RUN_PAGE_SIZE);
	int rc = read_ends(run, id, pages);

	if (rc < 0)
		return rc;
	run->checked = calloc(run_pages_for(pages, 64), sizeof *run->checked);
	if (!run->checked)
		return -ENOMEM;
	rc = read_table(run);
	if (!rc)
		rc = read_chunks(run);
	if (rc < 0)
		return rc;
	make_fences(run);
	run->figures = (struct run_figures){
		.id = id,
		.stamp = run->header.stamp,
		.seed = run->header.seed,
		.size = size,
		.keys = run->end.keys,
		.tombstones = run->end.tombstones,
		.change = run->end.change,
		.key_bytes = run->end.key_bytes,
	};
	return 0;
}

/* Where a file cannot be mapped, all of it is read into memory. */
static int read_all(struct run *run, struct io *io, int fd, size_t size)
{
	uint8_t *data = bulk_alloc(size);

	if (!data)
		return -ENOMEM;
	int rc = io_read_full(io, fd, data, size, 0);
	if (rc < 0) {
		bulk_free(data, size);
		return rc == -ENODATA ? -EBADMSG : rc;
	}
	run->figures.size = size;
	atomic_store_explicit(&run->resident, data, memory_order_release);
	return 0;
}

static int open_file(struct run *run, struct io *io, int fd, uint32_t id)
{
	struct stat st;
	int rc = io->fstat(io, fd, &st);

	if (rc < 0)
		return rc;
	uint64_t size = (uint64_t)st.st_size;
	if (!S_ISREG(st.st_mode) || size % RUN_PAGE_SIZE || size < 2 * RUN_PAGE_SIZE ||
	    size / RUN_PAGE_SIZE > UINT32_MAX / 2)
		return -EBADMSG;
	rc = io->map ? io->map(io, fd, size, &run->mapping) : -ENOSYS;
	if (!rc)
		mapping_at_random(&run->mapping);
	else if (rc != -ENOMEM) /* some file systems map nothing */
		rc = read_all(run, io, fd, size);
	return rc < 0 ? rc : load(run, id, size);
}

int run_open(struct io *io, int dirfd, uint32_t id, struct run **ret)
{
	char name[SEGNAME_SIZE];
	struct run *run = calloc(1, sizeof *run);

	assert(id <= SEGMENT_ID_MAX);
	if (!run)
		return -ENOMEM;
	if (pthread_mutex_init(&run->resident_lock, NULL)) {
		free(run);
		return -ENOMEM;
	}
	atomic_init(&run->refs, 1);
	segname_format_run(id, name);
	int fd = io->open(io, dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0), rc = fd;
	if (fd >= 0) {
		rc = open_file(run, io, fd, id);
		(void)io->close(io, fd); /* only read, and mapped */
	}
	if (rc < 0) {
		run_unref(run);
		return rc;
	}
	*ret = run;
	return 0;
}

struct run *run_ref(struct run *run)
{
	unsigned before = atomic_fetch_add_explicit(&run->refs, 1, memory_order_relaxed);

	assert(before);
	(void)before; /* without asserts */
	return run;
}

void run_unref(struct run *run)
{
	if (!run)
		return;
	unsigned before = atomic_fetch_sub_explicit(&run->refs, 1, memory_order_acq_rel);
	assert(before);
	if (before > 1)
		return;
	bulk_free(atomic_load_explicit(&run->resident, memory_order_relaxed), run->figures.size);
	mapping_release(&run->mapping);
	(void)pthread_mutex_destroy(&run->resident_lock); /* the last reference is gone */
	buf_release(&run->table);
	free(run->checked);
	free(run->chunks);
	free(run->fences);
	free(run);
}

const struct run_figures *run_figures(const struct run *run)
{
	return &run->figures;
}

/* --- memory, and reading everything --- */

enum { FETCH_PAGES = 256 };

/* Pages are read in order: have the kernel begin with those that follow, for it was told to expect
 * no order. */
static void fetch_ahead(const struct run *run, uint32_t number)
{
	if (number % FETCH_PAGES == 0)
		mapping_prefetch(&run->mapping, (uint64_t)number * RUN_PAGE_SIZE,
				 2 * FETCH_PAGES * RUN_PAGE_SIZE);
}

static int make_resident_locked(struct run *run)
{
	size_t size = run->figures.size;

	if (run_is_resident(run))
		return 0;
	uint8_t *data = bulk_alloc(size);
	if (!data)
		return -ENOMEM;
	int rc = 0;
	for (uint32_t i = 0; i < run->end.pages && !rc; i++) {
		uint8_t *page = data + (size_t)i * RUN_PAGE_SIZE;
		fetch_ahead(run, i);
		rc = copy_page(run, i, page);
		/* each page, checked before or not: it is another copy that is read from now on */
		if (!rc && !check_page(run, i, page))
			rc = -EBADMSG;
	}
	if (rc < 0) {
		bulk_free(data, size);
		return rc;
	}
	/* the mapping stays: a look-up may be in the middle of it */
	atomic_store_explicit(&run->resident, data, memory_order_release);
	return 0;
}

int run_make_resident(struct run *run)
{
	(void)pthread_mutex_lock(&run->resident_lock); /* a plain one cannot fail */
	int rc = make_resident_locked(run);
	(void)pthread_mutex_unlock(&run->resident_lock);
	return rc;
}

int run_find_damage(struct run *run, uint64_t *offset_ret)
{
	uint8_t page[RUN_PAGE_SIZE];
	int rc = 0;

	for (uint32_t i = 0; i < run->end.pages; i++) {
		fetch_ahead(run, i);
		int one = copy_page(run, i, page);
		if (!one && check_page(run, i, page))
			continue;
		if (!rc)
			*offset_ret = (uint64_t)i * RUN_PAGE_SIZE;
		rc = -EBADMSG;
	}
	return rc;
}

int run_verify(struct run *run)
{
	uint64_t offset;

	return run_find_damage(run, &offset);
}
