/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * prealloc.c - see prealloc.h.
 */
#include "log/prealloc.h"

#include <errno.h>

#include "disk/guard.h"

enum {
	RESERVE_MIN = 4 << 10,
	RESERVE_MAX = 1 << 20,
	BLOCKS_STEP_MAX = 8 << 20,
	ZEROS_STEP_MAX = 1 << 20
};

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void prealloc_init(struct prealloc *prealloc, struct io *io, uint64_t segment_size)
{
	*prealloc = (struct prealloc){
		.io = io,
		.fd = -1,
		.reserve_max = least(segment_size / 16, RESERVE_MAX),
		.step = segment_size / 16,
		.no_blocks = !io->allocate,
	};
}

void prealloc_attach(struct prealloc *prealloc, int fd, uint64_t end)
{
	prealloc->fd = fd;
	prealloc->on = prealloc->no_zeros = false;
	prealloc->size = prealloc->allocated = end;
	prealloc->reserve = prealloc->reserve_max;
}

/* Allocate blocks up to `end`; those that are there stay. */
static int allocate(struct prealloc *prealloc, uint64_t end)
{
	if (end <= prealloc->allocated || prealloc->no_blocks)
		return 0;
	int rc = prealloc->io->allocate(prealloc->io, prealloc->fd, (off_t)prealloc->allocated,
					(off_t)(end - prealloc->allocated));
	if (!rc)
		prealloc->allocated = end;
	if (rc == -EOPNOTSUPP || rc == -ENOSYS) {
		prealloc->no_blocks = true;
		rc = 0;
	}
	return rc;
}

int prealloc_begin(struct prealloc *prealloc, bool shrink)
{
	if (prealloc->lent)
		return 0;
	int rc = allocate(prealloc, prealloc->allocated + prealloc->reserve);

	/* never all there is: values should find room as well */
	while (shrink && io_is_full(rc) && prealloc->reserve / 4 >= RESERVE_MIN) {
		prealloc->reserve /= 4;
		rc = allocate(prealloc, prealloc->allocated + prealloc->reserve);
	}
	return rc;
}

static int make_blocks(struct prealloc *prealloc, uint64_t end, bool removes)
{
	if (end + prealloc->reserve <= prealloc->allocated)
		return 0;
	int rc = allocate(prealloc,
			  end + prealloc->reserve + least(prealloc->step, BLOCKS_STEP_MAX));
	if (io_is_full(rc)) /* perhaps for less */
		rc = allocate(prealloc, end + prealloc->reserve);
	if (rc == -EFBIG) /* RLIMIT_FSIZE: the write itself may fit */
		rc = 0;
	/* the write itself will tell */
	return removes ? 0 : rc;
}

bool prealloc_must_grow(const struct prealloc *prealloc, uint64_t end, uint64_t size)
{
	return end + size + GUARD_SIZE + prealloc->reserve > prealloc->size;
}

static int make_zeros(struct prealloc *prealloc, uint64_t end, bool removes, bool *sync_failed_ret)
{
	uint64_t needed = end + GUARD_SIZE;

	if (!prealloc_must_grow(prealloc, end, 0))
		return 0;
	uint64_t size = needed + prealloc->reserve + least(prealloc->step, ZEROS_STEP_MAX);
	int rc = guard_write_zeros(prealloc->io, prealloc->fd, prealloc->size, size);
	if (rc < 0) {
		/* zeros behind zeros: as good there as not, but the space is needed */
		int undone =
			prealloc->io->ftruncate(prealloc->io, prealloc->fd, (off_t)prealloc->size);
		*sync_failed_ret = undone < 0;
		return removes && needed <= prealloc->size ? 0 : rc;
	}
	rc = prealloc->io->fdatasync(prealloc->io, prealloc->fd);
	*sync_failed_ret = rc < 0;
	if (!rc)
		prealloc->size = size;
	return rc;
}

int prealloc_make_room(struct prealloc *prealloc, uint64_t end, uint64_t size, bool removes,
		       bool *sync_failed_ret)
{
	return prealloc->on ? make_zeros(prealloc, end + size, removes, sync_failed_ret)
			    : make_blocks(prealloc, end + size, removes);
}

int prealloc_enter(struct prealloc *prealloc, uint64_t end, bool *sync_failed_ret)
{
	uint64_t zeros = prealloc->reserve + least(prealloc->step, ZEROS_STEP_MAX);

	if (prealloc->on || prealloc->no_zeros)
		return 0;
	int rc = guard_extend(prealloc->io, prealloc->fd, end, zeros, sync_failed_ret);
	if (!rc) {
		prealloc->on = true;
		prealloc->size = end + GUARD_SIZE + zeros;
		return 0;
	}
	/* for want of room the log goes on without zeros; else the file may be gone */
	if (!io_is_full(rc) && rc != -EFBIG)
		*sync_failed_ret = true;
	prealloc->no_zeros = true;
	if (!*sync_failed_ret) {
		/* as long as it came to be: a truncate must not let it grow on a full disk */
		struct stat st;
		rc = prealloc->io->fstat(prealloc->io, prealloc->fd, &st);
		if (!rc)
			rc = guard_cut(prealloc->io, prealloc->fd, end, (uint64_t)st.st_size);
		*sync_failed_ret = rc < 0;
	}
	return rc;
}

int prealloc_leave(struct prealloc *prealloc, uint64_t end)
{
	int rc = 0;

	if (prealloc->on)
		rc = guard_cut(prealloc->io, prealloc->fd, end, prealloc->size);
	else if (prealloc->allocated > end) /* a size that stays lets blocks behind it go */
		rc = prealloc->io->ftruncate(prealloc->io, prealloc->fd, (off_t)end);
	if (!rc) {
		prealloc->on = false;
		prealloc->allocated = end;
	}
	return rc;
}

int prealloc_undo(struct prealloc *prealloc, uint64_t end)
{
	struct stat st;
	int rc = prealloc->io->fstat(prealloc->io, prealloc->fd, &st);

	if (!rc && (prealloc->on || (uint64_t)st.st_size > end))
		rc = guard_undo(prealloc->io, prealloc->fd, end, (uint64_t)st.st_size);
	else if (!rc) /* a file system that takes not even that is gone, whatever a sync says */
		rc = prealloc->io->ftruncate(prealloc->io, prealloc->fd, (off_t)end);
	if (!rc) {
		prealloc->on = false;
		prealloc->allocated = end;
	}
	return rc;
}
