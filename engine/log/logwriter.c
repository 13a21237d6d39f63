/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * logwriter.c - beginning and ending to write, and stopping for good.
 *
 * Never appends: logappend.c does.
 */
#include "log/logwriter.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/file.h>

#include "base/clock.h"
#include "disk/dirlock.h"
#include "disk/scan.h"

int log_init(struct log_writer *log, struct fdpool *pool, uint64_t segment_size)
{
	*log = (struct log_writer){
		.pool = pool, .segment_size = segment_size, .fd = -1, .hint = {.fd = -1}};
	prealloc_init(&log->prealloc, pool->io, segment_size);
	atomic_init(&log->first, NULL);
	atomic_init(&log->first_lost, 0);
	atomic_init(&log->syncs_running, 0);
	atomic_init(&log->poison, 0);
	atomic_init(&log->appended, 0);
	int rc = -pthread_mutex_init(&log->lock, NULL);
	if (!rc)
		rc = -pthread_mutex_init(&log->sync_lock, NULL);
	if (!rc)
		rc = -pthread_cond_init(&log->sync_done, NULL);
	return rc;
}

static void detach(struct log_writer *log)
{
	hintwriter_release(&log->hint);
	if (!log->active)
		return;
	/* others may have the descriptor open for long, and with it the lock */
	(void)log->pool->io->flock(log->pool->io, log->fd, LOCK_UN); /* cannot fail */
	segment_unpin(log->active);
	segment_unref(log->active);
	log->active = NULL;
	log->fd = -1;
}

void log_release(struct log_writer *log)
{
	detach(log);
	buf_release(&log->scratch);
	buf_release(&log->crcs);
	/* these fail only while in use */
	(void)pthread_cond_destroy(&log->sync_done);
	(void)pthread_mutex_destroy(&log->sync_lock);
	(void)pthread_mutex_destroy(&log->lock);
}

int log_claim(struct log_writer *log, struct dw_segment *segment)
{
	/* one of an earlier try may be the same file, and would keep this one out */
	detach(log);
	int fd = segment_pin(segment);
	if (fd < 0)
		return fd;
	int rc = dirlock_wait(log->pool->io, fd, log->wait_ms);
	if (rc < 0) {
		segment_unpin(segment);
		return rc;
	}
	log->active = segment_ref(segment);
	log->fd = fd;
	return 0;
}

void log_attach_locked(struct log_writer *log, struct dw_segment *segment, int fd)
{
	detach(log);
	log->active = segment_ref(segment);
	log->fd = fd;
	log->end = segment->size;
}

/* Tell the hint of the records that it does not know yet; errors only cost time later. */
static void catch_up(struct log_writer *log)
{
	struct scan_record record;
	struct scan scan;

	if (!scan_init(&scan, log->pool->io, log->fd, log->hint.end, log->end))
		while (scan_next(&scan, &record) == 1) {
			const struct hint_entry entry = {record.header, record.crc,
							 log->active->mtime_ns, record.key, 0};
			hintwriter_add(&log->hint, &entry);
		}
	scan_release(&scan);
}

int log_continue(struct log_writer *log, struct dw_segment *segment, uint64_t next_txid,
		 const struct hint_end *hint)
{
	assert(log->active == segment); /* it was claimed */
	log->end = segment->size;
	log->next_txid = next_txid;
	prealloc_attach(&log->prealloc, log->fd, log->end);
	(void)prealloc_begin(&log->prealloc,
			     true); /* without it removals may fail on a full disk, no more */
	hintwriter_init(&log->hint, log->pool->io, log->pool->dirfd, segment->id,
			hint->size ? hint : NULL);
	hintwriter_own(&log->hint, &log->pool->owner);
	if (hint->covered < log->end)
		catch_up(log);
	return 0;
}

void log_seal_hint_locked(struct log_writer *log)
{
	struct stat st;

	if (log->pool->io->fstat(log->pool->io, log->fd, &st) < 0 ||
	    (uint64_t)st.st_size != log->end || log->hint.end != log->end)
		return; /* then it will be read */
	const struct hint_binding binding = {clock_ns_of(st.st_mtim), st.st_ino};
	hintwriter_seal(&log->hint, &binding);
}

int log_finish(struct log_writer *log)
{
	int rc = log_check(log);

	if (!rc && log->active)
		rc = prealloc_leave(&log->prealloc, log->end);
	if (!rc && log->active)
		log_seal_hint_locked(log);
	return rc;
}

void log_poison_as(struct log_writer *log, int error, const struct dw_finding *finding)
{
	int none = 0;

	assert(error < 0);
	if (atomic_compare_exchange_strong(&log->poison, &none, error) && log->poisoned)
		log->poisoned(log->context, finding);
}

void log_poison(struct log_writer *log, int error, const char *what)
{
	const struct dw_finding finding = {
		.kind = DW_FINDING_POISONED, .error = -error, .name = what};

	log_poison_as(log, error, &finding);
}

/* A file without a name stays open, but nothing written to it can be found again.  `rc`: the result
 * of the check; `segment` 0: it was of the directory. */
static int judge_look(struct log_writer *log, int rc, uint32_t segment)
{
	const struct dw_finding finding = {
		.kind = DW_FINDING_REMOVED, .error = ESTALE, .segment = segment};

	if (rc == -ESTALE)
		log_poison_as(log, rc, &finding);
	else if (rc < 0)
		log_poison(log, rc, "looking whether the store is still there");
	return rc;
}

int log_look_locked(struct log_writer *log)
{
	struct io *io = log->pool->io;
	struct stat st;
	int rc = log_check(log);

	if (rc < 0)
		return rc;
	rc = io->fstat(io, log->pool->dirfd, &st);
	rc = judge_look(log, !rc && !st.st_nlink ? -ESTALE : rc, 0);
	if (rc < 0 || !log->active)
		return rc;
	rc = segment_look(log->active, log->fd, log->end);
	return judge_look(log, rc, log->active->id);
}
