/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * merge.c - see merge.h.
 */
#include "index/merge.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* --- one source --- */

static int step(struct merge_source *source)
{
	struct merge_entry *entry = &source->entry;
	struct delta_entry of_delta;
	int rc = 1;

	source->given = false;
	if (!source->delta.delta) {
		rc = run_cursor_next(&source->run, &entry->key, &entry->place);
	} else if (delta_cursor_next(&source->delta, &of_delta)) {
		const struct keydir_place *place = &of_delta.place;
		*entry = (struct merge_entry){
			.key = of_delta.key,
			.segment = place->segment,
			.place = {.value_size = place->value_size,
				  .offset = place->offset,
				  .mtime_ns = place->mtime_ns,
				  .tombstone = !place->segment},
			.hides = place->hides,
		};
	} else {
		rc = 0;
	}
	source->has = rc == 1;
	return rc < 0 ? rc : 0;
}

int merge_init(struct merge *merge, const struct parts *parts)
{
	size_t most = 1 + parts->sealed_count + parts->run_count;
	int rc = 0;

	*merge = (struct merge){.sources = calloc(most, sizeof *merge->sources)};
	if (!merge->sources)
		return -ENOMEM;
	if (parts->active)
		rc = delta_cursor_init(&merge->sources[merge->count++].delta, parts->active);
	for (size_t i = 0; !rc && i < parts->sealed_count; i++)
		rc = delta_cursor_init(&merge->sources[merge->count++].delta, parts->sealed[i]);
	for (size_t i = 0; !rc && i < parts->run_count; i++)
		rc = run_cursor_init(&merge->sources[merge->count++].run, parts->runs[i]);
	return rc;
}

void merge_release(struct merge *merge)
{
	for (size_t i = 0; i < merge->count; i++) {
		if (merge->sources[i].delta.delta)
			delta_cursor_release(&merge->sources[i].delta);
		else
			run_cursor_release(&merge->sources[i].run);
	}
	free(merge->sources);
	*merge = (struct merge){.count = 0};
}

int merge_seek(struct merge *merge, struct dw_bytes key)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < merge->count; i++) {
		struct merge_source *source = &merge->sources[i];
		if (source->delta.delta)
			delta_cursor_seek(&source->delta, key);
		else
			rc = run_cursor_seek(&source->run, key);
		if (!rc)
			rc = step(source);
	}
	merge->is_alone = false;
	return rc;
}

/* --- all of them --- */

/* Let those go on whose key was told last. */
static int step_given(struct merge *merge)
{
	int rc = 0;

	if (merge->is_alone)
		return step(&merge->sources[merge->last]);
	for (size_t i = 0; !rc && i < merge->count; i++)
		if (merge->sources[i].given)
			rc = step(&merge->sources[i]);
	return rc;
}

static int compare(const struct merge *merge, size_t a, size_t b)
{
	return keydir_compare(merge->sources[a].entry.key, merge->sources[b].entry.key);
}

/* The last key was in one source only, and that one's next is below all others: as it mostly is. */
static bool is_still_least(const struct merge *merge)
{
	return merge->is_alone && merge->sources[merge->last].has &&
	       (merge->second == merge->count || compare(merge, merge->last, merge->second) < 0);
}

/* Find the least key, the newest source that has it, and the source with the next one. */
static void find_least(struct merge *merge)
{
	size_t least = merge->count, second = merge->count;

	for (size_t i = 0; i < merge->count; i++) {
		if (!merge->sources[i].has)
			continue;
		if (least == merge->count || compare(merge, i, least) < 0) {
			second = least;
			least = i;
		} else if (second == merge->count || compare(merge, i, second) < 0) {
			second = i;
		}
	}
	merge->last = least;
	merge->second = second;
}

int merge_next(struct merge *merge, struct merged *ret)
{
	int rc = step_given(merge);

	if (rc < 0) {
		merge->is_alone = false;
		return rc;
	}
	bool still = is_still_least(merge);
	if (!still)
		find_least(merge);
	if (merge->last == merge->count) {
		merge->is_alone = false;
		return 0;
	}
	struct merge_source *least = &merge->sources[merge->last];
	*ret = (struct merged){&least->entry, &least->entry, least->entry.place.change};
	least->given = true;
	merge->is_alone = still || merge->second == merge->count ||
			  compare(merge, merge->second, merge->last) != 0;
	for (size_t i = merge->last + 1; !merge->is_alone && i < merge->count; i++) {
		if (!merge->sources[i].has || compare(merge, i, merge->last))
			continue;
		merge->sources[i].given = true;
		ret->oldest = &merge->sources[i].entry;
		ret->change += merge->sources[i].entry.place.change;
	}
	return 1;
}
