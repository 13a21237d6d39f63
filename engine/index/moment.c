/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * moment.c - moments of the index, see index.h.
 *
 * A moment has a version of its own, without an active delta, so it holds each of its parts.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "index/internal.h"
#include "index/readers.h"

/* The newest version with other segments, which go to `parts`. */
static int take_segments(const struct index *index, const struct segset *segments,
			 struct parts *parts)
{
	*parts = index->version->parts;
	parts->segments =
		segments ? segments_of(parts->segments, segments) : segments_ref(parts->segments);
	return parts->segments ? 0 : -ENOMEM;
}

static struct delta **with_first(struct delta *first, struct delta **rest, size_t count)
{
	struct delta **all = malloc((count + 1) * sizeof(struct delta *));

	if (!all)
		return NULL;
	all[0] = first;
	if (count)
		memcpy(all + 1, rest, count * sizeof(struct delta *));
	return all;
}

int index_seal_locked(struct index *index, const struct segset *segments)
{
	struct delta *sealed = index->active;
	struct parts parts;

	if (!delta_count(sealed))
		return 0;
	int rc = take_segments(index, segments, &parts);
	if (rc < 0)
		return rc;
	parts.sealed = with_first(sealed, parts.sealed, parts.sealed_count++);
	parts.active = delta_new(index->shards, atomic_load(&sealed->listed));
	struct version *next = parts.sealed && parts.active ? version_new(&parts) : NULL;
	if (next) {
		sealed->segments = segments_ref(parts.segments);
		index->active = parts.active;
		index_replace(index, next);
	}
	free(parts.sealed);
	delta_unref(parts.active);
	segments_unref(parts.segments);
	return next ? 0 : -ENOMEM;
}

int index_set_segments(struct index *index, const struct segset *segments)
{
	struct parts parts;

	(void)pthread_mutex_lock(&index->change);
	int rc = take_segments(index, segments, &parts);
	struct version *next = rc ? NULL : version_new(&parts);
	if (next)
		index_replace(index, next);
	if (!rc)
		segments_unref(parts.segments);
	(void)pthread_mutex_unlock(&index->change);
	return next ? 0 : -ENOMEM;
}

struct version *index_version_below(struct index *index, const struct segset *segments)
{
	struct parts parts;

	if (take_segments(index, segments, &parts) < 0)
		return NULL;
	parts.active = NULL;
	struct version *version = version_new(&parts);
	segments_unref(parts.segments);
	return version;
}

int index_seal(struct index *index, const struct segset *segments, struct index_moment **ret)
{
	struct index_moment *moment = calloc(1, sizeof *moment);

	if (!moment)
		return -ENOMEM;
	atomic_init(&moment->refs, 1);
	moment->count = index_count(index);
	(void)pthread_mutex_lock(&index->change);
	int rc = index_seal_locked(index, segments);
	if (!rc) {
		assert(!delta_count(index->active));
		moment->version = index_version_below(index, segments);
		rc = moment->version ? 0 : -ENOMEM;
	}
	(void)pthread_mutex_unlock(&index->change);
	if (rc < 0)
		index_moment_close(moment);
	else
		*ret = moment;
	return rc;
}

struct index_moment *moment_ref(struct index_moment *moment)
{
	unsigned refs = atomic_fetch_add(&moment->refs, 1);

	assert(refs);
	return moment;
}

void index_moment_close(struct index_moment *moment)
{
	if (!moment || atomic_fetch_sub(&moment->refs, 1) > 1)
		return;
	version_free(moment->version);
	free(moment);
}

int index_moment_get(const struct index_moment *moment, struct dw_bytes key, bool pin,
		     struct keydir_place *ret)
{
	int rc = parts_get_below(&moment->version->parts, key, pin, ret);

	return rc < 0 ? rc : rc ? 0 : -ENOENT;
}

uint64_t index_moment_count(const struct index_moment *moment)
{
	return moment->count;
}

const struct segset *index_moment_segments(const struct index_moment *moment)
{
	return &moment->version->parts.segments->set;
}

/* --- bringing deltas together --- */

/* Entries, for writers wait meanwhile; but if checkpoints fail there are ever more deltas. */
enum { FOLD_MAX = 1 << 16 };

/* All memory first: half of it folded, and `hides` of the rest would be wrong. */
static int prepare_all(struct delta *lower, struct delta *upper, struct delta_prepared *prepared)
{
	struct keydir_cursor cursor = {0};
	struct keydir_place place;
	struct dw_bytes key;
	size_t count = 0;
	int rc = 0;

	while (!rc && keydir_next(&upper->keydir, &cursor, &key, &place))
		rc = delta_prepare(lower, key, &prepared[count++]);
	for (size_t i = 0; rc < 0 && i < count; i++)
		delta_drop(lower, &prepared[i]);
	return rc;
}

static int fold_into(struct delta *lower, struct delta *upper)
{
	struct delta_prepared *prepared = calloc(delta_count(upper) + 1, sizeof *prepared);
	struct keydir_cursor cursor = {0};
	struct keydir_place place, old;
	struct dw_bytes key;
	int rc = prepared ? prepare_all(lower, upper, prepared) : -ENOMEM;

	for (size_t i = 0; !rc && keydir_next(&upper->keydir, &cursor, &key, &place); i++) {
		if (place.segment)
			(void)delta_set(lower, &prepared[i], &place, &old); /* known or not */
		else
			(void)delta_remove(lower, &prepared[i], place.mtime_ns, place.hides, &old);
	}
	free(prepared);
	return rc;
}

/* Readers who look into the active delta first find there what is being folded below it. */
static int fold_active(struct index *index)
{
	struct parts parts = index->version->parts;
	struct delta *upper = parts.active, *lower = parts.sealed[0];

	parts.active = lower;
	parts.sealed++;
	parts.sealed_count--;
	struct version *next = version_new(&parts);
	if (!next)
		return -ENOMEM;
	delta_unseal(lower);
	int rc = atomic_load(&upper->listed) ? delta_list(lower) : 0;
	if (!rc)
		rc = fold_into(lower, upper);
	if (rc < 0) {
		version_free(next);
		return rc;
	}
	index->active = lower;
	index_replace(index, next);
	return 0;
}

/* Only the newest version holds it, and readers who look keys up. */
static bool may_fold(const struct index *index)
{
	const struct parts *parts = &index->version->parts;

	return parts->sealed_count && atomic_load(&parts->sealed[0]->refs) == 1 &&
	       (delta_count(parts->active) <= FOLD_MAX || parts->sealed_count > SEALED_MAX);
}

void index_tidy(struct index *index)
{
	(void)pthread_mutex_lock(&index->change);
	while (may_fold(index) && !fold_active(index))
		; /* without the memory it stays as it is */
	(void)pthread_mutex_unlock(&index->change);
}
