/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_demand_threads.c - nodes are made and freed in several threads at once: a lookup shows
 * values committed before it, and when all references are dropped no node is left.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/volume/core.h"
#include "tests/support/volumes.h"

enum { FILES = 4, WRITERS = 2, READERS = 3, ROUNDS = 10000 };

static struct {
	struct volume *volume;
	struct node *dir;
	atomic_uint committed[FILES]; /* bytes */
	atomic_uint writers_left;
} world;

/* Look a file up as a kernel does that forgets it at once. */
static void look(unsigned file)
{
	unsigned before = atomic_load(&world.committed[file]);
	struct volume_entry entry;
	struct stat st;
	char name[8];

	(void)snprintf(name, sizeof name, "f%u", file);
	CHECK_EQ(volume_lookup(world.volume, world.dir, name, &entry), 0);
	CHECK((unsigned)entry.st.st_size >= before);
	CHECK_EQ(volume_getattr(world.volume, entry.node, &st), 0);
	CHECK((unsigned)st.st_size >= before);
	volume_forget(world.volume, entry.node, 1);
}

static int count(void *context, const char *name, struct node *node, const struct stat *st,
		 uint64_t next)
{
	unsigned *files = context;

	(void)name;
	(void)next;
	*files += node && S_ISREG(st->st_mode);
	return 0;
}

/* Each file is there throughout. */
static void list(void)
{
	struct listing *listing = NULL;
	unsigned files = 0;

	CHECK_EQ(volume_opendir(world.volume, world.dir, &listing), 0);
	CHECK_EQ(volume_readdir(listing, 0, false, count, &files), 0);
	volume_closedir(listing);
	CHECK_EQ(files, FILES);
}

static void *read_files(void *context)
{
	struct rng rng = {(uint64_t)(uintptr_t)context};

	while (atomic_load(&world.writers_left)) {
		look((unsigned)rng_below(&rng, FILES));
		if (rng_below(&rng, 8) == 0)
			list();
	}
	return NULL;
}

/* A byte more each time, committed and forgotten. */
static void *write_files(void *context)
{
	unsigned who = (unsigned)(uintptr_t)context;

	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned file = who + WRITERS * (i % (FILES / WRITERS));
		unsigned size = atomic_load(&world.committed[file]);
		struct volume_entry entry;
		char name[8];
		(void)snprintf(name, sizeof name, "f%u", file);
		CHECK_EQ(volume_lookup(world.volume, world.dir, name, &entry), 0);
		CHECK_EQ(entry.st.st_size, size);
		CHECK_EQ(volume_open_file(world.volume, entry.node, O_WRONLY), 0);
		volumes_write_at(world.volume, entry.node, "x", 1, size);
		volume_release(world.volume, entry.node);
		volume_forget(world.volume, entry.node, 1);
		atomic_store(&world.committed[file], size + 1);
	}
	(void)atomic_fetch_sub(&world.writers_left, 1);
	return NULL;
}

static void test_threads(void)
{
	pthread_t threads[WRITERS + READERS];

	world.volume = volumes_mount(stores_dir());
	CHECK_EQ(volumes_mkdir(world.volume, "d"), 0);
	for (unsigned i = 0; i < FILES; i++) {
		char path[8];
		(void)snprintf(path, sizeof path, "d/f%u", i);
		volumes_write(world.volume, path, "");
	}
	volumes_forget(world.volume);
	struct volume_entry entry;
	CHECK_EQ(volume_lookup(world.volume, volume_root(world.volume), "d", &entry), 0);
	world.dir = entry.node;
	atomic_store(&world.writers_left, WRITERS);
	for (uintptr_t i = 0; i < WRITERS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, write_files, (void *)i), 0);
	for (uintptr_t i = 0; i < READERS; i++)
		CHECK_EQ(pthread_create(&threads[WRITERS + i], NULL, read_files, (void *)(i + 1)),
			 0);
	for (int i = 0; i < WRITERS + READERS; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(tree_count(&world.volume->tree), 1); /* the directory */
	volume_forget(world.volume, world.dir, 1);
	CHECK_EQ(tree_count(&world.volume->tree), 0);
	volumes_unmount(world.volume);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"demand_threads", test_threads},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
