/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * log.c - see log.h.
 */
#include "store/log.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "codec/record.h"
#include "disk/scan.h"

/* Payloads from here on are not copied but written from where they are. */
enum { GATHER_SIZE = 64 << 10, SCRATCH_MAX = 256 << 10, IOV_COUNT = 64 };

int log_init(struct log *log, struct fdpool *pool, uint64_t segment_size)
{
	*log = (struct log){
		.pool = pool, .segment_size = segment_size, .fd = -1, .hint = {.fd = -1}};
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
	hintwriter_release(&log->hint, false);
	if (!log->active)
		return;
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

static int attach(struct log *log, struct dw_segment *segment, uint64_t next_txid)
{
	int fd = segment_pin(segment);

	if (fd < 0)
		return fd;
	detach(log);
	log->active = segment_ref(segment);
	log->fd = fd;
	log->end = segment->size;
	log->next_txid = next_txid;
	return 0;
}

/* Tell the hint of the records that it does not know yet; errors only cost time later. */
static void catch_up(struct log *log)
{
	struct scan_record record;
	struct scan scan;

	if (!scan_init(&scan, log->pool->io, log->fd, log->hint.end, log->end))
		while (scan_next(&scan, &record) == 1) {
			const struct hint_entry entry = {record.header, log->active->mtime_ns,
							 record.key};
			hintwriter_add(&log->hint, &entry, record.crc);
		}
	scan_release(&scan);
}

int log_continue(struct log *log, struct dw_segment *segment, uint64_t next_txid,
		 const struct hint_loaded *hint)
{
	int rc = attach(log, segment, next_txid);

	if (rc < 0)
		return rc;
	hintwriter_init(&log->hint, log->pool->io, log->pool->dirfd, segment->id, hint->size,
			hint->covered);
	if (hint->covered < log->end)
		catch_up(log);
	return 0;
}

void log_seal_hint(struct log *log)
{
	hintwriter_release(&log->hint, true);
}

void log_poison(struct log *log, int error, const char *what)
{
	int none = 0;

	assert(error < 0);
	if (atomic_compare_exchange_strong(&log->poison, &none, error) && log->poisoned)
		log->poisoned(log->context, error, what);
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

/* What one pwritev(2) is made of: runs of the scratch buffer, and large payloads
 * where they are.  Offsets into the scratch turn into addresses only when it
 * does not grow any more. */
struct gather {
	struct log *log;
	uint64_t offset; /* in the segment, of the first byte gathered */
	uint64_t size;   /* bytes gathered */
	struct iovec iov[IOV_COUNT];
	bool scratch[IOV_COUNT]; /* iov_base is an offset into the scratch */
	int count;
	size_t run; /* where the open run of scratch starts */
};

static void close_run(struct gather *g)
{
	size_t size = g->log->scratch.size - g->run;

	if (!size)
		return;
	g->scratch[g->count] = true;
	g->iov[g->count++] = (struct iovec){(void *)(uintptr_t)g->run, size};
	g->run = g->log->scratch.size;
}

static int flush(struct gather *g)
{
	struct log *log = g->log;

	close_run(g);
	for (int i = 0; i < g->count; i++)
		if (g->scratch[i])
			g->iov[i].iov_base = log->scratch.data + (uintptr_t)g->iov[i].iov_base;
	int rc = io_writev_full(log->pool->io, log->fd, g->iov, g->count, g->offset);
	g->offset += g->size;
	g->size = 0;
	g->count = 0;
	g->run = 0;
	log->scratch.size = 0;
	memset(g->scratch, 0, sizeof g->scratch);
	return rc;
}

/* Add a record: all of it to the scratch, but for a large payload. */
static int gather_op(struct gather *g, const struct dw_op *op, uint64_t txid, uint32_t *crc_ret)
{
	struct buf *scratch = &g->log->scratch;
	const struct record_header header = {
		.type = op->type,
		.txid = txid,
		.key_size = (uint32_t)op->key.size,
		.payload_size = (uint32_t)op->value.size,
	};
	bool copied = op->value.size < GATHER_SIZE;
	size_t inlined = RECORD_OVERHEAD + op->key.size + (copied ? op->value.size : 0);
	int rc = 0;

	if (g->count + 3 > IOV_COUNT || (scratch->size && scratch->size + inlined > SCRATCH_MAX))
		rc = flush(g);
	if (!rc)
		rc = buf_reserve(scratch, inlined);
	if (rc < 0)
		return rc;
	uint8_t *at = scratch->data + scratch->size;
	scratch->size += inlined;
	g->size += record_size(&header);
	if (copied) {
		record_encode(&header, op->key.data, op->value.data, at);
		*crc_ret = bytes_get32(at + inlined - RECORD_TRAILER_SIZE);
		return 0;
	}
	size_t head = RECORD_HEADER_SIZE + op->key.size;
	record_header_encode(&header, at);
	if (op->key.size)
		memcpy(at + RECORD_HEADER_SIZE, op->key.data, op->key.size);
	uint32_t crc = crc32c(crc32c(0, at, head), op->value.data, op->value.size);
	bytes_put32(at + head, crc);
	*crc_ret = crc;
	scratch->size -= RECORD_TRAILER_SIZE; /* the trailer goes behind the payload */
	close_run(g);
	g->iov[g->count++] = (struct iovec){(void *)op->value.data, op->value.size}; /* only read */
	scratch->size += RECORD_TRAILER_SIZE;
	return 0;
}

static int write_records(struct log *log, const struct dw_op *ops, size_t count)
{
	struct gather g = {.log = log, .offset = log->end};
	int rc;

	log->scratch.size = log->crcs.size = 0;
	rc = buf_reserve(&log->crcs, count * sizeof(uint32_t));
	for (size_t i = 0; !rc && i < count; i++)
		rc = gather_op(&g, &ops[i], log->next_txid + i, (uint32_t *)log->crcs.data + i);
	return rc ? rc : flush(&g);
}

static void note_in_hint(struct log *log, const struct dw_op *ops, size_t count, int64_t now_ns)
{
	const uint32_t *crcs = (const uint32_t *)log->crcs.data;

	for (size_t i = 0; i < count; i++) {
		const struct hint_entry entry = {
			.header = {.type = ops[i].type,
				   .txid = log->next_txid + i,
				   .key_size = (uint32_t)ops[i].key.size,
				   .payload_size = (uint32_t)ops[i].value.size},
			.mtime_ns = ops[i].mtime_set ? ops[i].mtime_ns : now_ns,
			.key = ops[i].key,
		};
		hintwriter_add(&log->hint, &entry, crcs[i]);
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

int log_append_locked(struct log *log, const struct dw_op *ops, size_t count, uint64_t size,
		      int64_t now_ns, uint64_t *offset_ret)
{
	int rc = log_check(log);

	if (rc < 0)
		return rc;
	rc = write_records(log, ops, count);
	if (rc < 0) {
		/* Whatever part of the records reached the file must not stay: the next
		 * append would stand behind a torn record, where no replay ever looks. */
		int undo = log->pool->io->ftruncate(log->pool->io, log->fd, (off_t)log->end);
		if (undo < 0)
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

/* Make the file of a new segment and its name durable. */
static int create_durably(struct log *log, uint32_t id, struct dw_segment **ret)
{
	struct fdpool *pool = log->pool;
	struct dw_segment *segment = NULL;
	int rc = segment_create(pool, id, &segment);

	if (rc < 0)
		return rc;
	rc = pool->io->fsync(pool->io, pool->dirfd);
	if (rc < 0) {
		/* Whether the new name survives a crash is unknown now; were it to, a tail
		 * torn in the old segment would be refused.  So nothing more is written. */
		log_poison(log, rc, "fsync of the directory");
		(void)pool->io->unlink(pool->io, pool->dirfd, segment->file.name); /* empty */
		segment_unref(segment);
		return rc;
	}
	*ret = segment;
	return 0;
}

int log_rotate_locked(struct log *log, uint32_t id, struct dw_segment **ret)
{
	struct dw_segment *segment = NULL;
	int rc = log_check(log);

	if (rc < 0)
		return rc;
	if (id > SEGMENT_ID_MAX)
		return -EOVERFLOW;
	if (log->active) {
		assert(id > log->active->id);
		/* Before the new one exists: a tail torn by a crash is forgiven in the
		 * last segment only. */
		rc = log->pool->io->fdatasync(log->pool->io, log->fd);
		if (rc < 0) {
			log_poison(log, rc, "fdatasync");
			return rc;
		}
	}
	rc = create_durably(log, id, &segment);
	if (rc < 0)
		return rc;
	/* the old segment is synced and complete */
	hintwriter_release(&log->hint, true);
	rc = attach(log, segment, log->next_txid);
	assert(!rc); /* its descriptor is open */
	hintwriter_init(&log->hint, log->pool->io, log->pool->dirfd, id, 0, 0);
	log->rotations++;
	*ret = segment;
	return 0;
}

/* One fdatasync for all that was appended until it starts. */
static int sync_once(struct log *log, uint64_t *reach_ret)
{
	log_lock(log);
	int rc = log_check(log);
	struct dw_segment *segment = log->active ? segment_ref(log->active) : NULL;
	int fd = segment && !rc ? segment_pin(segment) : -1;
	if (segment && !rc && fd < 0)
		rc = fd; /* never: the active segment is open */
	*reach_ret = atomic_load(&log->appended);
	log_unlock(log);
	if (fd >= 0) {
		rc = log->pool->io->fdatasync(log->pool->io, fd);
		/* The kernel may drop the pages that it could not write and say yes the
		 * next time: what is on disk is unknown from here on. */
		if (rc < 0)
			log_poison(log, rc, "fdatasync");
		segment_unpin(segment);
	}
	segment_unref(segment);
	return rc;
}

int log_sync(struct log *log)
{
	uint64_t want = atomic_load(&log->appended), reach = 0;
	int rc = 0;

	(void)pthread_mutex_lock(&log->sync_lock);
	log->syncs_asked++;
	while (!(rc = log_check(log)) && log->synced < want) {
		if (log->syncing) {
			(void)pthread_cond_wait(&log->sync_done, &log->sync_lock);
			continue;
		}
		log->syncing = true;
		(void)pthread_mutex_unlock(&log->sync_lock);
		rc = sync_once(log, &reach);
		(void)pthread_mutex_lock(&log->sync_lock);
		log->syncing = false;
		log->syncs_done++;
		if (!rc && reach > log->synced)
			log->synced = reach;
		(void)pthread_cond_broadcast(&log->sync_done);
	}
	(void)pthread_mutex_unlock(&log->sync_lock);
	return rc;
}
