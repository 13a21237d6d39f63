/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * core.c - see core.h.
 */
#include "store/core.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* Keys in memory from which on a checkpoint at the end pays: fewer are replayed at once. */
enum { CHECKPOINT_KEYS_MIN = 16 << 10 };

static void close_fd(struct io *io, int fd)
{
	if (fd >= 0)
		(void)io->close(io, fd); /* a directory or the lock file: nothing to lose */
}

void core_free(struct core *core)
{
	log_release(&core->log);
	index_release(&core->index);
	dead_pages_release(&core->dead_pages);
	segset_release(&core->segments);
	fdpool_release(&core->pool);
	work_release(&core->work);
	/* these fail only while in use */
	(void)pthread_mutex_destroy(&core->compact_lock);
	(void)pthread_mutex_destroy(&core->checkpoint_lock);
	(void)pthread_mutex_destroy(&core->join_lock);
	(void)pthread_mutex_destroy(&core->names_lock);
	(void)pthread_mutex_destroy(&core->hold_lock);
	/* the lock last: a program that waits for it may unmount what the directory is on */
	close_fd(core->io, core->dirfd);
	close_fd(core->io, core->lockfd);
	free(core);
}

int core_index_init(struct core *core, uint64_t keys, uint64_t budget)
{
	int rc = index_init(&core->index, core->io, core->dirfd);

	core->index.owner = &core->pool.owner;
	if (keys)
		core->index.delta_max = keys;
	if (budget)
		core->index.resident_max = budget;
	return rc;
}

static int core_init(struct core *core, const struct dw_options *options)
{
	uint64_t segment_size =
		options->segment_size ? options->segment_size : DW_SEGMENT_SIZE_DEFAULT;
	/* A reader keeps every segment open: their names may go at any time. */
	int rc = fdpool_init(&core->pool, core->io, core->dirfd,
			     options->read_only ? UINT32_MAX : 0);

	core->pool.map_size = segment_size;
	if (!rc)
		rc = log_init(&core->log, &core->pool, segment_size);
	if (!rc)
		rc = -pthread_mutex_init(&core->compact_lock, NULL);
	if (!rc)
		rc = -pthread_mutex_init(&core->checkpoint_lock, NULL);
	if (!rc)
		rc = -pthread_mutex_init(&core->join_lock, NULL);
	if (!rc)
		rc = -pthread_mutex_init(&core->names_lock, NULL);
	if (!rc)
		rc = -pthread_mutex_init(&core->hold_lock, NULL);
	if (!rc)
		rc = work_init(&core->work);
	if (!rc)
		rc = core_index_init(core, options->index_keys, options->index_budget);
	core->checkpoint_keys_min = core->index.delta_max < CHECKPOINT_KEYS_MIN
					    ? core->index.delta_max
					    : CHECKPOINT_KEYS_MIN;
	core->log.poisoned = core_on_finding;
	core->log.context = core;
	core->log.wait_ms = options->lock_wait_ms;
	return rc;
}

int core_new(struct io *io, int dirfd, const struct dw_options *options, struct core **ret)
{
	struct core *core = calloc(1, sizeof *core);

	assert(dirfd >= 0);
	if (!core) {
		close_fd(io, dirfd);
		return -ENOMEM;
	}
	core->io = io;
	core->dirfd = dirfd;
	core->lockfd = -1;
	core->read_only = options->read_only;
	core->on_finding = options->on_finding;
	core->context = options->context;
	int rc = core_init(core, options);
	if (rc < 0)
		core_free(core);
	else
		*ret = core;
	return rc;
}

/* --- findings --- */

void core_report(struct core *core, const struct dw_finding *finding)
{
	if (core->on_finding)
		core->on_finding(core->context, finding);
}

void core_on_finding(void *core, const struct dw_finding *finding)
{
	core_report(core, finding);
}

void core_report_io(struct core *core, int rc, uint32_t segment, const char *what)
{
	const struct dw_finding finding = {
		.kind = DW_FINDING_IO, .error = -rc, .segment = segment, .name = what};

	assert(rc < 0);
	core_report(core, &finding);
}

int core_damaged(struct core *core, const struct dw_segment *segment, uint64_t offset,
		 enum dw_damage damage, struct dw_bytes key)
{
	const struct dw_finding finding = {
		.kind = DW_FINDING_DAMAGE,
		.damage = damage,
		.segment = segment->id,
		.offset = offset,
		.key = key,
	};

	assert(damage != DW_DAMAGE_NONE);
	atomic_fetch_add(&core->damage, 1);
	core_report(core, &finding);
	return -EBADMSG;
}

int core_index_failed(struct core *core, int rc)
{
	assert(rc < 0);
	if (rc != -EBADMSG)
		return rc;
	if (!atomic_exchange(&core->index_damage_told, true)) {
		if (!core->read_only)
			(void)index_disown(&core->index); /* else it is met again */
		core_report_io(core, -EIO, 0,
			       core->read_only ? "reading the index (a writer that opens the store "
						 "builds it anew)"
					       : "reading the index (it is built anew when the "
						 "store is opened next)");
	}
	return -EIO;
}

void core_tidy(struct core *core)
{
	log_lock(&core->log);
	index_tidy(&core->index);
	log_unlock(&core->log);
}

/* --- the log and its segments --- */

int core_rotate_locked(struct core *core, uint32_t gap)
{
	struct dw_segment *segment, *before = core->log.active;
	uint64_t id = (before ? before->id : 0) + (uint64_t)gap + 1;

	if (id > SEGMENT_ID_MAX)
		return -EOVERFLOW;
	int rc = segset_reserve(&core->segments, 1);
	if (!rc)
		rc = log_rotate_locked(&core->log, (uint32_t)id, &segment);
	if (rc)
		return rc;
	segset_add(&core->segments, segment);
	dead_pages_rotated(&core->dead_pages, before);
	return 0;
}

void core_unlock_log(struct core *core)
{
	struct dead_list dead = dead_pages_take(&core->dead_pages);

	log_unlock(&core->log);
	dead_pages_drop(&dead);
}

struct segment_figures core_sum_locked(const struct core *core)
{
	struct segment_figures sum = {0};

	for (size_t i = 0; i < core->segments.count; i++) {
		sum.size += core->segments.items[i]->size;
		sum.live_bytes += core->segments.items[i]->live_bytes;
	}
	return sum;
}

void core_check(struct core *core)
{
#ifdef STORE_CHECKS
	/* O(segments), after each mutation: in the builds with sanitizers */
	const struct segset *set = &core->segments;
	for (size_t i = 0; i < set->count; i++) {
		assert(set->items[i]->live_bytes + set->items[i]->raw_bytes <= set->items[i]->size);
		assert(!i || set->items[i - 1]->id < set->items[i]->id);
	}
	assert(core->read_only || core->log.active == segset_last(set));
	assert(core->read_only || core->log.end == core->log.active->size);
#else
	(void)core;
#endif
}
