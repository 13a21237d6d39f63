/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * store.c - the public calls on keys: thin wrappers that take the locks.
 *
 * The way of a put: log.lock; append; the key directory learns the place; unlocked.
 * The order of the view is thus the order of the log.
 * The way of a get: place found and segment referenced, under the lock of one of the
 * directory's tables; then without locks: the record read, checked; reference dropped.
 */
#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void store_report(struct dw_store *store, const struct dw_finding *finding)
{
	if (store->on_finding)
		store->on_finding(store->context, finding);
}

int store_damaged(struct dw_store *store, const struct dw_segment *segment, uint64_t offset,
		  enum dw_damage damage, struct dw_bytes key)
{
	const struct dw_finding finding = {
		.kind = DW_FINDING_DAMAGE,
		.damage = damage,
		.segment = segment->id,
		.offset = offset,
		.key = key,
	};

	atomic_fetch_add(&store->damage, 1);
	store_report(store, &finding);
	return -EBADMSG;
}

void store_check(struct dw_store *store)
{
#ifdef STORE_CHECKS
	/* O(segments), after each mutation: in the builds with sanitizers */
	const struct segset *set = &store->segments;
	for (size_t i = 0; i < set->count; i++) {
		assert(set->items[i]->live_bytes + set->items[i]->raw_bytes <= set->items[i]->size);
		assert(!i || set->items[i - 1]->id < set->items[i]->id);
	}
	assert(store->read_only || store->log.active == segset_last(set));
	assert(store->read_only || store->log.end == store->log.active->size);
#else
	(void)store;
#endif
}

static int64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t); /* cannot fail */
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* --- writing --- */

int store_rotate_locked(struct dw_store *store, uint32_t gap)
{
	struct dw_segment *segment, *before = store->log.active;
	uint64_t id = (before ? before->id : 0) + (uint64_t)gap + 1;

	if (id > SEGMENT_ID_MAX)
		return -EOVERFLOW;
	int rc = segset_reserve(&store->segments, 1);
	if (!rc)
		rc = log_rotate_locked(&store->log, (uint32_t)id, &segment);
	if (rc)
		return rc;
	segset_add(&store->segments, segment);
	stale_rotated(&store->stale, before);
	return 0;
}

void store_unlock_log(struct dw_store *store)
{
	struct stale_list stale = stale_take(&store->stale);

	log_unlock(&store->log);
	stale_let_go(&stale);
}

/* Rotate when the segment is full.  Out of ids, or on a full disk, the segment just
 * grows on: better a large segment than a store that takes nothing. */
static int make_room_locked(struct dw_store *store, uint64_t size)
{
	if (!log_is_full_locked(&store->log, size))
		return 0;
	int rc = store_rotate_locked(store, 0);
	return rc == -EOVERFLOW || io_is_full(rc) ? 0 : rc;
}

/* Prepare the key directory for `ops`, so that nothing can fail once the log has them. */
static int prepare(struct keydir *keydir, const struct dw_op *ops, size_t count,
		   struct keydir_prepared *prepared)
{
	for (size_t i = 0; i < count; i++) {
		prepared[i].entry = 0;
		if (ops[i].type != DW_PUT || !keydir_prepare(keydir, ops[i].key, &prepared[i]))
			continue;
		while (i--)
			keydir_drop(keydir, &prepared[i]);
		return -ENOMEM;
	}
	return 0;
}

enum { PREFETCH = 8 };

/* Let the view know what was appended at `offset`.  A reader may see a part of a batch. */
static void publish_locked(struct dw_store *store, const struct dw_op *ops, size_t count,
			   struct keydir_prepared *prepared, uint64_t offset, int64_t now)
{
	struct dw_segment *segment = store->log.active;

	for (size_t i = 0; i < count; i++) {
		uint64_t size = RECORD_OVERHEAD + ops[i].key.size + ops[i].value.size;
		const struct keydir_place place = {
			.segment = segment,
			.offset = offset,
			.mtime_ns = ops[i].mtime_set ? ops[i].mtime_ns : now,
			.value_size = (uint32_t)ops[i].value.size,
		};
		if (i + PREFETCH < count)
			keydir_prefetch(&store->keydir, &prepared[i + PREFETCH]);
		segment->size = offset + size;
		struct keydir_place old = {.segment = NULL};
		if (ops[i].type == DW_PUT)
			keydir_set(&store->keydir, &prepared[i], &place, &old);
		else if (ops[i].type == DW_DELETE)
			keydir_remove(&store->keydir, ops[i].key, &old);
		else
			segment->raw_bytes += size;
		if (!store->snapshots) /* their readers are yet to come */
			stale_add(&store->stale, segment, ops[i].key, &old);
		offset += size;
	}
	segment->last_txid = store->log.next_txid - 1;
}

static int append_locked(struct dw_store *store, const struct dw_op *ops, size_t count,
			 struct keydir_prepared *prepared)
{
	uint64_t offset = 0;
	int64_t now = now_ns(), size = log_size_of_locked(&store->log, ops, count);
	int rc = size < 0 ? (int)size : log_check(&store->log);

	if (!rc)
		rc = make_room_locked(store, (uint64_t)size);
	if (!rc && store->snapshots)
		rc = snapshot_note_locked(store, ops, count); /* nothing may fail later */
	if (!rc)
		rc = prepare(&store->keydir, ops, count, prepared);
	if (rc)
		return rc;
	rc = log_append_locked(&store->log, ops, count, (uint64_t)size, now, &offset);
	if (io_is_full(rc))
		maintain_full(&store->maintain);
	if (rc) {
		for (size_t i = 0; i < count; i++)
			keydir_drop(&store->keydir, &prepared[i]);
		return rc;
	}
	publish_locked(store, ops, count, prepared, offset, now);
	maintain_changed(&store->maintain);
	store_check(store);
	return 0;
}

enum { FEW = 8 };

int dw_batch(struct dw_store *store, const struct dw_op *ops, size_t count)
{
	struct keydir_prepared few[FEW], *prepared = few;

	if (store->read_only)
		return -EROFS;
	if (!count)
		return 0;
	if (count > FEW) {
		prepared = calloc(count, sizeof *prepared);
		if (!prepared)
			return -ENOMEM;
	}
	int rc = log_before_append(&store->log);
	if (!rc) {
		log_lock(&store->log);
		rc = append_locked(store, ops, count, prepared);
		store_unlock_log(store);
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
	return store->read_only ? 0 : log_sync(&store->log);
}

int dw_rotate(struct dw_store *store)
{
	if (store->read_only)
		return -EROFS;
	log_lock(&store->log);
	int rc = store_rotate_locked(store, 0);
	store_unlock_log(store);
	return rc;
}

/* --- reading --- */

/* A key as memcmp(3) may have it: never NULL. */
static struct dw_bytes sane(struct dw_bytes key)
{
	return (struct dw_bytes){key.data ? key.data : "", key.size};
}

/* As keydir_get(). */
static bool find(struct dw_store *store, struct dw_bytes key, bool pin, struct keydir_place *ret)
{
	return store->snapshot.base ? snapshot_get(store, sane(key), pin, ret)
				    : keydir_get(&store->keydir, sane(key), pin, ret);
}

int dw_ref_get(struct dw_store *store, struct dw_bytes key, struct dw_ref *ret)
{
	struct keydir_place place;

	if (!find(store, key, true, &place))
		return -ENOENT;
	*ret = (struct dw_ref){
		.segment = place.segment,
		.offset = place.offset,
		.mtime_ns = place.mtime_ns,
		.key_size = (uint32_t)key.size,
		.value_size = place.value_size,
	};
	return 0;
}

void dw_ref_put(struct dw_store *store, struct dw_ref *ref)
{
	(void)store;
	segment_unref(ref->segment);
	*ref = (struct dw_ref){0};
}

/* A record could not be had, and whose it is is known. */
static int read_failed(struct dw_store *store, const struct dw_ref *ref, int rc,
		       enum dw_damage damage, struct dw_bytes key)
{
	const struct dw_finding finding = {
		.kind = DW_FINDING_IO,
		.error = -rc,
		.segment = ref->segment->id,
		.offset = ref->offset,
		.key = key,
		.name = "reading a value in segment",
	};

	if (rc == -EBADMSG)
		return store_damaged(store, ref->segment, ref->offset, damage, key);
	if (rc != -ENOMEM)
		store_report(store, &finding);
	return rc;
}

static int ref_verify(struct dw_store *store, struct dw_ref *ref, struct dw_bytes key)
{
	enum dw_damage damage = DW_DAMAGE_NONE;
	int rc = segment_check_record(ref->segment, ref->offset, key, ref->value_size, &damage);

	ref->verified = !rc;
	return rc ? read_failed(store, ref, rc, damage, key) : 0;
}

/* All of the value with one call, checked. */
static int ref_load(struct dw_store *store, struct dw_ref *ref, struct dw_bytes key, void *ret)
{
	enum dw_damage damage = DW_DAMAGE_NONE;
	int rc = segment_read_record(ref->segment, ref->offset, key, ref->value_size, ret, &damage);

	ref->verified = !rc;
	return rc ? read_failed(store, ref, rc, damage, key) : 0;
}

ssize_t dw_ref_read(struct dw_store *store, struct dw_ref *ref, struct dw_bytes key, void *ret,
		    size_t size, uint64_t offset)
{
	int rc = 0;

	key = sane(key);
	if (!offset && size >= ref->value_size && !ref->verified) {
		rc = ref_load(store, ref, key, ret);
		return rc ? rc : (ssize_t)ref->value_size;
	}
	if (!ref->verified)
		rc = ref_verify(store, ref, key);
	if (rc < 0 || offset >= ref->value_size)
		return rc;
	if (size > ref->value_size - offset)
		size = (size_t)(ref->value_size - offset);
	rc = segment_read_bytes(
		ref->segment, ref->offset + RECORD_HEADER_SIZE + ref->key_size + offset, ret, size);
	if (rc == -ENODATA) /* cut off since it was checked */
		rc = store_damaged(store, ref->segment, ref->offset, DW_DAMAGE_TRUNCATED, key);
	return rc ? rc : (ssize_t)size;
}

int dw_get(struct dw_store *store, struct dw_bytes key, struct dw_value *ret)
{
	struct dw_ref ref;
	int rc = dw_ref_get(store, key, &ref);

	if (rc < 0)
		return rc;
	void *data = malloc(ref.value_size ? ref.value_size : 1);
	rc = data ? ref_load(store, &ref, sane(key), data) : -ENOMEM;
	if (rc < 0)
		free(data);
	else
		*ret = (struct dw_value){data, ref.value_size, ref.mtime_ns};
	dw_ref_put(store, &ref);
	return rc;
}

static struct dw_stat stat_of(const struct keydir_place *place)
{
	return (struct dw_stat){
		.size = place->value_size,
		.mtime_ns = place->mtime_ns,
		.segment = place->segment->id,
		.offset = place->offset,
	};
}

int dw_stat(struct dw_store *store, struct dw_bytes key, struct dw_stat *ret)
{
	struct keydir_place place;

	if (!find(store, key, true, &place))
		return -ENOENT;
	*ret = stat_of(&place);
	segment_unref(place.segment);
	return 0;
}

bool dw_contains(struct dw_store *store, struct dw_bytes key)
{
	struct keydir_place place;

	return find(store, key, false, &place);
}

static int read_txid(struct dw_store *store, const struct dw_ref *ref, struct dw_bytes key,
		     uint64_t *ret)
{
	uint8_t bytes[RECORD_HEADER_SIZE];
	struct record_header header;
	int fd = segment_pin(ref->segment);

	if (fd < 0)
		return fd;
	int rc = io_read_full(store->io, fd, bytes, sizeof bytes, ref->offset);
	segment_unpin(ref->segment);
	if (rc < 0)
		return rc;
	enum dw_damage damage = record_header_decode(bytes, &header);
	if (!damage && header.key_size != ref->key_size)
		damage = DW_DAMAGE_KEY;
	if (damage)
		return store_damaged(store, ref->segment, ref->offset, damage, key);
	*ret = header.txid;
	return 0;
}

int dw_txid(struct dw_store *store, struct dw_bytes key, uint64_t *ret)
{
	struct dw_ref ref;
	int rc = dw_ref_get(store, key, &ref);

	if (rc < 0)
		return rc;
	rc = read_txid(store, &ref, sane(key), ret);
	dw_ref_put(store, &ref);
	return rc;
}

uint64_t dw_count(struct dw_store *store)
{
	return store->snapshot.base ? store->snapshot.count : keydir_count(&store->keydir);
}

int dw_for_each(struct dw_store *store, dw_visit_fn *visit, void *context)
{
	struct log *log = &store_base(store)->log;
	struct snapshot_cursor cursor = {0};
	struct keydir_place place;
	struct dw_bytes key;
	int rc = 0;

	log_lock(log);
	while (!rc && store_next_locked(store, &cursor, &key, &place)) {
		const struct dw_stat stat = stat_of(&place);
		rc = visit(context, key, &stat);
	}
	log_unlock(log);
	return rc;
}

void dw_get_stats(struct dw_store *store, struct dw_stats *ret)
{
	struct dw_stats stats = {
		.damage = atomic_load(&store->damage),
		.compactions = atomic_load(&store->compactions),
		.poisoned = -log_check(&store->log),
	};
	struct log *log = &store->log;

	log_lock(log);
	stats.active_segment = log->active ? log->active->id : 0;
	stats.next_txid = log->next_txid;
	stats.puts = log->puts;
	stats.deletes = log->deletes;
	stats.raws = log->raws;
	stats.bytes_appended = log->bytes_appended;
	stats.rotations = log->rotations;
	stats.keys = dw_count(store);
	stats.segments = (uint32_t)store->segments.count;
	for (size_t i = 0; i < store->segments.count; i++) {
		const struct snapshot_segment segment = store_segment_locked(store, i);
		stats.bytes += segment.size;
		stats.live_bytes += segment.live_bytes;
	}
	log_unlock(log);
	(void)pthread_mutex_lock(&log->sync_lock);
	stats.syncs_asked = log->syncs_asked;
	stats.syncs_done = log->syncs_done;
	memcpy(stats.syncs_served, log->syncs_served, sizeof stats.syncs_served);
	stats.calls_served = log->calls_served;
	(void)pthread_mutex_unlock(&log->sync_lock);
	*ret = stats;
}

bool dw_others_can_read(const struct dw_store *store)
{
	const struct owner *owner = &store->pool.owner;
	struct stat st;

	if (!owner->known || store->io->fstat(store->io, store->dirfd, &st) < 0)
		return false;
	/* each class needs to pass the directory and to read the file */
	return owner->mode & (st.st_mode << 2) & (S_IRGRP | S_IROTH);
}

int dw_directory_fd(const struct dw_store *store)
{
	return store->dirfd;
}
