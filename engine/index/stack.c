/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * stack.c - see stack.h.
 */
#include "index/stack.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/segname.h"
#include "index/merge.h"
#include "index/readers.h"
#include "index/root.h"
#include "index/runwriter.h"

/* --- writing --- */

enum { THROTTLE_KEYS = 1 << 12 }; /* between two looks at the time */

struct maker {
	struct index *index;
	struct throttle *throttle;
	struct runwriter *writer; /* begun with the first key */
	uint32_t id;
	uint64_t seed;
	bool of_deltas;
	uint64_t keys, paid; /* written; bytes told to the throttle */
};

static int begin(struct maker *maker)
{
	const struct runwriter_options options = {
		.id = maker->id, .seed = maker->seed, .owner = maker->index->owner};

	return runwriter_open(maker->index->io, maker->index->dirfd, &options, &maker->writer);
}

static int throttle_keys(struct maker *maker)
{
	if (!maker->throttle || ++maker->keys % THROTTLE_KEYS)
		return 0;
	uint64_t size = runwriter_size(maker->writer), more = size - maker->paid;
	maker->paid = size;
	return throttle_take(maker->throttle, more);
}

/* The entry for the run.  1; 0: none, because a tombstone that hides nothing is dropped; -EBADMSG:
 * the sources contradict each other. */
static int place_of(const struct maker *maker, const struct merged *merged, struct run_place *ret)
{
	const struct merge_entry *newest = merged->newest;
	int live = !newest->place.tombstone, change = merged->change;

	*ret = newest->place;
	if (maker->of_deltas) {
		change = live - merged->oldest->hides;
		ret->segment = newest->segment ? newest->segment->id : 0;
	}
	ret->change = (int8_t)change;
	if (!live && !change)
		return 0;
	return change == 0 || change == (live ? 1 : -1) ? 1 : -EBADMSG;
}

static int write_all(struct maker *maker, struct merge *merge)
{
	struct merged merged;
	int rc = merge_seek(merge, (struct dw_bytes){"", 0});

	while (!rc && (rc = merge_next(merge, &merged)) == 1) {
		struct run_place place;
		rc = place_of(maker, &merged, &place);
		if (rc != 1)
			continue;
		rc = maker->writer ? 0 : begin(maker);
		if (!rc)
			rc = runwriter_add(maker->writer, merged.newest->key, &place);
		if (!rc)
			rc = throttle_keys(maker);
	}
	return rc;
}

int stack_make_run(struct index *index, const struct parts *parts, struct throttle *throttle,
		   struct run **ret)
{
	struct maker maker = {.index = index,
			      .throttle = throttle,
			      .seed = parts->seed,
			      .of_deltas = parts->sealed_count};
	struct merge merge;

	assert(!parts->active && (!parts->sealed_count || !parts->run_count));
	(void)pthread_mutex_lock(&index->disk);
	maker.id = index->next_run;
	bool has_id = maker.id < index->run_end;
	index->next_run += has_id;
	(void)pthread_mutex_unlock(&index->disk);
	int rc = has_id ? merge_init(&merge, parts) : -EOVERFLOW;
	if (!rc)
		rc = write_all(&maker, &merge);
	if (has_id)
		merge_release(&merge);
	struct run *run = NULL;
	if (!rc && maker.writer)
		rc = runwriter_finish(maker.writer, true);
	if (!rc && maker.writer)
		rc = run_open(index->io, index->dirfd, maker.id, &run);
	runwriter_free(maker.writer);
	if (rc < 0 && has_id)
		stack_remove_run(index, maker.id);
	else if (!rc)
		*ret = run;
	return rc;
}

void stack_remove_run(struct index *index, uint32_t id)
{
	char name[SEGNAME_SIZE];

	segname_format_run(id, name);
	/* a leftover is no harm: the next writer that opens the store removes it */
	(void)index->io->unlink(index->io, index->dirfd, name);
}

/* --- exchanging --- */

static size_t find_run(const struct parts *parts, const struct run *run)
{
	size_t i = 0;

	while (i < parts->run_count && parts->runs[i] != run)
		i++;
	return i;
}

/* The runs that there are afterwards, of those that there are now. */
static size_t list_runs(const struct parts *now, const struct stack_change *change,
			struct run **ret)
{
	size_t count = 0, gone = change->run_count ? find_run(now, change->runs[0]) : 0;

	assert(gone + change->run_count <= now->run_count);
	for (size_t i = 0; i <= now->run_count; i++) {
		if (i == gone && change->made)
			ret[count++] = change->made;
		if (i < now->run_count && (i < gone || i >= gone + change->run_count))
			ret[count++] = now->runs[i];
	}
	return count;
}

/* The list of parts on disk afterwards; owned.  0 or -ENOMEM. */
static int make_root(const struct index *index, const struct stack_change *change,
		     const struct parts *parts, struct indexfile *ret)
{
	const struct indexfile *from = change->root ? change->root : &index->root;
	struct indexfile root = *from;
	size_t size = root.segment_count * sizeof *root.segments;

	root.runs = calloc(parts->run_count + 1, sizeof *root.runs);
	root.segments = malloc(size + 1);
	if (!root.runs || !root.segments) {
		indexfile_release(&root);
		return -ENOMEM;
	}
	if (size)
		memcpy(root.segments, from->segments, size);
	root.run_count = parts->run_count;
	root.seed = parts->seed;
	for (size_t i = 0; i < parts->run_count; i++) {
		const struct run_figures *figures = run_figures(parts->runs[i]);
		root.runs[i] = (struct indexfile_run){.id = figures->id,
						      .stamp = figures->stamp,
						      .size = figures->size,
						      .keys = figures->keys};
	}
	*ret = root;
	return 0;
}

static int install(struct index *index, const struct stack_change *change, const struct parts *runs)
{
	(void)pthread_mutex_lock(&index->change);
	struct parts parts = index->version->parts;
	parts.runs = runs->runs;
	parts.run_count = runs->run_count;
	assert(parts.sealed_count >= change->sealed_count);
	parts.sealed_count -= change->sealed_count;
	assert(!change->sealed_count || parts.sealed[parts.sealed_count] == change->sealed[0]);
	struct version *next = version_new(&parts);
	if (next)
		index_replace(index, next);
	(void)pthread_mutex_unlock(&index->change);
	return next ? 0 : -ENOMEM;
}

/* `parts`: with the runs that there will be. */
static int exchange(struct index *index, const struct stack_change *change,
		    const struct parts *parts)
{
	bool named = change->root || index->root.position.segment;
	struct indexfile root = {0};
	int rc = named ? make_root(index, change, parts, &root) : 0;

	if (!rc && named)
		rc = root_write(index, &root);
	if (rc < 0) {
		indexfile_release(&root);
		return rc;
	}
	/* Without memory for it what is in memory stays as it was, and is right.  So does the root:
	 * the next one is made of the runs that are in memory, which reach no further. */
	if (install(index, change, parts) < 0) {
		indexfile_release(&root);
		return -EINPROGRESS;
	}
	indexfile_release(&index->root);
	index->root = root;
	for (size_t i = 0; i < change->run_count; i++)
		stack_remove_run(index, run_figures(change->runs[i])->id);
	return 0;
}

static int exchange_locked(struct index *index, const struct stack_change *change)
{
	struct version *now = index_hold(index);
	struct run **runs = now ? calloc(now->parts.run_count + 1, sizeof(struct run *)) : NULL;
	int rc = runs ? 0 : -ENOMEM;

	if (!rc) {
		/* sealed deltas come while this goes on, runs do not */
		struct parts parts = now->parts;
		parts.run_count = list_runs(&now->parts, change, runs);
		parts.runs = runs;
		rc = parts.run_count > INDEXFILE_RUNS_MAX ? -EOVERFLOW
							  : exchange(index, change, &parts);
	}
	free(runs);
	version_free(now);
	return rc;
}

int stack_exchange(struct index *index, const struct stack_change *change)
{
	(void)pthread_mutex_lock(&index->disk);
	int rc = exchange_locked(index, change);
	/* one that may be named stays: the next writer knows whether it is */
	if (rc < 0 && rc != -EINPROGRESS && change->made)
		stack_remove_run(index, run_figures(change->made)->id);
	(void)pthread_mutex_unlock(&index->disk);
	if (!rc)
		stack_make_resident(index, UINT64_MAX);
	return rc == -EINPROGRESS ? -EIO : rc;
}

void stack_make_resident(struct index *index, uint64_t budget)
{
	struct version *now = index_hold(index);
	uint64_t left = budget < index->resident_max ? budget : index->resident_max;

	for (size_t i = 0; now && i < now->parts.run_count; i++) {
		struct run *run = now->parts.runs[i];
		uint64_t size = run_figures(run)->size;
		if (size > left)
			break;
		int rc = run_make_resident(run);
		if (rc == -EBADMSG)
			index_distrust(index);
		if (!rc) /* else it is read where it is mapped */
			left -= size;
	}
	version_free(now);
}
