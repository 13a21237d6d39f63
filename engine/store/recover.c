/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * recover.c - see recover.h.
 *
 * A torn tail is saved to a file of its own, synced, and only then cut off: at
 * no instant are its bytes in neither place.  Zeros at its end, of which a size that came
 * to the disk before the bytes may leave any number, are not worth it.  Output files of a
 * compaction that never got their final name, and unfinished copies of torn bytes, are removed;
 * nothing refers to them.
 */
#include "store/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk/freshname.h"
#include "disk/guard.h"
#include "store/orphan.h"

enum { COPY_SIZE = 1 << 20, SPARSE_SIZE = 64 << 10, ZEROS_KEPT = 4 << 10 };

/* Of `size` bytes, those up to the last that is not zero. */
static size_t nonzero_size(const uint8_t *bytes, size_t size)
{
	if (!bytes[0] && !memcmp(bytes, bytes + 1, size - 1))
		return 0;
	while (!bytes[size - 1])
		size--;
	return size;
}

/* Copy in pieces of `piece` bytes, up to COPY_SIZE; if `sparse`, those that are zero become holes,
 * but for the last one, which makes the file as long as it is. */
static int copy_bytes(struct io *io, int fd, uint64_t offset, uint64_t end, size_t piece,
		      bool sparse, struct atomicfile *to)
{
	uint8_t *bytes = malloc(piece);
	int rc = bytes ? 0 : -ENOMEM;

	while (!rc && offset < end) {
		size_t n = end - offset < piece ? (size_t)(end - offset) : piece;
		rc = io_read_full(io, fd, bytes, n, offset);
		offset += n;
		if (!rc && sparse && offset < end && !nonzero_size(bytes, n))
			atomicfile_skip(to, n);
		else if (!rc)
			rc = atomicfile_write(to, bytes, n);
	}
	free(bytes);
	return rc;
}

int recover_copy(struct io *io, int fd, uint64_t offset, uint64_t end, struct atomicfile *to)
{
	return copy_bytes(io, fd, offset, end, COPY_SIZE, false, to);
}

/* Where the last byte of `offset`..`end` that is not zero ends; `offset`: there is none. */
static int find_nonzero_end(struct io *io, int fd, uint64_t offset, uint64_t end, uint64_t *ret)
{
	uint64_t found = offset;
	uint8_t *bytes = malloc(COPY_SIZE);
	int rc = bytes ? 0 : -ENOMEM;

	while (!rc && offset < end) {
		size_t n = end - offset < COPY_SIZE ? (size_t)(end - offset) : COPY_SIZE;
		rc = io_read_full(io, fd, bytes, n, offset);
		size_t nonzero = rc ? 0 : nonzero_size(bytes, n);
		if (nonzero)
			found = offset + nonzero;
		offset += n;
	}
	free(bytes);
	if (!rc)
		*ret = found;
	return rc;
}

static int save_bytes(struct core *core, uint32_t segment, int fd, uint64_t offset, uint64_t end,
		      char *name_ret)
{
	struct atomicfile file = {.fd = -1};
	char temporary[SEGNAME_SIZE + 8];
	int rc = freshname(core->io, core->dirfd, segment, segname_format_torn, name_ret);

	if (rc < 0)
		return rc;
	(void)snprintf(temporary, sizeof temporary, "%s.tmp", name_ret); /* cannot be cut */
	rc = atomicfile_init(&file, core->io, core->dirfd, name_ret, temporary, OWNER_MODE_NEW);
	if (!rc)
		owner_apply(&core->pool.owner, core->io, file.fd);
	if (!rc)
		rc = copy_bytes(core->io, fd, offset, end, SPARSE_SIZE, true, &file);
	if (!rc)
		rc = atomicfile_sync(&file);
	if (!rc)
		rc = atomicfile_commit(&file, true);
	atomicfile_release(&file);
	return rc;
}

int recover_quarantine(struct core *core, uint32_t segment, int fd, uint64_t offset, uint64_t end,
		       char *name_ret)
{
	uint64_t nonzero = offset;
	int rc = find_nonzero_end(core->io, fd, offset, end, &nonzero);

	*name_ret = '\0';
	if (rc < 0 || nonzero == offset)
		return rc;
	/* the checksum of a whole record may end in zeros, and so may what came before it */
	if (end - nonzero > ZEROS_KEPT)
		end = nonzero + ZEROS_KEPT;
	return save_bytes(core, segment, fd, offset, end, name_ret);
}

int recover_tail(struct core *core, struct dw_segment *segment, uint64_t file_size, bool torn)
{
	char name[SEGNAME_SIZE] = "";
	uint64_t valid = segment->size;
	int fd = segment_pin(segment), rc = 0;

	if (fd < 0)
		return fd;
	if (torn)
		rc = recover_quarantine(core, segment->id, fd, valid, file_size, name);
	/* durably: else a crash could bring the torn bytes back under records appended
	 * meanwhile */
	if (!rc)
		rc = guard_cut(core->io, fd, valid, file_size);
	segment_unpin(segment);
	if (!rc && !torn)
		return 0;
	const struct dw_finding finding = {
		.kind = rc ? DW_FINDING_IO : DW_FINDING_QUARANTINED,
		.error = -rc,
		.segment = segment->id,
		.offset = valid,
		.size = file_size - valid,
		.name = rc      ? "saving the torn tail"
			: *name ? name
				: NULL,
	};
	core_report(core, &finding);
	return rc;
}

static int sync_last(struct core *core, int dirfd)
{
	struct io *io = core->io;
	struct segset_ids ids = {0};
	char name[SEGNAME_SIZE];
	int rc = segset_list(io, dirfd, &ids);

	/* the others were synced before it was made */
	if (!rc && ids.count) {
		segname_format(ids.items[ids.count - 1], name);
		int fd = io->open(io, dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
		bool there = fd != -ELOOP && fd != -ENXIO; /* a link is no segment, nor a socket */
		if (there)
			rc = fd < 0 ? fd : io->fdatasync(io, fd);
		if (fd >= 0)
			(void)io->close(io, fd); /* nothing was written through it */
	}
	segset_ids_release(&ids);
	if (!rc)
		rc = io->fsync(io, dirfd);
	return rc ? rc : io->fsync(io, core->dirfd); /* its own name */
}

int recover_first(struct core *core)
{
	struct io *io = core->io;
	int fd = io->open(io, core->dirfd, DW_ATTR_DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
			  0);

	if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
		return 0; /* the code that needs it reports the error */
	int rc = fd < 0 ? fd : sync_last(core, fd);
	if (fd >= 0)
		(void)io->close(io, fd); /* a directory: nothing to lose */
	const struct dw_finding finding = {
		.kind = DW_FINDING_IO, .error = -rc, .name = "syncing " DW_ATTR_DIRECTORY};
	if (rc < 0)
		core_report(core, &finding);
	return rc;
}

/* Blocks behind a segment that are no more than file systems round up by. */
enum { BLOCK_SIZE = 512, BLOCKS_SLACK = 64 << 10, BLOCKS_SHARE = 16 };

static void trim_segment(struct core *core, struct dw_segment *segment)
{
	char name[SEGNAME_SIZE];
	struct stat st;
	int fd = segment_pin(segment), rc = fd;

	if (fd >= 0) {
		rc = core->io->fstat(core->io, fd, &st);
		segment_unpin(segment);
	}
	if (rc < 0 ||
	    (uint64_t)st.st_blocks * BLOCK_SIZE <=
		    (uint64_t)st.st_size + (uint64_t)st.st_size / BLOCKS_SHARE + BLOCKS_SLACK)
		return;
	segname_format(segment->id, name);
	fd = core->io->open(core->io, core->dirfd, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd < 0)
		return;
	(void)core->io->trim(core->io, fd, &st); /* only space is at stake */
	(void)core->io->close(core->io, fd);     /* nothing was written through it */
}

void recover_blocks(struct core *core)
{
	for (size_t i = 0; core->io->trim && i < core->segments.count; i++)
		trim_segment(core, core->segments.items[i]);
}

struct leftovers {
	const struct segset *segments;
	char (*names)[SEGNAME_SIZE + 8];
	size_t count;
};

/* A hint whose segment is gone. */
static bool is_orphan(const struct segset *segments, const char *name)
{
	uint32_t id;

	return segname_parse_hint(name, &id) && !segset_has(segments, id);
}

static int note_leftover(void *context, const char *name)
{
	struct leftovers *left = context;

	if (!segname_is_unfinished(name) && !is_orphan(left->segments, name))
		return 0;
	char(*names)[SEGNAME_SIZE + 8] = reallocarray(left->names, left->count + 1, sizeof *names);
	if (!names)
		return -ENOMEM;
	left->names = names;
	(void)snprintf(names[left->count++], sizeof *names, "%s", name); /* its form fits */
	return 0;
}

/* Remove it.  A hint that would prove a loss is put aside instead, and that is told: it is known
 * to be of another log. */
static int drop(struct core *core, const char *name, bool keep_proofs)
{
	struct dw_finding finding = {.kind = DW_FINDING_SIDECAR};
	char aside[SEGNAME_SIZE];

	if (!segname_parse_hint(name, &finding.segment) || !orphan_proves(core, finding.segment))
		return core->io->unlink(core->io, core->dirfd, name);
	if (keep_proofs)
		return 0;
	core_report(core, &finding);
	return freshname_put_hint_aside(core->io, core->dirfd, finding.segment, aside);
}

int recover_leftovers(struct core *core, bool keep_proofs)
{
	struct leftovers left = {.segments = &core->segments};
	int rc = core->io->list(core->io, core->dirfd, note_leftover, &left);

	for (size_t i = 0; !rc && i < left.count; i++) {
		rc = drop(core, left.names[i], keep_proofs);
		/* no file of ours, or gone */
		if (rc == -EISDIR || rc == -EPERM || rc == -ENOENT)
			rc = 0;
		const struct dw_finding finding = {
			.kind = DW_FINDING_IO, .error = -rc, .name = left.names[i]};
		if (rc)
			core_report(core, &finding);
	}
	free(left.names);
	return rc;
}
