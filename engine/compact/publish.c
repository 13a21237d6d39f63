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

static int publish_all(struct compaction *c)
{
	int rc = 0;

	log_lock(&c->core->log); /* the list of segments changes only under it */
	for (size_t i = 0; !rc && i < c->count; i++)
		rc = publish_output(c, &c->outputs[i]);
	log_unlock(&c->core->log);
	if (!rc && c->count)
		rc = c->core->io->fsync(c->core->io, c->core->dirfd);
	if (!rc)
		seal_hints(c);
	return rc;
}

/* Let the keys of some of an output's records be there; `offset` is that of the first.  An
 * entry that points into an input is still the one that did when its record was copied:
 * whatever was written since is in a later segment. */
static uint64_t move_some(struct compaction *c, struct output *output, const struct origin *origins,
			  size_t count, uint64_t offset)
{
	struct keydir *keydir = &c->core->keydir;
	uint32_t last_id = segset_last(&c->inputs)->id;

	for (size_t i = 0; i < count; i++) {
		if (i + 2 * PREFETCH < count && origins[i + 2 * PREFETCH].entry)
			keydir_prefetch_entry(keydir, origins[i + 2 * PREFETCH].entry);
		if (i + PREFETCH < count && origins[i + PREFETCH].entry)
			keydir_prefetch_slot(keydir, origins[i + PREFETCH].entry);
		if (origins[i].entry)
			keydir_move_entry(keydir, origins[i].entry, last_id, output->segment,
					  offset);
		offset += origins[i].size;
	}
	return offset;
}

/* Up to MOVE_COUNT of them at a time, so that writers do not wait long. */
static void move_output(struct compaction *c, struct output *output)
{
	const struct origin *origins = (const struct origin *)output->origins.data;
	size_t total = output->origins.size / sizeof *origins, count;
	uint64_t offset = 0;

	for (size_t at = 0; at < total; at += count) {
		count = total - at < MOVE_COUNT ? total - at : MOVE_COUNT;
		log_lock(&c->core->log);
		offset = move_some(c, output, origins + at, count, offset);
		core_check(c->core);
		log_unlock(&c->core->log);
	}
	assert(offset == output->file.size);
	buf_release(&output->origins);
}

int compact_publish(struct compaction *c)
{
	int rc = publish_all(c);

	for (size_t i = 0; !rc && i < c->count; i++)
		move_output(c, &c->outputs[i]);
	return rc;
}

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
	/* Nobody new finds it now.  Whoever still reads from it needs it open. */
	if (atomic_load(&input->refs) > 1)
		rc = fdpool_keep(&core->pool, &input->file);
	if (!rc)
		rc = core->io->unlink(core->io, core->dirfd, input->file.name);
	if (rc < 0) {
		set_listed(core, input, true);
		return rc;
	}
	/* on disk before the next goes: what a crash leaves must be a suffix */
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
	int rc = remove_hints(c);

	for (size_t i = 0; !rc && i < c->inputs.count; i++) {
		rc = remove_input(c, c->inputs.items[i]);
		atomic_store(&c->core->progress.segments_done, (unsigned)i + 1);
	}
	return rc;
}

/* What never came to be a segment leaves no hint: its id may be used again. */
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
		buf_release(&output->origins);
	}
	free(c->outputs);
	buf_release(&c->pending);
	segset_release(&c->inputs);
}
