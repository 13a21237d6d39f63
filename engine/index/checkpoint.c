/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * checkpoint.c - what is in memory goes to disk, see index.h.
 *
 * The coverage of a checkpoint is fixed under log.lock: the sealed deltas, the end of the log, the
 * figures of the segments.  The rest of the work runs beside the writer.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "index/readers.h"
#include "index/root.h"
#include "index/stack.h"

struct index_checkpoint {
	struct version *version; /* all parts below the active delta */
	struct indexfile root; /* the next contents of `index`, without its runs; segment 0: none */
};

bool index_is_full(struct index *index)
{
	return index->writes && (delta_count(index->active) >= index->delta_max ||
				 atomic_load(&index->sealed_count) > SEALED_MAX);
}

bool index_is_overfull(struct index *index)
{
	/* `active` goes only with the newest version */
	(void)pthread_mutex_lock(&index->change);
	bool overfull = delta_count(index->version->parts.active) / 2 >= index->delta_max;
	(void)pthread_mutex_unlock(&index->change);
	return overfull;
}

uint64_t index_pending(struct index *index)
{
	(void)pthread_mutex_lock(&index->change);
	const struct parts *parts = &index->version->parts;
	uint64_t pending = delta_count(parts->active);
	for (size_t i = 0; i < parts->sealed_count; i++)
		pending += delta_count(parts->sealed[i]);
	(void)pthread_mutex_unlock(&index->change);
	return pending;
}

bool index_is_on_disk(struct index *index)
{
	(void)pthread_mutex_lock(&index->disk);
	bool there = index->root.position.segment;
	(void)pthread_mutex_unlock(&index->disk);
	return there;
}

static void checkpoint_free(struct index_checkpoint *checkpoint)
{
	if (!checkpoint)
		return;
	version_free(checkpoint->version);
	indexfile_release(&checkpoint->root);
	free(checkpoint);
}

void index_checkpoint_cancel(struct index *index)
{
	checkpoint_free(index->checkpoint);
	index->checkpoint = NULL;
}

/* The figures of the segments up to the position; log.lock is held. */
static int take_figures(struct index_checkpoint *checkpoint, const struct segset *set,
			const struct index_position *position)
{
	struct indexfile *root = &checkpoint->root;

	root->segments = calloc(set->count + 1, sizeof *root->segments);
	if (!root->segments)
		return -ENOMEM;
	for (size_t i = 0; i < set->count && set->items[i]->id <= position->segment; i++) {
		const struct dw_segment *segment = set->items[i];
		bool last = segment->id == position->segment;
		root->segments[root->segment_count++] = (struct indexfile_segment){
			.id = segment->id,
			.size = last ? position->offset : segment->size,
			.live_bytes = segment->live_bytes,
			.raw_bytes = segment->raw_bytes,
			.last_txid = segment->last_txid,
		};
	}
	assert(root->segment_count &&
	       root->segments[root->segment_count - 1].id == position->segment);
	return 0;
}

static int begin(struct index *index, struct index_checkpoint *checkpoint,
		 const struct segset *segments, const struct index_position *position)
{
	static const struct index_position nowhere;

	if (index_is_nameless(index))
		position = &nowhere;
	(void)pthread_mutex_lock(&index->change);
	int rc = index_seal_locked(index, segments);
	if (!rc)
		checkpoint->version = index_version_below(index, segments);
	(void)pthread_mutex_unlock(&index->change);
	if (!rc && !checkpoint->version)
		rc = -ENOMEM;
	if (!rc && position->segment)
		rc = take_figures(checkpoint, segments, position);
	checkpoint->root.position = *position;
	checkpoint->root.keys = index_count(index);
	return rc;
}

int index_checkpoint_begin(struct index *index, const struct segset *segments,
			   const struct index_position *position)
{
	assert(index->active && segments && !index->checkpoint);
	if (!index->writes)
		return -EROFS;
	struct index_checkpoint *checkpoint = calloc(1, sizeof *checkpoint);
	int rc = checkpoint ? begin(index, checkpoint, segments, position) : -ENOMEM;
	if (rc < 0)
		checkpoint_free(checkpoint);
	else
		index->checkpoint = checkpoint;
	return rc;
}

/* There is room; they ascend. */
static void insert_segment(struct indexfile *root, const struct indexfile_segment *segment)
{
	size_t at = root->segment_count++;

	for (; at && root->segments[at - 1].id > segment->id; at--)
		root->segments[at] = root->segments[at - 1];
	root->segments[at] = *segment;
}

int index_checkpoint_expect(struct index *index, const struct index_coming *coming, size_t count)
{
	struct indexfile *root = &index->checkpoint->root;
	size_t size = (root->segment_count + count) * sizeof *root->segments;
	struct indexfile_segment *segments = realloc(root->segments, size);

	if (!segments)
		return -ENOMEM;
	root->segments = segments;
	for (size_t i = 0; i < count; i++) {
		struct indexfile_segment one = {.id = coming[i].id,
						.size = coming[i].size,
						.raw_bytes = coming[i].raw_bytes,
						.last_txid = coming[i].last_txid};
		assert(one.id < root->position.segment);
		int rc = root_prove_coming(index, coming[i].name, &one);
		if (rc < 0)
			return rc;
		insert_segment(root, &one);
	}
	return 0;
}

static int write_checkpoint(struct index *index, struct index_checkpoint *checkpoint,
			    struct throttle *throttle)
{
	struct parts deltas = checkpoint->version->parts;
	bool named = checkpoint->root.position.segment;
	struct run *made = NULL;

	deltas.run_count = 0;
	/* runs that reach further than the file says must not be named by it */
	int rc = named ? root_prove(&checkpoint->root, deltas.segments) : 0;
	if (!named && index_is_on_disk(index))
		rc = index_disown(index);
	if (!rc && deltas.sealed_count)
		rc = stack_make_run(index, &deltas, throttle, &made);
	if (rc < 0)
		return rc;
	const struct stack_change change = {
		.made = made,
		.sealed = deltas.sealed,
		.sealed_count = deltas.sealed_count,
		.root = named ? &checkpoint->root : NULL,
	};
	rc = stack_exchange(index, &change);
	run_unref(made);
	return rc;
}

int index_checkpoint_write(struct index *index, struct throttle *throttle)
{
	assert(index->checkpoint && index->writes);
	int rc = write_checkpoint(index, index->checkpoint, throttle);

	index_checkpoint_cancel(index);
	return rc;
}

int index_disown(struct index *index)
{
	(void)pthread_mutex_lock(&index->disk);
	int rc = root_remove(index);
	if (!rc)
		indexfile_release(&index->root);
	(void)pthread_mutex_unlock(&index->disk);
	return rc;
}

/* --- joining --- */

/* How many of the newest runs to join: each run that is below twice what is above it. */
static size_t to_join(const struct parts *parts)
{
	uint64_t above = 0;
	size_t count = 0;

	for (size_t i = 0; i < parts->run_count; i++) {
		uint64_t size = run_figures(parts->runs[i])->size;
		if (i && size < 2 * above)
			count = i + 1;
		above += size;
	}
	return count;
}

static int join(struct index *index, const struct parts *parts, size_t count,
		struct throttle *throttle)
{
	struct parts runs = *parts;
	struct run *made = NULL;

	runs.active = NULL;
	runs.sealed_count = 0;
	runs.run_count = count;
	int rc = stack_make_run(index, &runs, throttle, &made);
	if (rc < 0)
		return rc;
	const struct stack_change change = {.made = made, .runs = runs.runs, .run_count = count};
	rc = stack_exchange(index, &change);
	run_unref(made);
	return rc ? rc : 1;
}

int index_join(struct index *index, struct throttle *throttle)
{
	if (!index->writes)
		return 0;
	struct version *version = index_hold(index);
	if (!version)
		return -ENOMEM;
	size_t count = to_join(&version->parts);
	int rc = count ? join(index, &version->parts, count, throttle) : 0;
	version_free(version);
	if (rc == -EBADMSG)
		atomic_store(&index->damaged, true);
	return rc;
}

/* --- verifying --- */

int index_verify(struct index *index, struct throttle *throttle)
{
	struct version *version = index_hold(index);
	int rc = version ? 0 : -ENOMEM, first = 0;

	for (size_t i = 0; !rc && i < version->parts.run_count; i++) {
		struct run *run = version->parts.runs[i];
		int one = run_verify(run);
		first = first ? first : one;
		rc = throttle ? throttle_take(throttle, run_figures(run)->size) : 0;
	}
	version_free(version);
	if (first == -EBADMSG)
		atomic_store(&index->damaged, true);
	return rc ? rc : first;
}
