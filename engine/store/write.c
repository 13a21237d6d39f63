/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * write.c - the public calls that append: thin wrappers that take the lock.
 *
 * The way of a put: log.lock; append; the index learns the place; unlocked.
 * The order of the view is thus the order of the log.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "store/checkpoint.h"
#include "store/store.h"

/* Rotate when the segment is full.  Out of ids, or on a full disk, the segment just
 * grows on: better a large segment than a store that takes nothing. */
static int make_room_locked(struct core *core, uint64_t size)
{
	if (!log_is_full_locked(&core->log, size))
		return 0;
	int rc = core_rotate_locked(core, 0);
	return rc == -EOVERFLOW || io_is_full(rc) ? 0 : rc;
}

static void drop(struct core *core, struct index_prepared *prepared, size_t count)
{
	for (size_t i = 0; i < count; i++)
		index_drop(&core->index, &prepared[i]);
}

enum { PREFETCH = 8 };

/* Prepare the index for `ops`, so that nothing can fail once the log has them. */
static int prepare_locked(struct core *core, const struct dw_op *ops, size_t count,
			  struct index_prepared *prepared)
{
	struct index_wanted wanted[INDEX_PREPARE_MAX];
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; i < count && !rc; i++) {
		prepared[i] = (struct index_prepared){0};
		if (ops[i].type != DW_RAW)
			wanted[n++] = (struct index_wanted){store_key(ops[i].key), &prepared[i]};
		if (!n || (n < INDEX_PREPARE_MAX && i + 1 < count))
			continue;
		rc = index_prepare_many(&core->index, wanted, n);
		n = 0;
		if (rc < 0)
			drop(core, prepared, i + 1);
	}
	return rc < 0 ? core_index_failed(core, rc) : 0;
}

/* Let the view know what was appended at `offset`.  A reader may see a part of a batch. */
static void publish_locked(struct core *core, const struct dw_op *ops, size_t count,
			   struct index_prepared *prepared, uint64_t offset, int64_t now)
{
	struct dw_segment *segment = core->log.active;

	for (size_t i = 0; i < count; i++) {
		uint64_t size = RECORD_OVERHEAD + ops[i].key.size + ops[i].value.size;
		struct keydir_place place = {
			.segment = segment,
			.offset = offset,
			.mtime_ns = ops[i].mtime_set ? ops[i].mtime_ns : now,
			.value_size = (uint32_t)ops[i].value.size,
		};
		if (i + PREFETCH < count && ops[i + PREFETCH].type != DW_RAW)
			index_prefetch(&core->index, &prepared[i + PREFETCH]);
		segment->size = offset + size;
		struct keydir_place old = {.segment = NULL};
		if (ops[i].type == DW_PUT)
			index_set(&core->index, &prepared[i], &place, &old);
		else if (ops[i].type == DW_DELETE)
			index_remove(&core->index, &prepared[i], place.mtime_ns, &old);
		else
			segment->raw_bytes += size;
		if (!core->snapshots) /* their readers are yet to come */
			dead_pages_add(&core->dead_pages, segment, ops[i].key, &old);
		offset += size;
	}
	segment->last_txid = core->log.next_txid - 1;
}

static int append_locked(struct core *core, const struct dw_op *ops, size_t count,
			 struct index_prepared *prepared)
{
	uint64_t offset = 0;
	int64_t now = clock_now_ns(), size = log_size_of_locked(&core->log, ops, count);
	int rc = size < 0 ? (int)size : log_check(&core->log);

	if (!rc)
		rc = make_room_locked(core, (uint64_t)size);
	if (!rc)
		rc = prepare_locked(core, ops, count, prepared);
	if (rc)
		return rc;
	rc = log_append_locked(&core->log, ops, count, (uint64_t)size, now, &offset);
	if (io_is_full(rc))
		work_full(&core->work);
	if (rc) {
		drop(core, prepared, count);
		return rc;
	}
	publish_locked(core, ops, count, prepared, offset, now);
	work_changed(&core->work);
	core_check(core);
	return 0;
}

enum { FEW = 8 };

int dw_batch(struct dw_store *store, const struct dw_op *ops, size_t count)
{
	struct index_prepared few[FEW], *prepared = few;
	struct core *core = store_writer(store);

	if (!core)
		return -EROFS;
	if (!count)
		return 0;
	if (count > FEW) {
		prepared = calloc(count, sizeof *prepared);
		if (!prepared)
			return -ENOMEM;
	}
	int rc = log_before_append(&core->log);
	if (!rc) {
		log_lock(&core->log);
		rc = append_locked(core, ops, count, prepared);
		bool due = !rc && checkpoint_is_due_locked(core);
		core_unlock_log(core);
		if (due)
			checkpoint_give_way(core);
	}
	if (prepared != few)
		free(prepared);
	return rc;
}

int dw_put(struct dw_store *store, struct dw_bytes key, struct dw_bytes value)
{
	const struct dw_op op = {.type = DW_PUT, .key = key, .value = value};

	return dw_batch(store, &op, 1);
}

int dw_delete(struct dw_store *store, struct dw_bytes key)
{
	const struct dw_op op = {.type = DW_DELETE, .key = key};

	return dw_batch(store, &op, 1);
}

int dw_append_raw(struct dw_store *store, struct dw_bytes key, struct dw_bytes payload)
{
	const struct dw_op op = {.type = DW_RAW, .key = key, .value = payload};

	return dw_batch(store, &op, 1);
}

int dw_sync(struct dw_store *store)
{
	struct core *core = store_writer(store);

	return core ? log_sync(&core->log) : 0;
}

int dw_rotate(struct dw_store *store)
{
	struct core *core = store_writer(store);

	if (!core)
		return -EROFS;
	log_lock(&core->log);
	int rc = core_rotate_locked(core, 0);
	core_unlock_log(core);
	return rc;
}
