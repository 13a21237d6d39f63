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
