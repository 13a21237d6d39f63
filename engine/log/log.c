/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * log.c - see log.h.
 */
#include "log/log.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/file.h>

#include "disk/dirlock.h"
#include "disk/guard.h"
#include "disk/scan.h"

/* Between two looks of appends whether the files are still there. */
#define LOOK_NS INT64_C(1000000000)
/* So many syncs must pass while zeros are used up, or making more of them does not pay. */
enum { GROWTH_SYNCS = 16 };

int log_init(struct log *log, struct fdpool *pool, uint64_t segment_size)
{
	*log = (struct log){
		.pool = pool, .segment_size = segment_size, .fd = -1, .hint = {.fd = -1}};
	ahead_init(&log->ahead, pool->io, segment_size);
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

static void detach(struct log *log)
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

void log_release(struct log *log)
{
	detach(log);
	buf_release(&log->scratch);
	buf_release(&log->crcs);
	/* these fail only while in use */
	(void)pthread_cond_destroy(&log->sync_done);
	(void)pthread_mutex_destroy(&log->sync_lock);
	(void)pthread_mutex_destroy(&log->lock);
}

int log_claim(struct log *log, struct dw_segment *segment)
{
	int fd = segment_pin(segment);

	if (fd < 0)
		return fd;
	int rc = dirlock_wait(log->pool->io, fd, log->wait_ms);
	if (rc < 0) {
		segment_unpin(segment);
		return rc;
	}
	detach(log);
	log->active = segment_ref(segment);
	log->fd = fd;
	return 0;
}

/* Let the active segment go for this one, open as `fd` and pinned, which is taken over. */
static void attach(struct log *log, struct dw_segment *segment, int fd)
{
	detach(log);
	log->active = segment_ref(segment);
	log->fd = fd;
	log->end = segment->size;
}

/* Tell the hint of the records that it does not know yet; errors only cost time later. */
static void catch_up(struct log *log)
{
	struct scan_record record;
	struct scan scan;

	if (!scan_init(&scan, log->pool->io, log->fd, log->hint.end, log->end))
		while (scan_next(&scan, &record) == 1) {
			const struct hint_entry entry = {record.header, record.crc,
							 log->active->mtime_ns, record.key};
			hintwriter_add(&log->hint, &entry);
		}
	scan_release(&scan);
}

int log_continue(struct log *log, struct dw_segment *segment, uint64_t next_txid,
		 const struct hint_end *hint)
{
	assert(log->active == segment); /* it was claimed */
	log->end = segment->size;
	log->next_txid = next_txid;
	ahead_attach(&log->ahead, log->fd, log->end);
	(void)ahead_begin(&log->ahead,
			  true); /* without it removals may fail on a full disk, no more */
	hintwriter_init(&log->hint, log->pool->io, log->pool->dirfd, segment->id,
			hint->size ? hint : NULL);
	hintwriter_own(&log->hint, &log->pool->owner);
	if (hint->covered < log->end)
		catch_up(log);
	return 0;
}

/* The active segment is on disk, complete, and will not be touched again: its hint may be
 * believed, and proves what it held. */
static void seal_hint(struct log *log)
{
	struct stat st;

	if (log->pool->io->fstat(log->pool->io, log->fd, &st) < 0 ||
	    (uint64_t)st.st_size != log->end || log->hint.end != log->end)
		return; /* then it will be read */
	const struct hint_binding binding = {
		(int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec, st.st_ino};
	hintwriter_seal(&log->hint, &binding);
}

int log_finish(struct log *log)
{
	int rc = log_check(log);

	if (!rc && log->active)
		rc = ahead_leave(&log->ahead, log->end);
	if (!rc && log->active)
		seal_hint(log);
	return rc;
}

void log_poison_as(struct log *log, int error, const struct dw_finding *finding)
{
	int none = 0;

	assert(error < 0);
	if (atomic_compare_exchange_strong(&log->poison, &none, error) && log->poisoned)
		log->poisoned(log->context, finding);
}

void log_poison(struct log *log, int error, const char *what)
{
	const struct dw_finding finding = {
		.kind = DW_FINDING_POISONED, .error = -error, .name = what};

	log_poison_as(log, error, &finding);
}

/* A file that no name leads to stays open; what is written to it nobody finds.  `rc`: what
 * looking said, `segment` 0: at the directory. */
static int judge_look(struct log *log, int rc, uint32_t segment)
{
	const struct dw_finding finding = {
		.kind = DW_FINDING_REMOVED, .error = ESTALE, .segment = segment};

	if (rc == -ESTALE)
		log_poison_as(log, rc, &finding);
	else if (rc < 0)
		log_poison(log, rc, "looking whether the store is still there");
	return rc;
}

int log_look_locked(struct log *log)
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

static int check_op(const struct dw_op *op)
{
	if (op->type != DW_RAW && op->type != DW_PUT && op->type != DW_DELETE)
		return -EINVAL;
	if (op->key.size > DW_KEY_SIZE_MAX)
		return -E2BIG;
	if (op->value.size > DW_VALUE_SIZE_MAX)
		return -EFBIG;
	return op->type == DW_DELETE && op->value.size ? -EINVAL : 0;
}

int64_t log_size_of_locked(const struct log *log, const struct dw_op *ops, size_t count)
{
	int64_t size = 0;

	for (size_t i = 0; i < count; i++) {
		int rc = check_op(&ops[i]);
		if (rc < 0)
			return rc;
		size += (int64_t)(RECORD_OVERHEAD + ops[i].key.size + ops[i].value.size);
	}
	/* the last of them gets next_txid + count - 1 */
	if (count && (!log->next_txid || count - 1 > UINT64_MAX - log->next_txid))
		return -EOVERFLOW;
	return size;
}

bool log_is_full_locked(const struct log *log, uint64_t size)
{
	return log->end && log->end + size > log->segment_size;
}

static void note_in_hint(struct log *log, const struct dw_op *ops, size_t count, int64_t now_ns)
{
	const uint32_t *crcs = (const uint32_t *)log->crcs.data;

	for (size_t i = 0; i < count; i++) {
		const struct hint_entry entry = {
			.header = log_header_of(&ops[i], log->next_txid + i),
			.crc = crcs[i],
			.mtime_ns = ops[i].mtime_set ? ops[i].mtime_ns : now_ns,
			.key = ops[i].key,
		};
		hintwriter_add(&log->hint, &entry);
	}
}

static void count_ops(struct log *log, const struct dw_op *ops, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		log->puts += ops[i].type == DW_PUT;
		log->deletes += ops[i].type == DW_DELETE;
		log->raws += ops[i].type == DW_RAW;
	}
}

/* Whether an append only takes away: tombstones, and the empty values that stand for
 * directories which they leave. */
static bool removes(const struct dw_op *ops, size_t count)
{
	bool deletes = false;

	for (size_t i = 0; i < count; i++) {
		if (ops[i].value.size)
			return false;
		deletes = deletes || ops[i].type == DW_DELETE;
	}
	return deletes;
}

/* Whether having room for an append takes a sync, which brings to disk what is there. */
static bool space_syncs(const struct log *log, uint64_t size)
{
	if (log->ahead.on)
		return size > AHEAD_APPEND_MAX || ahead_must_grow(&log->ahead, log->end, size);
	return log->wants_zeros && size <= AHEAD_APPEND_MAX && !log->ahead.no_zeros;
}

/* Zeros ahead or none, as it suits the append; then room for it. */
static int prepare_space(struct log *log, const struct dw_op *ops, size_t count, uint64_t size)
{
	bool sync_failed = false, was_on = log->ahead.on;
	uint64_t room = log->ahead.size;
	int rc = space_syncs(log, size) ? log_sync_first(log) : 0;

	if (rc < 0)
		return rc;
	/* large appends gain nothing by zeros, nor do those between which nobody syncs */
	if (was_on &&
	    (size > AHEAD_APPEND_MAX || (ahead_must_grow(&log->ahead, log->end, size) &&
					 log->syncs_begun < log->syncs_at_growth + GROWTH_SYNCS))) {
		rc = ahead_leave(&log->ahead, log->end);
		log->wants_zeros = false;
		log->small_syncs = 0;
		sync_failed = rc < 0;
	} else if (!was_on && log->wants_zeros && size <= AHEAD_APPEND_MAX) {
		(void)ahead_enter(&log->ahead, log->end, &sync_failed); /* or go on without */
		rc = sync_failed ? -EIO : 0;
	}
	if (!rc)
		rc = ahead_make_room(&log->ahead, log->end, size, removes(ops, count),
				     &sync_failed);
	if (log->ahead.on && (log->ahead.size != room || !was_on))
		log->syncs_at_growth = log->syncs_begun;
	if (sync_failed)
		log_poison(log, rc, "fsync");
	return rc;
}

/* Nothing of a failed append stays, durably. */
static int undo(struct log *log)
{
	int rc = log_sync_first(log);

	return rc < 0 ? rc : ahead_undo(&log->ahead, log->end);
}

/* After a call failed otherwise than for want of room: a file system that is gone may still
 * say yes to a sync, so that one must not be asked.  Whether the file takes a truncate to its
 * own end tells. */
static void probe(struct log *log, int rc)
{
	bool room =
		io_is_full(rc) || rc == -EFBIG || rc == -ENOMEM || rc == -EMFILE || rc == -ENFILE;

	if (!room && log->active && !log_check(log) && undo(log) < 0)
		log_poison(log, rc, "append");
}

int log_append_locked(struct log *log, const struct dw_op *ops, size_t count, uint64_t size,
		      int64_t now_ns, uint64_t *offset_ret)
{
	int rc = log_check(log);

	/* also without a sync it is noticed soon */
	if (!rc && (now_ns < log->looked_ns || now_ns - log->looked_ns > LOOK_NS)) {
		rc = log_look_locked(log);
		log->looked_ns = now_ns;
	}
	if (rc < 0)
		return rc;
	rc = prepare_space(log, ops, count, size);
	if (rc < 0) {
		probe(log, rc);
		return rc;
	}
	rc = log_write_locked(log, ops, count, size);
	if (rc < 0) {
		/* Whatever part of the records reached the file must not stay: the next
		 * append would stand behind a torn record, where no replay ever looks. */
		if (!log_check(log) && undo(log) < 0)
			log_poison(log, rc, "append");
		return rc;
	}
	*offset_ret = log->end;
	note_in_hint(log, ops, count, now_ns);
	log->end += size;
	log->next_txid += count; /* wraps to 0 behind the last txid: used up */
	log->bytes_appended += size;
	count_ops(log, ops, count);
	atomic_fetch_add(&log->appended, 1);
	return 0;
}

/* After a sync that failed it is unknown whether the name of a new segment survives a crash; were
 * it to, a tail torn in the old one would be refused.  So nothing more is written. */
static int sync_names(struct log *log)
{
	int rc = log->pool->io->fsync(log->pool->io, log->pool->dirfd);

	if (rc < 0)
		log_poison(log, rc, "fsync of the directory");
	return rc;
}

/* A new segment that will not be used goes, durably: the old one is appended to again. */
static void discard(struct log *log, struct dw_segment *segment)
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
static int create_durably(struct log *log, uint32_t id, struct dw_segment **ret)
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
static int reserve_in(struct log *log, struct ahead *next)
{
	int rc = ahead_begin(next, false);

	if (!io_is_full(rc))
		return 0; /* for want of anything else, without */
	rc = ahead_leave(&log->ahead, log->end);
	if (!rc)
		rc = ahead_begin(next, true);
	if (rc < 0)
		(void)ahead_begin(&log->ahead, true); /* as well as it goes */
	return rc;
}

int log_lend_reserve_locked(struct log *log)
{
	int rc = log_check(log);

	if (!rc && log->ahead.on) /* leaving the zeros takes a sync */
		rc = log_sync_first(log);
	if (rc < 0)
		return rc;
	rc = ahead_leave(&log->ahead, log->end);
	if (rc < 0)
		log_poison(log, rc, "fsync");
	log->ahead.lent = !rc;
	return rc;
}

void log_take_reserve_locked(struct log *log)
{
	log->ahead.lent = false;
	if (!log_check(log) && !log->ahead.on)
		(void)ahead_begin(&log->ahead, true); /* without it removals may fail, no more */
}

/* The old segment complete: synced, and ending with its last record. */
static int complete_active(struct log *log)
{
	if (!log->active)
		return 0;
	/* Before the new one exists: a tail torn by a crash is forgiven in the last
	 * segment only. */
	int rc = log->ahead.on ? ahead_leave(&log->ahead, log->end)
			       : log->pool->io->fdatasync(log->pool->io, log->fd);
	if (rc < 0)
		log_poison(log, rc, "fdatasync");
	return rc ? rc : log_look_locked(log);
}

int log_rotate_locked(struct log *log, uint32_t id, struct dw_segment **ret)
{
	struct fdpool *pool = log->pool;
	struct dw_segment *segment = NULL;
	struct ahead next = log->ahead;
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
		probe(log, rc);
		return rc;
	}
	assert(segment);
	int fd = segment_pin(segment); /* open since it was created */
	/* Before the old one is let go.  Whoever has it locked already is no writer, since that
	 * would have met the old lock first. */
	(void)dirlock_try(pool->io, fd);
	ahead_attach(&next, fd, 0);
	rc = reserve_in(log, &next);
	if (rc < 0) {
		segment_unpin(segment);
		discard(log, segment);
		return rc;
	}
	if (log->active) {
		(void)ahead_leave(&log->ahead, log->end); /* blocks that it will not need */
		seal_hint(log);
	}
	attach(log, segment, fd);
	log->ahead = next;
	hintwriter_init(&log->hint, pool->io, pool->dirfd, id, NULL);
	hintwriter_own(&log->hint, &pool->owner);
	log->rotations++;
	*ret = segment;
	return 0;
}
