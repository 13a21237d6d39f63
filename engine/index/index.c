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
#include "index/retire.h"

int index_init(struct index *index, struct io *io, int dirfd)
{
	memset(index, 0, sizeof *index);
	index->io = io;
	index->dirfd = dirfd;
	int rc = pthread_mutex_init(&index->change, NULL);
	for (int i = 0; i < VERSION_SHARDS; i++)
		rc |= pthread_mutex_init(&index->shards[i].lock, NULL);
	assert(!rc); /* glibc's takes nothing that could be missing */
	struct delta *active = delta_new();
	index->version = active ? version_new(active, NULL, 0, NULL, NULL) : NULL;
	delta_unref(active);
	if (!index->version)
		return -ENOMEM;
	index->active = active;
	return 0;
}

void index_release(struct index *index)
{
	if (!index->io)
		return;
	version_free(index->version);
	assert(!index->retired);                     /* nobody reads */
	(void)pthread_mutex_destroy(&index->change); /* these fail only in use */
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
	bool known = keydir_get(&version->active->keydir, key, pin, ret);
	*version_ret = NULL;
	if (!known && version->sealed_count) {
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
	old->next = index->retired;
	index->retired = old;
	atomic_fetch_add(&index->retired_count, 1);
	sweep(index);
}

/* --- reading --- */

int index_get(struct index *index, struct dw_bytes key, bool pin, struct keydir_place *ret)
{
	unsigned shard = shard_of(key);
	struct keydir_place place = {0};
	struct version *version;
	int found = get_active(index, shard, key, pin, &place, &version);

	found = found && place.segment;
	if (version) {
		found = version_get_below(version, key, pin, &place);
		count_out(index, shard, version);
	}
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
	if (version) {
		rc = version_get_below(version, key, false, ret);
		count_out(index, shard, version);
	}
	return rc < 0 ? rc : 0;
}

int index_prepare(struct index *index, struct dw_bytes key, struct index_prepared *ret)
{
	struct index_prepared made = {.below = {.segment = NULL}};
	struct keydir_place place;
	int rc = keydir_prepare(&index->active->keydir, key, &made.prepared);

	if (rc < 0)
		return rc;
	if (!keydir_get(&index->active->keydir, key, false, &place))
		rc = find_below(index, key, &made.below);
	if (rc < 0) {
		keydir_drop(&index->active->keydir, &made.prepared);
		return rc;
	}
	*ret = made;
	return 0;
}

void index_drop(struct index *index, struct index_prepared *prepared)
{
	keydir_drop(&index->active->keydir, &prepared->prepared);
}

void index_prefetch(const struct index *index, const struct index_prepared *prepared)
{
	keydir_prefetch(&index->active->keydir, &prepared->prepared);
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
	struct keydir *keydir = &index->active->keydir;
	size_t key_size = keydir_prepared_key(keydir, &prepared->prepared).size;
	struct keydir_place now = *place;

	assert(place->segment);
	now.hides = prepared->below.segment;
	if (!keydir_set(keydir, &prepared->prepared, &now, old_ret))
		*old_ret = prepared->below;
	was_at(key_size, old_ret);
	place->segment->live_bytes += record_bytes(key_size, place);
	if (!old_ret->segment)
		atomic_fetch_add_explicit(&index->count, 1, memory_order_relaxed);
}

void index_remove(struct index *index, struct index_prepared *prepared, int64_t mtime_ns,
		  struct keydir_place *old_ret)
{
	struct keydir *keydir = &index->active->keydir;
	struct dw_bytes key = keydir_prepared_key(keydir, &prepared->prepared);
	size_t key_size = key.size;
	struct keydir_place known, gone = {.mtime_ns = mtime_ns};
	bool is_known = keydir_get(keydir, key, false, &known);

	gone.hides = is_known ? known.hides : prepared->below.segment != NULL;
	*old_ret = is_known ? known : prepared->below;
	if (gone.hides) {
		(void)keydir_set(keydir, &prepared->prepared, &gone, &known); /* it is known */
	} else {
		if (is_known)
			(void)keydir_remove(keydir, key, &known); /* it is known */
		keydir_drop(keydir, &prepared->prepared);
	}
	was_at(key_size, old_ret);
	if (old_ret->segment)
		atomic_fetch_sub_explicit(&index->count, 1, memory_order_relaxed);
}

int index_move(struct index *index, struct dw_bytes key, const struct dw_segment *from,
	       uint64_t offset, struct dw_segment *to, uint64_t to_offset, const int64_t *mtime_ns)
{
	struct keydir *keydir = &index->active->keydir;
	struct index_prepared prepared;
	struct keydir_place old;

	assert(from && to);
	bool known = keydir_get(keydir, key, false, &old);
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
	assert(index->version->active == index->active);
	assert(!index->version->sealed_count || !index->active->sorted);
}
