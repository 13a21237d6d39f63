/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * logreader.c - the log itself, record by record, without a view.
 *
 * Holds the segments of one moment open and walks them with one scan after the
 * other; memory is that scan's window, whatever the records hold.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/segname.h"
#include "store/opendir.h"
#include "store/orphan.h"
#include "store/replay.h"

struct dw_log {
	struct core *core;    /* its segments only: there is no view */
	uint64_t *sizes;      /* bytes of each segment's file; owned */
	size_t first, at;     /* index of the first segment to walk, of the current one */
	uint64_t from_offset; /* in the first one */
	int fd;               /* of the current segment, pinned; -1: none is open */
	struct segcheck check;
	uint64_t budget; /* for searching behind damage in the current segment */
	struct scan_record record;
	struct replay replay;   /* its report, and what damage means: there is no view */
	bool ended;             /* all of the current segment was given out */
	struct orphans orphans; /* missing segments; found when the others are over */
	size_t orphan;          /* of them, the next to be told */
	bool looked;
	uint32_t from_segment;
	int state; /* 1: go on; 0: at the end; negative: the error that stopped it */
};

static size_t first_index(const struct segset *set, uint32_t from_segment)
{
	size_t i = 0;

	while (i < set->count && set->items[i]->id < from_segment)
		i++;
	return i;
}

int dw_log_open(const char *path, uint32_t from_segment, uint64_t from_offset,
		const struct dw_options *options, struct dw_log **ret)
{
	struct dw_options reader = options ? *options : (struct dw_options){0};
	struct dw_log *log = calloc(1, sizeof *log);

	if (!log)
		return -ENOMEM;
	reader.read_only = true;
	log->fd = -1;
	log->state = 1;
	int rc = core_open_unread(&io_posix, path, &reader, &log->sizes, &log->core);
	if (rc < 0) {
		free(log);
		return rc;
	}
	const struct segset *set = &log->core->segments;
	log->at = log->first = first_index(set, from_segment);
	if (log->at < set->count && set->items[log->at]->id == from_segment)
		log->from_offset = from_offset;
	log->from_segment = from_segment;
	log->replay.loss.limit = LOST_TOLD;
	log->replay.core = log->core;
	*ret = log;
	return 0;
}

static struct dw_segment *current(const struct dw_log *log)
{
	return log->core->segments.items[log->at];
}

static bool is_last(const struct dw_log *log)
{
	return log->at + 1 == log->core->segments.count;
}

static int begin_segment(struct dw_log *log)
{
	uint64_t size = log->sizes[log->at];
	int fd = segment_pin(current(log));

	if (fd < 0)
		return fd;
	int rc =
		segcheck_init(&log->check, current(log), fd, size, is_last(log), &log->replay.loss);
	if (rc < 0) {
		segcheck_release(&log->check);
		segment_unpin(current(log));
		return rc;
	}
	log->fd = fd;
	log->budget = replay_search_budget(size);
	log->replay.report.segments++;
	return 0;
}

static void end_segment(struct dw_log *log)
{
	if (log->fd < 0)
		return;
	segcheck_release(&log->check);
	loss_take_back(&log->replay.loss, 0, 0);
	segment_unpin(current(log));
	log->fd = -1;
}

/* The sound records of the segment end here, `rc` being what segcheck_next() said.  0: so they
 * should, or a torn tail; -EBADMSG; or another -errno. */
static int meet_end(struct dw_log *log, int rc)
{
	struct replay *replay = &log->replay;
	const struct dw_report before = replay->report;

	log->ended = !rc;
	rc = replay_judge(replay, &log->check, rc, is_last(log));
	if (!rc && log->ended)
		replay->report = before; /* which tells of the last record */
	else if (!rc || rc == -EBADMSG)
		replay_report(replay, rc);
	return rc;
}

/* Behind all segments: those that are missing, one by one.  0: there are no more; -EBADMSG; or
 * another -errno. */
static int meet_missing(struct dw_log *log)
{
	struct replay *replay = &log->replay;
	int rc = 0;

	/* where segments were exchanged for those of another log, hints prove nothing */
	if (!log->looked && !replay->foreign)
		rc = orphans_find(log->core, &log->orphans);
	log->looked = true;
	while (!rc && log->orphan < log->orphans.count) {
		uint32_t id = log->orphans.ids[log->orphan++];
		if (id < log->from_segment)
			continue;
		rc = orphan_note(log->core, id, &replay->loss);
		if (rc < 0)
			return rc;
		orphan_report(log->core, id, &replay->loss);
		loss_take_back(&replay->loss, 0, 0);
		replay->report.segment = id;
		replay->report.offset = 0;
		replay->report.damage = DW_DAMAGE_MISSING;
		return -EBADMSG;
	}
	return rc;
}

static void count_record(struct dw_log *log)
{
	struct dw_report *report = &log->replay.report;

	report->records++;
	if (log->record.header.txid > report->last_txid)
		report->last_txid = log->record.header.txid;
	report->segment = current(log)->id;
	report->offset = log->check.scan.offset;
}

/* The next record of the log that is to be shown: 1, 0 or -errno. */
static int advance(struct dw_log *log)
{
	const struct segset *set = &log->core->segments;

	while (log->at < set->count) {
		int rc = log->fd < 0 ? begin_segment(log) : 0;
		if (!rc)
			rc = segcheck_next(&log->check, &log->record);
		if (rc < 0) {
			rc = meet_end(log, rc);
			if (rc)
				return rc;
			end_segment(log); /* at a torn tail: that is the last one */
			log->at++;
			continue;
		}
		if (rc == 1 && log->at == log->first && log->record.offset < log->from_offset)
			continue;
		if (rc == 1) {
			count_record(log);
			return 1;
		}
		rc = meet_end(log, 0);
		if (rc)
			return rc;
		end_segment(log);
		log->at++;
	}
	return meet_missing(log);
}

int dw_log_next(struct dw_log *log, struct dw_record *ret)
{
	if (log->state != 1)
		return log->state;
	log->state = advance(log);
	if (log->state != 1)
		return log->state;
	const struct scan_record *record = &log->record;
	*ret = (struct dw_record){
		.segment = current(log)->id,
		.offset = record->offset,
		.size = record_size(&record->header),
		.type = record->header.type,
		.txid = record->header.txid,
		.key = record->key,
		.payload_size = record->header.payload_size,
	};
	return 1;
}

int dw_log_resume(struct dw_log *log)
{
	if (log->state != -EBADMSG)
		return -EINVAL;
	int rc = 0;
	if (log->fd >= 0 && log->ended) {
		end_segment(log);
		log->at++;
	} else if (log->fd >= 0) {
		/* the skipped bytes were reported as damage; they are not the next item */
		loss_take_back(&log->replay.loss, 0, 0);
		rc = segcheck_resync(&log->check, &log->budget);
		loss_take_back(&log->replay.loss, 0, 0);
	}
	if (rc < 0)
		return rc;
	log->ended = false;
	log->state = 1;
	return 0;
}

ssize_t dw_log_read(struct dw_log *log, void *ret, size_t size, uint64_t offset)
{
	const struct scan_record *record = &log->record;
	uint32_t payload_size = record->header.payload_size;
	uint64_t at = RECORD_HEADER_SIZE + record->header.key_size + offset;

	if (log->state != 1 || log->fd < 0)
		return -EINVAL;
	if (offset >= payload_size)
		return 0;
	if (size > payload_size - offset)
		size = (size_t)(payload_size - offset);
	if (record->bytes) {
		memcpy(ret, record->bytes + at, size);
		return (ssize_t)size;
	}
	int rc = io_read_full(log->core->io, log->fd, ret, size, record->offset + at);
	return rc ? rc : (ssize_t)size;
}

struct index_check {
	struct core *core;
	uint64_t damaged;
};

static void on_damaged(void *context, uint32_t run, uint64_t offset)
{
	struct index_check *check = context;
	char name[SEGNAME_SIZE];
	const struct dw_finding finding = {.kind = DW_FINDING_DAMAGE,
					   .damage = DW_DAMAGE_INDEX,
					   .offset = offset,
					   .name = name};

	segname_format_run(run, name);
	check->damaged++;
	core_report(check->core, &finding);
}

int dw_log_check_index(struct dw_log *log, uint64_t *damaged_ret)
{
	struct index_check check = {.core = log->core};
	int rc = index_check_files(&log->core->index, on_damaged, &check);

	if (!rc)
		*damaged_ret = check.damaged;
	return rc;
}

void dw_log_report(const struct dw_log *log, struct dw_report *ret)
{
	*ret = log->replay.report;
}

void dw_log_progress(const struct dw_log *log, uint64_t *done_ret, uint64_t *total_ret)
{
	uint64_t done = log->fd < 0 ? 0 : log->check.scan.offset, total = 0;

	for (size_t i = log->first; i < log->core->segments.count; i++) {
		total += log->sizes[i];
		if (i < log->at)
			done += log->sizes[i];
	}
	*done_ret = done;
	*total_ret = total;
}

void dw_log_close(struct dw_log *log)
{
	if (!log)
		return;
	end_segment(log);
	orphans_release(&log->orphans);
	replay_release(&log->replay);
	core_free(log->core);
	free(log->sizes);
	free(log);
}
