/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * store.c - a handle's life, and the public calls that ask what there is.
 */
#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/walk.h"

int store_new(struct core *core, struct snapshot *snapshot, struct dw_store **ret)
{
	struct dw_store *store = calloc(1, sizeof *store);

	assert(core && (!snapshot || snapshot->core == core));
	if (!store)
		return -ENOMEM;
	store->core = core;
	store->snapshot = snapshot;
	(void)pthread_mutex_init(&store->switch_lock, NULL); /* takes nothing that may be missing */
	*ret = store;
	return 0;
}

void store_drop(struct dw_store *store)
{
	assert(!store->maintain);
	(void)pthread_mutex_destroy(&store->switch_lock); /* fails only while in use */
	free(store);
}

int dw_snapshot(struct dw_store *store, struct dw_store **ret)
{
	struct snapshot *snapshot = NULL;

	if (store->snapshot)
		return -EINVAL;
	int rc = snapshot_open(store->core, &snapshot);
	if (rc < 0)
		return rc;
	rc = store_new(store->core, snapshot, ret);
	if (rc < 0)
		snapshot_close(snapshot);
	return rc;
}

uint64_t dw_count(struct dw_store *store)
{
	return store->snapshot ? index_moment_count(store->snapshot->moment)
			       : index_count(&store->core->index);
}

int dw_for_each(struct dw_store *store, dw_visit_fn *visit, void *context)
{
	struct keydir_place place;
	struct dw_bytes key;
	struct walk walk;
	int rc = walk_init(&walk, store, (struct dw_bytes){0});

	if (rc < 0)
		return rc;
	while ((rc = walk_next(&walk, &key, &place)) == 1) {
		const struct dw_stat stat = {
			.size = place.value_size,
			.mtime_ns = place.mtime_ns,
			.segment = place.segment->id,
			.offset = place.offset,
		};
		rc = visit(context, key, &stat);
		if (rc)
			break;
	}
	walk_release(&walk);
	return rc;
}

/* Counters start at the opening; a snapshot never has writes. */
static void add_counts_locked(struct core *core, struct dw_stats *stats)
{
	const struct log_writer *log = &core->log;

	stats->active_segment = log->active ? log->active->id : 0;
	stats->next_txid = log->next_txid;
	stats->puts = log->puts;
	stats->deletes = log->deletes;
	stats->raws = log->raws;
	stats->bytes_appended = log->bytes_appended;
	stats->rotations = log->rotations;
}

static void add_syncs(struct core *core, struct dw_stats *stats)
{
	struct log_writer *log = &core->log;

	stats->compactions = atomic_load(&core->compactions);
	stats->poisoned = -log_check(log);
	(void)pthread_mutex_lock(&log->sync_lock);
	stats->syncs_asked = log->syncs_asked;
	stats->syncs_done = log->syncs_done;
	memcpy(stats->syncs_served, log->syncs_served, sizeof stats->syncs_served);
	stats->calls_served = log->calls_served;
	(void)pthread_mutex_unlock(&log->sync_lock);
}

void dw_get_stats(struct dw_store *store, struct dw_stats *ret)
{
	struct core *core = store->core;
	struct dw_stats stats = {.damage = atomic_load(&core->damage)};

	log_lock(&core->log);
	if (store->snapshot)
		stats.next_txid = store->snapshot->next_txid;
	else
		add_counts_locked(core, &stats);
	stats.keys = dw_count(store);
	stats.segments = (uint32_t)store_segments_locked(store)->count;
	for (size_t i = 0; i < stats.segments; i++) {
		const struct segment_figures figures = store_figures_locked(store, i);
		stats.bytes += figures.size;
		stats.live_bytes += figures.live_bytes;
	}
	log_unlock(&core->log);
	if (!store->snapshot)
		add_syncs(core, &stats);
	*ret = stats;
}

bool dw_others_can_read(const struct dw_store *store)
{
	const struct owner *owner = &store->core->pool.owner;
	struct stat st;

	if (!owner->known || store->core->io->fstat(store->core->io, store->core->dirfd, &st) < 0)
		return false;
	/* each class needs to pass the directory and to read the file */
	return owner->mode & (st.st_mode << 2) & (S_IRGRP | S_IROTH);
}

int dw_directory_fd(const struct dw_store *store)
{
	return store->core->dirfd;
}
