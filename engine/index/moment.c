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

#include "index/moment.h"
#include "index/retire.h"

/* Let the active delta be the newest sealed one, and a new one begin; `change` is held. */
static int seal_active(struct index *index, const struct segset *segments)
{
	const struct version *now = index->version;
	size_t count = now->sealed_count + 1;
	struct delta **sealed = malloc(count * sizeof *sealed), *active = delta_new();
	struct version *next = NULL;

	if (sealed && active) {
		sealed[0] = now->active;
		if (now->sealed_count)
			memcpy(sealed + 1, now->sealed, now->sealed_count * sizeof *sealed);
		next = version_new(active, sealed, count, now, segments);
	}
	free(sealed);
	delta_unref(active);
	if (!next)
		return -ENOMEM;
	now->active->segments = segments_ref(next->segments);
	index->active = active;
	index_replace(index, next);
	return 0;
}

/* The same list again is none. */
static int set_segments(struct index *index, const struct segset *segments)
{
	const struct version *now = index->version;
	struct version *next =
		version_new(now->active, now->sealed, now->sealed_count, now, segments);

	if (!next)
		return -ENOMEM;
	index_replace(index, next);
	return 0;
}

int index_set_segments(struct index *index, const struct segset *segments)
{
	(void)pthread_mutex_lock(&index->change);
	int rc = set_segments(index, segments);
	(void)pthread_mutex_unlock(&index->change);
	return rc;
}

static int seal(struct index *index, const struct segset *segments, struct index_moment *moment)
{
	int rc = delta_count(index->active) ? seal_active(index, segments) : 0;

	if (rc < 0)
		return rc;
	const struct version *now = index->version;
	moment->version = version_new(NULL, now->sealed, now->sealed_count, now, segments);
	moment->count = index_count(index);
	return moment->version ? 0 : -ENOMEM;
}

int index_seal(struct index *index, const struct segset *segments, struct index_moment **ret)
{
	struct index_moment *moment = calloc(1, sizeof *moment);

	if (!moment)
		return -ENOMEM;
	atomic_init(&moment->refs, 1);
	(void)pthread_mutex_lock(&index->change);
	int rc = seal(index, segments, moment);
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
	int rc = version_get_below(moment->version, key, pin, ret);

	return rc < 0 ? rc : rc ? 0 : -ENOENT;
}

uint64_t index_moment_count(const struct index_moment *moment)
{
	return moment->count;
}

const struct segset *index_moment_segments(const struct index_moment *moment)
{
	return &moment->version->segments->set;
}

/* --- bringing deltas together --- */

/* What `lower` must know for this to take the place of what it knows. */
static void fold_one(struct keydir *lower, struct dw_bytes key, const struct keydir_place *place,
		     struct keydir_prepared *prepared)
{
	struct keydir_place known;
	bool is_known = keydir_get(lower, key, false, &known);

	if (!place->segment && is_known && !known.hides) {
		(void)keydir_remove(lower, key, &known); /* it is known */
		keydir_drop(lower, prepared);
	} else {
		(void)keydir_set(lower, prepared, place, &known); /* it is known */
	}
}

static int fold_into(struct delta *lower, struct delta *upper)
{
	size_t count = delta_count(upper), at = 0;
	struct keydir_prepared *prepared = calloc(count + 1, sizeof *prepared);
	struct keydir_cursor cursor = {0};
	struct keydir_place place;
	struct dw_bytes key;
	int rc = prepared ? 0 : -ENOMEM;

	/* all memory first: half of it folded, and `hides` of the rest would be wrong */
	while (!rc && keydir_next(&upper->keydir, &cursor, &key, &place))
		rc = keydir_prepare(&lower->keydir, key, &prepared[at++]);
	for (size_t i = 0; rc < 0 && prepared && i < at; i++)
		keydir_drop(&lower->keydir, &prepared[i]);
	cursor = (struct keydir_cursor){0};
	for (at = 0; !rc && keydir_next(&upper->keydir, &cursor, &key, &place); at++)
		fold_one(&lower->keydir, key, &place, &prepared[at]);
	free(prepared);
	return rc;
}

/* Readers who look into the active delta first find there what is being folded below it. */
static int fold_active(struct index *index)
{
	const struct version *now = index->version;
	struct delta *lower = now->sealed[0];
	struct version *next =
		version_new(lower, now->sealed + 1, now->sealed_count - 1, now, NULL);
	int rc = next ? fold_into(lower, now->active) : -ENOMEM;

	if (rc < 0) {
		version_free(next);
		return rc;
	}
	free(lower->sorted);
	lower->sorted = NULL;
	segments_unref(lower->segments);
	lower->segments = NULL;
	index->active = lower;
	index_replace(index, next);
	return 0;
}

void index_tidy(struct index *index)
{
	(void)pthread_mutex_lock(&index->change);
	/* 1: only the newest version holds it, and readers who look keys up */
	while (index->version->sealed_count && atomic_load(&index->version->sealed[0]->refs) == 1)
		if (fold_active(index) < 0)
			break; /* without the memory it stays as it is */
	(void)pthread_mutex_unlock(&index->change);
}
