/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * root.c - see root.h.
 */
#include "index/root.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/limits.h"
#include "codec/run.h"
#include "codec/segname.h"
#include "disk/atomicfile.h"

enum { SIZE_MAX_READ = 1 << 30 }; /* bytes: no such file is as large */

/* --- proofs --- */

/* The current identity of the segment open as `fd`; its first `size` bytes count.  -ENODATA: it is
 * shorter. */
static int look_at(struct io *io, int fd, uint64_t size, struct indexfile_segment *ret,
		   uint64_t *file_size_ret)
{
	uint8_t crc[RECORD_TRAILER_SIZE] = {0};
	struct stat st;
	int rc = io->fstat(io, fd, &st);

	if (!rc && (uint64_t)st.st_size < size)
		rc = -ENODATA;
	if (!rc && size)
		rc = size < sizeof crc ? -ENODATA
				       : io_read_full(io, fd, crc, sizeof crc, size - sizeof crc);
	if (rc < 0)
		return rc;
	ret->crc = bytes_get32(crc);
	ret->mtime_ns = clock_ns_of(st.st_mtim);
	ret->inode = st.st_ino;
	*file_size_ret = (uint64_t)st.st_size;
	return 0;
}

static int look(struct dw_segment *segment, uint64_t size, struct indexfile_segment *ret,
		uint64_t *file_size_ret)
{
	int fd = segment_pin(segment);

	if (fd < 0)
		return fd;
	int rc = look_at(segment->pool->io, fd, size, ret, file_size_ret);
	segment_unpin(segment);
	return rc;
}

static int prove(struct dw_segment *segment, struct indexfile_segment *ret, bool last)
{
	struct segment_proof *proof = &segment->proof;
	uint64_t file_size;

	if (last || !proof->known || proof->size != ret->size) {
		int rc = look(segment, ret->size, ret, &file_size);
		if (!rc && !last && file_size != ret->size)
			rc = -ESTALE;
		if (rc < 0)
			return rc;
		*proof = (struct segment_proof){!last, ret->crc, ret->size, ret->mtime_ns,
						ret->inode};
	}
	ret->crc = proof->crc;
	ret->inode = proof->inode;
	ret->mtime_ns = last ? 0 : proof->mtime_ns; /* it is yet to grow */
	return 0;
}

int root_prove(struct indexfile *root, const struct segments *segments)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < root->segment_count; i++) {
		struct indexfile_segment *s = &root->segments[i];
		struct dw_segment *segment = segments_find(segments, s->id);
		if (!segment)
			continue;
		rc = prove(segment, s, i + 1 == root->segment_count);
	}
	return rc;
}

int root_prove_coming(struct index *index, const char *name, struct indexfile_segment *ret)
{
	struct io *io = index->io;
	int fd = io->open(io, index->dirfd, name, O_RDONLY | O_NOFOLLOW, 0);
	uint64_t file_size;

	if (fd < 0)
		return fd;
	int rc = look_at(io, fd, ret->size, ret, &file_size);
	(void)io->close(io, fd); /* only read */
	return !rc && file_size != ret->size ? -ENODATA : rc;
}

static bool fits_one(struct dw_segment *segment, const struct indexfile_segment *s, bool last)
{
	struct indexfile_segment now = {0};
	uint64_t file_size;

	if (look(segment, s->size, &now, &file_size) < 0 || now.inode != s->inode ||
	    now.crc != s->crc)
		return false;
	return last || (file_size == s->size && now.mtime_ns == s->mtime_ns);
}

bool root_is_file(const struct indexfile *root, struct dw_segment *segment)
{
	assert(root->segment_count && segment->id == root->position.segment);
	return segment->file.ino == root->segments[root->segment_count - 1].inode;
}

/* None is unknown. */
static bool knows_all(const struct indexfile *root, const struct segset *set)
{
	for (size_t i = 0, known = 0; i < set->count; i++) {
		uint32_t id = set->items[i]->id;
		if (id > root->position.segment)
			break;
		while (known < root->segment_count && root->segments[known].id < id)
			known++;
		if (known == root->segment_count || root->segments[known].id != id)
			return false;
	}
	return true;
}

int root_fits(const struct indexfile *root, const struct segset *set)
{
	struct segments *segments = segments_of(NULL, set);
	bool fits = knows_all(root, set);

	if (!segments)
		return -ENOMEM;
	for (size_t i = 0; fits && i < root->segment_count; i++) {
		const struct indexfile_segment *s = &root->segments[i];
		struct dw_segment *segment = segments_find(segments, s->id);
		bool last = i + 1 == root->segment_count;
		/* a compaction removes what no key is in any more, or came to name it never */
		fits = segment ? fits_one(segment, s, last) : !last && !s->live_bytes;
	}
	segments_unref(segments);
	return fits;
}

/* --- the origin of a file --- */

enum { START_SIZE = 8 };

/* -EEXIST: it is not as long, or no file. */
static int read_start(struct index *index, const char *name, uint8_t ret[START_SIZE])
{
	struct io *io = index->io;
	struct stat st;
	int fd = io->open(io, index->dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);

	if (fd < 0)
		return fd == -ELOOP || fd == -ENXIO || fd == -EACCES ? -EEXIST : fd;
	int rc = io->fstat(io, fd, &st);
	if (!rc)
		rc = S_ISREG(st.st_mode) ? io_read_full(io, fd, ret, START_SIZE, 0) : -EEXIST;
	(void)io->close(io, fd); /* nothing was written through it */
	return rc == -ENODATA ? -EEXIST : rc;
}

static int look_at_start(struct index *index, const char *name,
			 bool (*begins)(const uint8_t start[START_SIZE]))
{
	uint8_t start[START_SIZE];
	int rc = read_start(index, name, start);

	assert(index->io && begins);
	if (!rc && !begins(start))
		rc = -EEXIST;
	return rc == -ENOENT ? 0 : rc ? rc : 1;
}

int root_look(struct index *index)
{
	return look_at_start(index, SEGNAME_INDEX, indexfile_begins);
}

int root_look_at_run(struct index *index, uint32_t id)
{
	char name[SEGNAME_SIZE];

	segname_format_run(id, name);
	return look_at_start(index, name, run_begins);
}

/* --- the file --- */

/* Nothing that is there is another program's, as far as its name goes. */
static int claim_name(struct index *index)
{
	/* what was written or believed is the index's own */
	int rc = index->root.position.segment ? 1 : root_look(index);

	if (rc == -EEXIST)
		atomic_store(&index->nameless, true);
	return rc;
}

int root_write_to(const struct index *index, const struct indexfile *root, int dirfd)
{
	struct atomicfile file = {.fd = -1};
	struct buf bytes = {0};
	int rc = indexfile_encode(root, &bytes);

	if (!rc)
		rc = atomicfile_init(&file, index->io, dirfd, SEGNAME_INDEX, SEGNAME_INDEX_NEW,
				     OWNER_MODE_NEW);
	if (!rc && index->owner)
		owner_apply(index->owner, index->io, file.fd);
	if (!rc)
		rc = atomicfile_write(&file, bytes.data, bytes.size);
	if (!rc)
		rc = atomicfile_sync(&file);
	if (!rc)
		rc = atomicfile_commit(&file, false);
	atomicfile_release(&file);
	buf_release(&bytes);
	return rc;
}

int root_write(struct index *index, const struct indexfile *root)
{
	int rc = claim_name(index);

	if (rc >= 0)
		rc = root_write_to(index, root, index->dirfd);
	/* before anything that the older one names goes */
	if (!rc && index->io->fsync(index->io, index->dirfd) < 0)
		rc = -EINPROGRESS;
	return rc;
}

static int read_all(struct io *io, int fd, struct buf *ret)
{
	struct stat st;
	int rc = io->fstat(io, fd, &st);

	if (!rc && (!S_ISREG(st.st_mode) || st.st_size > SIZE_MAX_READ))
		rc = -EBADMSG;
	if (!rc)
		rc = buf_reserve(ret, (size_t)st.st_size + 1);
	if (!rc)
		rc = io_read_full(io, fd, ret->data, (size_t)st.st_size, 0);
	if (!rc)
		ret->size = (size_t)st.st_size;
	return rc == -ENODATA ? -EBADMSG : rc;
}

int root_read(struct index *index, struct indexfile *ret)
{
	struct io *io = index->io;
	struct buf bytes = {0};
	int fd = io->open(io, index->dirfd, SEGNAME_INDEX, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);

	if (fd < 0)
		return fd == -ELOOP ? -EBADMSG : fd;
	int rc = read_all(io, fd, &bytes);
	(void)io->close(io, fd); /* nothing was written through it */
	if (!rc)
		rc = indexfile_decode((struct dw_bytes){bytes.data, bytes.size}, ret);
	buf_release(&bytes);
	return rc;
}

int root_remove(struct index *index)
{
	int rc = claim_name(index);

	if (rc <= 0)
		return rc == -EEXIST ? 0 : rc;
	rc = index->io->unlink(index->io, index->dirfd, SEGNAME_INDEX);
	if (rc == -ENOENT)
		return 0;
	return rc ? rc : index->io->fsync(index->io, index->dirfd);
}
