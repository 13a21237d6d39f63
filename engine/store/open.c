/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * open.c - from a directory to a store and back: lock, list, replay, recover; sync, let go.
 *
 * A reader on a network disk, which may forget what is open together with its name (ESTALE),
 * starts over from the path.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/hold.h"
#include "store/opendir.h"
#include "store/opensegments.h"
#include "store/orphan.h"
#include "store/recover.h"
#include "store/replay.h"
#include "store/store.h"

/* Hints without their segments: the segments were lost.  But where a segment was exchanged for
 * one of another log, what the hints of the old one say is no loss. */
static int refuse_missing(struct core *core, struct replay *replay, const struct orphans *orphans)
{
	struct dw_report *report = &replay->report;
	int rc = 0;

	if (!orphans->count || replay->foreign)
		return 0;
	for (size_t i = 0; !rc && i < orphans->count; i++) {
		loss_take_back(&replay->loss, 0, 0);
		rc = orphan_note(core, orphans->ids[i], &replay->loss);
		if (!rc)
			orphan_report(core, orphans->ids[i], &replay->loss);
	}
	report->segment = orphans->ids[0];
	report->offset = report->torn_bytes = 0;
	report->damage = DW_DAMAGE_MISSING;
	return rc ? rc : -EBADMSG;
}

static int replay_all(struct core *core, const uint64_t *sizes, struct dw_report *report,
		      struct hint_end *hint_ret)
{
	struct replay replay = {.keydir = &core->keydir,
				.writes = !core->read_only,
				.loss = {.limit = LOST_TOLD},
				.found = core_on_finding,
				.context = core};
	struct orphans orphans;
	int rc = orphans_find(core, &orphans);

	replay.keeps_foreign = orphans.count;

	for (size_t i = 0; !rc && i < core->segments.count; i++) {
		bool last = i + 1 == core->segments.count;
		rc = replay_segment(&replay, core->segments.items[i], sizes[i], last);
		if (rc < 0 && rc != -EBADMSG && !segments_gone(core, rc))
			core_report_io(core, rc, core->segments.items[i]->id, "reading a segment");
	}
	*hint_ret = replay.hint;
	replay_report(&replay, rc);
	if (!rc)
		rc = refuse_missing(core, &replay, &orphans);
	*report = replay.report;
	orphans_release(&orphans);
	replay_release(&replay);
	return rc;
}

/* Make a replayed store writable: a sound tail, an active segment. */
static int start_writing(struct core *core, const uint64_t *sizes, const struct dw_report *report,
			 const struct hint_end *hint)
{
	struct dw_segment *last = segset_last(&core->segments);
	int rc = recover_leftovers(core, false);

	recover_blocks(core);
	if (!rc && last && sizes[core->segments.count - 1] > last->size)
		rc = recover_tail(core, last, sizes[core->segments.count - 1],
				  report->torn_bytes > 0);
	/* A writer that was killed may not have come to sync the name of its last segment:
	 * a sync of the file alone would then keep nothing. */
	if (!rc && last)
		rc = core->io->fsync(core->io, core->dirfd);
	if (rc < 0)
		return rc;
	/* Nor its bytes: they count as one append, so that the first dw_sync() puts them
	 * on disk. */
	if (last && last->size)
		atomic_store(&core->log.appended, 1);
	if (last)
		return log_continue(&core->log, last, report->last_txid + 1, hint);
	core->log.next_txid = 1;
	return core_rotate_locked(core, 0);
}

static int open_locked(struct core *core, const struct dw_options *options,
		       struct dw_report *report_ret)
{
	struct dw_report report = {0};
	struct hint_end hint = {0};
	uint64_t *sizes = NULL;
	int rc = core->read_only ? 0 : hold_directory(core, options->lock_wait_ms);

	/* what must be on disk before anything of this store is */
	if (!rc && !core->read_only)
		rc = recover_first(core);
	if (!rc)
		rc = segments_open(core, &sizes);
	if (!rc) {
		rc = replay_all(core, sizes, &report, &hint);
		if (report_ret)
			*report_ret = report;
	}
	if (!rc && !core->read_only)
		rc = start_writing(core, sizes, &report, &hint);
	free(sizes);
	return rc;
}

static int open_core(struct io *io, const struct core *above, const char *path,
		     const struct dw_options *options, struct dw_report *report_ret,
		     struct core **ret)
{
	struct core *core = NULL;
	int rc = 0;

	if (options->create && !options->read_only)
		rc = above ? directory_make_below(above, path) : directory_make(io, path);
	if (!rc)
		rc = directory_open(io, above, path, options, &core);
	if (rc)
		return rc;
	rc = open_locked(core, options, report_ret);
	if (rc < 0) {
		core_free(core);
		return rc;
	}
	if (!core->read_only && !above)
		hold_warn(core);
	core_check(core);
	*ret = core;
	return 0;
}

static int open_at(struct io *io, const struct core *above, const char *path,
		   const struct dw_options *options, struct dw_report *report_ret,
		   struct dw_store **ret)
{
	struct core *core = NULL;
	int rc = -ESTALE;

	for (int i = 0; rc == -ESTALE && i < (options->read_only ? OPEN_TRIES : 1); i++)
		rc = open_core(io, above, path, options, report_ret, &core);
	if (rc < 0)
		return rc;
	rc = store_new(core, NULL, ret);
	if (rc < 0)
		core_free(core);
	return rc;
}

int store_open(struct io *io, const char *path, const struct dw_options *options,
	       struct dw_report *report_ret, struct dw_store **ret)
{
	return open_at(io, NULL, path, options, report_ret, ret);
}

int dw_open(const char *path, const struct dw_options *options, struct dw_report *report_ret,
	    struct dw_store **ret)
{
	static const struct dw_options defaults;

	return store_open(&io_posix, path, options ? options : &defaults, report_ret, ret);
}

int dw_open_in(struct dw_store *above, const char *name, const struct dw_options *options,
	       struct dw_report *report_ret, struct dw_store **ret)
{
	struct core *outer = above->core;
	bool writes = store_writer(above) && !options->read_only;
	struct dw_store *store = NULL;

	if (strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return -EINVAL;
	if (writes && atomic_load(&outer->log.first))
		return -EBUSY;
	int rc = open_at(outer->io, outer, name, options, report_ret, &store);
	if (rc < 0)
		return rc;
	if (writes) {
		store->above = above;
		atomic_store(&outer->log.first, &store->core->log);
	}
	*ret = store;
	return 0;
}

/* The store above can ask this one no more; what is lost of it `above` must not outlive. */
static void leave_above(struct dw_store *store, int rc)
{
	if (!store->above)
		return;
	struct log_writer *outer = &store->above->core->log;
	if (rc < 0)
		atomic_store(&outer->first_lost, rc);
	atomic_store(&outer->first, NULL);
}

int store_close(struct dw_store *store)
{
	struct core *core = store->core;

	if (store->snapshot) {
		snapshot_close(store->snapshot);
		store_drop(store);
		return 0;
	}
	if (snapshot_any(core)) /* they would be left with nothing below them */
		return -EBUSY;
	int rc = core->read_only ? 0 : log_sync(&core->log);
	if (!rc && !core->read_only)
		rc = log_finish(&core->log);
	leave_above(store, rc);
	store_drop(store);
	core_free(core);
	return rc;
}
