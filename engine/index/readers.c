/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * readers.c - see readers.h.
 */
#include "index/readers.h"

void readers_show(struct index *index, struct version *version)
{
	for (int i = 0; i < VERSION_SHARDS; i++) {
		(void)pthread_mutex_lock(&index->shards[i].lock);
		index->shards[i].version = version;
		(void)pthread_mutex_unlock(&index->shards[i].lock);
	}
}

struct version *readers_count_in_locked(struct index *index, unsigned shard)
{
	struct version *version = index->shards[shard].version;

	if (!parts_have_below(&version->parts))
		return NULL;
	atomic_fetch_add(&version->pins[shard].count, 1);
	return version;
}

/* Free the retired versions without readers; `change` is held. */
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

void readers_count_out(struct index *index, unsigned shard, struct version *version)
{
	atomic_fetch_sub(&version->pins[shard].count, 1);
	/* `version` may be gone.  If it was retired before, then this sees the count; if after,
	 * then the thread that retires it sees that no reader is left. */
	if (!atomic_load(&index->retired_count))
		return;
	(void)pthread_mutex_lock(&index->change);
	sweep(index);
	(void)pthread_mutex_unlock(&index->change);
}

void index_replace(struct index *index, struct version *version)
{
	struct version *old = index->version;

	/* One after the other: both say the same of every key, and no key is in two shards. */
	index->version = version;
	readers_show(index, version);
	atomic_store(&index->sealed_count, version->parts.sealed_count);
	atomic_store(&index->has_below, parts_have_below(&version->parts));
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
