/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * open.c - from the files of an index to the index, see index.h.
 *
 * A file `index` that does not fit is not believed, nor is any run then.  A reader may race with a
 * writer that replaces runs: the runs named by the file are gone, and a newer file is there.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/limits.h"
#include "codec/segname.h"
#include "index/keyhash.h"
#include "index/readers.h"
#include "index/root.h"
#include "index/stack.h"

/* Bytes of runs: more would make opening slow; the next flush does it. */
enum { RESIDENT_AT_OPEN = 32 << 20 };

enum { TRIES = 100 };

/* --- runs --- */

static void close_runs(struct run **runs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		run_unref(runs[i]);
	free(runs);
}

static bool is_named(const struct indexfile *root, size_t i, const struct run *run)
{
	const struct run_figures *figures = run_figures(run);

	return figures->stamp == root->runs[i].stamp && figures->seed == root->seed &&
	       figures->size == root->runs[i].size && figures->keys == root->runs[i].keys;
}

/* 0, -EBADMSG: they are not what `root` says, or another -errno. */
static int open_runs(struct index *index, const struct indexfile *root, struct run ***ret)
{
	struct run **runs = calloc(root->run_count + 1, sizeof(struct run *));
	size_t count = 0;
	uint64_t keys = 0;
	int rc = runs ? 0 : -ENOMEM;

	while (!rc && count < root->run_count) {
		rc = run_open(index->io, index->dirfd, root->runs[count].id, &runs[count]);
		if (rc < 0)
			break;
		keys += (uint64_t)run_figures(runs[count])->change;
		if (!is_named(root, count, runs[count]))
			rc = -EBADMSG;
		count++;
	}
	if (!rc && keys != root->keys)
		rc = -EBADMSG;
	if (rc < 0)
		close_runs(runs, count);
	else
		*ret = runs;
	return rc;
}

/* `root` was written when all of the log before its position was on disk.  It proves that even if
 * the index is not used, but not for another file with the name of that segment. */
static void note_claim(struct index *index, const struct segset *set, const struct indexfile *root)
{
	index->claim = (struct index_position){.segment = root->position.segment};
	for (size_t i = 0; i < set->count; i++)
		if (set->items[i]->id == root->position.segment &&
		    root_is_file(root, set->items[i]))
			index->claim = root->position;
}

/* The index that the directory holds, not yet compared with its segments. */
static int load(struct index *index, const struct segset *set, struct indexfile *root,
		struct run ***runs_ret)
{
	int rc;

	for (int i = 0; i < TRIES; i++) {
		rc = root_read(index, root);
		if (rc < 0)
			return rc;
		note_claim(index, set, root);
		rc = open_runs(index, root, runs_ret);
		if (!rc)
			return 0;
		indexfile_release(root);
		if (rc != -ENOENT || index->writes)
			return rc;
	}
	return rc;
}

/* --- believing --- */

/* The figures of the segments, as the file states them. */
static void set_figures(const struct indexfile *root, const struct segments *segments)
{
	for (size_t i = 0; i < root->segment_count; i++) {
		const struct indexfile_segment *s = &root->segments[i];
		struct dw_segment *segment = segments_find(segments, s->id);
		bool last = i + 1 == root->segment_count;
		if (!segment)
			continue;
		segment->size = s->size;
		segment->live_bytes = s->live_bytes;
		segment->raw_bytes = s->raw_bytes;
		segment->last_txid = s->last_txid;
		segment->proof =
			(struct segment_proof){!last, s->crc, s->size, s->mtime_ns, s->inode};
	}
}

/* Set the runs of an index that is empty so far. */
static int adopt(struct index *index, const struct segset *set, uint64_t seed, struct run **runs,
		 size_t count)
{
	(void)pthread_mutex_lock(&index->change);
	struct parts parts = index->version->parts;
	assert(!parts.sealed_count && !parts.run_count && !delta_count(parts.active));
	parts.segments = segments_of(NULL, set);
	parts.runs = runs;
	parts.run_count = count;
	parts.seed = seed;
	struct version *next = parts.segments ? version_new(&parts) : NULL;
	if (next)
		index_replace(index, next);
	segments_unref(parts.segments);
	(void)pthread_mutex_unlock(&index->change);
	return next ? 0 : -ENOMEM;
}

/* 1: the index is believed, and `root` is taken over; 0: it is not. */
static int believe(struct index *index, const struct segset *set, struct indexfile *root,
		   struct run **runs)
{
	int rc = root_fits(root, set);

	if (rc == 1 && adopt(index, set, root->seed, runs, root->run_count) < 0)
		rc = -ENOMEM;
	if (rc != 1)
		return rc;
	set_figures(root, index->version->parts.segments);
	stack_make_resident(index, RESIDENT_AT_OPEN);
	atomic_store(&index->count, root->keys);
	index->root = *root;
	*root = (struct indexfile){0};
	return 1;
}

static int try_to_believe(struct index *index, const struct segset *set)
{
	struct indexfile root = {0};
	struct run **runs = NULL;
	int rc = load(index, set, &root, &runs);

	if (rc == -ENOMEM)
		return rc;
	if (rc < 0)
		return 0; /* whatever is wrong with it: the log has everything */
	size_t count = root.run_count;
	rc = believe(index, set, &root, runs);
	indexfile_release(&root);
	close_runs(runs, count);
	return rc;
}

/* --- leftovers --- */

/* Ids of the runs that are there, as their names say. */
struct names {
	uint32_t *ids; /* owned */
	size_t count, capacity;
};

static int on_name(void *context, const char *name)
{
	struct names *names = context;
	uint32_t id;

	if (!segname_parse_run(name, &id))
		return 0;
	if (names->count == names->capacity) {
		size_t capacity = names->capacity ? 2 * names->capacity : 8;
		uint32_t *ids = reallocarray(names->ids, capacity, sizeof *ids);
		if (!ids)
			return -ENOMEM;
		names->ids = ids;
		names->capacity = capacity;
	}
	names->ids[names->count++] = id;
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* None that is made from now on gets the name of one that is there: the widest gap is for them,
 * which is behind all of them unless a name was made up. */
static void choose_ids(struct index *index, const struct names *names)
{
	uint32_t next = 1, widest = 0;

	for (size_t i = 0; i <= names->count; i++) {
		uint32_t end = i < names->count ? names->ids[i] : SEGMENT_ID_MAX + 1;
		if (end > next && end - next > widest) {
			widest = end - next;
			index->next_run = next;
			index->run_end = end;
		}
		next = end + 1;
	}
	assert(index->next_run && index->next_run <= index->run_end);
}

static int list_runs(struct index *index, struct names *ret)
{
	int rc = index->io->list(index->io, index->dirfd, on_name, ret);

	if (!rc && ret->count)
		qsort(ret->ids, ret->count, sizeof *ret->ids, compare_ids);
	return rc;
}

static int begin_writing(struct index *index)
{
	struct names names = {.ids = NULL};
	int rc = list_runs(index, &names);

	if (!rc)
		choose_ids(index, &names);
	free(names.ids);
	return rc;
}

/* Whether it is in use, though `index` may not name it yet. */
static bool is_held(struct index *index, uint32_t id)
{
	bool held = false;

	(void)pthread_mutex_lock(&index->change);
	const struct parts *parts = &index->version->parts;
	for (size_t i = 0; !held && i < parts->run_count; i++)
		held = run_figures(parts->runs[i])->id == id;
	(void)pthread_mutex_unlock(&index->change);
	return held;
}

int index_clean(struct index *index, uint32_t *stray_ret)
{
	struct names names = {.ids = NULL};
	uint32_t stray = 0;
	/* Durably first: else it might once be believed, with other runs of those names. */
	int rc = index->root.position.segment ? 0 : root_remove(index);

	assert(index->writes);
	if (!rc)
		rc = list_runs(index, &names);
	for (size_t i = 0; !rc && i < names.count; i++) {
		uint32_t id = names.ids[i];
		int whose = is_held(index, id) ? 0 : root_look_at_run(index, id);
		if (whose == 1)
			stack_remove_run(index, id);
		else if (whose == -EEXIST)
			stray = id;
	}
	free(names.ids);
	if (!rc)
		*stray_ret = stray;
	return rc;
}

/* --- opening --- */

/* Secret, so that an attacker cannot choose keys by it. */
static uint64_t new_seed(void)
{
	uint64_t seed;

	if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed)
		seed = keyhash128((struct dw_bytes){"seed", 4}).low64;
	return seed;
}

int index_open(struct index *index, const struct segset *segments, bool writes,
	       struct index_position *position_ret)
{
	assert(index->version && !index->writes);
	index->writes = writes;
	int rc = try_to_believe(index, segments);
	if (!rc)
		rc = adopt(index, segments, new_seed(), NULL, 0);
	if (rc >= 0)
		rc = writes ? begin_writing(index) : 0;
	if (rc < 0)
		return rc;
	*position_ret = index->root.position;
	return 0;
}
