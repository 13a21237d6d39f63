/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * version.c - see version.h.
 */
#include "index/version.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct segments *segments_new(const struct segset *set)
{
	struct segments *segments = calloc(1, sizeof *segments);

	if (!segments)
		return NULL;
	atomic_init(&segments->refs, 1);
	if (segset_copy(set, set->count, &segments->set) < 0) {
		free(segments);
		return NULL;
	}
	return segments;
}

struct segments *segments_ref(struct segments *segments)
{
	unsigned refs = atomic_fetch_add(&segments->refs, 1);

	assert(refs);
	return segments;
}

void segments_unref(struct segments *segments)
{
	if (!segments || atomic_fetch_sub(&segments->refs, 1) > 1)
		return;
	segset_release(&segments->set);
	free(segments);
}

/* Those of `from`, if `set` has no others. */
static struct segments *segments_for(const struct version *from, const struct segset *set)
{
	struct segments *known = from ? from->segments : NULL;
	size_t size = set ? set->count * sizeof *set->items : 0;

	if (!known && !set)
		return segments_new(&(const struct segset){0});
	if (known && (!set || (known->set.count == set->count &&
			       (!size || !memcmp(known->set.items, set->items, size))))) {
		return segments_ref(known);
	}
	return segments_new(set);
}

struct version *version_new(struct delta *active, struct delta *const *sealed, size_t sealed_count,
			    const struct version *from, const struct segset *set)
{
	size_t size = sizeof(struct version) + sealed_count * sizeof *sealed;
	size_t align = _Alignof(struct version);
	struct version *version = aligned_alloc(align, (size + align - 1) / align * align);

	if (!version)
		return NULL;
	memset(version, 0, sizeof *version);
	version->segments = segments_for(from, set);
	if (!version->segments) {
		free(version);
		return NULL;
	}
	version->active = active ? delta_ref(active) : NULL;
	version->sealed_count = sealed_count;
	for (size_t i = 0; i < sealed_count; i++)
		version->sealed[i] = delta_ref(sealed[i]);
	return version;
}

void version_free(struct version *version)
{
	if (!version)
		return;
	assert(!version_is_read(version));
	delta_unref(version->active);
	for (size_t i = 0; i < version->sealed_count; i++)
		delta_unref(version->sealed[i]);
	segments_unref(version->segments);
	free(version);
}

bool version_is_read(struct version *version)
{
	for (int i = 0; i < VERSION_SHARDS; i++)
		if (atomic_load(&version->pins[i].count))
			return true;
	return false;
}

int version_get_below(struct version *version, struct dw_bytes key, bool pin,
		      struct keydir_place *ret)
{
	struct keydir_place place;

	for (size_t i = 0; i < version->sealed_count; i++) {
		if (!keydir_get(&version->sealed[i]->keydir, key, pin, &place))
			continue;
		if (place.segment)
			*ret = place;
		return place.segment ? 1 : 0;
	}
	return 0;
}
