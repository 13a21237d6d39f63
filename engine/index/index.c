/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * index.c - see index.h.
 */
#include "index/index.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "index/keyhash.h"
#include "index/readers.h"

/* Keys, and bytes: see docs/decisions. */
enum { DELTA_MAX = 1 << 20, RESIDENT_MAX = 256 << 20 };

static struct version *first_version(struct index *index)
{
	struct parts parts = {.active = delta_new(index->shards, false),
			      .segments = segments_of(NULL, &(const struct segset){0})};
	struct version *version = parts.active && parts.segments ? version_new(&parts) : NULL;

	delta_unref(parts.active);
	segments_unref(parts.segments);
	return version;
}

int index_init(struct index *index, struct io *io, int dirfd)
{
	memset(index, 0, sizeof *index);
	index->io = io;
	index->dirfd = dirfd;
	index->delta_max = DELTA_MAX;
	index->resident_max = RESIDENT_MAX;
	index->next_run = 1;
	index->run_end = SEGMENT_ID_MAX;
	int rc = pthread_mutex_init(&index->change, NULL);
	rc |= pthread_mutex_init(&index->disk, NULL);
	assert(!rc); /* glibc's takes nothing that could be missing */
	index->shards = keydir_locks_new();
	index->version = !index->shards ? NULL : first_version(index);
	if (!index->version)
		return -ENOMEM;
	readers_show(index, index->version);
	index->active = index->version->parts.active;
	return 0;
}

void index_release(struct index *index)
{
	if (!index->io)
		return;
	index_checkpoint_cancel(index);
	version_free(index->version);
	assert(!index->retired); /* no reader is left */
	indexfile_release(&index->root);
	(void)pthread_mutex_destroy(&index->change); /* these fail only in use */
	(void)pthread_mutex_destroy(&index->disk);
	keydir_locks_free(index->shards);
	index->version = NULL;
	index->io = NULL;
}

/* --- reading --- */

/* Look into the active delta, and if it knows nothing count in for a look below.  True: it
 * knows, and `*ret` is what. */
static bool get_active(struct index *index, struct dw_bytes key, uint64_t hash, bool pin,
		       struct keydir_place *ret, struct version **version_ret)
{
	unsigned shard = keydir_table_of(hash);
	pthread_mutex_t *lock = &index->shards[shard].lock;

	(void)pthread_mutex_lock(lock);
	struct delta *active = index->shards[shard].version->parts.active;
	bool known = keydir_get_locked(&active->keydir, key, hash, pin, ret);
	*version_ret = known ? NULL : readers_count_in_locked(index, shard);
	(void)pthread_mutex_unlock(lock);
	return known;
}

/* The same without the active delta, for a reader that was counted in; counts it out. */
static int get_below(struct index *index, unsigned shard, struct version *version,
		     struct dw_bytes key, bool pin, struct keydir_place *ret)
{
	int rc = parts_get_below(&version->parts, key, pin, ret);

	readers_count_out(index, shard, version);
	if (rc == -EBADMSG)
		atomic_store(&index->damaged, true);
	return rc;
}

int index_get(struct index *index, struct dw_bytes key, bool pin, struct keydir_place *ret)
{
	uint64_t hash = keyhash(key);
	struct keydir_place place = {.segment = NULL};
	struct version *version;
	int found = get_active(index, key, hash, pin, &place, &version);

	found = found && place.segment;
	if (version)
		found = get_below(index, keydir_table_of(hash), version, key, pin, &place);
	if (found < 0)
		return found;
	assert(!found || place.segment);
	if (!found)
		return -ENOENT;
	*ret = place;
	return 0;
}

bool index_probe_active(const struct index *index, const struct dw_segment *segment,
			struct index_probe *probes, size_t count)
{
	struct keydir_probe active[KEYDIR_PROBES];

	assert(count <= INDEX_PROBES);
	for (size_t i = 0; i < count; i++)
		active[i] = (struct keydir_probe){.key = probes[i].key, .offset = probes[i].offset};
	keydir_probe(&index->active->keydir, segment, active, count);
	for (size_t i = 0; i < count; i++) {
		probes[i].live = active[i].entry;
		probes[i].mtime_ns = active[i].mtime_ns;
	}
	/* under the same lock: a key that is below now may move to the active delta later */
	return atomic_load(&index->has_below);
}

static bool is_before(const struct keydir_place *place, const struct dw_segment *segment,
		      uint64_t offset)
{
	return place->segment->id < segment->id ||
	       (place->segment == segment && place->offset < offset);
}

static int probe_one(struct index *index, const struct dw_segment *segment,
		     struct index_probe *probe)
{
	struct keydir_place place;
	int rc = index_get(index, probe->key, true, &place);

	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	probe->live = place.segment == segment && place.offset == probe->offset;
	probe->unknown = is_before(&place, segment, probe->offset);
	probe->mtime_ns = place.mtime_ns;
	segment_unref(place.segment);
	return 0;
}

int index_probe(struct index *index, const struct dw_segment *segment, struct index_probe *probes,
		size_t count)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < count; i++)
		if (!probes[i].live)
			rc = probe_one(index, segment, &probes[i]);
	return rc;
}

/* --- changing --- */

/* Where a key is below the active delta, which does not know it; segment NULL: nowhere.  log.lock
 * is held. */
static int find_below(struct index *index, struct dw_bytes key, uint64_t hash,
		      struct keydir_place *ret)
{
	unsigned shard = keydir_table_of(hash);

	ret->segment = NULL;
	if (!atomic_load(&index->has_below))
		return 0;
	(void)pthread_mutex_lock(&index->shards[shard].lock);
	struct version *version = readers_count_in_locked(index, shard);
	(void)pthread_mutex_unlock(&index->shards[shard].lock);
	int rc = version ? get_below(index, shard, version, key, false, ret) : 0;
	return rc < 0 ? rc : 0;
}

int index_prepare(struct index *index, struct dw_bytes key, struct index_prepared *ret)
{
	struct index_prepared made = {.below = {.segment = NULL}};
	struct keydir_place place;
	int rc = delta_prepare(index->active, key, &made.prepared);

	if (rc < 0)
		return rc;
	uint64_t hash = made.prepared.prepared.hash;
	if (atomic_load(&index->has_below) &&
	    !keydir_get_locked(&index->active->keydir, key, hash, false, &place))
		rc = find_below(index, key, hash, &made.below);
	if (rc < 0) {
		delta_drop(index->active, &made.prepared);
		return rc;
	}
	*ret = made;
	return 0;
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

void index_set(struct index *index, struct index_prepared *prepared,
	       const struct keydir_place *place, struct keydir_place *old_ret)
{
	const struct keydir *keydir = &index->active->keydir;
	size_t key_size = keydir_entry_key(keydir, prepared->prepared.prepared.entry).size;
	struct keydir_place now = *place;

	assert(place->segment);
	now.hides = prepared->below.segment;
	/* known, perhaps since it was prepared: an append may have a key twice */
	if (!delta_set(index->active, &prepared->prepared, &now, old_ret))
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

int index_move(struct index *index, struct dw_bytes key, uint32_t last_id, struct dw_segment *to,
	       uint64_t to_offset)
{
	struct index_prepared prepared;
	struct keydir_place old;

	assert(to && to->id > last_id);
	uint64_t hash = keyhash(key);
	bool known = keydir_get_locked(&index->active->keydir, key, hash, false, &old);
	int rc = known ? 0 : find_below(index, key, hash, &old);
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
	const struct keydir_place place = {
		.segment = to,
		.offset = to_offset,
		.mtime_ns = old.mtime_ns,
		.value_size = old.value_size,
	};
	index_set(index, &prepared, &place, &old);
	assert(old.segment && old.segment->id <= last_id);
	return 1;
}

void index_check(struct index *index)
{
	(void)pthread_mutex_lock(&index->change);
	const struct parts *parts = &index->version->parts;
	assert(parts->active == index->active);
	assert(!index->active->sorted && !index->active->segments);
	for (size_t i = 0; i < parts->sealed_count; i++)
		assert(parts->sealed[i]->segments && parts->sealed[i] != index->active);
	for (size_t i = 0; i < parts->run_count; i++)
		assert(run_figures(parts->runs[i])->seed == parts->seed);
	(void)pthread_mutex_unlock(&index->change);
}
