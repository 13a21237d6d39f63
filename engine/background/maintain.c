/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * maintain.c - see maintain.h.
 *
 * Never takes a lock of the store with the bell's held: appends ring it with
 * log.lock held.
 */
#include "background/maintain.h"

#include <errno.h>

#include "compact/compact.h"
#include "whole/verify.h"

/* A failure is tried again after so many times look_ms, and each time after twice as many. */
enum { RETRY_LOOKS = 60, RETRY_DOUBLED_MAX = 8, LOOK_MS_MAX = 3600 * 1000 };

int maintain_init(struct maintain *maintain)
{
	int rc = bell_init(&maintain->bell);

	return rc ? rc : -pthread_mutex_init(&maintain->switch_lock, NULL);
}

void maintain_release(struct maintain *maintain)
{
	bell_release(&maintain->bell);
	(void)pthread_mutex_destroy(&maintain->switch_lock); /* fails only while in use */
}

void maintain_wake(struct maintain *maintain)
{
	(void)pthread_mutex_lock(&maintain->bell.lock);
	atomic_store(&maintain->idle, false);
	maintain->changed = true;
	(void)pthread_cond_broadcast(&maintain->bell.rung);
	(void)pthread_mutex_unlock(&maintain->bell.lock);
}

void maintain_full(struct maintain *maintain)
{
	(void)pthread_mutex_lock(&maintain->bell.lock);
	maintain->full = true;
	(void)pthread_mutex_unlock(&maintain->bell.lock);
	maintain_wake(maintain);
}

/* --- the threads; the bell's lock is held but where they work --- */

static void sleep_ms(struct maintain *maintain, uint64_t ms)
{
	int64_t until = monotonic_ns() + (int64_t)ms * 1000000;

	while (!maintain->stop && bell_wait(&maintain->bell, until))
		;
}

static void report_failure(struct dw_store *store, int rc, uint64_t room_needed)
{
	const struct dw_finding finding = {.kind = DW_FINDING_IO,
					   .error = -rc,
					   .size = room_needed,
					   .name = "compaction in the background"};

	store_report(store, &finding);
}

static void compact_once(struct dw_store *store, unsigned *failures)
{
	struct maintain *maintain = &store->maintain;

	struct dw_compact_report report = {0};
	bool full = maintain->full;

	maintain->full = false;
	(void)pthread_mutex_unlock(&maintain->bell.lock);
	int rc = compact_background(store, &maintain->options, full, &report);
	/* damage was told where it was met */
	if (rc < 0 && rc != -ECANCELED && rc != -EBUSY && rc != -EBADMSG)
		report_failure(store, rc, report.room_needed);
	(void)pthread_mutex_lock(&maintain->bell.lock);
	if (!rc) {
		*failures = 0;
		return;
	}
	maintain->changed = true; /* it is still to be done */
	maintain->full = maintain->full || full;
	unsigned doubled = *failures < RETRY_DOUBLED_MAX ? (*failures)++ : RETRY_DOUBLED_MAX;
	sleep_ms(maintain, ((uint64_t)maintain->options.look_ms * RETRY_LOOKS) << doubled);
}

static void *run_compactor(void *context)
{
	struct dw_store *store = context;
	struct maintain *maintain = &store->maintain;
	unsigned failures = 0;

	(void)pthread_mutex_lock(&maintain->bell.lock);
	maintain->changed = true; /* whatever was there before */
	while (!maintain->stop) {
		atomic_store(&maintain->idle, !maintain->changed);
		if (!maintain->changed) {
			(void)pthread_cond_wait(&maintain->bell.rung, &maintain->bell.lock);
			continue;
		}
		sleep_ms(maintain, maintain->options.look_ms);
		/* from here on changes count for the next look */
		maintain->changed = false;
		atomic_store(&maintain->idle, true);
		if (!maintain->stop)
			compact_once(store, &failures);
	}
	atomic_store(&maintain->idle, false);
	(void)pthread_mutex_unlock(&maintain->bell.lock);
	return NULL;
}

static void *run_scrubber(void *context)
{
	struct dw_store *store = context;
	struct maintain *maintain = &store->maintain;
	struct dw_verify_report report;
	struct pace pace;

	(void)pthread_mutex_lock(&maintain->bell.lock);
	while (!maintain->stop) {
		sleep_ms(maintain, maintain->options.scrub_interval_ms);
		if (maintain->stop)
			break;
		/* under the lock: who stops it counts behind */
		pace_init(&pace, &maintain->bell, &maintain->scrub_cancels,
			  maintain->options.scrub_rate);
		(void)pthread_mutex_unlock(&maintain->bell.lock);
		(void)store_verify(store, &pace, &report); /* told where it was met */
		(void)pthread_mutex_lock(&maintain->bell.lock);
	}
	(void)pthread_mutex_unlock(&maintain->bell.lock);
	return NULL;
}

/* --- starting and stopping --- */

static void stop_locked(struct maintain *maintain)
{
	(void)pthread_mutex_lock(&maintain->bell.lock);
	maintain->stop = true;
	if (maintain->background)
		atomic_fetch_add(&maintain->compact_cancels, 1);
	atomic_fetch_add(&maintain->scrub_cancels, 1);
	(void)pthread_cond_broadcast(&maintain->bell.rung);
	(void)pthread_mutex_unlock(&maintain->bell.lock);
	/* a thread that runs can be joined */
	if (maintain->has_compactor)
		(void)pthread_join(maintain->compactor, NULL);
	if (maintain->has_scrubber)
		(void)pthread_join(maintain->scrubber, NULL);
	maintain->has_compactor = maintain->has_scrubber = false;
	(void)pthread_mutex_lock(&maintain->bell.lock);
	maintain->stop = false;
	(void)pthread_mutex_unlock(&maintain->bell.lock);
}

void maintain_stop(struct maintain *maintain)
{
	(void)pthread_mutex_lock(&maintain->switch_lock);
	stop_locked(maintain);
	(void)pthread_mutex_unlock(&maintain->switch_lock);
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
	struct maintain *maintain = &store->maintain;
	int rc = 0;

	maintain->options = with_defaults(options);
	if (options->compact) {
		rc = -pthread_create(&maintain->compactor, NULL, run_compactor, store);
		maintain->has_compactor = !rc;
	}
	if (!rc && options->scrub_interval_ms) {
		rc = -pthread_create(&maintain->scrubber, NULL, run_scrubber, store);
		maintain->has_scrubber = !rc;
	}
	if (rc < 0)
		stop_locked(maintain);
	return rc;
}

int dw_maintain(struct dw_store *store, const struct dw_maintain_options *options)
{
	struct maintain *maintain = &store->maintain;
	bool possible = !options || !options->compact || !store->read_only;

	if (store->snapshot.base && options)
		return -ENOTSUP;
	(void)pthread_mutex_lock(&maintain->switch_lock);
	stop_locked(maintain);
	int rc = !possible ? -EROFS : options && options->dead_percent > 100 ? -EINVAL : 0;
	if (!rc && options)
		rc = start_locked(store, options);
	(void)pthread_mutex_unlock(&maintain->switch_lock);
	return rc;
}
