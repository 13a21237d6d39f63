/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * logappend.c - appending: room for the records, their bytes, and nothing left where that fails.
 *
 * Never leaves a part of a record behind: the next append would stand where no replay looks.
 */
#include <assert.h>
#include <errno.h>

#include "base/clock.h"
#include "log/logwriter.h"

/* Between two looks of appends whether the files are still there. */
#define LOOK_NS CLOCK_SECOND_NS
/* So many syncs must pass while zeros are used up, or making more of them does not pay. */
enum { GROWTH_SYNCS = 16 };

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

int64_t log_size_of_locked(const struct log_writer *log, const struct dw_op *ops, size_t count)
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

bool log_is_full_locked(const struct log_writer *log, uint64_t size)
{
	return log->end && log->end + size > log->segment_size;
}

static void note_in_hint(struct log_writer *log, const struct dw_op *ops, size_t count,
			 int64_t now_ns)
{
	const uint32_t *crcs = (const uint32_t *)log->crcs.data;

	for (size_t i = 0; i < count; i++) {
		const struct hint_entry entry = {
			.header = log_header_of(&ops[i], log->next_txid + i),
			.crc = crcs[i],
			.mtime_ns = ops[i].mtime_set ? ops[i].mtime_ns : now_ns,
			.key = ops[i].key,
			.clock_ns = now_ns,
		};
		hintwriter_add(&log->hint, &entry);
	}
}

static void count_ops(struct log_writer *log, const struct dw_op *ops, size_t count)
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
static bool space_syncs(const struct log_writer *log, uint64_t size)
{
	if (log->prealloc.on)
		return size > PREALLOC_APPEND_MAX ||
		       prealloc_must_grow(&log->prealloc, log->end, size);
	return log->wants_zeros && size <= PREALLOC_APPEND_MAX && !log->prealloc.no_zeros;
}

/* Preallocated zeros or none, as it suits the append; then room for it. */
static int prepare_space(struct log_writer *log, const struct dw_op *ops, size_t count,
			 uint64_t size)
{
	bool sync_failed = false, was_on = log->prealloc.on;
	uint64_t room = log->prealloc.size;
	int rc = space_syncs(log, size) ? log_sync_first(log) : 0;

	if (rc < 0)
		return rc;
	/* large appends gain nothing by zeros, nor do those without syncs between them */
	if (was_on && (size > PREALLOC_APPEND_MAX ||
		       (prealloc_must_grow(&log->prealloc, log->end, size) &&
			log->syncs_begun < log->syncs_at_growth + GROWTH_SYNCS))) {
		rc = prealloc_leave(&log->prealloc, log->end);
		log->wants_zeros = false;
		log->small_syncs = 0;
		sync_failed = rc < 0;
	} else if (!was_on && log->wants_zeros && size <= PREALLOC_APPEND_MAX) {
		(void)prealloc_enter(&log->prealloc, log->end, &sync_failed); /* or go on without */
		rc = sync_failed ? -EIO : 0;
	}
	if (!rc)
		rc = prealloc_make_room(&log->prealloc, log->end, size, removes(ops, count),
					&sync_failed);
	if (log->prealloc.on && (log->prealloc.size != room || !was_on))
		log->syncs_at_growth = log->syncs_begun;
	if (sync_failed)
		log_poison(log, rc, "fsync");
	return rc;
}

/* Nothing of a failed append stays, durably. */
static int undo(struct log_writer *log)
{
	int rc = log_sync_first(log);

	return rc < 0 ? rc : prealloc_undo(&log->prealloc, log->end);
}

void log_probe_locked(struct log_writer *log, int rc)
{
	bool room =
		io_is_full(rc) || rc == -EFBIG || rc == -ENOMEM || rc == -EMFILE || rc == -ENFILE;

	if (!room && log->active && !log_check(log) && undo(log) < 0)
		log_poison(log, rc, "append");
}

int log_append_locked(struct log_writer *log, const struct dw_op *ops, size_t count, uint64_t size,
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
		log_probe_locked(log, rc);
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
