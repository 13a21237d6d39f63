/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * version.c - see version.h.
 */
#include "index/version.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct version *version_new(const struct parts *parts)
{
	size_t count = parts->sealed_count + parts->run_count;
	size_t size = sizeof(struct version) + count * sizeof(void *);
	const size_t align = _Alignof(struct version);
	struct version *version = aligned_alloc(align, (size + align - 1) / align * align);

	assert(parts->segments);
	if (!version)
		return NULL;
	memset(version, 0, sizeof *version);
	version->parts = *parts;
	version->parts.sealed = (struct delta **)version->pointers;
	version->parts.runs = (struct run **)(version->pointers + parts->sealed_count);
	(void)segments_ref(parts->segments);
	if (parts->active)
		(void)delta_ref(parts->active);
	for (size_t i = 0; i < parts->sealed_count; i++)
		version->parts.sealed[i] = delta_ref(parts->sealed[i]);
	for (size_t i = 0; i < parts->run_count; i++)
		version->parts.runs[i] = run_ref(parts->runs[i]);
	return version;
}

void version_free(struct version *version)
{
	if (!version)
		return;
	assert(!version_is_read(version));
	struct parts *parts = &version->parts;
	delta_unref(parts->active);
	for (size_t i = 0; i < parts->sealed_count; i++)
		delta_unref(parts->sealed[i]);
	for (size_t i = 0; i < parts->run_count; i++)
		run_unref(parts->runs[i]);
	segments_unref(parts->segments);
	free(version);
}

bool version_is_read(struct version *version)
{
	for (int i = 0; i < VERSION_SHARDS; i++)
		if (atomic_load(&version->pins[i].count))
			return true;
	return false;
}

int parts_place(const struct parts *parts, const struct run_place *place, struct keydir_place *ret)
{
	struct dw_segment *segment = segments_find(parts->segments, place->segment);

	if (!segment)
		return -EBADMSG;
	*ret = (struct keydir_place){.segment = segment,
				     .offset = place->offset,
				     .mtime_ns = place->mtime_ns,
				     .value_size = place->value_size};
	return 0;
}

static int get_from_runs(const struct parts *parts, struct dw_bytes key, struct keydir_place *ret)
{
	uint64_t hash = run_hash(parts->seed, key);
	struct run_place place;

	/* most keys are in the last one, or in none: the waits for memory overlap */
	for (size_t i = 1; i < parts->run_count; i++)
		run_prefetch(parts->runs[i], key, hash);
	for (size_t i = 0; i < parts->run_count; i++) {
		int rc = run_get(parts->runs[i], key, hash, &place);
		if (rc < 0)
			return rc;
		if (!rc)
			continue;
		if (place.tombstone)
			return 0;
		rc = parts_place(parts, &place, ret);
		return rc < 0 ? rc : 1;
	}
	return 0;
}

/* Whether a sealed delta knows the key; then `*ret` is where it is, segment NULL: it was removed.
 */
static bool get_from_sealed(const struct parts *parts, struct dw_bytes key, bool pin,
			    struct keydir_place *ret)
{
	for (size_t i = 0; i < parts->sealed_count; i++)
		if (keydir_get(&parts->sealed[i]->keydir, key, pin, ret))
			return true;
	return false;
}

int parts_get_below(const struct parts *parts, struct dw_bytes key, bool pin,
		    struct keydir_place *ret)
{
	struct keydir_place place;

	if (get_from_sealed(parts, key, pin, &place)) {
		if (place.segment)
			*ret = place;
		return place.segment ? 1 : 0;
	}
	int rc = parts->run_count ? get_from_runs(parts, key, ret) : 0;
	if (rc == 1 && pin) {
		segment_prefetch(ret->segment, ret->offset);
		(void)segment_ref(ret->segment);
	}
	return rc;
}

/* --- several keys --- */

/* The answer of a run about a key.  True: it is all there is to say. */
static bool take_answer(const struct parts *parts, const struct run_probe *answer,
			struct parts_probe *probe)
{
	if (!answer->rc)
		return false;
	probe->rc = answer->rc;
	if (answer->rc < 0)
		return true;
	probe->rc = 0;
	if (!answer->place.tombstone) {
		int rc = parts_place(parts, &answer->place, probe->place);
		probe->rc = rc < 0 ? rc : 1;
	}
	return true;
}

/* Ask one run after the other about those keys that none before knew. */
static void get_many_from_runs(const struct parts *parts, struct parts_probe **probes, size_t count)
{
	struct run_probe asked[PARTS_PROBES];

	for (size_t i = 0; i < count; i++) {
		const struct dw_bytes *key = probes[i]->key;
		asked[i].key = run_bytes(key->data, key->size);
		asked[i].hash = run_hash(parts->seed, *key);
	}
	for (size_t r = 0; r < parts->run_count && count; r++) {
		size_t left = 0;
		run_get_many(parts->runs[r], asked, count);
		for (size_t i = 0; i < count; i++) {
			if (take_answer(parts, &asked[i], probes[i]))
				continue;
			asked[left] = asked[i];
			probes[left++] = probes[i];
		}
		count = left;
	}
}

void parts_get_below_many(const struct parts *parts, struct parts_probe *probes, size_t count)
{
	struct parts_probe *left[PARTS_PROBES];
	size_t n = 0;

	assert(count <= PARTS_PROBES);
	if (count == 1) {
		probes->rc = parts_get_below(parts, *probes->key, false, probes->place);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		struct keydir_place place;
		probes[i].rc = 0;
		if (!get_from_sealed(parts, *probes[i].key, false, &place)) {
			left[n++] = &probes[i];
		} else if (place.segment) {
			*probes[i].place = place;
			probes[i].rc = 1;
		}
	}
	get_many_from_runs(parts, left, n);
}
