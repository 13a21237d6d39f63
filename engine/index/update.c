/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * update.c - changing the index: puts, removals and moves of keys, see index.h.
 *
 * All that may fail happens when a key is prepared: before the log has the record.
 */
#include <assert.h>
#include <errno.h>

#include "index/keyhash.h"
#include "index/readers.h"

/* Count in for a look below the active delta; NULL: nothing is there. */
static struct version *count_in(struct index *index, unsigned shard)
{
	if (!atomic_load(&index->has_below))
		return NULL;
	(void)pthread_mutex_lock(&index->shards[shard].lock);
	struct version *version = readers_count_in_locked(index, shard);
	(void)pthread_mutex_unlock(&index->shards[shard].lock);
	return version;
}

static void count_out(struct index *index, unsigned shard, struct version *version, int rc)
{
	if (version)
		readers_count_out(index, shard, version);
	if (rc == -EBADMSG)
		atomic_store(&index->damaged, true);
}

_Static_assert((int)INDEX_PREPARE_MAX <= (int)PARTS_PROBES, "asked all at once");

/* The keys that the active delta does not know; returns their number.  Pointers instead of copies:
 * a copy of what was stored a moment ago waits for all stores before it. */
static size_t find_unknown(const struct index *index, const struct index_wanted *wanted,
			   size_t count, struct parts_probe *ret)
{
	struct keydir_place place;
	size_t unknown = 0;

	for (size_t i = 0; i < count; i++) {
		struct index_prepared *prepared = wanted[i].ret;
		if (keydir_get_locked(&index->active->keydir, wanted[i].key,
				      prepared->prepared.prepared.hash, false, &place))
			continue;
		ret[unknown].key = &wanted[i].key;
		ret[unknown++].place = &prepared->below;
	}
	return unknown;
}

/* Find out where those are below the active delta. */
static int look_below(struct index *index, const struct index_wanted *wanted, size_t count)
{
	/* Any shard's version will do for all keys: with log.lock held, the newest ones only differ
	 * in how they keep what is below. */
	unsigned shard = keydir_table_of(wanted->ret->prepared.prepared.hash);
	struct parts_probe probes[INDEX_PREPARE_MAX];
	size_t unknown = find_unknown(index, wanted, count, probes);
	struct version *version = unknown ? count_in(index, shard) : NULL;
	int rc = 0;

	if (!version)
		return 0;
	parts_get_below_many(&version->parts, probes, unknown);
	for (size_t i = 0; i < unknown; i++)
		rc = probes[i].rc < 0 ? probes[i].rc : rc;
	count_out(index, shard, version, rc);
	return rc;
}

int index_prepare_many(struct index *index, const struct index_wanted *wanted, size_t count)
{
	size_t made = 0;
	int rc = 0;

	assert(count && count <= INDEX_PREPARE_MAX);
	for (; !rc && made < count; made += !rc) {
		wanted[made].ret->below.segment = NULL;
		rc = delta_prepare(index->active, wanted[made].key, &wanted[made].ret->prepared);
	}
	if (!rc && atomic_load(&index->has_below))
		rc = look_below(index, wanted, count);
	for (; rc < 0 && made; made--)
		delta_drop(index->active, &wanted[made - 1].ret->prepared);
	return rc;
}

int index_prepare(struct index *index, struct dw_bytes key, struct index_prepared *ret)
{
	const struct index_wanted wanted = {key, ret};

	return index_prepare_many(index, &wanted, 1);
}

void index_drop(struct index *index, struct index_prepared *prepared)
{
	delta_drop(index->active, &prepared->prepared);
}

void index_prefetch(const struct index *index, const struct index_prepared *prepared)
{
	keydir_prefetch(&index->active->keydir, &prepared->prepared.prepared);
}

void index_prefetch_key(const struct index *index, struct dw_bytes key)
{
	keydir_prefetch_key(&index->active->keydir, key);
}

static uint64_t record_bytes(size_t key_size, const struct keydir_place *place)
{
	return RECORD_OVERHEAD + (uint64_t)key_size + place->value_size;
}

static void was_at(size_t key_size, const struct keydir_place *old)
{
	if (!old->segment)
		return;
	assert(old->segment->live_bytes >= record_bytes(key_size, old));
	old->segment->live_bytes -= record_bytes(key_size, old);
}

void index_set(struct index *index, struct index_prepared *prepared, struct keydir_place *place,
	       struct keydir_place *old_ret)
{
	const struct keydir *keydir = &index->active->keydir;
	size_t key_size = keydir_entry_key(keydir, prepared->prepared.prepared.entry).size;

	assert(place->segment);
	place->hides = prepared->below.segment;
	/* known, perhaps since it was prepared: an append may have a key twice */
	if (!delta_set(index->active, &prepared->prepared, place, old_ret))
		*old_ret = prepared->below;
	was_at(key_size, old_ret);
	place->segment->live_bytes += record_bytes(key_size, place);
	if (!old_ret->segment)
		atomic_fetch_add_explicit(&index->count, 1, memory_order_relaxed);
}

void index_remove(struct index *index, struct index_prepared *prepared, int64_t mtime_ns,
		  struct keydir_place *old_ret)
{
	const struct keydir *keydir = &index->active->keydir;
	size_t key_size = keydir_entry_key(keydir, prepared->prepared.prepared.entry).size;

	assert(prepared->prepared.prepared.entry);
	if (!delta_remove(index->active, &prepared->prepared, mtime_ns, prepared->below.segment,
			  old_ret))
		*old_ret = prepared->below;
	was_at(key_size, old_ret);
	if (old_ret->segment)
		atomic_fetch_sub_explicit(&index->count, 1, memory_order_relaxed);
}

/* Where a key is below the active delta, which does not know it; segment NULL: nowhere. */
static int find_one_below(struct index *index, struct dw_bytes key, uint64_t hash,
			  struct keydir_place *ret)
{
	unsigned shard = keydir_table_of(hash);
	struct version *version = count_in(index, shard);

	ret->segment = NULL;
	int rc = version ? parts_get_below(&version->parts, key, false, ret) : 0;
	count_out(index, shard, version, rc);
	return rc < 0 ? rc : 0;
}

int index_move(struct index *index, struct dw_bytes key, uint32_t last_id, struct dw_segment *to,
	       uint64_t to_offset)
{
	struct index_prepared prepared;
	struct keydir_place old;

	assert(to && to->id > last_id);
	uint64_t hash = keyhash(key);
	bool known = keydir_get_locked(&index->active->keydir, key, hash, false, &old);
	int rc = known ? 0 : find_one_below(index, key, hash, &old);
	if (rc < 0)
		return rc;
	if (!old.segment || old.segment->id > last_id)
		return 0;
	if (known) {
		(void)keydir_move(&index->active->keydir, key, old.segment, old.offset, to,
				  to_offset); /* it is there */
		was_at(key.size, &old);
		to->live_bytes += record_bytes(key.size, &old);
		return 1;
	}
	rc = index_prepare(index, key, &prepared);
	if (rc < 0)
		return rc;
	struct keydir_place place = {
		.segment = to,
		.offset = to_offset,
		.mtime_ns = old.mtime_ns,
		.value_size = old.value_size,
	};
	index_set(index, &prepared, &place, &old);
	assert(old.segment && old.segment->id <= last_id);
	return 1;
}
