/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * compact.c - compaction in place, online; every intermediate state is a store.
 *
 *   1. Choose a run of the oldest segments, seal it if the active one is in it, and
 *      have ids for outputs: behind all sealed segments, below the active one
 *      (compact/choose.c).
 *   2. Copy what lives in the inputs, in log order, to files under temporary
 *      names; sync them (compact/copy.c).
 *   3. Have the index on disk know them: else it would not be believed with them there.  Rename
 *      those to their ids, ascending; sync the directory; let the view point
 *      to them.  Replay now sees each value twice, the same (compact/publish.c).
 *   4. Unlink the inputs' hints, and sync the directory: a hint without its segment proves a
 *      loss.  Unlink the inputs in ascending order, the directory synced between.
 *
 * Why no key ever changes its value, whatever the run and wherever a crash comes.  The
 * log is P S A: the run P, the sealed rest S, and A, which is the active segment and what is
 * appended from now on; a key's value is its last record's.  Outputs O go between S and A.
 *
 *   a. A record is copied if the view points to it, asked after the place of O was fixed.
 *      Then it is the last one of its key in P S, and each one in A is newer: its copy,
 *      behind S and before A, hides nothing but itself.
 *   b. With all of O there, P is needed no more.  A key whose last record is in S or A does
 *      not care.  Else that last record is in P: a put was copied; a tombstone hides nothing
 *      but what is before it, which is in P as well, for P begins with the log.
 *   c. While P goes, from its front, a part is left of it: of two records of a key the later
 *      one stays longer, so no tombstone goes before the put that it hides.
 *   d. A put that was not copied because A hides it: A is synced before the first of P goes.
 *   e. Copies that an earlier, interrupted compaction left are records like any other.  They
 *      were once put before whatever was written later (a), so a tombstone of their key
 *      stands behind them, and they are in P whenever the tombstone is: no run drops a
 *      tombstone and leaves a put that it hid.
 *   f. A tombstone with the highest txid is kept, so that txids never come back.
 *
 * Raw records are kept: they are no part of the view, but they were not deleted.  Those of P come
 * to stand behind those of S; within P their order stays.
 *
 * A full disk, or quota.  A run that met -ENOSPC wrote as much as there was room for; then a run
 * is tried whose copies take less, down to one of which nothing stays (f, too, must be elsewhere):
 * that takes no file at all.  The space that one run frees is room for the next.  If no run was
 * possible, the space that removals have in reserve is lent.
 */
#include "compact/compact.h"

#include <errno.h>

#include "store/store.h"

static void set_phase(struct core *core, enum dw_compact_phase phase)
{
	atomic_store(&core->progress.phase, phase);
}

static void begin_progress(struct compaction *c, const struct dw_compact_report *report)
{
	struct core *core = c->core;

	atomic_store(&core->progress.bytes_done, 0);
	atomic_store(&core->progress.bytes_total, report->bytes_before);
	atomic_store(&core->progress.segments_done, 0);
	atomic_store(&core->progress.segments_total, report->segments_before);
	set_phase(core, DW_COMPACT_COPYING);
}

static int run_steps(struct compaction *c)
{
	int rc = compact_copy(c);

	if (!rc)
		rc = throttle_take(&c->throttle, 0); /* the last moment to cancel */
	if (rc < 0)
		return rc;
	set_phase(c->core, DW_COMPACT_PUBLISHING);
	rc = compact_publish(c);
	/* A record that was not copied because a newer one hides it: that one must be on
	 * disk before the inputs go, or a crash would leave neither. */
	if (!rc)
		rc = log_sync(&c->core->log);
	if (rc < 0)
		return rc;
	atomic_store(&c->core->progress.segments_done, 0);
	set_phase(c->core, DW_COMPACT_REMOVING);
	return compact_remove(c);
}

/* One run, from the first step to the last; `*report` is of it alone. */
static int run(struct compaction *c, const struct compact_limits *limits,
	       struct dw_compact_report *report)
{
	*report = (struct dw_compact_report){0};
	int rc = compact_begin(c, limits);
	for (size_t i = 0; i < c->inputs.count; i++)
		report->bytes_before += c->inputs.items[i]->size;
	report->segments_before = (uint32_t)c->inputs.count;
	if (rc < 0 || !c->inputs.count)
		return rc;
	begin_progress(c, report);
	rc = run_steps(c);
	for (size_t i = 0; i < c->count; i++)
		report->bytes_after += c->outputs[i].file.size;
	report->segments_after = (uint32_t)c->count;
	set_phase(c->core, DW_COMPACT_IDLE);
	return rc;
}

static void add_report(struct dw_compact_report *sum, const struct dw_compact_report *one)
{
	sum->segments_before += one->segments_before;
	sum->segments_after += one->segments_after;
	sum->bytes_before += one->bytes_before;
	sum->bytes_after += one->bytes_after;
}

/* After a run met a full disk: let the next one write less.  Of the write that failed a part may
 * have found room, and hints take some that is not counted: how much there is for
 * copies is found by trying.  False: there is no less. */
static bool lower_limits(struct compact_limits *limits, const struct compaction *c)
{
	uint64_t copied = c->run.copied, most = c->written + COMPACT_WRITE_SIZE;

	if (!limits->copy_max || !c->run.count)
		return false;
	if (most > copied)
		most = copied;
	uint64_t middle = c->written < most ? (c->written + most) / 2 : most;
	limits->copy_max = middle < copied / 4 * 3 ? middle : copied / 4 * 3;
	return true;
}

/* Nothing found room: have what is kept for removals, too. */
static bool squeeze(struct core *core, struct compact_limits *limits)
{
	log_lock(&core->log);
	bool lent = !core->log.prealloc.lent && !log_lend_reserve_locked(&core->log);
	log_unlock(&core->log);
	limits->copy_max = COMPACT_WRITE_SIZE; /* there is hardly more */
	return lent;
}

static void give_back(struct core *core)
{
	log_lock(&core->log);
	if (core->log.prealloc.lent)
		log_take_reserve_locked(&core->log);
	log_unlock(&core->log);
}

/* With how much room a run that is left could be compacted; 0: none is, and nothing failed. */
static uint64_t tell_room(struct core *core, bool failed)
{
	bool dead;

	log_lock(&core->log);
	uint64_t room = compact_room_locked(core, &dead);
	log_unlock(&core->log);
	return failed || dead ? room : 0;
}

/* As many runs as the disk makes necessary: one, if it has room. */
static int run_all(struct core *core, const struct throttle *throttle, struct compact_limits limits,
		   struct dw_compact_report *sum)
{
	struct dw_compact_report one;
	bool more = true, done = false;
	int rc = 0, full = 0;

	while (more) {
		struct compaction c = {.core = core,
				       .throttle = *throttle,
				       .may_hurry = limits.background && throttle->rate,
				       .behind_min = limits.freed_min};
		rc = run(&c, &limits, &one);
		uint64_t freed = one.bytes_before - one.bytes_after;
		more = false;
		if (io_is_full(rc)) {
			full = rc;
			more = lower_limits(&limits, &c);
		} else if (!rc && c.run.count) {
			add_report(sum, &one);
			done = one.bytes_before == one.bytes_after;
			more = full && !done;
			limits.copy_max += more ? freed : 0;
		}
		compaction_release(&c);
		if (!more && full && (!rc || io_is_full(rc)) && !sum->segments_before)
			more = squeeze(core, &limits);
	}
	give_back(core);
	if (!rc && !sum->segments_before)
		rc = full; /* and nothing is left that would fit */
	if (io_is_full(rc) && sum->segments_before)
		rc = log_check(&core->log);
	if (full && !done)
		sum->room_needed = tell_room(core, io_is_full(rc));
	return rc;
}

/* Have the lock of compactions.  One in the background gives way. */
static int take_lock(struct core *core, bool background)
{
	struct work *work = &core->work;

	if (!pthread_mutex_trylock(&core->compact_lock))
		return 0;
	if (background)
		return -EBUSY;
	(void)pthread_mutex_lock(&work->wakeup.lock);
	bool waits = work->in_background;
	if (waits) {
		atomic_fetch_add(&work->compact_cancels, 1);
		(void)pthread_cond_broadcast(&work->wakeup.woken);
	}
	(void)pthread_mutex_unlock(&work->wakeup.lock);
	if (!waits)
		return -EBUSY;
	(void)pthread_mutex_lock(&core->compact_lock);
	return 0;
}

/* Claim the one compaction that may run.  -ECANCELED: the background is to end. */
static int set_background(struct core *core, bool background, struct throttle *throttle,
			  uint64_t rate)
{
	struct work *work = &core->work;

	(void)pthread_mutex_lock(&work->wakeup.lock);
	bool stop = background && work->ends;
	work->in_background = background && !stop;
	/* under the lock: a cancellation counts before or after */
	throttle_init(throttle, &work->wakeup, &work->compact_cancels, rate);
	(void)pthread_mutex_unlock(&work->wakeup.lock);
	return stop ? -ECANCELED : 0;
}

static int compact(struct core *core, const struct compact_limits *limits, uint64_t rate,
		   bool background, struct dw_compact_report *ret)
{
	struct dw_compact_report report = {0};
	struct throttle throttle;
	int rc = take_lock(core, background);

	if (rc < 0)
		return rc;
	rc = set_background(core, background, &throttle, rate);
	if (!rc)
		rc = run_all(core, &throttle, *limits, &report);
	(void)set_background(core, false, &throttle, 0);
	if (!rc && (report.segments_before || !background))
		atomic_fetch_add(&core->compactions, 1);
	(void)pthread_mutex_unlock(&core->compact_lock);
	if ((!rc || io_is_full(rc)) && ret)
		*ret = report;
	return rc;
}

int dw_compact_with(struct dw_store *store, const struct dw_compact_options *options,
		    struct dw_compact_report *ret)
{
	static const struct dw_compact_options defaults;
	struct core *core = store_writer(store);

	if (!options)
		options = &defaults;
	if (!core)
		return -EROFS;
	if (options->dead_percent > 100)
		return -EINVAL;
	const struct compact_limits limits = {.dead_percent = options->dead_percent,
					      .copy_max = UINT64_MAX};
	return compact(core, &limits, options->rate, false, ret);
}

int dw_compact(struct dw_store *store, struct dw_compact_report *ret)
{
	return dw_compact_with(store, NULL, ret);
}

enum { FULL_DEAD_PERCENT = 10 };

int compact_background(struct core *core, const struct dw_maintain_options *options, bool full,
		       struct dw_compact_report *ret)
{
	struct compact_limits limits = {.dead_percent = options->dead_percent,
					.freed_min = options->dead_bytes_min,
					.copy_max = UINT64_MAX,
					.background = true};
	uint64_t rate = options->compact_rate;

	if (full || compact_is_behind(core, options->dead_bytes_min))
		rate = 0;
	if (full) {
		limits.freed_min = 1;
		if (limits.dead_percent > FULL_DEAD_PERCENT)
			limits.dead_percent = FULL_DEAD_PERCENT;
	}
	return compact(core, &limits, rate, true, ret);
}

void dw_compact_cancel(struct dw_store *store)
{
	if (!store->snapshot) /* one of its own it never has */
		throttle_cancel(&store->core->work.wakeup, &store->core->work.compact_cancels);
}

void dw_compact_progress(struct dw_store *store, struct dw_compact_progress *ret)
{
	const struct core *core = store->core;

	*ret = (struct dw_compact_progress){.phase = DW_COMPACT_IDLE};
	if (store->snapshot)
		return;
	*ret = (struct dw_compact_progress){
		.phase = (enum dw_compact_phase)atomic_load(&core->progress.phase),
		.segments_done = atomic_load(&core->progress.segments_done),
		.segments_total = atomic_load(&core->progress.segments_total),
		.bytes_done = atomic_load(&core->progress.bytes_done),
		.bytes_total = atomic_load(&core->progress.bytes_total),
	};
}
