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
#include "index/internal.h"

/* Keys, and bytes: see docs/decisions. */
enum { DELTA_MAX = 1 << 20, RESIDENT_MAX = 256 << 20 };

static struct version *first_version(void)
{
	struct parts parts = {.active = delta_new(false),
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
	int rc = pthread_mutex_init(&index->change, NULL);
	rc |= pthread_mutex_init(&index->disk, NULL);
	for (int i = 0; i < VERSION_SHARDS; i++)
		rc |= pthread_mutex_init(&index->shards[i].lock, NULL);
	assert(!rc); /* glibc's takes nothing that could be missing */
	index->version = first_version();
	if (!index->version)
		return -ENOMEM;
	index->active = index->version->parts.active;
	return 0;
}

void index_release(struct index *index)
{
	if (!index->io)
		return;
	index_checkpoint_cancel(index);
	version_free(index->version);
	assert(!index->retired); /* nobody reads */
	indexfile_release(&index->root);
	(void)pthread_mutex_destroy(&index->change); /* these fail only in use */
	(void)pthread_mutex_destroy(&index->disk);
	for (int i = 0; i < VERSION_SHARDS; i++)
		(void)pthread_mutex_destroy(&index->shards[i].lock);
	index->version = NULL;
	index->io = NULL;
}

/* --- readers and versions --- */

static unsigned shard_of(struct dw_bytes key)
{
	/* any spread will do: it only keeps readers apart */
	unsigned last = key.size ? ((const uint8_t *)key.data)[key.size - 1] : 0;

	return (last * 31u + (unsigned)key.size) % VERSION_SHARDS;
}

/* Look into the active delta, and if it knows nothing count in for a look below.  True: it
 * knows, and `*ret` is what. */
static bool get_active(struct index *index, unsigned shard, struct dw_bytes key, bool pin,
		       struct keydir_place *ret, struct version **version_ret)
{
	struct index_shard *s = &index->shards[shard];

	(void)pthread_mutex_lock(&s->lock);
	struct version *version = index->version;
	bool known = keydir_get(&version->parts.active->keydir, key, pin, ret);
	*version_ret = NULL;
	if (!known && parts_have_below(&version->parts)) {
		atomic_fetch_add(&version->pins[shard].count, 1);
		*version_ret = version;
	}
	(void)pthread_mutex_unlock(&s->lock);
	return known;
}

/* Free the retired versions that nobody reads any more; `change` is held. */
static void sweep(struct index *index)
{
	struct version **at = &index->retired;

	while (*at) {
		struct version *version = *at;
		if (version_is_read(version)) {
			at = &version->next;
			continue;
		}
		*at = version->next;
		atomic_fetch_sub(&index->retired_count, 1);
		version_free(version);
	}
}

static void count_out(struct index *index, unsigned shard, struct version *version)
{
	atomic_fetch_sub(&version->pins[shard].count, 1);
	/* `version` may be gone.  If it was retired before, then this sees the count; if after,
	 * then whoever retires it sees that nobody reads. */
	if (!atomic_load(&index->retired_count))
		return;
	(void)pthread_mutex_lock(&index->change);
	sweep(index);
	(void)pthread_mutex_unlock(&index->change);
}

void index_replace(struct index *index, struct version *version)
{
	struct version *old = index->version;

	for (int i = 0; i < VERSION_SHARDS; i++)
		(void)pthread_mutex_lock(&index->shards[i].lock);
	index->version = version;
	for (int i = 0; i < VERSION_SHARDS; i++)
		(void)pthread_mutex_unlock(&index->shards[i].lock);
	atomic_store(&index->sealed_count, version->parts.sealed_count);
	atomic_fetch_add(&index->sequence, 1);
	old->next = index->retired;
	index->retired = old;
	atomic_fetch_add(&index->retired_count, 1);
	sweep(index);
}

struct version *index_hold(struct index *index)
{
	(void)pthread_mutex_lock(&index->change);
	struct version *version = version_new(&index->version->parts);
	(void)pthread_mutex_unlock(&index->change);
	return version;
}

/* --- reading --- */

/* The same without the active delta, for who was counted in; counts out. */
static int get_below(struct index *index, unsigned shard, struct version *version,
		     struct dw_bytes key, bool pin, struct keydir_place *ret)
{
	int rc = parts_get_below(&version->parts, key, pin, ret);

	count_out(index, shard, version);
	if (rc == -EBADMSG)
		atomic_store(&index->damaged, true);
	return rc;
}

int index_get(struct index *index, struct dw_bytes key, bool pin, struct keydir_place *ret)
{
	unsigned shard = shard_of(key);
	struct keydir_place place = {0};
	struct version *version;
	int found = get_active(index, shard, key, pin, &place, &version);

	found = found && place.segment;
	if (version)
		found = get_below(index, shard, version, key, pin, &place);
	if (found < 0)
		return found;
	assert(!found || place.segment);
	if (!found)
		return -ENOENT;
	*ret = place;
	return 0;
}

int index_probe(struct index *index, const struct dw_segment *segment, struct index_probe *probes,
		size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct keydir_place place;
		int rc = index_get(index, probes[i].key, false, &place);
		if (rc < 0 && rc != -ENOENT)
			return rc;
		probes[i].live =
			!rc && place.segment == segment && place.offset == probes[i].offset;
		if (probes[i].live)
			probes[i].mtime_ns = place.mtime_ns;
	}
	return 0;
}

/* --- changing --- */

/* Where a key is below the active delta; segment NULL: nowhere.  The active delta does not know
 * it. */
static int find_below(struct index *index, struct dw_bytes key, struct keydir_place *ret)
{
	unsigned shard = shard_of(key);
	struct version *version;
	int rc = 0;

	ret->segment = NULL;
	bool known = get_active(index, shard, key, false, ret, &version);
	assert(!known);
	if (version)
		rc = get_below(index, shard, version, key, false, ret);
	return rc < 0 ? rc : 0;
}

int index_prepare(struct index *index, struct dw_bytes key, struct index_prepared *ret)
{
	struct index_prepared made = {.below = {.segment = NULL}};
	struct keydir_place place;
	int rc = delta_prepare(index->active, key, &made.prepared);

	if (rc < 0)
		return rc;
	if (!keydir_get(&index->active->keydir, key, false, &place))
		rc = find_below(index, key, &made.below);
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

/* Where the key that was prepared is now; an append may have the same key before. */
static struct keydir_place old_place(const struct index *index,
				     const struct index_prepared *prepared, size_t *key_size_ret)
{
	struct keydir *keydir = &index->active->keydir;
	struct dw_bytes key = keydir_entry_key(keydir, prepared->prepared.prepared.entry);
	struct keydir_place old;

	*key_size_ret = key.size;
	return keydir_get(keydir, key, false, &old) ? old : prepared->below;
}

void index_set(struct index *index, struct index_prepared *prepared,
	       const struct keydir_place *place, struct keydir_place *old_ret)
{
	struct keydir_place now = *place;
	size_t key_size;

	assert(place->segment);
	*old_ret = old_place(index, prepared, &key_size);
	now.hides = prepared->below.segment;
	delta_set(index->active, &prepared->prepared, &now, !old_ret->segment);
	was_at(key_size, old_ret);
	place->segment->live_bytes += record_bytes(key_size, place);
	if (!old_ret->segment)
		atomic_fetch_add_explicit(&index->count, 1, memory_order_relaxed);
}

void index_remove(struct index *index, struct index_prepared *prepared, int64_t mtime_ns,
		  struct keydir_place *old_ret)
{
	size_t key_size;

	*old_ret = old_place(index, prepared, &key_size);
	delta_remove(index->active, &prepared->prepared, mtime_ns, prepared->below.segment,
		     old_ret->segment ? -1 : 0);
	was_at(key_size, old_ret);
	if (old_ret->segment)
		atomic_fetch_sub_explicit(&index->count, 1, memory_order_relaxed);
}

int index_move(struct index *index, struct dw_bytes key, const struct dw_segment *from,
	       uint64_t offset, struct dw_segment *to, uint64_t to_offset, const int64_t *mtime_ns)
{
	struct index_prepared prepared;
	struct keydir_place old;

	assert(from && to);
	bool known = keydir_get(&index->active->keydir, key, false, &old);
	int rc = known ? 0 : find_below(index, key, &old);
	if (rc < 0)
		return rc;
	if (old.segment != from || old.offset != offset)
		return 0;
	rc = index_prepare(index, key, &prepared);
	if (rc < 0)
		return rc;
	const struct keydir_place place = {
		.segment = to,
		.offset = to_offset,
		.mtime_ns = mtime_ns ? *mtime_ns : old.mtime_ns,
		.value_size = old.value_size,
	};
	index_set(index, &prepared, &place, &old);
	assert(old.segment == from);
	return 1;
}

void index_check(struct index *index)
{
	assert(index->version->parts.active == index->active);
	assert(!index->active->sorted && !index->active->segments);
}
