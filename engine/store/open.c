/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * open.c - from a directory to a store and back: lock, list, replay, recover; sync, let go.
 *
 * A reader on a network disk, which may forget what is open together with its name (ESTALE),
 * starts over from the path.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/segname.h"
#include "store/checkpoint.h"
#include "store/hold.h"
#include "store/opendir.h"
#include "store/opensegments.h"
#include "store/orphan.h"
#include "store/recover.h"
#include "store/replay.h"
#include "store/snapdir.h"
#include "store/store.h"

/* Hints without their segments: the segments were lost.  But if a segment was replaced by one of
 * another log, hints of the old log prove no loss. */
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

/* The file `index` proves that more of the segment was on disk than there is: as where a hint was
 * sealed, that is no torn tail. */
static int refuse_short(struct replay *replay, const struct dw_segment *segment)
{
	struct dw_report *report = &replay->report;

	if (!report->torn_bytes)
		report->damage = DW_DAMAGE_SHORTENED;
	report->segment = segment->id;
	report->offset = segment->size;
	report->torn_bytes = report->records_behind = 0;
	return -EBADMSG;
}

/* The segments behind the position, and those of it that are not in the view. */
static int replay_segments(struct replay *replay, const uint64_t *sizes,
			   const struct index_position *claim)
{
	struct core *core = replay->core;
	int rc = 0;

	for (size_t i = 0; !rc && i < core->segments.count; i++) {
		struct dw_segment *segment = core->segments.items[i];
		bool last = i + 1 == core->segments.count;
		if (segment->id < replay->from.segment) {
			segment->hinted = segment->size; /* the index may have it from there */
			replay->report.segments++;
			continue;
		}
		rc = replay_segment(replay, segment, sizes[i], last);
		if (!rc && segment->id == claim->segment && segment->size < claim->offset)
			rc = refuse_short(replay, segment);
		if (rc < 0 && rc != -EBADMSG && rc != -EUCLEAN && !segments_gone(core, rc))
			core_report_io(core, rc, segment->id, "reading a segment");
	}
	return rc;
}

/* -EUCLEAN: the files of the index are damaged. */
static int replay_from(struct replay *replay, const uint64_t *sizes,
		       const struct index_position *claim)
{
	struct orphans orphans;
	int rc = orphans_find(replay->core, &orphans);

	replay->keeps_foreign = orphans.count;
	if (replay->from.segment)
		replay->report.last_txid = replay->from.next_txid - 1;
	if (!rc)
		rc = replay_segments(replay, sizes, claim);
	if (rc != -EUCLEAN)
		replay_report(replay, rc);
	if (!rc)
		rc = refuse_missing(replay->core, replay, &orphans);
	orphans_release(&orphans);
	return rc;
}

/* The index is damaged: begin anew without it. */
static int forget_index(struct core *core)
{
	int rc = core->read_only ? 0 : index_disown(&core->index);

	if (rc < 0)
		return rc;
	index_release(&core->index);
	for (size_t i = 0; i < core->segments.count; i++) {
		struct dw_segment *segment = core->segments.items[i];
		segment->size = segment->live_bytes = segment->raw_bytes = 0;
		segment->last_txid = segment->hinted = 0;
	}
	return core_index_init(core, core->index.delta_max, core->index.resident_max);
}

/* The results of a replay, apart from the view. */
struct replayed {
	struct dw_report report;
	struct hint_end hint; /* of the last segment */
	bool on_disk;         /* a part of the view is, and nothing names it */
	bool unwanted;        /* the index on disk is only to prove what was there */
	bool forgotten;       /* it is not looked at any more */
};

/* Whether `index` is of a later moment than the segments that are open: a writer goes on. */
static bool is_later(struct core *core, const uint64_t *sizes, const struct index_position *claim)
{
	char name[SEGNAME_SIZE];
	struct stat st;

	if (!core->read_only || !claim->segment)
		return false;
	segname_format(claim->segment, name);
	for (size_t i = 0; i < core->segments.count; i++)
		if (core->segments.items[i]->id == claim->segment)
			return sizes[i] < claim->offset && core->io->lookup &&
			       !core->io->lookup(core->io, core->dirfd, name, &st) &&
			       (uint64_t)st.st_size >= claim->offset;
	return claim->segment > (core->segments.count ? segset_last(&core->segments)->id : 0) &&
	       core->io->lookup && !core->io->lookup(core->io, core->dirfd, name, &st);
}

/* -EUCLEAN: see above; -ESTALE: a reader is to begin anew. */
static int replay_once(struct core *core, const uint64_t *sizes, struct index_position *claim,
		       struct replayed *ret)
{
	struct replay replay = {
		.core = core, .writes = !core->read_only, .loss = {.limit = LOST_TOLD}};
	int rc = ret->forgotten ? 0
				: index_open(&core->index, &core->segments, !core->read_only,
					     &replay.from);

	if (!rc && core->index.claim.segment)
		*claim = core->index.claim;
	if (!rc && !ret->forgotten && is_later(core, sizes, claim))
		rc = -ESTALE;
	if (!rc && !ret->forgotten && (ret->unwanted || index_is_damaged(&core->index)))
		rc = -EUCLEAN;
	if (!rc)
		rc = replay_from(&replay, sizes, claim);
	ret->report = replay.report;
	ret->hint = replay.hint;
	ret->on_disk = replay.on_disk;
	replay_release(&replay);
	return rc;
}

static int replay_all(struct core *core, const uint64_t *sizes, struct replayed *ret)
{
	struct index_position claim = {0};
	int rc = replay_once(core, sizes, &claim, ret);

	if (rc != -EUCLEAN)
		return rc;
	rc = forget_index(core);
	/* a writer takes note that there is none; a reader has no other way to leave it alone */
	ret->forgotten = core->read_only;
	return rc ? rc : replay_once(core, sizes, &claim, ret);
}

/* Remove the files of an index that was rejected; files of other programs under its names stay. */
static void clean_index(struct core *core)
{
	char what[100];
	uint32_t stray = 0;

	(void)index_clean(&core->index, &stray); /* files that stay are rejected next time, too */
	if (index_is_nameless(&core->index))
		core_report_io(core, -EEXIST, 0,
			       "using the name 'index', which is another program's (without it "
			       "the store is slow to open)");
	if (!stray)
		return;
	(void)snprintf(what, sizeof what,
		       "using the name '%08" PRIu32 ".run', which is another program's", stray);
	core_report_io(core, -EEXIST, 0, what);
}

/* Make a replayed store writable: a sound tail, an active segment. */
static int start_writing(struct core *core, const uint64_t *sizes, const struct replayed *replayed)
{
	struct dw_segment *last = segset_last(&core->segments);
	int rc = recover_leftovers(core, false);

	clean_index(core);
	recover_blocks(core);
	snapdir_leftovers(core);
	if (!rc && last && sizes[core->segments.count - 1] > last->size)
		rc = recover_tail(core, last, sizes[core->segments.count - 1],
				  replayed->report.torn_bytes > 0);
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
		return log_continue(&core->log, last, replayed->report.last_txid + 1,
				    &replayed->hint);
	core->log.next_txid = 1;
	return core_rotate_locked(core, 0);
}

/* A replica whose first stream broke off has a part of a store, which is no moment of it. */
static int refuse_part(struct core *core)
{
	int fd = core->read_only ? -ENOENT
				 : core->io->open(core->io, core->dirfd, SEGNAME_RECEIVING,
						  O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	(void)core->io->close(core->io, fd); /* it was only looked for */
	core_report_io(core, -EROFS, 0,
		       "opening a replica for writing that has not all of its first stream (send "
		       "it again; or remove '" SEGNAME_RECEIVING "' to go on with a part)");
	return -EROFS;
}

static int open_locked(struct core *core, const struct dw_options *options,
		       struct dw_report *report_ret)
{
	struct replayed replayed = {.unwanted = core->read_only && options->without_index};
	uint64_t *sizes = NULL;
	int rc = core->read_only ? 0 : hold_directory(core, options->lock_wait_ms);

	if (!rc)
		rc = refuse_part(core);
	/* records of the other store that must be on disk before any of this one */
	if (!rc && !core->read_only)
		rc = recover_first(core);
	if (!rc)
		rc = segments_open(core, &sizes);
	if (!rc) {
		rc = replay_all(core, sizes, &replayed);
		if (report_ret)
			*report_ret = replayed.report;
	}
	if (!rc && !core->read_only)
		rc = start_writing(core, sizes, &replayed);
	free(sizes);
	/* the next opening can use these runs only if the file `index` names them */
	if (!rc && replayed.on_disk)
		(void)checkpoint_write(core, NULL); /* the log has everything */
	return rc;
}

static int open_core(struct io *io, const struct core *above, int at, const char *path,
		     const struct dw_options *options, struct dw_report *report_ret,
		     struct core **ret)
{
	struct core *core = NULL;
	int rc = 0;

	if (options->create && !options->read_only)
		rc = above ? directory_make_below(above, path) : directory_make(io, path);
	if (!rc)
		rc = directory_open(io, above, at, path, options, &core);
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

static int open_at(struct io *io, const struct core *above, int at, const char *path,
		   const struct dw_options *options, struct dw_report *report_ret,
		   struct dw_store **ret)
{
	struct core *core = NULL;
	int rc = -ESTALE;

	for (int i = 0; rc == -ESTALE && i < (options->read_only ? OPEN_TRIES : 1); i++)
		rc = open_core(io, above, at, path, options, report_ret, &core);
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
	return open_at(io, NULL, AT_FDCWD, path, options, report_ret, ret);
}

int store_open_at(struct io *io, int at, const char *name, const struct dw_options *options,
		  struct dw_report *report_ret, struct dw_store **ret)
{
	assert(options->read_only);
	return open_at(io, NULL, at, name, options, report_ret, ret);
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
	int rc = open_at(outer->io, outer, outer->dirfd, name, options, report_ret, &store);
	if (rc < 0)
		return rc;
	if (writes) {
		store->above = above;
		atomic_store(&outer->log.first, &store->core->log);
	}
	*ret = store;
	return 0;
}

/* The store above can ask this one no more.  If records of this one are lost, poison `above`. */
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
	if (!rc && !core->read_only)
		checkpoint_at_close(core);
	leave_above(store, rc);
	store_drop(store);
	core_free(core);
	return rc;
}
