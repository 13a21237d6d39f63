/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_lost_threads.c - commits fail now and then while many write, read, rename and remove the
 * same files: when all is closed, the mount says what the next one will.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store.h"
#include "tests/support/spaceio.h"
#include "tests/support/volumes.h"

enum { FILES = 3, WRITERS = 3, ROUNDS = 1500, SIZE_MAX_WRITTEN = 3000 };

static struct {
	struct volume *volume;
	struct spaceio space;
	atomic_bool ended;
	atomic_int failed; /* closes that said so */
} world;

static void name_of(uint64_t i, char ret[8])
{
	(void)snprintf(ret, 8, "f%llu", (unsigned long long)(i % FILES));
}

/* NULL: it could not be opened, for want of memory or of the name. */
static struct node *open_one(const char *name, int flags)
{
	struct volume_entry entry;
	int rc = volume_create(world.volume, &volumes_cred, volume_root(world.volume), name, 0640,
			       flags, &entry);

	if (rc < 0)
		return NULL;
	volume_forget(world.volume, entry.node, 1);
	return entry.node;
}

static uint64_t values_lost(void)
{
	struct volume_figures figures;

	volume_get_figures(world.volume, &figures);
	return figures.values_lost;
}

static void *write_files(void *arg)
{
	struct rng rng = {(uint64_t)(uintptr_t)arg};
	static char bytes[SIZE_MAX_WRITTEN];
	char name[8];

	for (int i = 0; i < ROUNDS || !values_lost(); i++) {
		int flags = O_CREAT | O_RDWR | (rng_below(&rng, 2) ? O_TRUNC : 0);
		name_of(rng_next(&rng), name);
		struct node *node = open_one(name, flags);
		if (!node)
			continue;
		size_t size = 1 + rng_below(&rng, SIZE_MAX_WRITTEN);
		(void)volume_write(world.volume, node, bytes, size, rng_below(&rng, 100));
		int rc = rng_below(&rng, 4) ? volume_flush(world.volume, node) : 0;
		int lost = volume_release(world.volume, node);
		if (rc < 0 || lost < 0)
			atomic_fetch_add(&world.failed, 1);
	}
	return NULL;
}

/* Opens, renames and removes, and changes the room on the disk. */
static void *meddle(void *arg)
{
	struct rng rng = {7};
	char name[8], other[8], bytes[100];
	struct node *root = volume_root(world.volume);

	(void)arg;
	while (!atomic_load(&world.ended)) {
		struct volume_entry entry;
		name_of(rng_next(&rng), name);
		name_of(rng_next(&rng), other);
		switch (rng_below(&rng, 6)) {
		case 0: (void)volume_rename(world.volume, root, name, root, other, 0); break;
		case 1: (void)volume_unlink(world.volume, root, name); break;
		case 2:
		case 3:
			if (volume_lookup(world.volume, root, name, &entry))
				break;
			if (!volume_open_file(world.volume, entry.node, O_RDONLY)) {
				(void)volume_read(world.volume, entry.node, bytes, 100, 0);
				(void)volume_release(world.volume, entry.node);
			}
			volume_forget(world.volume, entry.node, 1);
			break;
		default:
			(void)pthread_mutex_lock(&world.space.lock);
			world.space.room = rng_below(&rng, 2) ? 1 << 30 : 0;
			(void)pthread_mutex_unlock(&world.space.lock);
		}
	}
	return NULL;
}

struct state {
	char *text[FILES]; /* NULL: no such file */
	size_t size[FILES];
};

static struct state state_of(struct volume *volume)
{
	struct state state = {.text = {NULL}};
	char name[8];

	for (uint64_t i = 0; i < FILES; i++) {
		name_of(i, name);
		struct node *node = volumes_find(volume, name);
		if (!node)
			continue;
		state.size[i] = (size_t)volumes_stat(volume, name).st_size;
		state.text[i] = malloc(state.size[i] + 1);
		CHECK_EQ(volume_open_file(volume, node, O_RDONLY), 0);
		CHECK_EQ(volume_read(volume, node, state.text[i], state.size[i] + 1, 0),
			 state.size[i]);
		CHECK_EQ(volume_release(volume, node), 0);
	}
	return state;
}

static void test_threads(void)
{
	char dir[128]; /* stores_dir() says only some of them at a time */
	struct volume_options options = volumes_defaults;
	struct dw_store *store = NULL;
	pthread_t writers[WRITERS], meddler;

	(void)snprintf(dir, sizeof dir, "%s", stores_dir());
	spaceio_init(&world.space);
	options.commit_ms = 1;
	CHECK_EQ(store_open(&world.space.io, dir, &(struct dw_options){.create = true}, NULL,
			    &store),
		 0);
	CHECK_EQ(volume_open(store, &options, &world.volume), 0);
	CHECK_EQ(volume_start(world.volume), 0);
	CHECK_EQ(pthread_create(&meddler, NULL, meddle, NULL), 0);
	for (uintptr_t i = 0; i < WRITERS; i++)
		CHECK_EQ(pthread_create(&writers[i], NULL, write_files, (void *)(i + 1)), 0);
	for (int i = 0; i < WRITERS; i++)
		CHECK_EQ(pthread_join(writers[i], NULL), 0);
	atomic_store(&world.ended, true);
	CHECK_EQ(pthread_join(meddler, NULL), 0);
	world.space.room = 1 << 30;

	struct volume_figures figures;
	volume_get_figures(world.volume, &figures);
	printf("  %d closes failed, %llu commits, %llu values lost\n", atomic_load(&world.failed),
	       (unsigned long long)figures.commits_failed, (unsigned long long)figures.values_lost);
	CHECK(figures.values_lost > 0);
	uint64_t count = dw_count(volume_store(world.volume));
	struct state live = state_of(world.volume);
	CHECK_EQ(volumes_close(world.volume), -ENOSPC);
	struct volume *v = volumes_mount(dir);
	struct state next = state_of(v);
	CHECK_EQ(dw_count(volume_store(v)), count); /* closing had nothing to commit */
	for (int i = 0; i < FILES; i++) {
		CHECK_EQ(!live.text[i], !next.text[i]);
		CHECK_EQ(live.size[i], next.size[i]);
		CHECK(!live.size[i] || !memcmp(live.text[i], next.text[i], live.size[i]));
		free(live.text[i]);
		free(next.text[i]);
	}
	volumes_unmount(v);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"lost_threads", test_threads},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
