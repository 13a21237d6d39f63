/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * dirs.c - see dirs.h.
 */
#include "index/dirs.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "index/keyhash.h"

enum { SLOTS_MIN = 64 };

void dirs_init(struct dirs *dirs)
{
	*dirs = (struct dirs){.slots = NULL};
	int rc = pthread_mutex_init(&dirs->lock, NULL);
	assert(!rc); /* glibc's takes nothing that could be missing */
}

void dirs_release(struct dirs *dirs)
{
	free(dirs->slots);
	(void)pthread_mutex_destroy(&dirs->lock); /* fails only in use */
}

/* Where the name of the next directory ends that `key` lies below, from `at` on; 0: none. */
static size_t next_end(struct dw_bytes key, size_t at)
{
	const uint8_t *data = key.data;
	const uint8_t *slash = at + 1 < key.size ? memchr(data + at, '/', key.size - 1 - at) : NULL;

	return slash ? (size_t)(slash - data) + 1 : 0;
}

size_t dirs_depth(struct dw_bytes key)
{
	size_t depth = key.size ? 1 : 0;

	for (size_t at = 0; (at = next_end(key, at));)
		depth++;
	return depth;
}

/* The hash of one prefix after the other of a key.  Short ones are hashed anew, which costs less
 * than to keep a state; of long ones only what is new, else a deep key would cost its square. */
struct prefixes {
	struct dw_bytes key;
	size_t hashed; /* bytes that `state` has; 0: it is not set */
	XXH3_state_t state;
};

enum { HASHED_ANEW = 240 };

static XXH128_hash_t hash_prefix(struct prefixes *prefixes, size_t size)
{
	const uint8_t *data = prefixes->key.data;

	assert(size <= prefixes->key.size && size >= prefixes->hashed);
	if (size <= HASHED_ANEW)
		return keyhash128((struct dw_bytes){data, size});
	/* neither fails: nothing is NULL, and the secret is long enough */
	if (!prefixes->hashed)
		(void)XXH3_128bits_reset_withSecret(&prefixes->state, keyhash_secret,
						    sizeof keyhash_secret);
	(void)XXH3_128bits_update(&prefixes->state, data + prefixes->hashed,
				  size - prefixes->hashed);
	prefixes->hashed = size;
	return XXH3_128bits_digest(&prefixes->state);
}

/* Never both halves 0. */
static struct dir name_of(XXH128_hash_t hash)
{
	return (struct dir){.high = hash.high64, .low = hash.low64 | 1, .newest_ns = INT64_MIN};
}

/* The slot of a directory, or the empty one where it would go. */
static struct dir *find(struct dir *slots, size_t mask, const struct dir *name)
{
	for (size_t i = (size_t)name->high;; i++) {
		struct dir *dir = &slots[i & mask];
		if (!dir->low || (dir->high == name->high && dir->low == name->low))
			return dir;
	}
}

static int grow(struct dirs *dirs, size_t size)
{
	struct dir *slots = calloc(size, sizeof *slots), *old = dirs->slots;

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; old && i <= dirs->mask; i++)
		if (old[i].low)
			*find(slots, size - 1, &old[i]) = old[i];
	(void)pthread_mutex_lock(&dirs->lock);
	dirs->slots = slots;
	dirs->mask = size - 1;
	(void)pthread_mutex_unlock(&dirs->lock);
	free(old);
	return 0;
}

int dirs_reserve(struct dirs *dirs, size_t depth)
{
	size_t needed = dirs->count + dirs->promised + depth;
	size_t size = dirs->slots ? dirs->mask + 1 : SLOTS_MIN;

	while (needed * 4 > size * 3)
		size *= 2;
	if (!dirs->slots || size > dirs->mask + 1)
		if (grow(dirs, size) < 0)
			return -ENOMEM;
	dirs->promised += depth;
	return 0;
}

void dirs_keep(struct dirs *dirs, size_t depth)
{
	assert(dirs->promised >= depth);
	dirs->promised -= depth;
}

static void add_one(struct dirs *dirs, const struct dir *name, int64_t change, int64_t newest_ns)
{
	struct dir *dir = find(dirs->slots, dirs->mask, name);

	if (!dir->low) {
		*dir = *name;
		dirs->count++;
		assert(dirs->count <= dirs->mask);
	}
	dir->change += change;
	if (newest_ns > dir->newest_ns)
		dir->newest_ns = newest_ns;
}

void dirs_add(struct dirs *dirs, struct dw_bytes key, int64_t change, int64_t newest_ns)
{
	struct prefixes prefixes;

	if (!key.size)
		return;
	prefixes.key = key;
	prefixes.hashed = 0;
	(void)pthread_mutex_lock(&dirs->lock);
	for (size_t at = 0;;) {
		const struct dir name = name_of(hash_prefix(&prefixes, at));
		add_one(dirs, &name, change, newest_ns);
		at = next_end(key, at);
		if (!at)
			break;
	}
	(void)pthread_mutex_unlock(&dirs->lock);
}

void dirs_get(struct dirs *dirs, struct dw_bytes prefix, int64_t *change, int64_t *newest_ns)
{
	const struct dir wanted = name_of(keyhash128(prefix));

	(void)pthread_mutex_lock(&dirs->lock);
	const struct dir *dir = dirs->slots ? find(dirs->slots, dirs->mask, &wanted) : NULL;
	if (dir && dir->low) {
		*change += dir->change;
		if (dir->newest_ns > *newest_ns)
			*newest_ns = dir->newest_ns;
	}
	(void)pthread_mutex_unlock(&dirs->lock);
}
