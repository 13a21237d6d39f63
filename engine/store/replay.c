/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * replay.c - see replay.h.
 */
#include "store/replay.h"

#include <errno.h>

#include "disk/freshname.h"
#include "disk/guard.h"
#include "store/checkpoint.h"

/* Bytes of the segment that are in the view already. */
static uint64_t covered_of(const struct replay *replay, const struct dw_segment *segment)
{
	return segment->id == replay->from.segment ? replay->from.offset : 0;
}

/* Memory is bounded, unless the disk has no room either; so is the number of runs, for each record
 * is looked up in all of them. */
static void put_on_disk(struct replay *replay)
{
	struct index *index = &replay->core->index;

	if (replay->in_memory || !checkpoint_is_due_locked(replay->core))
		return;
	if (checkpoint_write_unnamed(replay->core) < 0) {
		replay->in_memory = true;
		return;
	}
	replay->on_disk = true;
	while (index_join(index, NULL) == 1)
		; /* what cannot be joined can be read, or the next record meets the damage */
}

/* Apply a record that was loaded or scanned, in the order of the log. */
static int apply(struct replay *replay, struct dw_segment *segment,
		 const struct record_header *header, struct dw_bytes key, uint64_t offset,
		 int64_t mtime_ns)
{
	struct keydir_place place = {
		.segment = segment,
		.offset = offset,
		.mtime_ns = mtime_ns,
		.value_size = header->payload_size,
	};
	struct index_prepared prepared;
	struct keydir_place old;

	struct index *index = &replay->core->index;

	if (offset < covered_of(replay, segment))
		return 0; /* the view has it */
	replay->report.records++;
	if (header->txid > replay->report.last_txid)
		replay->report.last_txid = header->txid;
	if (header->txid > segment->last_txid)
		segment->last_txid = header->txid;
	if (header->type == DW_RAW) {
		segment->raw_bytes += record_size(header);
		return 0;
	}
	int rc = index_prepare(index, key, &prepared);
	if (rc < 0) /* damage of a run is none of the log */
		return rc == -EBADMSG ? -EUCLEAN : rc;
	if (header->type == DW_PUT)
		index_set(index, &prepared, &place, &old);
	else
		index_remove(index, &prepared, mtime_ns, &old);
	put_on_disk(replay);
	return 0;
}

/* --- by the hint --- */

/* The segment need not be read; segment->size is the end of what was told. */
static int apply_hint(struct replay *replay, struct dw_segment *segment, struct sidecar *sidecar)
{
	struct hintreader *reader = &sidecar->reader;
	struct hint_entry entry;
	uint64_t offset;
	int rc = hintreader_skip(reader, covered_of(replay, segment));

	while (rc >= 0 && (rc = hintreader_next(reader, &entry, &offset)) == 1) {
		rc = apply(replay, segment, &entry.header, entry.key, offset, entry.mtime_ns);
		if (rc < 0)
			return rc;
		segment->size = offset + record_size(&entry.header);
	}
	return rc;
}

/* --- by scanning --- */

static bool may_be_torn(enum dw_damage damage)
{
	return damage == DW_DAMAGE_TRUNCATED || damage == DW_DAMAGE_CRC ||
	       damage == DW_DAMAGE_ZEROS;
}

/* How many sound records stand behind the damage at scan->offset. */
static int count_behind(struct scan *scan, uint64_t *ret)
{
	uint64_t budget = replay_search_budget(scan->end - scan->offset), count = 0;
	struct scan_record record;
	int rc;

	while ((rc = scan_resync(scan, &budget)) == 1)
		while (scan_next(scan, &record) == 1)
			count++;
	if (!rc)
		*ret = count;
	return rc;
}

int replay_at_damage(struct dw_report *report, struct scan *scan, bool last)
{
	int guard = last ? guard_is_at(scan->io, scan->fd, scan->offset, scan->end) : 0;

	if (guard)
		return guard < 0 ? guard : 0; /* the end of the records, and nothing torn */
	report->damage = scan->damage;
	if (!last && scan->damage == DW_DAMAGE_ZEROS)
		report->damage = DW_DAMAGE_MAGIC; /* zeros are forgiven in a tail only */
	if (!last || !may_be_torn(scan->damage))
		return -EBADMSG;
	report->torn_bytes = scan->end - scan->offset;
	return count_behind(scan, &report->records_behind);
}

/* A segment being read. */
struct reading {
	struct segcheck check;
	struct hintwriter writer; /* of a hint to be believed next time */
	bool writes;
};

static int read_records(struct replay *replay, struct dw_segment *segment, struct reading *r)
{
	struct scan_record record;
	int rc;

	while ((rc = segcheck_next(&r->check, &record)) == 1) {
		const struct hint_entry entry = {record.header, record.crc, r->check.mtime_ns,
						 record.key, r->check.sidecar.clock_ns};
		rc = apply(replay, segment, &record.header, record.key, record.offset,
			   entry.mtime_ns);
		if (rc < 0)
			return rc;
		if (r->writes)
			hintwriter_add(&r->writer, &entry);
	}
	segment->size = r->check.scan.offset;
	return rc;
}

int replay_note_key(struct replay *replay, struct segcheck *check)
{
	struct dw_bytes key = segcheck_key(check);

	replay->key_known = key.data;
	replay->key.size = 0;
	return key.data ? buf_add(&replay->key, key.data, key.size) : 0;
}

static int judge(struct replay *replay, struct segcheck *check, int rc, bool last)
{
	struct dw_report *report = &replay->report;
	struct scan *scan = &check->scan;
	uint64_t at = scan->offset;
	enum dw_damage damage = rc ? scan->damage : DW_DAMAGE_NONE;

	report->segment = check->segment;
	report->offset = at;
	if (rc && rc != -EBADMSG)
		return rc;
	replay->key_known = false;
	rc = damage ? replay_note_key(replay, check) : 0;
	if (rc < 0)
		return rc;
	rc = segcheck_is_short(check, at, damage);
	if (rc < 0)
		return rc;
	if (rc == 1) {
		/* bytes that stand there, and are wrong, are told as such */
		report->damage = damage ? damage : DW_DAMAGE_SHORTENED;
		report->torn_bytes = report->records_behind = 0;
		rc = damage ? 0 : segcheck_name_missing(check);
		return rc ? rc : -EBADMSG;
	}
	if (!damage)
		return 0;
	rc = replay_at_damage(report, scan, last);
	scan->offset = at;
	return rc;
}

static void tell_foreign(struct replay *replay, uint32_t segment)
{
	const struct dw_finding finding = {.kind = DW_FINDING_SIDECAR, .segment = segment};

	replay->foreign++;
	core_report(replay->core, &finding);
}

int replay_judge(struct replay *replay, struct segcheck *check, int rc, bool last)
{
	rc = judge(replay, check, rc, last);
	if (!rc && sidecar_is_foreign(&check->sidecar))
		tell_foreign(replay, check->segment);
	return rc;
}

/* Whether a segment open as `fd`, and its name, are on disk: not for certain, where it was copied,
 * written by another program, or left by a compaction that was killed. */
static bool make_durable(struct replay *replay, const struct fdpool *pool, int fd)
{
	if (!replay->names_synced)
		replay->names_synced = !pool->io->fsync(pool->io, pool->dirfd);
	return replay->names_synced && !pool->io->fdatasync(pool->io, fd);
}

static void place_hint(struct replay *replay, const struct dw_segment *segment,
		       const struct segcheck *check, struct hintwriter *writer, bool last)
{
	const struct hint_binding binding = {segment->mtime_ns, segment->file.ino};
	const struct sidecar *sidecar = &check->sidecar;
	char aside[SEGNAME_SIZE];

	if (sidecar_is_foreign(sidecar)) /* else it is lost, no more */
		(void)freshname_put_hint_aside(writer->io, writer->dirfd, segment->id, aside);
	if (!last && make_durable(replay, segment->pool, check->scan.fd))
		hintwriter_seal(writer, &binding);
	else
		hintwriter_flush(writer);
	hintwriter_place(writer);
	if (writer->fd >= 0)
		replay->hint = writer->done;
}

/* Read it all; its hint tells commit times, and what was there. */
static int read_segment(struct replay *replay, struct dw_segment *segment, struct reading *r,
			bool last)
{
	struct fdpool *pool = segment->pool;

	if (r->writes) {
		hintwriter_init_beside(&r->writer, pool->io, pool->dirfd, segment->id);
		hintwriter_own(&r->writer, &pool->owner);
	}
	int rc = read_records(replay, segment, r);
	rc = replay_judge(replay, &r->check, rc, last);
	bool kept = replay->keeps_foreign && sidecar_is_foreign(&r->check.sidecar);
	if (!rc && r->writes && !kept)
		place_hint(replay, segment, &r->check, &r->writer, last);
	if (r->writes)
		hintwriter_release(&r->writer);
	return rc;
}

static int replay_open(struct replay *replay, struct dw_segment *segment, int fd,
		       uint64_t file_size, bool last)
{
	struct reading r = {.writes = replay->writes};
	int rc = segcheck_init(&r.check, segment, fd, file_size, last && !replay->writes,
			       &replay->loss);

	segment->size = covered_of(replay, segment);
	bool by_hint = !rc && r.check.sidecar.bound;
	if (by_hint) {
		rc = apply_hint(replay, segment, &r.check.sidecar);
		replay->hint = r.check.sidecar.claims.end;
		replay->report.segment = segment->id;
		replay->report.offset = segment->hinted = segment->size;
	}
	if (!rc && (!by_hint || segment->size != file_size)) {
		if (by_hint) { /* a writer changed it while it was read */
			segcheck_ignore_hint(&r.check);
			r.check.scan.offset = segment->size;
			r.writes = false;
		}
		rc = read_segment(replay, segment, &r, last);
	}
	segcheck_release(&r.check);
	return rc;
}

int replay_segment(struct replay *replay, struct dw_segment *segment, uint64_t file_size, bool last)
{
	int fd = segment_pin(segment);

	if (fd < 0)
		return fd;
	replay->hint = (struct hint_end){0};
	int rc = replay_open(replay, segment, fd, file_size, last);
	segment_unpin(segment);
	if (rc != -ENOMEM)
		replay->report.segments++;
	return rc;
}

void replay_report(struct replay *replay, int rc)
{
	const struct dw_report *report = &replay->report;

	if (rc != -EBADMSG && !report->torn_bytes)
		return;
	const struct dw_finding finding = {
		.kind = rc ? DW_FINDING_DAMAGE : DW_FINDING_TORN_TAIL,
		.damage = report->damage,
		.segment = report->segment,
		.offset = report->offset,
		.size = report->torn_bytes,
		.records_behind = report->records_behind,
		.records_lost = replay->loss.records,
		.key = {replay->key_known ? replay->key.data : NULL, replay->key.size},
	};
	core_report(replay->core, &finding);
	loss_report(&replay->loss, core_on_finding, replay->core);
}

void replay_release(struct replay *replay)
{
	buf_release(&replay->key);
	loss_release(&replay->loss);
}
