/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * logrotate.c - the active segment is sealed, and the next one takes its place.
 *
 * Never lets two segments be without the sync of the older one: a torn tail is forgiven in the
 * last segment only.
 */
#include <assert.h>
#include <errno.h>

#include "disk/dirlock.h"
#include "log/logwriter.h"

/* After a sync that failed it is unknown whether the name of a new segment survives a crash; were
 * it to, a tail torn in the old one would be refused.  So nothing more is written. */
static int sync_names(struct log_writer *log)
{
	int rc = log->pool->io->fsync(log->pool->io, log->pool->dirfd);

	if (rc < 0)
		log_poison(log, rc, "fsync of the directory");
	return rc;
}

/* A new segment that will not be used goes, durably: the old one is appended to again. */
static void discard(struct log_writer *log, struct dw_segment *segment)
{
	struct fdpool *pool = log->pool;
	int rc = pool->io->unlink(pool->io, pool->dirfd, segment->file.name); /* empty */

	if (rc < 0)
		log_poison(log, rc, "removing an empty segment");
	else
		(void)sync_names(log); /* the error that led here is the one to tell */
	segment_unref(segment);
}

/* Make the file of a new segment and its name durable. */
static int create_durably(struct log_writer *log, uint32_t id, struct dw_segment **ret)
{
	struct fdpool *pool = log->pool;
	struct dw_segment *segment = NULL;
	int rc = segment_create(pool, id, &segment);

	if (rc == -ENOMEM)
		(void)sync_names(log); /* the file was there */
	if (rc < 0)
		return rc;
	rc = sync_names(log);
	if (rc < 0) {
		(void)pool->io->unlink(pool->io, pool->dirfd, segment->file.name); /* empty */
		segment_unref(segment);
		return rc;
	}
	*ret = segment;
	return 0;
}

/* Space for removals in the segment to come; on a full disk that of the old one. */
static int reserve_in(struct log_writer *log, struct prealloc *next)
{
	int rc = prealloc_begin(next, false);

	if (!io_is_full(rc))
		return 0; /* for want of anything else, without */
	rc = prealloc_leave(&log->prealloc, log->end);
	if (!rc)
		rc = prealloc_begin(next, true);
	if (rc < 0)
		(void)prealloc_begin(&log->prealloc, true); /* as well as it goes */
	return rc;
}

int log_lend_reserve_locked(struct log_writer *log)
{
	int rc = log_check(log);

	if (!rc && log->prealloc.on) /* leaving the zeros takes a sync */
		rc = log_sync_first(log);
	if (rc < 0)
		return rc;
	rc = prealloc_leave(&log->prealloc, log->end);
	if (rc < 0)
		log_poison(log, rc, "fsync");
	log->prealloc.lent = !rc;
	return rc;
}

void log_take_reserve_locked(struct log_writer *log)
{
	log->prealloc.lent = false;
	if (!log_check(log) && !log->prealloc.on)
		(void)prealloc_begin(&log->prealloc,
				     true); /* without it removals may fail, no more */
}

/* The old segment complete: synced, and ending with its last record. */
static int complete_active(struct log_writer *log)
{
	if (!log->active)
		return 0;
	/* Before the new one exists: a tail torn by a crash is forgiven in the last
	 * segment only. */
	int rc = log->prealloc.on ? prealloc_leave(&log->prealloc, log->end)
				  : log->pool->io->fdatasync(log->pool->io, log->fd);
	if (rc < 0)
		log_poison(log, rc, "fdatasync");
	return rc ? rc : log_look_locked(log);
}

int log_rotate_locked(struct log_writer *log, uint32_t id, struct dw_segment **ret)
{
	struct fdpool *pool = log->pool;
	struct dw_segment *segment = NULL;
	struct prealloc next = log->prealloc;
	int rc = log_check(log);

	if (rc < 0)
		return rc;
	if (id > SEGMENT_ID_MAX)
		return -EOVERFLOW;
	assert(!log->active || id > log->active->id);
	rc = log_sync_first(log);
	if (rc < 0)
		return rc;
	rc = complete_active(log);
	if (!rc)
		rc = create_durably(log, id, &segment);
	if (rc < 0) {
		log_probe_locked(log, rc);
		return rc;
	}
	assert(segment);
	int fd = segment_pin(segment); /* open since it was created */
	/* Lock the new segment before the old lock is released.  A process that holds this lock
	 * already is no writer: a writer would have met the old lock first. */
	(void)dirlock_try(pool->io, fd);
	prealloc_attach(&next, fd, 0);
	rc = reserve_in(log, &next);
	if (rc < 0) {
		segment_unpin(segment);
		discard(log, segment);
		return rc;
	}
	if (log->active) {
		(void)prealloc_leave(&log->prealloc, log->end); /* blocks that it will not need */
		log_seal_hint_locked(log);
	}
	log_attach_locked(log, segment, fd);
	log->prealloc = next;
	hintwriter_init(&log->hint, pool->io, pool->dirfd, id, NULL);
	hintwriter_own(&log->hint, &pool->owner);
	log->rotations++;
	*ret = segment;
	return 0;
}
