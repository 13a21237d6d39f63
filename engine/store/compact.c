/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * compact.c - compaction in place, online; every intermediate state is a store.
 *
 *   1. Rotate, leaving ids free below the new active segment: inputs are sealed.
 *   2. Copy what lives in the inputs, in log order, to files under temporary
 *      names; sync them.
 *   3. Rename those to the free ids, ascending; sync the directory; let the
 *      view point to them.  Replay now sees each value twice, the same.
 *   4. Unlink the inputs in ascending order, the directory synced between.  What
 *      is left of them is a suffix of the old log, so a tombstone never goes
 *      before the put that it hides; the copies lie behind it, newer writes
 *      behind the copies.  What was appended meanwhile is synced first: it hides
 *      records that were not copied for its sake.
 *
 * Raw records are kept: they are no part of the view, but nobody deleted them.
 * A tombstone that carries the highest txid is kept, so that txids never come
 * back.  A key written while this runs has its newer record in the active
 * segment; its entry no longer points into an input and is left alone.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "codec/record.h"
#include "disk/atomicfile.h"
#include "disk/scan.h"
#include "store/store.h"

enum { WRITE_SIZE = 1 << 20, MOVE_COUNT = 128 };

/* Where a copied record came from: its entry is moved only if it still says so. */
struct origin {
	uint32_t input; /* index in compaction.inputs */
	uint64_t offset;
};

struct output {
	struct atomicfile file;
	uint32_t id;
	struct buf origins; /* struct origin for each record, in order */
	struct hintwriter hint;
	struct dw_segment *segment; /* once renamed; the list of segments holds it */
};

struct compaction {
	struct dw_store *store;
	struct segset inputs;       /* references of its own */
	uint64_t last_txid;         /* the highest given out before this started */
	uint32_t first_id, last_id; /* free for outputs */
	struct output *outputs;
	size_t count;       /* outputs begun */
	struct buf pending; /* bytes not yet written to the last output */
};

/* --- step 1 --- */

static int choose(struct compaction *c)
{
	struct dw_store *store = c->store;
	uint64_t live = 0, bytes = 0;

	for (size_t i = 0; i < store->segments.count; i++) {
		live += store->segments.items[i]->live_bytes;
		bytes += store->segments.items[i]->size;
	}
	if (live == bytes && store->segments.count <= bytes / store->log.segment_size + 2)
		return 0; /* nothing is dead and nothing to join */
	/* Outputs are closed when the next record would exceed the segment size, so any
	 * two in a row exceed it together; Raw records are at most what is not live. */
	uint64_t most = 2 * (bytes / store->log.segment_size) + 2;
	uint32_t active = store->log.active->id;
	if (active + most >= SEGMENT_ID_MAX)
		most = SEGMENT_ID_MAX > active + 1 ? SEGMENT_ID_MAX - active - 1 : 0;
	if (!most)
		return -EOVERFLOW;
	int rc = segset_copy(&store->segments, store->segments.count, &c->inputs);
	if (!rc)
		rc = store_rotate_locked(store, (uint32_t)most);
	if (rc < 0)
		return rc;
	c->first_id = active + 1;
	c->last_id = active + (uint32_t)most;
	c->last_txid = store->log.next_txid - 1;
	c->outputs = calloc((size_t)most, sizeof *c->outputs);
	return c->outputs ? 0 : -ENOMEM;
}

/* --- step 2 --- */

static struct output *current(struct compaction *c)
{
	return &c->outputs[c->count - 1];
}

static int flush_pending(struct compaction *c)
{
	int rc = 0;

	if (c->pending.size)
		rc = atomicfile_write(&current(c)->file, c->pending.data, c->pending.size);
	c->pending.size = 0;
	return rc;
}

static int begin_output(struct compaction *c)
{
	char name[SEGNAME_SIZE], temporary[SEGNAME_SIZE];
	struct output *output = &c->outputs[c->count];

	output->id = c->first_id + (uint32_t)c->count;
	c->count++;
	segname_format(output->id, name);
	segname_format_compact(output->id, temporary);
	hintwriter_init(&output->hint, c->store->io, c->store->dirfd, output->id, 0, 0);
	return atomicfile_init(&output->file, c->store->io, c->store->dirfd, name, temporary, 0644);
}

/* The current output is complete: on disk, and its descriptor given back. */
static int finish_output(struct compaction *c)
{
	int rc = flush_pending(c);

	if (!rc)
		rc = atomicfile_sync(&current(c)->file);
	if (!rc)
		hintwriter_release(&current(c)->hint, true);
	return rc;
}

/* Have an output with room for `size` bytes. */
static int make_room(struct compaction *c, uint64_t size)
{
	if (c->count) {
		uint64_t used = current(c)->file.size + c->pending.size;
		bool last = c->first_id + c->count > c->last_id;
		if (last || !used || used + size <= c->store->log.segment_size)
			return 0;
		int rc = finish_output(c);
		if (rc < 0)
			return rc;
	}
	return begin_output(c);
}

/* A record larger than the scan's window goes over in pieces; it was checked. */
static int copy_large(struct compaction *c, int fd, uint64_t offset, uint64_t size)
{
	int rc = flush_pending(c);

	if (!rc)
		rc = buf_reserve(&c->pending, WRITE_SIZE);
	while (!rc && size) {
		size_t n = size < WRITE_SIZE ? (size_t)size : WRITE_SIZE;
		rc = io_read_full(c->store->io, fd, c->pending.data, n, offset);
		if (!rc)
			rc = atomicfile_write(&current(c)->file, c->pending.data, n);
		offset += n;
		size -= n;
	}
	return rc;
}

static int copy_record(struct compaction *c, uint32_t input, int fd,
		       const struct scan_record *record, int64_t mtime_ns)
{
	const struct hint_entry entry = {record->header, mtime_ns, record->key};
	const struct origin origin = {input, record->offset};
	uint64_t size = record_size(&record->header);
	int rc = make_room(c, size);

	if (!rc)
		rc = buf_add(&current(c)->origins, &origin, sizeof origin);
	if (rc < 0)
		return rc;
	hintwriter_add(&current(c)->hint, &entry, record->crc);
	if (!record->bytes)
		return copy_large(c, fd, record->offset, size);
	rc = buf_add(&c->pending, record->bytes, (size_t)size);
	if (!rc && c->pending.size >= WRITE_SIZE)
		rc = flush_pending(c);
	return rc;
}

static bool is_live(struct compaction *c, const struct dw_segment *input,
		    const struct scan_record *record, int64_t *mtime_ret)
{
	struct keydir_place place;

	if (!keydir_get(&c->store->keydir, record->key, false, &place) || place.segment != input ||
	    place.offset != record->offset)
		return false;
	*mtime_ret = place.mtime_ns;
	return true;
}

static bool is_kept(struct compaction *c, const struct dw_segment *input,
		    const struct scan_record *record, int64_t *mtime_ret)
{
	switch (record->header.type) {
	case DW_RAW: return true;
	case DW_DELETE: return record->header.txid == c->last_txid;
	case DW_PUT: break;
	}
	return is_live(c, input, record, mtime_ret);
}

static int copy_scanned(struct compaction *c, uint32_t input, struct scan *scan)
{
	struct dw_segment *segment = c->inputs.items[input];
	struct scan_record record;
	int rc;

	while ((rc = scan_next(scan, &record)) == 1) {
		int64_t mtime_ns = segment->mtime_ns;
		if (!is_kept(c, segment, &record, &mtime_ns))
			continue;
		rc = copy_record(c, input, scan->fd, &record, mtime_ns);
		if (rc < 0)
			return rc;
	}
	if (rc == -EBADMSG)
		return store_damaged(c->store, segment, scan->offset, scan->damage);
	return rc;
}

static int copy_input(struct compaction *c, uint32_t input)
{
	struct dw_segment *segment = c->inputs.items[input];
	struct scan scan;
	int fd = segment_pin(segment);

	if (fd < 0)
		return fd;
	int rc = scan_init(&scan, c->store->io, fd, 0, segment->size);
	if (!rc)
		rc = copy_scanned(c, input, &scan);
	scan_release(&scan);
	segment_unpin(segment);
	return rc;
}

static int copy_all(struct compaction *c)
{
	int rc = 0;

	for (uint32_t i = 0; !rc && i < c->inputs.count; i++)
		rc = copy_input(c, i);
	/* each before any of them gets its name: a segment that is not the last is whole */
	if (!rc && c->count)
		rc = finish_output(c);
	return rc;
}

/* --- step 3 --- */

/* From the moment of its new name an output is part of the store, whatever fails
 * later: were it forgotten, it could outlive a tombstone of one of its keys. */
static int publish_output(struct compaction *c, struct output *output)
{
	struct dw_store *store = c->store;
	uint64_t size = 0;

	int rc = segset_reserve(&store->segments, 1);
	if (!rc)
		rc = atomicfile_commit(&output->file, false);
	if (rc < 0)
		return rc;
	rc = segment_open(&store->pool, output->id, false, &size, &output->segment);
	if (rc < 0) {
		log_poison(&store->log, rc, "opening a compacted segment");
		return rc;
	}
	assert(size == output->file.size);
	output->segment->size = size;
	segset_add(&store->segments, output->segment);
	return 0;
}

static int publish_all(struct compaction *c)
{
	int rc = 0;

	log_lock(&c->store->log); /* the list of segments changes only under it */
	for (size_t i = 0; !rc && i < c->count; i++)
		rc = publish_output(c, &c->outputs[i]);
	log_unlock(&c->store->log);
	if (!rc)
		rc = c->store->io->fsync(c->store->io, c->store->dirfd);
	return rc;
}

/* Let the key of an output's record number `index` be there, if it still is where the
 * copy came from. */
static void move_key(struct compaction *c, struct output *output, size_t index,
		     const struct scan_record *record)
{
	struct origin origin = ((const struct origin *)output->origins.data)[index];

	if (record->header.type == DW_PUT)
		keydir_move(&c->store->keydir, record->key, c->inputs.items[origin.input],
			    origin.offset, output->segment, record->offset, NULL);
}

/* Up to MOVE_COUNT of them at a time, so that writers do not wait long.  As scan_next(). */
static int move_some(struct compaction *c, struct output *output, struct scan *scan, size_t *index)
{
	struct scan_record record;
	int rc = 1;

	log_lock(&c->store->log);
	for (int i = 0; i < MOVE_COUNT && (rc = scan_next(scan, &record)) == 1; i++)
		move_key(c, output, (*index)++, &record);
	store_check(c->store);
	log_unlock(&c->store->log);
	return rc;
}

/* Walk an output's keys and let the view point to it. */
static int move_output(struct compaction *c, struct output *output)
{
	struct scan scan;
	size_t index = 0;
	int rc = segment_pin(output->segment);

	if (rc < 0)
		return rc;
	rc = scan_init(&scan, c->store->io, rc, 0, output->segment->size);
	scan.keys_only = true; /* checked while copying, and reads check again */
	if (!rc)
		while ((rc = move_some(c, output, &scan, &index)) == 1)
			;
	if (rc == -EBADMSG)
		rc = store_damaged(c->store, output->segment, scan.offset, scan.damage);
	scan_release(&scan);
	segment_unpin(output->segment);
	return rc;
}

static int move_all(struct compaction *c)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < c->count; i++)
		rc = move_output(c, &c->outputs[i]);
	return rc;
}

/* --- step 4 --- */

/* Take a segment out of the list, or put it back with the reference taken out. */
static void set_listed(struct dw_store *store, struct dw_segment *segment, bool listed)
{
	log_lock(&store->log);
	/* a rotation may have taken the place that it left: room is needed again */
	int rc = listed ? segset_reserve(&store->segments, 1) : 0;
	if (!listed)
		segset_remove(&store->segments, segment);
	else if (!rc)
		segset_add(&store->segments, segment_ref(segment));
	if (rc < 0) /* else the next compaction would unlink others before this one */
		log_poison(&store->log, rc, "list of segments");
	log_unlock(&store->log);
}

static int unlink_input(struct compaction *c, struct dw_segment *input)
{
	struct dw_store *store = c->store;
	int rc = 0;

	assert(!input->live_bytes);
	set_listed(store, input, false);
	/* Nobody new finds it now.  Whoever still reads from it needs it open. */
	if (atomic_load(&input->refs) > 1)
		rc = fdpool_keep(&store->pool, &input->file);
	if (!rc)
		rc = store->io->unlink(store->io, store->dirfd, input->file.name);
	if (rc < 0) {
		set_listed(store, input, true);
		return rc;
	}
	char hint[SEGNAME_SIZE];
	segname_format_hint(input->id, hint);
	(void)store->io->unlink(store->io, store->dirfd, hint); /* alone it is a leftover */
	/* on disk before the next goes: what a crash leaves must be a suffix */
	rc = store->io->fsync(store->io, store->dirfd);
	if (rc < 0) /* a later compaction would go on behind one that may come back */
		log_poison(&store->log, rc, "fsync of the directory");
	return rc;
}

static int unlink_all(struct compaction *c)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < c->inputs.count; i++)
		rc = unlink_input(c, c->inputs.items[i]);
	return rc;
}

/* --- */

static int run(struct compaction *c, struct dw_compact_report *report)
{
	log_lock(&c->store->log);
	int rc = log_check(&c->store->log);
	if (!rc)
		rc = choose(c);
	log_unlock(&c->store->log);
	for (size_t i = 0; i < c->inputs.count; i++)
		report->bytes_before += c->inputs.items[i]->size;
	report->segments_before = (uint32_t)c->inputs.count;
	if (rc < 0 || !c->inputs.count)
		return rc;
	rc = copy_all(c);
	if (!rc)
		rc = publish_all(c);
	if (!rc)
		rc = move_all(c);
	/* A record that was not copied because a newer one hides it: that one must be on
	 * disk before the inputs go, or a crash would leave neither. */
	if (!rc)
		rc = log_sync(&c->store->log);
	if (!rc)
		rc = unlink_all(c);
	for (size_t i = 0; i < c->count; i++)
		report->bytes_after += c->outputs[i].file.size;
	report->segments_after = (uint32_t)c->count;
	return rc;
}

static void compaction_release(struct compaction *c)
{
	for (size_t i = 0; i < c->count; i++) {
		atomicfile_release(&c->outputs[i].file);
		buf_release(&c->outputs[i].origins);
		hintwriter_release(&c->outputs[i].hint, false);
	}
	free(c->outputs);
	buf_release(&c->pending);
	segset_release(&c->inputs);
}

int dw_compact(struct dw_store *store, struct dw_compact_report *ret)
{
	struct compaction c = {.store = store};
	struct dw_compact_report report = {0};

	if (store->read_only)
		return -EROFS;
	if (pthread_mutex_trylock(&store->compact_lock))
		return -EBUSY;
	int rc = run(&c, &report);
	compaction_release(&c);
	if (!rc)
		atomic_fetch_add(&store->compactions, 1);
	(void)pthread_mutex_unlock(&store->compact_lock);
	if (!rc && ret)
		*ret = report;
	return rc;
}
