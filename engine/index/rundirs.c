/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * rundirs.c - see rundirs.h.
 *
 * A key is added to its deepest directory only; a directory that is done is added to the one
 * above.  Names are hashed in one pass over the key, however deep it is.
 */
#include "index/rundirs.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* Room for one more element in an array; 0 or -ENOMEM. */
static int grow(void **array, uint32_t count, uint32_t *max, size_t size)
{
	if (count < *max)
		return 0;
	uint32_t more = *max ? *max * 2 : 16;
	void *grown = reallocarray(*array, more, size);
	if (!grown)
		return -ENOMEM;
	*array = grown;
	*max = more;
	return 0;
}

int rundirs_init(struct rundirs *dirs, uint64_t seed)
{
	*dirs = (struct rundirs){.seed = seed};
	int rc = grow((void **)&dirs->open, 0, &dirs->open_max, sizeof *dirs->open);
	if (rc < 0)
		return rc;
	dirs->open[0] = (struct rundir){.sums.newest = INT64_MIN};
	dirs->open_count = 1;
	return 0;
}

void rundirs_release(struct rundirs *dirs)
{
	if (dirs->hash)
		(void)XXH3_freeState(dirs->hash); /* cannot fail */
	free(dirs->open);
	free(dirs->done);
	*dirs = (struct rundirs){0};
}

int rundirs_leave(struct rundirs *dirs, size_t shared)
{
	assert(dirs->open_count);
	for (;;) {
		struct rundir *top = &dirs->open[dirs->open_count - 1];
		if (top->name_size <= shared)
			return 0;
		int rc = grow((void **)&dirs->done, dirs->done_count, &dirs->done_max,
			      sizeof *dirs->done);
		if (rc < 0)
			return rc;
		assert(dirs->open_count > 1); /* the root's name is empty */
		struct run_directory *above = &top[-1].sums;
		above->change += top->sums.change;
		if (above->newest < top->sums.newest)
			above->newest = top->sums.newest;
		dirs->done[dirs->done_count++] = top->sums;
		dirs->open_count--;
	}
}

/* The next `/` from `at` on that is not the last byte; key.size: there is none. */
static size_t next_slash(struct dw_bytes key, size_t at)
{
	const uint8_t *p = key.data;
	const uint8_t *slash = at + 1 < key.size ? memchr(p + at, '/', key.size - 1 - at) : NULL;

	return slash ? (size_t)(slash - p) : key.size;
}

static int open_directory(struct rundirs *dirs, size_t name_size)
{
	int rc = grow((void **)&dirs->open, dirs->open_count, &dirs->open_max, sizeof *dirs->open);

	if (rc < 0)
		return rc;
	dirs->open[dirs->open_count++] = (struct rundir){
		.name_size = (uint32_t)name_size,
		.sums = {.hash = XXH3_64bits_digest(dirs->hash), .newest = INT64_MIN},
	};
	return 0;
}

int rundirs_enter(struct rundirs *dirs, struct dw_bytes key, const struct run_place *place)
{
	size_t from = dirs->open[dirs->open_count - 1].name_size, hashed = 0;

	assert(from <= key.size);
	assert(run_place_is_valid(place));
	for (size_t at = next_slash(key, from); at < key.size; at = next_slash(key, at + 1)) {
		if (!dirs->hash && !(dirs->hash = XXH3_createState()))
			return -ENOMEM;
		if (!hashed)
			(void)XXH3_64bits_reset_withSeed(dirs->hash, dirs->seed); /* not NULL */
		(void)XXH3_64bits_update(dirs->hash, (const uint8_t *)key.data + hashed,
					 at + 1 - hashed); /* not NULL */
		hashed = at + 1;
		int rc = open_directory(dirs, at + 1);
		if (rc < 0)
			return rc;
	}
	struct run_directory *sums = &dirs->open[dirs->open_count - 1].sums;
	if (!key.size)
		return 0;
	sums->change += place->change;
	if (!place->tombstone && sums->newest < place->mtime_ns)
		sums->newest = place->mtime_ns;
	return 0;
}
