/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * maintain.c - see maintain.h.
 *
 * Never takes a lock of the store with that of the wakeup held: appends wake the background
 * with log.lock held.
 */
#include "background/maintain.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/thread.h"
#include "compact/compact.h"
#include "store/checkpoint.h"
#include "whole/verify.h"

/* A failure is tried again after so many times look_ms, and each time after twice as many. */
enum { RETRY_LOOKS = 60, RETRY_DOUBLED_MAX = 8, LOOK_MS_MAX = 3600 * 1000 };
enum { INDEX_RETRY_MS = 10000 };

/* --- the threads; the lock of the wakeup is held but where they work --- */

static void sleep_ms(struct work *work, uint64_t ms)
{
	int64_t until = clock_monotonic_ns() + (int64_t)ms * 1000000;

	while (!work->ends && wakeup_wait(&work->wakeup, until))
		;
}

static void report_failure(struct core *core, int rc, uint64_t room_needed)
{
	const struct dw_finding finding = {.kind = DW_FINDING_IO,
					   .error = -rc,
					   .size = room_needed,
					   .name = "compaction in the background"};

	core_report(core, &finding);
}

static void compact_once(struct maintain *maintain, unsigned *failures)
{
	struct core *core = maintain->store->core;
	struct dw_compact_report report = {0};
	struct work *work = &core->work;
	bool full = work->full;

	work->full = false;
	(void)pthread_mutex_unlock(&work->wakeup.lock);
	int rc = compact_background(core, &maintain->options, full, &report);
	/* damage was told where it was met */
	if (rc < 0 && rc != -ECANCELED && rc != -EBUSY && rc != -EBADMSG)
		report_failure(core, rc, report.room_needed);
	(void)pthread_mutex_lock(&work->wakeup.lock);
	if (!rc) {
		*failures = 0;
		return;
	}
	work->changed = true; /* it is still to be done */
	work->full = work->full || full;
	unsigned doubled = *failures < RETRY_DOUBLED_MAX ? (*failures)++ : RETRY_DOUBLED_MAX;
	sleep_ms(work, ((uint64_t)maintain->options.look_ms * RETRY_LOOKS) << doubled);
}

static void *run_compactor(void *context)
{
	struct maintain *maintain = context;
	struct work *work = &maintain->store->core->work;
	unsigned failures = 0;

	(void)pthread_mutex_lock(&work->wakeup.lock);
	work->changed = true; /* whatever was there before */
	while (!work->ends) {
		atomic_store(&work->idle, !work->changed);
		if (!work->changed) {
			(void)pthread_cond_wait(&work->wakeup.woken, &work->wakeup.lock);
			continue;
		}
		sleep_ms(work, maintain->options.look_ms);
		/* from here on changes count for the next look */
		work->changed = false;
		atomic_store(&work->idle, true);
		if (!work->ends)
			compact_once(maintain, &failures);
	}
	atomic_store(&work->idle, false);
	(void)pthread_mutex_unlock(&work->wakeup.lock);
	return NULL;
}

static void *run_scrubber(void *context)
{
	struct maintain *maintain = context;
	struct work *work = &maintain->store->core->work;
	struct dw_verify_report report;
	struct throttle throttle;

	(void)pthread_mutex_lock(&work->wakeup.lock);
	while (!work->ends) {
		sleep_ms(work, maintain->options.scrub_interval_ms);
		if (work->ends)
			break;
		/* under the lock: a stop counts after this */
		throttle_init(&throttle, &work->wakeup, &maintain->scrub_cancels,
			      maintain->options.scrub_rate);
		(void)pthread_mutex_unlock(&work->wakeup.lock);
		(void)store_verify(maintain->store, &throttle, &report); /* told where it was met */
		(void)pthread_mutex_lock(&work->wakeup.lock);
	}
	(void)pthread_mutex_unlock(&work->wakeup.lock);
	return NULL;
}

static void *run_indexer(void *context)
{
	struct maintain *maintain = context;
	struct core *core = maintain->store->core;
	struct work *work = &core->work;
	struct throttle throttle;

	(void)pthread_mutex_lock(&work->wakeup.lock);
	throttle_init(&throttle, &work->wakeup, &maintain->index_cancels,
		      maintain->options.compact_rate);
	while (!work->ends) {
		if (!work->index_due) {
			(void)pthread_cond_wait(&work->wakeup.woken, &work->wakeup.lock);
			continue;
		}
		(void)pthread_mutex_unlock(&work->wakeup.lock);
		/* a failure is reported; the next try comes when the task is due again */
		int rc = checkpoint_write(core, NULL); /* no rate: memory grows meanwhile */
		if (!rc)
			(void)checkpoint_join(core, &throttle);
		(void)pthread_mutex_lock(&work->wakeup.lock);
		if (rc < 0)
			sleep_ms(work, INDEX_RETRY_MS);
		work->index_due = false;
	}
	(void)pthread_mutex_unlock(&work->wakeup.lock);
	return NULL;
}

/* --- starting and stopping --- */

static void stop_locked(struct dw_store *store)
{
	struct maintain *maintain = store->maintain;
	struct work *work = &store->core->work;

	if (!maintain)
		return;
	(void)pthread_mutex_lock(&work->wakeup.lock);
	work->ends = true;
	if (work->in_background)
		atomic_fetch_add(&work->compact_cancels, 1);
	atomic_fetch_add(&maintain->scrub_cancels, 1);
	atomic_fetch_add(&maintain->index_cancels, 1);
	work->index_helped = work->index_due = false;
	(void)pthread_cond_broadcast(&work->wakeup.woken);
	(void)pthread_mutex_unlock(&work->wakeup.lock);
	/* a thread that runs can be joined */
	if (maintain->has_compactor)
		(void)pthread_join(maintain->compactor, NULL);
	if (maintain->has_scrubber)
		(void)pthread_join(maintain->scrubber, NULL);
	if (maintain->has_indexer)
		(void)pthread_join(maintain->indexer, NULL);
	(void)pthread_mutex_lock(&work->wakeup.lock);
	work->ends = false;
	(void)pthread_mutex_unlock(&work->wakeup.lock);
	free(maintain);
	store->maintain = NULL;
}

void maintain_stop(struct dw_store *store)
{
	(void)pthread_mutex_lock(&store->switch_lock);
	stop_locked(store);
	(void)pthread_mutex_unlock(&store->switch_lock);
}

static struct dw_maintain_options with_defaults(const struct dw_maintain_options *options)
{
	struct dw_maintain_options full = *options;

	if (!full.dead_percent)
		full.dead_percent = 50;
	if (!full.dead_bytes_min)
		full.dead_bytes_min = 64 << 20;
	if (!full.look_ms)
		full.look_ms = 1000;
	if (full.look_ms > LOOK_MS_MAX)
		full.look_ms = LOOK_MS_MAX;
	if (full.scrub_interval_ms > INT64_MAX / 4000000)
		full.scrub_interval_ms = INT64_MAX / 4000000; /* 73 years */
	return full;
}

static int start_locked(struct dw_store *store, const struct dw_maintain_options *options)
{
	struct maintain *maintain = calloc(1, sizeof *maintain);
	int rc = 0;

	assert(!store->maintain && !store->snapshot);
	if (!maintain)
		return -ENOMEM;
	maintain->store = store;
	maintain->options = with_defaults(options);
	store->maintain = maintain;
	if (options->compact) {
		rc = thread_start(&maintain->compactor, run_compactor, maintain);
		maintain->has_compactor = !rc;
	}
	if (!rc && options->scrub_interval_ms) {
		rc = thread_start(&maintain->scrubber, run_scrubber, maintain);
		maintain->has_scrubber = !rc;
	}
	if (!rc && store_writer(store)) {
		rc = thread_start(&maintain->indexer, run_indexer, maintain);
		maintain->has_indexer = !rc;
		(void)pthread_mutex_lock(&store->core->work.wakeup.lock);
		store->core->work.index_helped = !rc;
		(void)pthread_mutex_unlock(&store->core->work.wakeup.lock);
	}
	if (rc < 0)
		stop_locked(store);
	return rc;
}

int dw_maintain(struct dw_store *store, const struct dw_maintain_options *options)
{
	bool possible = !options || !options->compact || store_writer(store);

	if (store->snapshot)
		return options ? -ENOTSUP : 0;
	(void)pthread_mutex_lock(&store->switch_lock);
	stop_locked(store);
	int rc = !possible ? -EROFS : options && options->dead_percent > 100 ? -EINVAL : 0;
	if (!rc && options)
		rc = start_locked(store, options);
	(void)pthread_mutex_unlock(&store->switch_lock);
	return rc;
}

int dw_close(struct dw_store *store)
{
	if (!store)
		return 0;
	if (!store->snapshot && snapshot_any(store->core))
		return -EBUSY; /* they would be left with nothing below them */
	maintain_stop(store);
	if (store->above) /* its threads sync as well */
		maintain_stop(store->above);
	return store_close(store);
}
