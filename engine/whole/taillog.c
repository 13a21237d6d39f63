/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * taillog.c - the tail on its way through the segments.
 */
#include <assert.h>
#include <errno.h>

#include "base/clock.h"
#include "whole/tail.h"

/* So long something may look wrong that another machine's cache, or a write under way, explains. */
#define PATIENCE_NS (2 * CLOCK_SECOND_NS)

enum { TRIES = 20 };

void tail_leave(struct dw_tail *tail)
{
	tail_reader_close(&tail->reader);
	tail_reader_close(&tail->side);
	tail_find_release(&tail->find);
	tail->found_next = 0;
	tail->sealed = tail->idle = false;
	tail->source = NULL;
}

static void start_over(struct dw_tail *tail, enum dw_reset reset, uint64_t from, uint64_t to)
{
	tail_leave(tail);
	tail->phase = TAIL_RESET;
	tail->reset = reset;
	tail->missing_from = from;
	tail->missing_to = to;
}

/* Whether what is wrong has been so for long enough to be believed. */
static bool is_certain(struct dw_tail *tail, int64_t patience_ns)
{
	int64_t now = clock_monotonic_ns();

	if (!tail->doubt_ns)
		tail->doubt_ns = now;
	return now - tail->doubt_ns >= patience_ns;
}

/* Something that may still be there is not found.  0. */
static int is_taken_back(struct dw_tail *tail)
{
	/* another machine's writes may show late, and in any order */
	if (is_certain(tail, tail->wait.remote ? PATIENCE_NS : 0))
		start_over(tail, DW_RESET_TAKEN_BACK, 0, 0);
	return 0;
}

static bool is_gone(int rc)
{
	return rc == -ENOENT || rc == -ESTALE;
}

/* The lowest id above `id`, also 0 if `first`; `*last_ret`: it is the highest.  1; 0: there is
 * none; or -errno. */
static int next_id(const struct dw_tail *tail, bool first, uint32_t id, uint32_t *ret,
		   bool *last_ret)
{
	struct segset_ids ids = {0};
	int rc = segset_list(tail->io, tail->dirfd, &ids);
	size_t i = 0;

	while (!rc && !first && i < ids.count && ids.items[i] <= id)
		i++;
	if (!rc && i < ids.count) {
		*ret = ids.items[i];
		*last_ret = i + 1 == ids.count;
		rc = 1;
	}
	segset_ids_release(&ids);
	return rc;
}

/* --- finding the place --- */

/* By the txid alone.  `lies`: another record stands at the place that the position tells. */
static int settle_by_txid(struct dw_tail *tail, bool lies)
{
	const struct dw_position *at = &tail->at;
	struct tail_find find = {.behind = at->txid, .crc = at->crc};
	uint32_t id = 0;
	bool last;
	int rc = at->txid ? tail_find(tail->io, tail->dirfd, &find) : 0;

	if (rc < 0)
		return rc == -EAGAIN ? 0 : rc;
	if (find.last < at->txid || (find.seen && !find.same) || (lies && !find.seen))
		return is_taken_back(tail);
	/* with nothing above it the last segment is the place, wherever the record went */
	rc = find.any ? 1 : next_id(tail, true, 0, &id, &last);
	while (rc == 1 && !find.any && at->txid && !last)
		rc = next_id(tail, false, id, &id, &last);
	if (rc == 1)
		rc = tail_reader_open(&tail->reader, find.any ? find.segment : id, 0);
	else
		return rc;
	return is_gone(rc) ? -EAGAIN : rc ? rc : 1;
}

/* 1: the reader is where it goes on; 0: it is nowhere, or the tail starts over; or -errno. */
static int settle_once(struct dw_tail *tail)
{
	const struct dw_position *at = &tail->at;
	bool lies = false;

	if (at->segment || at->offset) {
		int rc = tail_reader_open(&tail->reader, at->segment, at->offset);
		if (!rc)
			rc = tail_reader_proves(&tail->reader, at->crc);
		if (rc == 1)
			return 1;
		tail_reader_close(&tail->reader);
		if (rc < 0 && !is_gone(rc))
			return rc;
		lies = !rc;
	}
	return settle_by_txid(tail, lies);
}

static int settle(struct dw_tail *tail)
{
	int rc = -EAGAIN;

	tail->certain = false;
	for (int i = 0; rc == -EAGAIN && i < TRIES; i++)
		rc = settle_once(tail);
	if (rc == 1)
		tail->doubt_ns = 0;
	return rc == -EAGAIN ? 0 : rc;
}

/* After a wait: whether the reader's file is still the segment, and the record given last still
 * in it.  If not the reader is closed.  0 or -errno. */
static int look_back(struct dw_tail *tail)
{
	struct tail_reader *reader = &tail->reader;
	const struct dw_position *at = &tail->at;
	bool here = at->segment == reader->id && at->offset == reader->scan.offset;
	uint32_t id;
	bool last;
	int rc = here ? tail_reader_proves(reader, at->crc) : 1;

	if (rc == 1) {
		rc = tail_reader_is_replaced(reader);
		/* one that was compacted away is read to its end, by its descriptor */
		if (rc == 1)
			rc = next_id(tail, false, reader->id, &id, &last);
		else if (!rc)
			return 0;
	} else if (!rc) {
		tail_leave(tail);
		return 0;
	}
	if (!rc || rc == -ESTALE)
		tail_leave(tail);
	return rc == 1 || rc == -ESTALE ? 0 : rc;
}

/* --- records out of order --- */

/* The next record of the log has the txid `next`: look for those in between.  0 or -errno. */
static int find_missing(struct dw_tail *tail, uint64_t next)
{
	uint64_t count = next - tail->at.txid - 1;
	struct tail_find *find = &tail->find;

	assert(count);
	tail_find_release(find);
	tail->found_next = 0;
	*find = (struct tail_find){
		.from = tail->at.txid + 1,
		.count = count < TAIL_PLACES_MAX ? (size_t)count : TAIL_PLACES_MAX,
		.behind = tail->at.txid,
	};
	int rc = tail_find(tail->io, tail->dirfd, find);
	if (!rc && find->found == find->count)
		return 0;
	if (!rc)
		start_over(tail, DW_RESET_COMPACTED, tail->at.txid + 1, next - 1);
	tail_find_release(find);
	return rc == -EAGAIN ? 0 : rc;
}

static int give(struct dw_tail *tail, struct tail_reader *reader, const struct scan_record *record,
		struct dw_change *ret)
{
	int rc = tail->durable && !(reader == &tail->reader && tail->sealed)
			 ? tail_reader_sync(reader, record)
			 : 0;

	if (rc < 0) {
		reader->scan.offset = record->offset; /* it is not given */
		return rc;
	}
	tail->at = (struct dw_position){
		.txid = record->header.txid,
		.offset = record->offset + record_size(&record->header),
		.segment = reader->id,
		.crc = record->crc,
	};
	tail->source = reader;
	tail->record = *record;
	tail->doubt_ns = 0;
	*ret = (struct dw_change){
		.kind = DW_CHANGE_RECORD,
		.type = record->header.type,
		.key = record->key,
		.value_size = record->header.payload_size,
		.mtime_ns = tail_reader_time(reader, record),
		.position = tail->at,
	};
	return 1;
}

/* 1; 0: it moved meanwhile, so look for it anew; or -errno. */
static int give_found(struct dw_tail *tail, struct dw_change *ret)
{
	const struct tail_place *place = &tail->find.places[tail->found_next];
	struct tail_reader *side = &tail->side;
	struct scan_record record = {0};
	int rc = 0;

	if (side->fd < 0 || side->id != place->segment)
		rc = tail_reader_open(side, place->segment, place->offset);
	if (!rc) {
		side->scan.offset = place->offset;
		rc = tail_reader_next(side, &record);
	}
	if (rc == 1 && record.header.txid == tail->at.txid + 1) {
		tail->found_next++;
		return give(tail, side, &record, ret);
	}
	tail_reader_close(side);
	tail_find_release(&tail->find);
	tail->found_next = 0;
	return rc < 0 && !is_gone(rc) ? rc : 0;
}

/* --- in order --- */

/* A record that the reader came to: 1; 0: it is not the next one; or -errno. */
static int take(struct dw_tail *tail, const struct scan_record *record, struct dw_change *ret)
{
	uint64_t txid = record->header.txid;

	if (txid <= tail->at.txid)
		return 0;
	if (txid == tail->at.txid + 1)
		return give(tail, &tail->reader, record, ret);
	tail->reader.scan.offset = record->offset; /* it comes after those */
	return find_missing(tail, txid);
}

static int report_damage(struct dw_tail *tail)
{
	const struct scan *scan = &tail->reader.scan;
	const struct dw_finding finding = {
		.kind = DW_FINDING_DAMAGE,
		.damage = scan->damage,
		.segment = tail->reader.id,
		.offset = scan->offset,
	};

	if (tail->on_finding)
		tail->on_finding(tail->context, &finding);
	tail->idle = true;
	return -EBADMSG;
}

/* The last segment has no record yet, and the place was found without one of it: records may stand
 * in older segments, which a compaction's copies, where the reader was, were put behind.  1: there;
 * 0: there are none; or -errno. */
static int look_behind(struct dw_tail *tail)
{
	struct tail_find find = {.behind = tail->at.txid};
	int rc = tail_find(tail->io, tail->dirfd, &find);

	if (rc < 0)
		return rc == -EAGAIN ? 0 : rc;
	tail->certain = !find.any;
	if (!find.any)
		return 0;
	tail->sealed = false;
	rc = tail_reader_open(&tail->reader, find.segment, 0);
	return rc && !is_gone(rc) ? rc : 1; /* one that is gone: find the place anew */
}

/* Nothing more is in the last segment, `rc` being what its reader said.  1: go on; 0: this is all;
 * or -errno. */
static int at_end(struct dw_tail *tail, int rc)
{
	tail->idle = true;
	if (rc)
		return is_certain(tail, PATIENCE_NS) ? report_damage(tail) : 0;
	tail->doubt_ns = 0;
	/* its records are younger than all others, so none of those was left out */
	tail->certain = tail->certain || tail->reader.scan.offset;
	return tail->certain ? 0 : look_behind(tail);
}

/* A segment that is complete was read: go to the next one.  1; 0: there is none; or -errno. */
static int next_segment(struct dw_tail *tail)
{
	uint32_t id = tail->reader.id;
	bool last = false;
	int rc = 1;

	while ((rc = next_id(tail, false, id, &id, &last)) == 1) {
		/* copies of what was given: nothing need be read of them */
		int old = last ? 0 : tail_find_is_old(tail->io, tail->dirfd, id, tail->at.txid);
		if (old < 0 && !is_gone(old))
			return old;
		if (!old)
			break;
	}
	if (rc != 1) /* the one that followed was taken back, empty */
		return rc;
	tail->sealed = false;
	rc = tail_reader_open(&tail->reader, id, 0);
	return rc && !is_gone(rc) ? rc : 1; /* one that is gone: find the place anew */
}

/* The reader finds no more, `rc` being what it said.  1: go on; 0: this is all; or -errno. */
static int at_end_of_segment(struct dw_tail *tail, int rc)
{
	struct scan *scan = &tail->reader.scan;
	uint32_t id;
	bool last;

	if (!tail->sealed) {
		int later = next_id(tail, false, tail->reader.id, &id, &last);
		if (later <= 0)
			return later < 0 ? later : at_end(tail, rc);
		/* complete before the later one was made: what is left of it is there by now */
		tail->sealed = true;
		return 1;
	}
	if (rc || scan->offset != scan->end)
		return report_damage(tail);
	rc = next_segment(tail);
	if (!rc) {
		tail->sealed = false;
		return at_end(tail, 0);
	}
	return rc;
}

/* 1: `*ret`; 0: go on; -ENODATA: this is all; or another -errno. */
static int step(struct dw_tail *tail, struct dw_change *ret)
{
	struct scan_record record;
	int rc;

	if (tail->found_next < tail->find.count)
		return give_found(tail, ret);
	if (tail->reader.fd < 0) {
		rc = settle(tail);
		return rc == 1 ? 0 : rc ? rc : -ENODATA;
	}
	if (tail->idle) {
		tail->idle = false;
		return look_back(tail);
	}
	rc = tail_reader_next(&tail->reader, &record);
	if (rc == 1)
		return take(tail, &record, ret);
	if (rc == -ESTALE)
		tail_leave(tail);
	if (rc && rc != -EBADMSG)
		return rc == -ESTALE ? 0 : rc;
	rc = at_end_of_segment(tail, rc);
	return rc == 1 ? 0 : rc ? rc : -ENODATA;
}

int tail_next_record(struct dw_tail *tail, struct dw_change *ret)
{
	int rc = 0;

	while (!rc && tail->phase == TAIL_RECORDS)
		rc = step(tail, ret);
	return rc == -ENODATA ? 0 : rc;
}
