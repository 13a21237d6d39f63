/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * replay.c - see replay.h.
 */
#include "store/replay.h"

#include <errno.h>

#include "disk/guard.h"

/* What loading and scanning tell of a record, in the order of the log. */
static int apply(struct replay *replay, struct dw_segment *segment,
		 const struct record_header *header, struct dw_bytes key, uint64_t offset,
		 int64_t mtime_ns)
{
	const struct keydir_place place = {
		.segment = segment,
		.offset = offset,
		.mtime_ns = mtime_ns,
		.value_size = header->payload_size,
	};
	struct keydir_prepared prepared;
	struct keydir_place old;

	replay->report.records++;
	if (header->txid > replay->report.last_txid)
		replay->report.last_txid = header->txid;
	if (header->txid > segment->last_txid)
		segment->last_txid = header->txid;
	switch (header->type) {
	case DW_RAW: segment->raw_bytes += record_size(header); return 0;
	case DW_DELETE: keydir_remove(replay->keydir, key, &old); return 0;
	case DW_PUT: break;
	}
	if (keydir_prepare(replay->keydir, key, &prepared) < 0)
		return -ENOMEM;
	keydir_set(replay->keydir, &prepared, &place, &old);
	return 0;
}

/* --- by the hint --- */

struct hinted {
	struct replay *replay;
	struct dw_segment *segment;
};

static int apply_hinted(void *context, const struct hint_entry *entry, uint64_t offset)
{
	struct hinted *h = context;

	return apply(h->replay, h->segment, &entry->header, entry->key, offset, entry->mtime_ns);
}

/* The segment was scanned: the hint only adds the commit times. */
static int set_time(void *context, const struct hint_entry *entry, uint64_t offset)
{
	struct hinted *h = context;

	keydir_move(h->replay->keydir, entry->key, h->segment, offset, h->segment, offset,
		    &entry->mtime_ns);
	return 0;
}

static int load(struct replay *replay, struct dw_segment *segment, int fd, uint64_t size,
		hint_visit_fn *visit)
{
	struct hinted h = {replay, segment};
	struct fdpool *pool = segment->pool;

	return hint_load(pool->io, pool->dirfd, segment->id, fd, size, visit, &h, &replay->hint);
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

enum { REFRESHES = 100 };

int replay_next(struct scan *scan, bool live, struct scan_record *ret)
{
	int rc = scan_next(scan, ret);

	for (int i = 0; rc == -EBADMSG && live && i < REFRESHES; i++) {
		int changed = scan_refresh(scan);
		if (changed < 0)
			return changed;
		if (!changed)
			break;
		rc = scan_next(scan, ret);
	}
	return rc;
}

static int replay_records(struct replay *replay, struct dw_segment *segment, struct scan *scan,
			  bool last, struct hintwriter *writer)
{
	struct dw_report *report = &replay->report;
	struct scan_record record;
	int rc;

	while ((rc = replay_next(scan, last && !replay->writes, &record)) == 1) {
		const struct hint_entry entry = {record.header, segment->mtime_ns, record.key};
		rc = apply(replay, segment, &record.header, record.key, record.offset,
			   segment->mtime_ns);
		if (rc < 0)
			return rc;
		if (writer)
			hintwriter_add(writer, &entry, record.crc);
	}
	segment->size = scan->offset;
	report->segment = segment->id;
	report->offset = scan->offset;
	return rc == -EBADMSG ? replay_at_damage(report, scan, last) : rc;
}

/* Scan what the hint did not cover; complete the hint of a sealed segment by it. */
static int replay_rest(struct replay *replay, struct dw_segment *segment, int fd,
		       uint64_t file_size, bool last)
{
	bool completes = replay->writes && !last && replay->hint.covered < file_size;
	struct fdpool *pool = segment->pool;
	struct hintwriter writer;
	struct scan scan;
	int rc = scan_init(&scan, pool->io, fd, replay->hint.covered, file_size);

	if (completes) {
		hintwriter_init(&writer, pool->io, pool->dirfd, segment->id, replay->hint.size,
				replay->hint.covered);
		hintwriter_own(&writer, &pool->owner);
	}
	if (!rc)
		rc = replay_records(replay, segment, &scan, last, completes ? &writer : NULL);
	if (completes)
		hintwriter_release(&writer, !rc);
	scan_release(&scan);
	return rc;
}

int replay_segment(struct replay *replay, struct dw_segment *segment, uint64_t file_size, bool last)
{
	struct fdpool *pool = segment->pool;
	int fd = segment_pin(segment), rc = 0;

	if (fd < 0)
		return fd;
	replay->hint = (struct hint_loaded){0};
	/* A sealed segment was synced before its successor existed.  Of the last one that
	 * is known only if it was closed in order. */
	bool trusted = !last || hint_is_sealed(pool->io, pool->dirfd, segment->id, file_size);
	if (trusted)
		rc = load(replay, segment, fd, file_size, apply_hinted);
	if (!rc)
		rc = replay_rest(replay, segment, fd, file_size, last);
	if (!rc && !trusted)
		rc = load(replay, segment, fd, segment->size, set_time);
	segment_unpin(segment);
	if (rc != -ENOMEM)
		replay->report.segments++;
	return rc;
}
