/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * replay.c - see replay.h.
 */
#include "store/replay.h"

#include <errno.h>

#include "disk/scan.h"

static int apply(struct replay *replay, struct dw_segment *segment,
		 const struct scan_record *record)
{
	const struct keydir_place place = {
		.segment = segment,
		.offset = record->offset,
		.mtime_ns = segment->mtime_ns,
		.value_size = record->header.payload_size,
	};
	struct keydir_entry *entry;

	switch (record->header.type) {
	case DW_RAW: return 0;
	case DW_DELETE: keydir_remove(&replay->keydir, record->key); return 0;
	case DW_PUT: break;
	}
	entry = keydir_entry_new(record->key);
	if (!entry)
		return -ENOMEM;
	return keydir_set(&replay->keydir, entry, &place);
}

static bool may_be_torn(enum dw_damage damage)
{
	return damage == DW_DAMAGE_TRUNCATED || damage == DW_DAMAGE_CRC ||
	       damage == DW_DAMAGE_ZEROS;
}

/* How many sound records stand behind the damage at scan->offset. */
static int count_behind(struct scan *scan, uint64_t *ret)
{
	uint64_t budget = 16 * (scan->end - scan->offset) + (64u << 20), count = 0;
	struct scan_record record;
	int rc;

	while ((rc = scan_resync(scan, &budget)) == 1)
		while (scan_next(scan, &record) == 1)
			count++;
	if (!rc)
		*ret = count;
	return rc;
}

/* The records ended before the segment did: torn tail or error? */
static int at_damage(struct replay *replay, struct scan *scan, bool last)
{
	struct dw_report *report = &replay->report;

	report->damage = scan->damage;
	if (!last && scan->damage == DW_DAMAGE_ZEROS)
		report->damage = DW_DAMAGE_MAGIC; /* zeros are forgiven in a tail only */
	if (!last || !may_be_torn(scan->damage))
		return -EBADMSG;
	report->torn_bytes = scan->end - scan->offset;
	return count_behind(scan, &report->records_behind);
}

static int replay_records(struct replay *replay, struct dw_segment *segment, struct scan *scan,
			  bool last)
{
	struct dw_report *report = &replay->report;
	struct scan_record record;
	int rc;

	while ((rc = scan_next(scan, &record)) == 1) {
		rc = apply(replay, segment, &record);
		if (rc < 0)
			return rc;
		report->records++;
		if (record.header.txid > report->last_txid)
			report->last_txid = record.header.txid;
	}
	segment->size = scan->offset;
	report->segment = segment->id;
	report->offset = scan->offset;
	return rc == -EBADMSG ? at_damage(replay, scan, last) : rc;
}

int replay_segment(struct replay *replay, struct dw_segment *segment, uint64_t file_size, bool last)
{
	struct scan scan;
	int fd = segment_pin(segment);

	if (fd < 0)
		return fd;
	int rc = scan_init(&scan, segment->pool->io, fd, 0, file_size);
	if (!rc)
		rc = replay_records(replay, segment, &scan, last);
	scan_release(&scan);
	segment_unpin(segment);
	if (rc != -ENOMEM)
		replay->report.segments++;
	return rc;
}
