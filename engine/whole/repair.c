/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * repair.c - damaged bytes out of the log, whole records behind them back into it.
 *
 * Each segment is searched for ranges where no sound record stands.  Of a segment
 * that has some, first each range is saved to a quarantine file of its own, durably;
 * then what is sound is written to `NNNNNNNN.dwal.compact`, read back and checked,
 * synced, and renamed over the segment.  Until that rename the damaged segment is
 * there, from then on the sound one, and in between both it and the quarantine:
 * a crash anywhere loses nothing, and a second run does what is left to do.
 * Sound records are never changed, reordered or dropped.
 *
 * Hints are compared with their segments.  One that knows of records that are not there is
 * renamed, durably, before the segment is: beside a repaired segment it would prove a loss
 * again.  A new one has the commit times of what is left.
 */
#include "whole/repair.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/clock.h"
#include "disk/freshname.h"
#include "store/hold.h"
#include "store/opendir.h"
#include "store/orphan.h"
#include "store/recover.h"
#include "whole/repairplan.h"

struct repair {
	struct core *core;      /* its segments only: there is no view */
	uint64_t *sizes;        /* bytes of each segment's file; owned */
	struct plan *plans;     /* one for each segment; owned */
	struct orphans orphans; /* missing segments */
	unsigned foreign;       /* hints of another log */
	struct loss loss;
	dw_repair_fn *found;
	void *context;
	struct dw_repair_report report;
};

/* --- what is left --- */

static int see_all(struct repair *repair)
{
	int rc = 0;

	if (!repair->loss.count)
		return 0;
	loss_sort(&repair->loss);
	for (size_t i = 0; !rc && i < repair->core->segments.count; i++)
		rc = plan_see(&repair->plans[i], repair->core->segments.items[i], &repair->loss);
	repair->loss.seen = true;
	return rc;
}

static void report_lost(void *context, const struct dw_finding *finding)
{
	struct repair *repair = context;

	repair->report.keys_lost++;
	core_report(repair->core, finding);
}

/* --- doing it --- */

static void tell(struct repair *repair, uint32_t segment, const struct range *range,
		 const char *quarantine)
{
	const struct dw_repair_range told = {
		.segment = segment,
		.offset = range->offset,
		.size = range->end - range->offset,
		.damage = range->damage,
		.key = range->key,
		.quarantine = quarantine,
	};

	if (repair->found)
		repair->found(repair->context, &told);
}

static void tell_gone(struct repair *repair, uint32_t segment, enum dw_damage damage,
		      uint64_t offset, uint64_t records, const char *quarantine)
{
	const struct dw_repair_range told = {
		.segment = segment,
		.offset = offset,
		.damage = damage,
		.records = records,
		.quarantine = quarantine,
	};

	if (repair->found)
		repair->found(repair->context, &told);
}

/* A hint that knows what is not there gets another name, durably; `name_ret` is that. */
static int retire_hint(struct repair *repair, uint32_t id, char name_ret[SEGNAME_SIZE])
{
	struct core *core = repair->core;
	int rc = freshname_put_hint_aside(core->io, core->dirfd, id, name_ret);

	return rc ? rc : core->io->fsync(core->io, core->dirfd);
}

/* Begin the hint of what will be left, with the commit times that the old one tells. */
static int write_hint(struct repair *repair, struct dw_segment *segment, int fd,
		      const struct plan *plan, struct hintwriter *writer)
{
	struct loss known = {.limit = 1}; /* told already */
	struct scan_record record;
	struct segcheck check;
	size_t i = 0;
	int rc = segcheck_init(&check, segment, fd, plan->end, false, &known);

	hintwriter_init_beside(writer, repair->core->io, repair->core->dirfd, segment->id);
	hintwriter_own(writer, &repair->core->pool.owner);
	while (!rc) {
		if (i < plan->count && check.scan.offset == plan->ranges[i].offset)
			check.scan.offset = plan->ranges[i++].end;
		rc = segcheck_next(&check, &record);
		if (rc != 1)
			break;
		const struct hint_entry entry = {record.header, record.crc, check.mtime_ns,
						 record.key, check.sidecar.clock_ns};
		hintwriter_add(writer, &entry);
		rc = 0;
	}
	segcheck_release(&check);
	loss_release(&known);
	return rc;
}

/* The segment is as it shall be: so is its hint.  Of a segment that was written anew all is on
 * disk; else it will be read once more. */
static void place_hint(struct repair *repair, uint32_t id, bool rewritten,
		       struct hintwriter *writer)
{
	struct io *io = repair->core->io;
	char name[SEGNAME_SIZE];
	struct stat st;

	segname_format(id, name);
	int fd = rewritten ? io->open(io, repair->core->dirfd, name, O_RDONLY | O_NOFOLLOW, 0) : -1;
	if (fd >= 0 && !io->fstat(io, fd, &st)) {
		const struct hint_binding binding = {clock_ns_of(st.st_mtim), st.st_ino};
		hintwriter_seal(writer, &binding);
	}
	hintwriter_flush(writer);
	hintwriter_place(writer);
	if (fd >= 0)
		(void)io->close(io, fd); /* nothing was written through it */
}

/* Save every range, durably, before anything is taken out. */
static int save_ranges(struct repair *repair, uint32_t id, int fd, const struct plan *plan)
{
	char name[SEGNAME_SIZE];
	int rc = 0;

	for (size_t i = 0; !rc && i < plan->count; i++) {
		const struct range *range = &plan->ranges[i];
		rc = recover_quarantine(repair->core, id, fd, range->offset, range->end, name);
		if (!rc)
			tell(repair, id, range, *name ? name : NULL);
	}
	return rc;
}

static int copy_sound(struct io *io, int fd, uint64_t size, const struct plan *plan,
		      struct atomicfile *to)
{
	uint64_t at = 0;
	int rc = 0;

	for (size_t i = 0; !rc && i < plan->count; i++) {
		rc = recover_copy(io, fd, at, plan->ranges[i].offset, to);
		at = plan->ranges[i].end;
	}
	return rc ? rc : recover_copy(io, fd, at, size, to);
}

/* Whether what was written is what was planned: a disk that damages may go on doing so. */
static int check_written(struct io *io, const struct atomicfile *file, const struct plan *plan)
{
	struct scan_record record;
	struct scan scan;
	uint64_t records = 0;
	int rc = scan_init(&scan, io, file->fd, 0, file->size);

	while (!rc && (rc = scan_next(&scan, &record)) == 1) {
		records++;
		rc = 0;
	}
	scan_release(&scan);
	bool as_planned = records == plan->records && file->size == plan->sound_bytes;
	return rc == -EBADMSG || (!rc && !as_planned) ? -EIO : rc;
}

static int rewrite(struct repair *repair, uint32_t id, int fd, uint64_t size,
		   const struct plan *plan)
{
	struct core *core = repair->core;
	char name[SEGNAME_SIZE], temporary[SEGNAME_SIZE];
	struct atomicfile file = {.fd = -1};
	struct stat st;

	segname_format(id, name);
	segname_format_compact(id, temporary);
	int rc = core->io->fstat(core->io, fd, &st);
	if (!rc)
		rc = atomicfile_init(&file, core->io, core->dirfd, name, temporary, OWNER_MODE_NEW);
	if (!rc) {
		const struct owner owner = owner_of(&st);
		owner_apply(&owner, core->io, file.fd);
	}
	if (!rc)
		rc = copy_sound(core->io, fd, size, plan, &file);
	if (!rc)
		rc = check_written(core->io, &file, plan);
	if (!rc)
		rc = atomicfile_sync(&file);
	if (!rc)
		rc = atomicfile_commit(&file, true);
	atomicfile_release(&file);
	return rc;
}

static void count_plan(struct dw_repair_report *report, const struct plan *plan)
{
	report->segments++;
	report->records += plan->records;
	report->segments_short += plan->shortened;
	if (!plan->count)
		return;
	report->segments_damaged++;
	report->ranges += plan->count;
	report->records_behind += plan->records_behind;
	for (size_t i = 0; i < plan->count; i++)
		report->bytes_out += plan->ranges[i].end - plan->ranges[i].offset;
}

static int change_segment(struct repair *repair, struct dw_segment *segment, int fd,
			  const struct plan *plan)
{
	struct hintwriter writer;
	char retired[SEGNAME_SIZE];
	int rc = save_ranges(repair, segment->id, fd, plan);

	if (rc < 0)
		return rc;
	rc = write_hint(repair, segment, fd, plan, &writer);
	if (!rc && plan->hinted)
		rc = retire_hint(repair, segment->id, retired);
	if (!rc && plan->shortened)
		tell_gone(repair, segment->id, DW_DAMAGE_SHORTENED, plan->end, plan->missing,
			  retired);
	if (!rc && plan->count)
		rc = rewrite(repair, segment->id, fd, plan->end, plan);
	if (!rc)
		place_hint(repair, segment->id, plan->count, &writer);
	hintwriter_release(&writer);
	return rc;
}

static void tell_foreign(struct repair *repair, uint32_t id)
{
	const struct dw_finding finding = {.kind = DW_FINDING_SIDECAR, .segment = id};

	core_report(repair->core, &finding);
}

static int repair_segment(struct repair *repair, size_t index, bool do_it)
{
	struct dw_segment *segment = repair->core->segments.items[index];
	const struct plan *plan = &repair->plans[index];
	int fd = segment_pin(segment), rc = 0;

	if (fd < 0)
		return fd;
	if (plan->foreign)
		tell_foreign(repair, segment->id);
	if (do_it && (plan->count || plan->shortened || plan->foreign))
		rc = change_segment(repair, segment, fd, plan);
	for (size_t i = 0; !do_it && i < plan->count; i++)
		tell(repair, segment->id, &plan->ranges[i], NULL);
	if (!do_it && plan->shortened)
		tell_gone(repair, segment->id, DW_DAMAGE_SHORTENED, plan->end, plan->missing, NULL);
	if (!rc)
		count_plan(&repair->report, plan);
	segment_unpin(segment);
	return rc;
}

static int plan_all(struct repair *repair)
{
	struct segset *segments = &repair->core->segments;
	int rc = orphans_find(repair->core, &repair->orphans);

	for (size_t i = 0; !rc && i < segments->count; i++) {
		int fd = segment_pin(segments->items[i]);
		if (fd < 0)
			return fd;
		rc = plan_segment(segments->items[i], fd, repair->sizes[i],
				  i + 1 == segments->count, &repair->loss, &repair->plans[i]);
		repair->foreign += repair->plans[i].foreign;
		segment_unpin(segments->items[i]);
	}
	for (size_t i = 0; !rc && !repair->foreign && i < repair->orphans.count; i++)
		rc = orphan_note(repair->core, repair->orphans.ids[i], &repair->loss);
	return rc;
}

/* Of a segment that is missing only the hint is there. */
static int repair_missing(struct repair *repair, uint32_t id, bool do_it)
{
	struct loss one = {.limit = 1};
	char name[SEGNAME_SIZE];
	int rc = orphan_note(repair->core, id, &one);

	if (!rc && do_it)
		rc = retire_hint(repair, id, name);
	if (!rc && repair->foreign)
		tell_foreign(repair, id);
	else if (!rc)
		tell_gone(repair, id, DW_DAMAGE_MISSING, 0, one.records, do_it ? name : NULL);
	repair->report.segments_short += !rc && !repair->foreign;
	loss_release(&one);
	return rc;
}

static int repair_all(struct repair *repair, bool do_it)
{
	repair->plans = calloc(repair->core->segments.count + 1, sizeof *repair->plans);
	int rc = repair->plans ? plan_all(repair) : -ENOMEM;

	if (!rc)
		rc = see_all(repair);
	/* first: a segment that has a hint of another log tells that these prove nothing */
	for (size_t i = 0; !rc && i < repair->orphans.count; i++)
		rc = repair_missing(repair, repair->orphans.ids[i], do_it);
	for (size_t i = 0; !rc && i < repair->core->segments.count; i++)
		rc = repair_segment(repair, i, do_it);
	if (!rc && do_it) /* it may prove what there is no more */
		rc = index_disown(&repair->core->index);
	if (!rc)
		loss_report(&repair->loss, report_lost, repair);
	return rc;
}

static void release(struct repair *repair)
{
	for (size_t i = 0; repair->plans && i < repair->core->segments.count; i++)
		plan_release(&repair->plans[i]);
	free(repair->plans);
	orphans_release(&repair->orphans);
	loss_release(&repair->loss);
	core_free(repair->core);
	free(repair->sizes);
}

int repair_store(struct io *io, const char *path, bool do_it, const struct dw_options *options,
		 dw_repair_fn *found, void *context, struct dw_repair_report *ret)
{
	struct repair repair = {.found = found, .context = context};
	struct dw_options own = options ? *options : (struct dw_options){0};

	own.read_only = !do_it;
	own.must_exist = true;
	int rc = core_open_unread(io, path, &own, &repair.sizes, &repair.core);
	if (rc < 0)
		return rc;
	/* as every writer does: unfinished copies of a crash still exist at their origin */
	rc = do_it ? recover_leftovers(repair.core, true) : hold_quietly(repair.core);
	if (do_it)
		recover_blocks(repair.core);
	if (!rc)
		rc = repair_all(&repair, do_it);
	release(&repair);
	if (rc < 0)
		return rc;
	*ret = repair.report;
	return 0;
}

int dw_repair(const char *path, bool do_it, const struct dw_options *options, dw_repair_fn *found,
	      void *context, struct dw_repair_report *ret)
{
	return repair_store(&io_posix, path, do_it, options, found, context, ret);
}
