/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * logwrite.c - the bytes of an append, from operations to the file.
 *
 * Small records are put together in a buffer, large payloads written from where they
 * are; one pwritev(2) takes both.  Over a guard everything goes through the buffer.
 */
#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "disk/guard.h"
#include "log/logwriter.h"

/* Payloads from here on are not copied but written from where they are. */
enum { GATHER_SIZE = 64 << 10, SCRATCH_MAX = 256 << 10, IOV_COUNT = 64 };

/* The parts of one pwritev(2): runs of the scratch buffer, and large payloads in place.  Offsets
 * into the scratch turn into addresses only when it does not grow any more. */
struct gather {
	struct log_writer *log;
	uint64_t offset; /* in the segment, of the first byte gathered */
	uint64_t size;   /* bytes gathered */
	int count;
	size_t run;       /* where the open run of scratch starts */
	uint64_t scratch; /* a bit for each iov whose iov_base is an offset into the scratch */
	struct iovec iov[IOV_COUNT];
};
_Static_assert(IOV_COUNT <= 64, "a bit for each");

static void close_run(struct gather *g)
{
	size_t size = g->log->scratch.size - g->run;

	if (!size)
		return;
	g->scratch |= UINT64_C(1) << g->count;
	g->iov[g->count++] = (struct iovec){(void *)(uintptr_t)g->run, size};
	g->run = g->log->scratch.size;
}

static int flush(struct gather *g)
{
	struct log_writer *log = g->log;

	close_run(g);
	for (int i = 0; i < g->count; i++)
		if (g->scratch >> i & 1)
			g->iov[i].iov_base = log->scratch.data + (uintptr_t)g->iov[i].iov_base;
	int rc = io_writev_full(log->pool->io, log->fd, g->iov, g->count, g->offset);
	g->offset += g->size;
	g->size = 0;
	g->count = 0;
	g->run = 0;
	log->scratch.size = 0;
	g->scratch = 0;
	return rc;
}

/* Add a record: all of it to the scratch, but for a large payload. */
static int gather_op(struct gather *g, const struct dw_op *op, uint64_t txid, uint32_t *crc_ret)
{
	struct buf *scratch = &g->log->scratch;
	const struct record_header header = log_header_of(op, txid);
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

static int write_records(struct log_writer *log, const struct dw_op *ops, size_t count)
{
	struct gather g;
	int rc;

	/* all but the array, which is large beside a small record */
	memset(&g, 0, offsetof(struct gather, iov));
	g.log = log;
	g.offset = log->end;

	log->scratch.size = log->crcs.size = 0;
	rc = buf_reserve(&log->crcs, count * sizeof(uint32_t));
	for (size_t i = 0; !rc && i < count; i++)
		rc = gather_op(&g, &ops[i], log->next_txid + i, (uint32_t *)log->crcs.data + i);
	return rc ? rc : flush(&g);
}

/* Write over the guard: records and a new guard, from one buffer. */
static int write_over_guard(struct log_writer *log, const struct dw_op *ops, size_t count,
			    uint64_t size)
{
	struct buf *scratch = &log->scratch;
	uint32_t *crcs;
	bool awkward = false, sync_failed = false;

	scratch->size = log->crcs.size = 0;
	int rc = buf_reserve(&log->crcs, count * sizeof *crcs);
	if (!rc)
		rc = buf_reserve(scratch, (size_t)size + GUARD_SIZE);
	if (rc < 0)
		return rc;
	crcs = (uint32_t *)log->crcs.data;
	for (size_t i = 0; i < count; i++) {
		const struct record_header header = log_header_of(&ops[i], log->next_txid + i);
		record_encode(&header, ops[i].key.data, ops[i].value.data,
			      scratch->data + scratch->size);
		scratch->size += record_size(&header);
		crcs[i] = bytes_get32(scratch->data + scratch->size - RECORD_TRAILER_SIZE);
		awkward = awkward ||
			  guard_is_awkward(log->end + scratch->size, scratch->data, scratch->size);
	}
	assert(scratch->size == size);
	memcpy(scratch->data + size, guard_bytes, GUARD_SIZE);
	rc = awkward ? log_sync_first(log) : 0; /* for a sync comes in between */
	if (rc < 0)
		return rc;
	rc = guard_write_over(log->pool->io, log->fd, scratch->data, (size_t)size + GUARD_SIZE,
			      log->end, awkward, &sync_failed);
	if (sync_failed)
		log_poison(log, rc, "fdatasync");
	return rc;
}

int log_write_locked(struct log_writer *log, const struct dw_op *ops, size_t count, uint64_t size)
{
	return log->prealloc.on ? write_over_guard(log, ops, count, size)
				: write_records(log, ops, count);
}
