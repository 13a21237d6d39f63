/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * segment.c - see segment.h.
 */
#include "disk/segment.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "codec/record.h"

struct dw_segment *segment_new(struct fdpool *pool, uint32_t id)
{
	struct dw_segment *segment = calloc(1, sizeof *segment);

	if (!segment)
		return NULL;
	segment->id = id;
	segment->pool = pool;
	atomic_init(&segment->refs, 1);
	atomic_init(&segment->map_state, SEGMENT_MAP_UNTRIED);
	fdpool_file_init(&segment->file, id);
	return segment;
}

struct dw_segment *segment_ref(struct dw_segment *segment)
{
	atomic_fetch_add_explicit(&segment->refs, 1, memory_order_relaxed);
	return segment;
}

void segment_unref(struct dw_segment *segment)
{
	if (!segment)
		return;
	if (atomic_fetch_sub_explicit(&segment->refs, 1, memory_order_acq_rel) > 1)
		return;
	fdpool_forget(segment->pool, &segment->file);
	mapping_release(&segment->mapping);
	free(segment);
}

/* Make a segment of an open file; `fd` is taken over, on failure too. */
static int adopt(struct fdpool *pool, uint32_t id, int fd, bool writable, uint64_t *size_ret,
		 struct dw_segment **ret)
{
	struct dw_segment *segment = NULL;
	struct stat st;
	int rc = pool->io->fstat(pool->io, fd, &st);

	if (!rc && !S_ISREG(st.st_mode))
		rc = -EINVAL;
	if (!rc && !(segment = segment_new(pool, id)))
		rc = -ENOMEM;
	if (rc) {
		(void)pool->io->close(pool->io, fd); /* nothing was written through it */
		return rc;
	}
	segment->file.dev = st.st_dev;
	segment->file.ino = st.st_ino;
	segment->file.known = true;
	segment->mtime_ns = clock_ns_of(st.st_mtim);
	fdpool_adopt(pool, &segment->file, fd, writable);
	*size_ret = (uint64_t)st.st_size;
	*ret = segment;
	return 0;
}

int segment_create(struct fdpool *pool, uint32_t id, struct dw_segment **ret)
{
	char name[SEGNAME_SIZE];
	uint64_t size;

	segname_format(id, name);
	int fd = pool->io->open(pool->io, pool->dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW,
				OWNER_MODE_NEW);
	if (fd < 0)
		return fd;
	owner_apply(&pool->owner, pool->io, fd);
	int rc = adopt(pool, id, fd, true, &size, ret);
	if (rc < 0)
		(void)pool->io->unlink(pool->io, pool->dirfd, name); /* empty, and refused anyway */
	return rc;
}

int segment_open(struct fdpool *pool, uint32_t id, bool writable, uint64_t *size_ret,
		 struct dw_segment **ret)
{
	char name[SEGNAME_SIZE];
	int flags = (writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK;

	segname_format(id, name);
	int fd = pool->io->open(pool->io, pool->dirfd, name, flags, 0);
	if (fd < 0)
		return fd;
	return adopt(pool, id, fd, writable, size_ret, ret);
}

/* Whether a header on disk is that of the record the view believes in. */
static enum dw_damage check_header(const uint8_t *bytes, struct dw_bytes key, uint32_t value_size)
{
	struct record_header header;
	enum dw_damage damage = record_header_decode(bytes, &header);

	if (damage)
		return damage;
	if (header.type != DW_PUT || header.key_size != key.size ||
	    header.payload_size != value_size)
		return DW_DAMAGE_KEY;
	return memcmp(bytes + RECORD_HEADER_SIZE, key.data, key.size) ? DW_DAMAGE_KEY
								      : DW_DAMAGE_NONE;
}

static int damaged(enum dw_damage damage, enum dw_damage *damage_ret)
{
	*damage_ret = damage;
	return -EBADMSG;
}

enum { SMALL_HEAD = 512 };

static int read_by_calls(struct dw_segment *segment, uint64_t offset, struct dw_bytes key,
			 uint32_t value_size, void *value, enum dw_damage *damage_ret)
{
	uint8_t small[SMALL_HEAD], trailer[RECORD_TRAILER_SIZE];
	size_t head_size = RECORD_HEADER_SIZE + key.size;
	uint8_t *head = head_size <= sizeof small ? small : malloc(head_size);

	if (!head)
		return -ENOMEM;
	struct iovec iov[3] = {{head, head_size}, {value, value_size}, {trailer, sizeof trailer}};
	int rc = segment_pin(segment);
	if (rc >= 0) {
		rc = io_readv_full(segment->pool->io, rc, iov, 3, offset);
		segment_unpin(segment);
	}
	if (rc == -ENODATA)
		rc = damaged(DW_DAMAGE_TRUNCATED, damage_ret);
	if (!rc) {
		enum dw_damage damage = check_header(head, key, value_size);
		uint32_t crc = crc32c(crc32c(0, head, head_size), value, value_size);
		if (!damage && crc != bytes_get32(trailer))
			damage = DW_DAMAGE_CRC;
		if (damage)
			rc = damaged(damage, damage_ret);
	}
	if (head != small)
		free(head);
	return rc;
}

/* --- by the mapping --- */

static void try_to_map(struct dw_segment *segment)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct io *io = segment->pool->io;
	struct stat st;

	(void)pthread_mutex_lock(&lock);
	if (atomic_load(&segment->map_state) == SEGMENT_MAP_UNTRIED) {
		int fd = io->map ? segment_pin(segment) : -ENOSYS, rc = fd;
		if (fd >= 0) {
			rc = io->fstat(io, fd, &st);
			uint64_t size = rc < 0 ? 0 : (uint64_t)st.st_size;
			if (segment->file.writable && size < segment->pool->map_size)
				size = segment->pool->map_size;
			if (!rc)
				rc = io->map(io, fd, size, &segment->mapping);
			segment_unpin(segment);
		}
		atomic_store_explicit(&segment->map_state, rc ? SEGMENT_NOT_MAPPED : SEGMENT_MAPPED,
				      memory_order_release);
	}
	(void)pthread_mutex_unlock(&lock);
}

/* Where `size` bytes at `offset` are mapped; NULL: they are to be read by calls. */
static const uint8_t *mapped(struct dw_segment *segment, uint64_t offset, uint64_t size)
{
	int state = atomic_load_explicit(&segment->map_state, memory_order_acquire);

	if (state == SEGMENT_MAP_UNTRIED) {
		try_to_map(segment);
		state = atomic_load_explicit(&segment->map_state, memory_order_acquire);
	}
	if (state != SEGMENT_MAPPED || offset + size > segment->mapping.size)
		return NULL;
	return segment->mapping.data + offset;
}

/* One access to a mapping. */
struct access {
	const uint8_t *at; /* the record, or the bytes of it */
	struct dw_bytes key;
	uint8_t *value; /* where it goes; NULL: only checked */
	size_t value_size;
	enum dw_damage damage;
};

enum { LINE = 64, LINES = 4, PAGE = 4096 };

/* Prefetch the first cache lines of a record, and those after the end of the first page, which the
 * processor does not prefetch by itself. */
static void prefetch(const uint8_t *at, size_t size)
{
	const uint8_t *page = at + (PAGE - (uintptr_t)at % PAGE), *end = at + size;

	for (size_t i = 0; i < LINES * LINE && i < size; i += LINE)
		__builtin_prefetch(at + i);
	__builtin_prefetch(end - 1);
	for (size_t i = 0; i < LINES * LINE && page + i < end; i += LINE)
		__builtin_prefetch(page + i);
}

enum { COPY_SIZE = 64 << 10 }; /* each piece is checked while it is in the cache */

static void access_record(void *context)
{
	struct access *a = context;
	size_t head_size = RECORD_HEADER_SIZE + a->key.size;
	const uint8_t *from = a->at + head_size;
	uint32_t crc;

	prefetch(a->at, RECORD_OVERHEAD + a->key.size + a->value_size);
	a->damage = check_header(a->at, a->key, (uint32_t)a->value_size);
	if (a->damage)
		return;
	crc = crc32c(0, a->at, head_size);
	if (!a->value)
		crc = crc32c(crc, from, a->value_size);
	for (size_t done = 0, n; a->value && done < a->value_size; done += n) {
		n = a->value_size - done < COPY_SIZE ? a->value_size - done : COPY_SIZE;
		memcpy(a->value + done, from + done, n);
		crc = crc32c(crc, a->value + done, n);
	}
	if (crc != bytes_get32(from + a->value_size))
		a->damage = DW_DAMAGE_CRC;
}

static void access_bytes(void *context)
{
	struct access *a = context;

	memcpy(a->value, a->at, a->value_size);
}

/* 0, -EBADMSG, or -EAGAIN: not mapped, or a page that cannot be read: by calls then,
 * which tell the exact reason. */
static int read_mapped(struct dw_segment *segment, uint64_t offset, struct dw_bytes key,
		       uint32_t value_size, void *value, enum dw_damage *damage_ret)
{
	struct access a = {.key = key, .value = value, .value_size = value_size};

	a.at = mapped(segment, offset, RECORD_OVERHEAD + key.size + (uint64_t)value_size);
	if (!a.at || mapping_try(&segment->mapping, access_record, &a) < 0)
		return -EAGAIN;
	return a.damage ? damaged(a.damage, damage_ret) : 0;
}

int segment_read_record(struct dw_segment *segment, uint64_t offset, struct dw_bytes key,
			uint32_t value_size, void *value, enum dw_damage *damage_ret)
{
	int rc = read_mapped(segment, offset, key, value_size, value, damage_ret);

	return rc == -EAGAIN ? read_by_calls(segment, offset, key, value_size, value, damage_ret)
			     : rc;
}

void segment_prefetch(const struct dw_segment *segment, uint64_t offset)
{
	if (atomic_load_explicit(&segment->map_state, memory_order_acquire) != SEGMENT_MAPPED ||
	    offset >= segment->mapping.size)
		return;
	for (size_t i = 0; i < LINES; i++)
		__builtin_prefetch(segment->mapping.data + offset + i * LINE);
}

void segment_uncache(struct dw_segment *segment, uint64_t offset, uint64_t size)
{
	struct io *io = segment->pool->io;
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t first = (offset + page - 1) / page * page, end = (offset + size) / page * page;

	if (first >= end || !io->uncache)
		return;
	int fd = segment_pin(segment);
	if (fd < 0)
		return; /* then not */
	if (atomic_load_explicit(&segment->map_state, memory_order_acquire) == SEGMENT_MAPPED)
		mapping_uncache(&segment->mapping, first, end - first);
	io->uncache(io, fd, (off_t)first, (off_t)(end - first));
	segment_unpin(segment);
}

int segment_read_bytes(struct dw_segment *segment, uint64_t offset, void *ret, size_t size)
{
	struct access a = {.value = ret, .value_size = size};

	a.at = mapped(segment, offset, size);
	if (a.at && !mapping_try(&segment->mapping, access_bytes, &a))
		return 0;
	int rc = segment_pin(segment);
	if (rc >= 0) {
		rc = io_read_full(segment->pool->io, rc, ret, size, offset);
		segment_unpin(segment);
	}
	return rc;
}

/* --- checking without keeping --- */

enum { CHECK_WINDOW = 256 << 10 };
_Static_assert(CHECK_WINDOW > RECORD_HEADER_SIZE + DW_KEY_SIZE_MAX,
	       "the first window holds any key");

/* The body of segment_check_record(), with the descriptor and a window at hand. */
static int check_stream(struct io *io, int fd, uint64_t offset, struct dw_bytes key,
			uint32_t value_size, uint8_t *window, enum dw_damage *damage_ret)
{
	uint64_t left = RECORD_HEADER_SIZE + key.size + value_size;
	bool first = true;
	uint32_t crc = 0;

	for (size_t n; left; left -= n, offset += n) {
		n = left < CHECK_WINDOW ? (size_t)left : CHECK_WINDOW;
		int rc = io_read_full(io, fd, window, n, offset);
		if (rc < 0)
			return rc;
		if (first) {
			enum dw_damage damage = check_header(window, key, value_size);
			if (damage)
				return damaged(damage, damage_ret);
			first = false;
		}
		crc = crc32c(crc, window, n);
	}
	int rc = io_read_full(io, fd, window, RECORD_TRAILER_SIZE, offset);
	if (!rc && crc != bytes_get32(window))
		rc = damaged(DW_DAMAGE_CRC, damage_ret);
	return rc;
}

int segment_check_record(struct dw_segment *segment, uint64_t offset, struct dw_bytes key,
			 uint32_t value_size, enum dw_damage *damage_ret)
{
	int rc = read_mapped(segment, offset, key, value_size, NULL, damage_ret);

	if (rc != -EAGAIN)
		return rc;
	uint8_t *window = malloc(CHECK_WINDOW);
	if (!window)
		return -ENOMEM;
	rc = segment_pin(segment);
	if (rc >= 0) {
		rc = check_stream(segment->pool->io, rc, offset, key, value_size, window,
				  damage_ret);
		segment_unpin(segment);
	}
	free(window);
	return rc == -ENODATA ? damaged(DW_DAMAGE_TRUNCATED, damage_ret) : rc;
}

int segment_look(const struct dw_segment *segment, int fd, uint64_t size)
{
	const struct fdpool *pool = segment->pool;
	struct stat st, named;
	int rc = pool->io->fstat(pool->io, fd, &st);

	if (rc < 0)
		return rc;
	/* without a name it goes when it is closed; with another one it cannot be found */
	if (!st.st_nlink || (uint64_t)st.st_size < size)
		return -ESTALE;
	if (!pool->io->lookup)
		return 0;
	rc = pool->io->lookup(pool->io, pool->dirfd, segment->file.name, &named);
	if (rc == -ENOENT || (!rc && (named.st_ino != st.st_ino || named.st_dev != st.st_dev)))
		return -ESTALE;
	return rc;
}
