/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * copy.c - copying what lives, in log order.
 *
 * The inputs are read through a window, each record checked against its CRC: a copy of
 * damage would look like a sound segment to a reader that trusts sealed ones.  Records are
 * looked up in groups, for looking up is mostly waiting for memory.  Nothing is remembered of a
 * record that was copied: when the view comes to point to the copies, these are read once more.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "compact/compact.h"
#include "store/segcheck.h"

/* Walks one input. */
struct reader {
	struct compaction *c;
	struct dw_segment *segment;
	int fd;
	uint64_t offset;  /* in the segment, of the next record */
	size_t at, size;  /* of the window: where that record is, and how much is valid */
	uint8_t *window;  /* SCAN_WINDOW_SIZE; owned */
	struct scan scan; /* for records that do not fit the window, and damage */
	struct sidecar
		sidecar; /* if the view was taken from the hint unread: that is checked now */
};

/* Records that lie in the window. */
struct group {
	size_t count;
	struct record_header headers[INDEX_PROBES];
	const uint8_t *bytes[INDEX_PROBES];
	struct index_probe probes[INDEX_PROBES];
};

/* --- writing --- */

static struct output *current(struct compaction *c)
{
	return &c->outputs[c->count - 1];
}

static int write_output(struct compaction *c, const void *data, size_t size)
{
	int rc = atomicfile_write(&current(c)->file, data, size);

	if (rc < 0)
		return rc;
	c->written += size;
	return throttle_take(&c->throttle, size);
}

static int flush_pending(struct compaction *c)
{
	int rc = c->pending.size ? write_output(c, c->pending.data, c->pending.size) : 0;

	c->pending.size = 0;
	return rc;
}

static int begin_output(struct compaction *c)
{
	char name[SEGNAME_SIZE], temporary[SEGNAME_SIZE];

	assert(c->count < c->capacity);
	struct output *output = &c->outputs[c->count];
	output->id = c->first_id + (uint32_t)c->count;
	c->count++;
	segname_format(output->id, name);
	segname_format_compact(output->id, temporary);
	hintwriter_init(&output->hint, c->core->io, c->core->dirfd, output->id, NULL);
	hintwriter_own(&output->hint, &c->core->pool.owner);
	int rc = atomicfile_init(&output->file, c->core->io, c->core->dirfd, name, temporary,
				 OWNER_MODE_NEW);
	if (!rc)
		owner_apply(&c->core->pool.owner, c->core->io, output->file.fd);
	return rc;
}

/* The current output is complete: on disk, and its descriptor given back. */
static int finish_output(struct compaction *c)
{
	int rc = flush_pending(c);

	if (!rc)
		rc = atomicfile_sync(&current(c)->file);
	if (rc < 0)
		return rc;
	/* not sealed before the segment has its name: alone it would prove a loss */
	struct output *output = current(c);
	hintwriter_flush(&output->hint);
	if (output->hint.fd >= 0)
		output->hint_end = output->hint.done;
	hintwriter_release(&output->hint);
	return 0;
}

/* Have an output with room for `size` bytes. */
static int make_room(struct compaction *c, uint64_t size)
{
	if (c->count) {
		uint64_t used = current(c)->file.size + c->pending.size;
		bool last = c->count == c->capacity;
		if (last || !used || used + size <= c->core->log.segment_size)
			return 0;
		int rc = finish_output(c);
		if (rc < 0)
			return rc;
	}
	return begin_output(c);
}

/* Have a place for a record, and note in the hint that it goes there. */
static int place_record(struct compaction *c, const struct record_header *header,
			const struct index_probe *probe, uint32_t crc)
{
	/* the clock is needed for records behind the horizon only, and this is none */
	const struct hint_entry entry = {*header, crc, probe->mtime_ns, probe->key, 0};
	int rc = make_room(c, record_size(header));

	if (rc < 0)
		return rc;
	hintwriter_add(&current(c)->hint, &entry);
	if (header->txid > current(c)->last_txid)
		current(c)->last_txid = header->txid;
	if (header->type == DW_RAW)
		current(c)->raw_bytes += record_size(header);
	return 0;
}

/* --- choosing --- */

/* Whether a record that was looked up goes over; sets its time if the view has none. */
static bool is_kept(const struct reader *r, const struct record_header *header,
		    struct index_probe *probe)
{
	if (header->type == DW_PUT)
		return probe->live;
	probe->mtime_ns = r->segment->mtime_ns;
	return header->type == DW_RAW || header->txid == r->c->last_txid;
}

/* Of the disk without log.lock: a record that was live when it was asked about may be copied, and
 * its copy is dead then.  One that was dead never lives again. */
static int look_up(struct reader *r, struct index_probe *probes, size_t count)
{
	struct core *core = r->c->core;

	log_lock(&core->log);
	bool below = index_probe_active(&core->index, r->segment, probes, count);
	log_unlock(&core->log);
	int rc = below ? index_probe(&core->index, r->segment, probes, count) : 0;
	return rc < 0 ? core_index_failed(core, rc) : 0;
}

/* The view was taken from a hint: a record that the hint lacks, or describes otherwise, must not be
 * dropped as dead. */
static int check_hint(struct reader *r, const struct record_header *header, uint64_t offset,
		      struct dw_bytes key, uint32_t crc)
{
	const struct scan_record record = {
		.header = *header, .offset = offset, .key = key, .crc = crc};
	int64_t mtime_ns;

	if (offset >= r->segment->hinted)
		return 0;
	int rc = sidecar_compare(&r->sidecar, &record, &mtime_ns);
	if (rc || r->sidecar.differs == UINT64_MAX)
		return rc;
	return core_damaged(r->c->core, r->segment, offset, DW_DAMAGE_HINT, key);
}

/* A place in the index is never older than a record of its key: that would be dropped as dead. */
static int check_index(const struct reader *r, const struct record_header *header,
		       const struct index_probe *probe)
{
	if (header->type == DW_RAW || !probe->unknown)
		return 0;
	index_distrust(&r->c->core->index);
	return core_index_failed(r->c->core, -EBADMSG);
}

static int copy_group(struct reader *r, struct group *g)
{
	struct compaction *c = r->c;
	int rc = look_up(r, g->probes, g->count);

	for (size_t i = 0; !rc && i < g->count; i++) {
		size_t size = (size_t)record_size(&g->headers[i]);
		uint32_t crc = bytes_get32(g->bytes[i] + size - RECORD_TRAILER_SIZE);
		rc = check_hint(r, &g->headers[i], g->probes[i].offset, g->probes[i].key, crc);
		if (!rc)
			rc = check_index(r, &g->headers[i], &g->probes[i]);
		if (rc || !is_kept(r, &g->headers[i], &g->probes[i]))
			continue;
		rc = place_record(c, &g->headers[i], &g->probes[i], crc);
		if (!rc)
			rc = buf_add(&c->pending, g->bytes[i], size);
		if (!rc && c->pending.size >= COMPACT_WRITE_SIZE)
			rc = flush_pending(c);
	}
	return rc;
}

/* --- reading --- */

/* The record at r->at goes to the group.  False: it is not all in the window, or no record. */
static bool gather_one(struct reader *r, struct group *g)
{
	struct record_header *header = &g->headers[g->count];
	const uint8_t *bytes = r->window + r->at;

	if (record_decode(bytes, r->size - r->at, header))
		return false;
	g->bytes[g->count] = bytes;
	g->probes[g->count++] = (struct index_probe){
		.key = {bytes + RECORD_HEADER_SIZE, header->key_size}, .offset = r->offset};
	r->at += (size_t)record_size(header);
	r->offset += record_size(header);
	return true;
}

static void gather(struct reader *r, struct group *g)
{
	g->count = 0;
	while (g->count < INDEX_PROBES && gather_one(r, g))
		;
}

enum { LOOK_SIZE = 1 << 20 };

static void note_read(struct compaction *c, uint64_t size)
{
	atomic_fetch_add(&c->core->progress.bytes_done, size);
	c->since_look += size;
	if (!c->may_hurry || c->since_look < LOOK_SIZE)
		return;
	c->since_look = 0;
	if (compact_is_behind(c->core, c->behind_min)) {
		c->throttle.rate = 0;
		c->may_hurry = false;
	}
}

/* Read on behind what is left in the window. */
static int refill(struct reader *r)
{
	size_t kept = r->size - r->at, want = SCAN_WINDOW_SIZE - kept;
	uint64_t there = r->segment->size - (r->offset + kept);

	memmove(r->window, r->window + r->at, kept);
	r->at = 0;
	r->size = kept;
	if (want > there)
		want = (size_t)there;
	ssize_t n = io_read_up_to(r->c->core->io, r->fd, r->window + kept, want, r->offset + kept);
	if (n < 0)
		return (int)n;
	r->size += (size_t)n;
	note_read(r->c, (uint64_t)n);
	return throttle_take(&r->c->throttle, (uint64_t)n);
}

/* The same; that nothing is there is damage: the file became shorter. */
static int refill_some(struct reader *r)
{
	int rc = refill(r);

	return rc || r->size ? rc
			     : core_damaged(r->c->core, r->segment, r->offset, DW_DAMAGE_TRUNCATED,
					    (struct dw_bytes){0});
}

/* A record larger than the window goes over in pieces; it was checked. */
static int copy_pieces(struct reader *r, uint64_t offset, uint64_t size)
{
	struct compaction *c = r->c;
	int rc = flush_pending(c);

	if (!rc)
		rc = buf_reserve(&c->pending, COMPACT_WRITE_SIZE);
	while (!rc && size) {
		size_t n = size < COMPACT_WRITE_SIZE ? (size_t)size : COMPACT_WRITE_SIZE;
		rc = io_read_full(c->core->io, r->fd, c->pending.data, n, offset);
		if (!rc)
			rc = write_output(c, c->pending.data, n);
		offset += n;
		size -= n;
	}
	return rc;
}

static int damaged_record(struct reader *r)
{
	struct record_header header;
	struct dw_bytes key = {0};

	if (!sidecar_key_at(&r->sidecar, r->offset, &key))
		(void)segcheck_own_word(&r->scan, &header, &key); /* else it is not known */
	return core_damaged(r->c->core, r->segment, r->offset, r->scan.damage, key);
}

/* Copy the record at r->offset if the full window does not hold all of it: it is large or damaged.
 */
static int copy_large(struct reader *r)
{
	struct scan_record record;

	if (!r->scan.window) {
		int rc = scan_init(&r->scan, r->c->core->io, r->fd, 0, r->segment->size);
		if (rc < 0)
			return rc;
	}
	r->scan.offset = r->offset;
	int rc = scan_next(&r->scan, &record);
	if (rc == -EBADMSG || !rc) /* never 0: it is not the end */
		return damaged_record(r);
	if (rc < 0)
		return rc;
	rc = check_hint(r, &record.header, record.offset, record.key, record.crc);
	if (rc)
		return rc;
	struct index_probe probe = {.key = record.key, .offset = record.offset};
	uint64_t size = record_size(&record.header);
	note_read(r->c, size - (r->size - r->at));
	rc = throttle_take(&r->c->throttle, size);
	if (!rc)
		rc = look_up(r, &probe, 1);
	if (!rc)
		rc = check_index(r, &record.header, &probe);
	if (!rc && is_kept(r, &record.header, &probe)) {
		rc = place_record(r->c, &record.header, &probe, record.crc);
		if (!rc)
			rc = copy_pieces(r, record.offset, size);
	}
	r->offset += size;
	r->at = r->size = 0;
	return rc;
}

static int copy_records(struct reader *r, struct group *g)
{
	int rc = 0;

	while (!rc && r->offset < r->segment->size) {
		gather(r, g);
		if (g->count)
			rc = copy_group(r, g);
		else if (r->at || !r->size)
			rc = refill_some(r);
		else
			rc = copy_large(r);
	}
	return rc;
}

static int copy_input(struct compaction *c, struct dw_segment *segment)
{
	const struct hint_binding binding = {segment->mtime_ns, segment->file.ino};
	struct io *io = c->core->io;
	struct reader r = {.c = c,
			   .segment = segment,
			   .fd = segment_pin(segment),
			   .sidecar = {.reader = {.fd = -1}}};
	struct group *group = malloc(sizeof *group);

	if (r.fd < 0) {
		free(group);
		return r.fd;
	}
	r.window = malloc(SCAN_WINDOW_SIZE);
	int rc = r.window && group ? 0 : -ENOMEM;
	if (!rc && segment->hinted)
		rc = sidecar_init(&r.sidecar, io, c->core->dirfd, segment->id, r.fd, segment->size,
				  &binding);
	if (!rc && !r.sidecar.bound) /* the view cannot have been taken from it */
		sidecar_release(&r.sidecar);
	if (!rc)
		rc = copy_records(&r, group);
	sidecar_release(&r.sidecar);
	if (r.scan.window)
		scan_release(&r.scan);
	free(r.window);
	free(group);
	segment_unpin(segment);
	return rc;
}

int compact_copy(struct compaction *c)
{
	int rc = 0;

	for (uint32_t i = 0; !rc && i < c->inputs.count; i++) {
		rc = copy_input(c, c->inputs.items[i]);
		atomic_store(&c->core->progress.segments_done, i + 1);
	}
	/* each before any of them gets its name: a segment that is not the last is whole */
	if (!rc && c->count)
		rc = finish_output(c);
	return rc;
}
