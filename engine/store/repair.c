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
 */
#include "store/repair.h"

#include <errno.h>
#include <stdlib.h>

#include "disk/dirlock.h"
#include "disk/guard.h"
#include "store/replay.h"
#include "store/store.h"

/* Bytes of a segment that are no sound record. */
struct range {
	uint64_t offset, end;
	enum dw_damage damage;
};

/* What is to be done with one segment. */
struct plan {
	struct range *ranges; /* ascending; owned */
	size_t count, capacity;
	uint64_t records;        /* sound ones */
	uint64_t records_behind; /* of them, behind the first range */
	uint64_t sound_bytes;
	uint64_t end; /* of all this; a guard behind it is no damage */
};

struct repair {
	struct dw_store *store; /* its segments only: there is no view */
	uint64_t *sizes;        /* bytes of each segment's file; owned */
	int lockfd;             /* of a dry run; -1: none */
	dw_repair_fn *found;
	void *context;
	struct dw_repair_report report;
};

static int add_range(struct plan *plan, const struct range *range)
{
	if (plan->count == plan->capacity) {
		size_t capacity = plan->capacity ? 2 * plan->capacity : 16;
		struct range *ranges = reallocarray(plan->ranges, capacity, sizeof *ranges);
		if (!ranges)
			return -ENOMEM;
		plan->ranges = ranges;
		plan->capacity = capacity;
	}
	plan->ranges[plan->count++] = *range;
	return 0;
}

/* Walk a segment to its end, over all damage. */
static int plan_records(struct scan *scan, bool last, struct plan *plan)
{
	/* a record that is not found stays in quarantine: look harder than replay does */
	uint64_t budget = 4 * replay_search_budget(scan->end);
	struct scan_record record;
	int rc;

	for (;;) {
		while ((rc = scan_next(scan, &record)) == 1) {
			plan->records++;
			plan->records_behind += plan->count > 0;
			plan->sound_bytes += record_size(&record.header);
		}
		plan->end = scan->offset;
		if (rc != -EBADMSG)
			return rc;
		rc = last ? guard_is_at(scan->io, scan->fd, scan->offset, scan->end) : 0;
		if (rc) /* zeros ahead: what a writer does not cut, the next one will */
			return rc < 0 ? rc : 0;
		struct range range = {.offset = scan->offset, .damage = scan->damage};
		rc = scan_resync(scan, &budget);
		if (rc < 0)
			return rc;
		range.end = scan->offset;
		rc = add_range(plan, &range);
		if (rc < 0)
			return rc;
	}
}

static int plan_segment(struct io *io, int fd, uint64_t size, bool last, struct plan *plan)
{
	struct scan scan;
	int rc = scan_init(&scan, io, fd, 0, size);

	if (!rc)
		rc = plan_records(&scan, last, plan);
	scan_release(&scan);
	return rc;
}

static void tell(struct repair *repair, uint32_t segment, const struct range *range,
		 const char *quarantine)
{
	const struct dw_repair_range told = {
		.segment = segment,
		.offset = range->offset,
		.size = range->end - range->offset,
		.damage = range->damage,
		.quarantine = quarantine,
	};

	if (repair->found)
		repair->found(repair->context, &told);
}

/* Save every range, durably, before anything is taken out. */
static int save_ranges(struct repair *repair, uint32_t id, int fd, const struct plan *plan)
{
	char name[SEGNAME_SIZE];
	int rc = 0;

	for (size_t i = 0; !rc && i < plan->count; i++) {
		const struct range *range = &plan->ranges[i];
		rc = recover_quarantine(repair->store, id, fd, range->offset, range->end, name);
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
	struct plan written = {0};
	int rc = plan_segment(io, file->fd, file->size, false, &written);

	if (!rc &&
	    (written.count || written.records != plan->records || file->size != plan->sound_bytes))
		rc = -EIO;
	free(written.ranges);
	return rc;
}

static int rewrite(struct repair *repair, uint32_t id, int fd, uint64_t size,
		   const struct plan *plan)
{
	struct dw_store *store = repair->store;
	char name[SEGNAME_SIZE], temporary[SEGNAME_SIZE];
	struct atomicfile file = {.fd = -1};
	struct stat st;

	segname_format(id, name);
	segname_format_compact(id, temporary);
	int rc = store->io->fstat(store->io, fd, &st);
	if (!rc)
		rc = atomicfile_init(&file, store->io, store->dirfd, name, temporary,
				     OWNER_MODE_NEW);
	if (!rc) {
		const struct owner owner = owner_of(&st);
		owner_apply(&owner, store->io, file.fd);
	}
	if (!rc)
		rc = copy_sound(store->io, fd, size, plan, &file);
	if (!rc)
		rc = check_written(store->io, &file, plan);
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
	if (!plan->count)
		return;
	report->segments_damaged++;
	report->ranges += plan->count;
	report->records_behind += plan->records_behind;
	for (size_t i = 0; i < plan->count; i++)
		report->bytes_out += plan->ranges[i].end - plan->ranges[i].offset;
}

static int repair_segment(struct repair *repair, size_t index, bool do_it)
{
	struct dw_segment *segment = repair->store->segments.items[index];
	uint64_t size = repair->sizes[index];
	bool last = index + 1 == repair->store->segments.count;
	struct plan plan = {0};
	int fd = segment_pin(segment);

	if (fd < 0)
		return fd;
	int rc = plan_segment(repair->store->io, fd, size, last, &plan);
	if (!rc && plan.count && do_it) {
		rc = save_ranges(repair, segment->id, fd, &plan);
		if (!rc)
			rc = rewrite(repair, segment->id, fd, plan.end, &plan);
	}
	for (size_t i = 0; !rc && !do_it && i < plan.count; i++)
		tell(repair, segment->id, &plan.ranges[i], NULL);
	if (!rc)
		count_plan(&repair->report, &plan);
	free(plan.ranges);
	segment_unpin(segment);
	return rc;
}

/* A dry run keeps writers out as well, without leaving a trace. */
static int hold_lock(struct repair *repair)
{
	struct dw_finding finding = {.kind = DW_FINDING_LOCKED};
	int fd = dirlock_hold(repair->store->io, repair->store->dirfd, &finding.pid);

	if (fd == -EBUSY)
		store_report(repair->store, &finding);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	repair->lockfd = fd;
	return 0;
}

int repair_store(struct io *io, const char *path, bool do_it, const struct dw_options *options,
		 dw_repair_fn *found, void *context, struct dw_repair_report *ret)
{
	struct repair repair = {.lockfd = -1, .found = found, .context = context};
	struct dw_options own = options ? *options : (struct dw_options){0};

	own.read_only = !do_it;
	own.must_exist = true;
	int rc = store_open_unread(io, path, &own, &repair.sizes, &repair.store);
	if (rc < 0)
		return rc;
	/* as every writer does: what a crash left unfinished is still where it came from */
	rc = do_it ? recover_leftovers(repair.store) : hold_lock(&repair);
	if (do_it)
		recover_blocks(repair.store);
	for (size_t i = 0; !rc && i < repair.store->segments.count; i++)
		rc = repair_segment(&repair, i, do_it);
	if (repair.lockfd >= 0)
		(void)io->close(io, repair.lockfd); /* nothing was written through it */
	store_free(repair.store);
	free(repair.sizes);
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
