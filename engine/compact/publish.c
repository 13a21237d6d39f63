/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * publish.c - copies become part of the store, and what they were copied from goes.
 *
 * From the moment of its new name an output is part of the store, whatever fails
 * later: were it forgotten, it could outlive a tombstone of one of its keys.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "compact/compact.h"
#include "disk/scan.h"
#include "store/checkpoint.h"

enum { MOVE_COUNT = 256, PREFETCH = 16 };

static int publish_output(struct compaction *c, struct output *output)
{
	struct core *core = c->core;
	uint64_t size = 0;

	int rc = segset_reserve(&core->segments, 1);
	if (!rc)
		rc = atomicfile_commit(&output->file, false);
	if (rc < 0)
		return rc;
	rc = segment_open(&core->pool, output->id, false, &size, &output->segment);
	if (rc < 0) {
		log_poison(&core->log, rc, "opening a compacted segment");
		return rc;
	}
	assert(size == output->file.size);
	output->segment->size = size;
	output->segment->raw_bytes = output->raw_bytes;
	output->segment->last_txid = output->last_txid;
	segset_add(&core->segments, output->segment);
	return 0;
}

/* The names are on disk: from now on the hints may be believed, and prove what was there. */
static void seal_hints(struct compaction *c)
{
	struct core *core = c->core;
	struct hintwriter writer;

	for (size_t i = 0; i < c->count; i++) {
		const struct dw_segment *segment = c->outputs[i].segment;
		const struct hint_binding binding = {segment->mtime_ns, segment->file.ino};
		if (c->outputs[i].hint_end.covered != segment->size)
			continue; /* it was given up */
		hintwriter_init(&writer, core->io, core->dirfd, segment->id,
				&c->outputs[i].hint_end);
		hintwriter_seal(&writer, &binding);
		hintwriter_release(&writer);
	}
}

static int publish_all(void *context)
{
	struct compaction *c = context;
	int rc = 0;

	(void)pthread_mutex_lock(&c->core->names_lock);
	log_lock(&c->core->log); /* the list of segments changes only under it */
	for (size_t i = 0; !rc && i < c->count; i++)
		rc = publish_output(c, &c->outputs[i]);
	int known = index_set_segments(&c->core->index, &c->core->segments);
	rc = rc ? rc : known;
	log_unlock(&c->core->log);
	if (!rc && c->count)
		rc = c->core->io->fsync(c->core->io, c->core->dirfd);
	if (!rc)
		seal_hints(c);
	(void)pthread_mutex_unlock(&c->core->names_lock);
	return rc;
}

/* --- the keys move --- */

/* Some Put records of an output. */
struct batch {
	size_t count;
	struct {
		size_t key_at, key_size; /* in `keys` */
		uint64_t offset;
	} records[MOVE_COUNT];
	struct buf keys;
};

/* Read on: up to MOVE_COUNT of them.  1; 0: at the end, and there may be some; or -errno. */
static int fill_batch(struct scan *scan, struct batch *batch)
{
	struct scan_record record;
	int rc = 1;

	batch->count = batch->keys.size = 0;
	while (rc == 1 && batch->count < MOVE_COUNT) {
		rc = scan_next(scan, &record);
		if (rc != 1 || record.header.type != DW_PUT)
			continue;
		batch->records[batch->count].key_at = batch->keys.size;
		batch->records[batch->count].key_size = record.key.size;
		batch->records[batch->count++].offset = record.offset;
		int added = buf_add(&batch->keys, record.key.data, record.key.size);
		rc = added ? added : rc;
	}
	return rc == -EBADMSG ? -EIO : rc; /* it was written a moment ago */
}

static struct dw_bytes key_of(const struct batch *batch, size_t i)
{
	return (struct dw_bytes){batch->keys.data + batch->records[i].key_at,
				 batch->records[i].key_size};
}

/* A key that is still in an input is there since before its record was copied: whatever was written
 * since is in a later segment. */
static int move_batch_locked(struct compaction *c, struct output *output, const struct batch *batch)
{
	struct index *index = &c->core->index;
	uint32_t last_id = segset_last(&c->inputs)->id;
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < batch->count; i++) {
		if (i + PREFETCH < batch->count)
			index_prefetch_key(index, key_of(batch, i + PREFETCH));
		rc = index_move(index, key_of(batch, i), last_id, output->segment,
				batch->records[i].offset);
	}
	core_check(c->core);
	return rc < 0 ? core_index_failed(c->core, rc) : 0;
}

/* Up to MOVE_COUNT of them at a time, so that writers do not wait long. */
static int move_keys(struct compaction *c, struct output *output, struct scan *scan,
		     struct batch *batch)
{
	int more = 1;

	while (more == 1) {
		more = fill_batch(scan, batch);
		if (more < 0)
			return more;
		log_lock(&c->core->log);
		int rc = move_batch_locked(c, output, batch);
		bool due = checkpoint_is_due_locked(c->core);
		log_unlock(&c->core->log);
		if (rc < 0)
			return rc;
		if (due)
			checkpoint_give_way(c->core);
	}
	assert(scan->offset == output->file.size);
	return 0;
}

static int move_output(struct compaction *c, struct output *output)
{
	int fd = segment_pin(output->segment);
	struct batch *batch = calloc(1, sizeof *batch);
	struct scan scan;

	if (fd < 0 || !batch) {
		free(batch);
		if (fd >= 0)
			segment_unpin(output->segment);
		return fd < 0 ? fd : -ENOMEM;
	}
	int rc = scan_init(&scan, c->core->io, fd, 0, output->file.size);
	scan.keys_only = true;
	if (!rc)
		rc = move_keys(c, output, &scan, batch);
	scan_release(&scan);
	segment_unpin(output->segment);
	buf_release(&batch->keys);
	free(batch);
	return rc;
}

/* A segment that the index on disk does not know costs it: so it is told of them first. */
static int publish_known(struct compaction *c)
{
	struct index_coming *coming = calloc(c->count + 1, sizeof *coming);

	if (!coming)
		return -ENOMEM;
	for (size_t i = 0; i < c->count; i++) {
		const struct output *output = &c->outputs[i];
		coming[i] = (struct index_coming){.id = output->id,
						  .name = output->file.temporary,
						  .size = output->file.size,
						  .raw_bytes = output->raw_bytes,
						  .last_txid = output->last_txid};
	}
	int rc = checkpoint_around(c->core, coming, c->count, publish_all, c);
	free(coming);
	return rc;
}

int compact_publish(struct compaction *c)
{
	int rc = publish_known(c);

	for (size_t i = 0; !rc && i < c->count; i++)
		rc = move_output(c, &c->outputs[i]);
	return rc;
}

/* --- the inputs go --- */

/* Take a segment out of the list, or put it back with the reference taken out. */
static void set_listed(struct core *core, struct dw_segment *segment, bool listed)
{
	log_lock(&core->log);
	/* a rotation may have taken the place that it left: room is needed again */
	int rc = listed ? segset_reserve(&core->segments, 1) : 0;
	if (!listed)
		segset_remove(&core->segments, segment);
	else if (!rc)
		segset_add(&core->segments, segment_ref(segment));
	/* without the memory an older list holds the file a while longer */
	(void)index_set_segments(&core->index, &core->segments);
	if (rc < 0) /* else the next compaction would unlink others before this one */
		log_poison(&core->log, rc, "list of segments");
	log_unlock(&core->log);
}

static int remove_input(struct compaction *c, struct dw_segment *input)
{
	struct core *core = c->core;
	int rc = 0;

	assert(!input->live_bytes);
	set_listed(core, input, false);
	/* The segment has left the set: new readers cannot find it.  Keep the file open for the
	 * readers that still use it. */
	if (atomic_load(&input->refs) > 1)
		rc = fdpool_keep(&core->pool, &input->file);
	if (!rc)
		rc = core->io->unlink(core->io, core->dirfd, input->file.name);
	if (rc < 0) {
		set_listed(core, input, true);
		return rc;
	}
	/* sync before the next unlink: a crash must leave a suffix of the log */
	rc = core->io->fsync(core->io, core->dirfd);
	if (rc < 0) /* a later compaction would go on behind one that may come back */
		log_poison(&core->log, rc, "fsync of the directory");
	return rc;
}

/* A hint whose segment is gone proves a loss: so it goes first, durably. */
static int remove_hints(struct compaction *c)
{
	struct core *core = c->core;
	char hint[SEGNAME_SIZE];
	int rc = 0;

	for (size_t i = 0; !rc && i < c->inputs.count; i++) {
		segname_format_hint(c->inputs.items[i]->id, hint);
		rc = core->io->unlink(core->io, core->dirfd, hint);
		if (rc == -ENOENT)
			rc = 0;
	}
	if (rc < 0)
		return rc;
	rc = core->io->fsync(core->io, core->dirfd);
	if (rc < 0)
		log_poison(&core->log, rc, "fsync of the directory");
	return rc;
}

int compact_remove(struct compaction *c)
{
	pthread_mutex_t *names_lock = &c->core->names_lock;
	int rc = checkpoint_before_removal(c->core);

	(void)pthread_mutex_lock(names_lock);
	if (!rc)
		rc = remove_hints(c);
	(void)pthread_mutex_unlock(names_lock);
	for (size_t i = 0; !rc && i < c->inputs.count; i++) {
		/* a snapshot may be made between two: what is left is a store */
		(void)pthread_mutex_lock(names_lock);
		rc = remove_input(c, c->inputs.items[i]);
		(void)pthread_mutex_unlock(names_lock);
		atomic_store(&c->core->progress.segments_done, (unsigned)i + 1);
	}
	core_tidy(c->core);
	return rc;
}

/* Remove the hint of an output that did not become a segment: its id may be used again. */
static void drop_hint(struct compaction *c, const struct output *output)
{
	char hint[SEGNAME_SIZE];

	segname_format_hint(output->id, hint);
	(void)c->core->io->unlink(c->core->io, c->core->dirfd, hint); /* alone it is a leftover */
}

void compaction_release(struct compaction *c)
{
	for (size_t i = 0; i < c->count; i++) {
		struct output *output = &c->outputs[i];
		hintwriter_release(&output->hint);
		if (output->file.temporary)
			drop_hint(c, output);
		atomicfile_release(&output->file);
	}
	free(c->outputs);
	buf_release(&c->pending);
	segset_release(&c->inputs);
}
