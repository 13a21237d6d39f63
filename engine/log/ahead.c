/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * ahead.c - see ahead.h.
 */
#include "log/ahead.h"

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

void ahead_init(struct ahead *ahead, struct io *io, uint64_t segment_size)
{
	*ahead = (struct ahead){
		.io = io,
		.fd = -1,
		.reserve_max = least(segment_size / 16, RESERVE_MAX),
		.step = segment_size / 16,
		.no_blocks = !io->allocate,
	};
}

void ahead_attach(struct ahead *ahead, int fd, uint64_t end)
{
	ahead->fd = fd;
	ahead->on = ahead->no_zeros = false;
	ahead->size = ahead->allocated = end;
	ahead->reserve = ahead->reserve_max;
}

/* Allocate blocks up to `end`; those that are there stay. */
static int allocate(struct ahead *ahead, uint64_t end)
{
	if (end <= ahead->allocated || ahead->no_blocks)
		return 0;
	int rc = ahead->io->allocate(ahead->io, ahead->fd, (off_t)ahead->allocated,
				     (off_t)(end - ahead->allocated));
	if (!rc)
		ahead->allocated = end;
	if (rc == -EOPNOTSUPP || rc == -ENOSYS) {
		ahead->no_blocks = true;
		rc = 0;
	}
	return rc;
}

int ahead_begin(struct ahead *ahead, bool shrink)
{
	if (ahead->lent)
		return 0;
	int rc = allocate(ahead, ahead->allocated + ahead->reserve);

	/* never all there is: values should find room as well */
	while (shrink && io_is_full(rc) && ahead->reserve / 4 >= RESERVE_MIN) {
		ahead->reserve /= 4;
		rc = allocate(ahead, ahead->allocated + ahead->reserve);
	}
	return rc;
}

static int make_blocks(struct ahead *ahead, uint64_t end, bool removes)
{
	if (end + ahead->reserve <= ahead->allocated)
		return 0;
	int rc = allocate(ahead, end + ahead->reserve + least(ahead->step, BLOCKS_STEP_MAX));
	if (io_is_full(rc)) /* perhaps for less */
		rc = allocate(ahead, end + ahead->reserve);
	if (rc == -EFBIG) /* RLIMIT_FSIZE: the write itself may fit */
		rc = 0;
	/* the write itself will tell */
	return removes ? 0 : rc;
}

bool ahead_must_grow(const struct ahead *ahead, uint64_t end, uint64_t size)
{
	return end + size + GUARD_SIZE + ahead->reserve > ahead->size;
}

static int make_zeros(struct ahead *ahead, uint64_t end, bool removes, bool *sync_failed_ret)
{
	uint64_t needed = end + GUARD_SIZE;

	if (!ahead_must_grow(ahead, end, 0))
		return 0;
	uint64_t size = needed + ahead->reserve + least(ahead->step, ZEROS_STEP_MAX);
	int rc = guard_write_zeros(ahead->io, ahead->fd, ahead->size, size);
	if (rc < 0) {
		/* zeros behind zeros: as good there as not, but the space is needed */
		int undone = ahead->io->ftruncate(ahead->io, ahead->fd, (off_t)ahead->size);
		*sync_failed_ret = undone < 0;
		return removes && needed <= ahead->size ? 0 : rc;
	}
	rc = ahead->io->fdatasync(ahead->io, ahead->fd);
	*sync_failed_ret = rc < 0;
	if (!rc)
		ahead->size = size;
	return rc;
}

int ahead_make_room(struct ahead *ahead, uint64_t end, uint64_t size, bool removes,
		    bool *sync_failed_ret)
{
	return ahead->on ? make_zeros(ahead, end + size, removes, sync_failed_ret)
			 : make_blocks(ahead, end + size, removes);
}

int ahead_enter(struct ahead *ahead, uint64_t end, bool *sync_failed_ret)
{
	uint64_t zeros = ahead->reserve + least(ahead->step, ZEROS_STEP_MAX);

	if (ahead->on || ahead->no_zeros)
		return 0;
	int rc = guard_extend(ahead->io, ahead->fd, end, zeros, sync_failed_ret);
	if (!rc) {
		ahead->on = true;
		ahead->size = end + GUARD_SIZE + zeros;
		return 0;
	}
	/* for want of room the log goes on without zeros; else the file may be gone */
	if (!io_is_full(rc) && rc != -EFBIG)
		*sync_failed_ret = true;
	ahead->no_zeros = true;
	if (!*sync_failed_ret) {
		/* as long as it came to be: a truncate must not let it grow on a full disk */
		struct stat st;
		rc = ahead->io->fstat(ahead->io, ahead->fd, &st);
		if (!rc)
			rc = guard_cut(ahead->io, ahead->fd, end, (uint64_t)st.st_size);
		*sync_failed_ret = rc < 0;
	}
	return rc;
}

int ahead_leave(struct ahead *ahead, uint64_t end)
{
	int rc = 0;

	if (ahead->on)
		rc = guard_cut(ahead->io, ahead->fd, end, ahead->size);
	else if (ahead->allocated > end) /* a size that stays lets blocks behind it go */
		rc = ahead->io->ftruncate(ahead->io, ahead->fd, (off_t)end);
	if (!rc) {
		ahead->on = false;
		ahead->allocated = end;
	}
	return rc;
}

int ahead_undo(struct ahead *ahead, uint64_t end)
{
	struct stat st;
	int rc = ahead->io->fstat(ahead->io, ahead->fd, &st);

	if (!rc && (ahead->on || (uint64_t)st.st_size > end))
		rc = guard_undo(ahead->io, ahead->fd, end, (uint64_t)st.st_size);
	else if (!rc) /* a file system that takes not even that is gone, whatever a sync says */
		rc = ahead->io->ftruncate(ahead->io, ahead->fd, (off_t)end);
	if (!rc) {
		ahead->on = false;
		ahead->allocated = end;
	}
	return rc;
}
