/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_generation.c - one volume taking the place of another, snapshots beside one, and the names
 * of the control directory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/clock.h"
#include "fs/mounted/control.h"
#include "fs/mounted/snapshots.h"
#include "tests/support/volumes.h"

struct world {
	const char *dir;
	int rc; /* the result of opening */
	struct volume *changed;
	size_t changes;
};

static struct volume *open_reader(const char *dir)
{
	const struct dw_options options = {.read_only = true};
	struct volume_options volume_options = volumes_defaults;
	struct dw_store *store = NULL;
	struct volume *volume = NULL;

	volume_options.read_only = true;
	CHECK_EQ(dw_open(dir, &options, NULL, &store), 0);
	CHECK_EQ(volume_open(store, &volume_options, &volume), 0);
	return volume;
}

static int reopen(void *context, struct volume **ret)
{
	const struct world *world = context;

	if (!world->rc)
		*ret = open_reader(world->dir);
	return world->rc;
}

static void on_change(void *context, struct volume *old)
{
	struct world *world = context;

	world->changed = old;
	world->changes++;
}

static void write_store(const char *dir, const char *key, const char *value)
{
	const struct dw_options options = {.create = true};
	struct dw_store *store = NULL;

	CHECK_EQ(dw_open(dir, &options, NULL, &store), 0);
	CHECK_EQ(dw_put(store, (struct dw_bytes){key, strlen(key)},
			(struct dw_bytes){value, strlen(value)}),
		 0);
	CHECK_EQ(dw_close(store), 0);
}

static struct generations *new_generations(struct world *world)
{
	const struct generations_config config = {.open = reopen,
						  .open_context = world,
						  .changed = on_change,
						  .changed_context = world};
	struct generations *generations = NULL;

	CHECK_EQ(generations_new(open_reader(world->dir), &config, &generations), 0);
	return generations;
}

static void expect(struct generations *generations, const struct node *node, const char *path,
		   const char *text)
{
	struct generation *generation = generations_hold(generations, node);

	volumes_expect(generation->volume, path, text);
	volumes_forget(generation->volume);
	generations_drop(generations, generation);
}

/* A node tells its volume, which stays while the node is known. */
static void test_reload(void)
{
	struct world world = {.dir = stores_dir()};
	struct volume_entry dir, file;

	write_store(world.dir, "d/f", "old");
	struct generations *generations = new_generations(&world);
	struct generation *first = generations_hold(generations, NULL);
	CHECK_EQ(volume_lookup(first->volume, volume_root(first->volume), "d", &dir), 0);
	CHECK_EQ(volume_lookup(first->volume, dir.node, "f", &file), 0);
	write_store(world.dir, "d/f", "new");
	CHECK(generations_is_newest(generations, first->volume));
	CHECK_EQ(generations_reload(generations), 0);
	CHECK(!generations_is_newest(generations, first->volume));
	CHECK(world.changes == 1 && world.changed == first->volume);
	expect(generations, NULL, "d/f", "new");
	expect(generations, file.node, "d/f", "old");
	expect(generations, dir.node, "d/f", "old");
	struct volume *old = first->volume;
	/* held by a request; then by the two nodes; then by one */
	CHECK_EQ(generations_collect(generations), 1);
	generations_drop(generations, first);
	CHECK_EQ(generations_collect(generations), 1);
	volume_forget(old, dir.node, 1);
	CHECK_EQ(generations_collect(generations), 1);
	volume_forget(old, file.node, 1);
	CHECK_EQ(generations_collect(generations), 0);
	CHECK_EQ(generations_free(generations), 0);
}

static void test_reload_fails(void)
{
	struct world world = {.dir = stores_dir(), .rc = -EBADMSG};

	write_store(world.dir, "f", "old");
	struct generations *generations = new_generations(&world);
	write_store(world.dir, "f", "new");
	CHECK_EQ(generations_reload(generations), -EBADMSG);
	CHECK_EQ(world.changes, 0);
	expect(generations, NULL, "f", "old");
	world.rc = 0;
	CHECK_EQ(generations_reload(generations), 0);
	expect(generations, NULL, "f", "new");
	CHECK_EQ(generations_free(generations), 0);
}

/* Many, some of them known: each is closed with the last that is known of it. */
static void test_many(void)
{
	enum { MANY = 8 };
	struct world world = {.dir = stores_dir()};
	struct volume_entry entries[MANY];
	struct volume *volumes[MANY];
	char text[16];

	write_store(world.dir, "f", "0");
	struct generations *generations = new_generations(&world);
	for (int i = 0; i < MANY; i++) {
		struct generation *generation = generations_hold(generations, NULL);
		volumes[i] = generation->volume;
		CHECK_EQ(volume_lookup(generation->volume, volume_root(generation->volume), "f",
				       &entries[i]),
			 0);
		generations_drop(generations, generation);
		(void)snprintf(text, sizeof text, "%d", i + 1);
		write_store(world.dir, "f", text);
		CHECK_EQ(generations_reload(generations), 0);
	}
	CHECK_EQ(generations_collect(generations), MANY);
	for (int i = 0; i < MANY; i += 2)
		volume_forget(volumes[i], entries[i].node, 1);
	CHECK_EQ(generations_collect(generations), MANY / 2);
	for (int i = 1; i < MANY; i += 2) {
		(void)snprintf(text, sizeof text, "%d", i);
		expect(generations, entries[i].node, "f", text);
		volume_forget(volumes[i], entries[i].node, 1);
	}
	CHECK_EQ(generations_free(generations), 0);
}

static void test_writer_never_changes(void)
{
	struct generations *generations = NULL;
	struct volume *volume = volumes_mount(stores_dir());

	CHECK_EQ(generations_new(volume, &(struct generations_config){.open = NULL}, &generations),
		 0);
	CHECK(!generations_may_change(generations));
	CHECK_EQ(generations_reload(generations), -EINVAL);
	struct generation *generation = generations_hold(generations, NULL);
	CHECK(generation->volume == volume && generations_is_newest(generations, volume));
	generations_drop(generations, generation);
	CHECK_EQ(generations_collect(generations), 0);
	CHECK_EQ(generations_free(generations), 0);
}

/* --- snapshots --- */

static void expect_names(struct generations *generations, const char *names)
{
	struct snapshot_name *list = NULL;
	size_t count = 0;
	char got[256] = "";

	CHECK_EQ(snapshots_list(generations, &list, &count), 0);
	for (size_t i = 0; i < count; i++) {
		(void)strcat(got, list[i].name);
		(void)strcat(got, "|");
	}
	free(list);
	CHECK(!strcmp(got, names));
}

static int open_snapshot(void *context, int dirfd, const char *name, struct volume **ret)
{
	size_t *opened = context;

	*ret = volumes_open_snapshot(dirfd, name);
	++*opened;
	return 0;
}

/* `*opened` counts how often a snapshot is opened. */
static struct generations *new_writer(const char *dir, size_t *opened, int64_t idle_ms)
{
	const struct generations_config config = {
		.open_context = opened, .open_snapshot = open_snapshot, .idle_ms = idle_ms};
	struct generations *generations = NULL;

	*opened = 0;
	CHECK_EQ(generations_new(volumes_mount(dir), &config, &generations), 0);
	return generations;
}

static struct volume *writer_of(struct generations *generations)
{
	struct generation *generation = generations_hold(generations, NULL);

	generations_drop(generations, generation);
	return generation->volume;
}

/* Count no more on a node that was looked up. */
static void forget(struct generations *generations, struct node *node, uint64_t count)
{
	struct generation *generation = generations_hold(generations, node);

	volume_forget(generation->volume, node, count);
	generations_drop(generations, generation);
}

/* A known node keeps its generation, a name does not; and a node tells its generation. */
static void test_snapshots(void)
{
	size_t opened;
	struct generations *generations = new_writer(stores_dir(), &opened, 0);
	struct volume *volume = writer_of(generations);
	struct volume_entry one, two, found, file;

	volumes_write(volume, "f", "1");
	CHECK_EQ(snapshots_add(generations, "one", false, &one), 0);
	volumes_write(volume, "f", "2");
	CHECK_EQ(snapshots_add(generations, "two", false, &two), 0);
	CHECK_EQ(snapshots_add(generations, "one", false, &found), -EEXIST);
	expect_names(generations, "one|two|");
	expect(generations, one.node, "f", "1");
	expect(generations, two.node, "f", "2");
	CHECK_EQ(snapshots_find(generations, "one", &found), 0);
	CHECK(found.node == one.node && found.st.st_ino == one.st.st_ino);
	CHECK(one.st.st_ino != two.st.st_ino && one.st.st_ino != 1);
	CHECK_EQ(opened, 2);
	struct generation *generation = generations_hold(generations, one.node);
	CHECK_EQ(volume_lookup(generation->volume, one.node, "f", &file), 0);
	CHECK(file.st.st_ino != volumes_stat(volume, "f").st_ino);
	volume_forget(generation->volume, one.node, 2);
	generations_drop(generations, generation);
	CHECK_EQ(generations_collect(generations), 0);
	CHECK_EQ(snapshots_remove(generations, "one"), 0);
	CHECK_EQ(snapshots_remove(generations, "one"), -ENOENT);
	CHECK_EQ(snapshots_find(generations, "one", &found), -ENOENT);
	expect_names(generations, "two|");
	CHECK_EQ(generations_collect(generations), 1);
	expect(generations, file.node, "f", "1");
	/* the same name again, beside it */
	CHECK_EQ(snapshots_add(generations, "one", false, &found), 0);
	CHECK(found.node != one.node && found.st.st_ino == one.st.st_ino);
	expect(generations, found.node, "f", "2");
	generation = generations_hold(generations, file.node);
	volume_forget(generation->volume, file.node, 1);
	CHECK_EQ(generations_collect(generations), 1); /* held */
	generations_drop(generations, generation);
	CHECK_EQ(generations_collect(generations), 0);
	CHECK_EQ(generations_free(generations), 0);
}

/* They are there at the next mount, also at one that only reads, opened when they are looked for.
 */
static void test_snapshots_last(void)
{
	struct world world = {.dir = stores_dir()};
	size_t opened;
	struct generations *generations = new_writer(world.dir, &opened, 0);
	struct volume_entry entry, again;

	volumes_write(writer_of(generations), "f", "1");
	CHECK_EQ(snapshots_add(generations, "s", false, &entry), 0);
	CHECK_EQ(snapshots_add(generations, "brief", true, &again), 0);
	expect_names(generations, "brief|s|");
	volumes_write(writer_of(generations), "f", "2");
	snapshots_end(generations);
	CHECK_EQ(generations_free(generations), 0);
	generations = new_writer(world.dir, &opened, 0);
	expect_names(generations, "s|");
	CHECK_EQ(opened, 0);
	CHECK_EQ(snapshots_find(generations, "s", &again), 0);
	CHECK_EQ(again.st.st_ino, entry.st.st_ino);
	expect(generations, again.node, "f", "1");
	CHECK_EQ(generations_free(generations), 0);

	generations = new_generations(&world);
	expect_names(generations, "s|");
	CHECK_EQ(snapshots_find(generations, "s", &entry), -ENOTSUP);
	CHECK_EQ(snapshots_find(generations, "t", &entry), -ENOENT);
	CHECK_EQ(snapshots_add(generations, "t", false, &entry), -EROFS);
	CHECK_EQ(snapshots_remove(generations, "s"), -EROFS);
	CHECK_EQ(generations_free(generations), 0);
}

/* Another program removed it, and made another one of the name. */
static void test_snapshots_replaced(void)
{
	size_t opened;
	struct generations *generations = new_writer(stores_dir(), &opened, 0);
	struct volume *volume = writer_of(generations);
	const int dirfd = dw_directory_fd(volume_store(volume));
	struct volume_entry old, new;

	volumes_write(volume, "f", "1");
	CHECK_EQ(snapshots_add(generations, "s", false, &old), 0);
	CHECK_EQ(dw_snapshot_remove(dirfd, "s"), 0);
	CHECK_EQ(snapshots_find(generations, "s", &new), -ENOENT);
	volumes_write(volume, "f", "2");
	CHECK_EQ(volume_snapshot(volume, "s", false), 0);
	CHECK_EQ(snapshots_find(generations, "s", &new), 0);
	expect(generations, new.node, "f", "2");
	expect(generations, old.node, "f", "1");
	CHECK_EQ(dw_snapshot_remove(dirfd, "s"), 0);
	CHECK_EQ(volume_snapshot(volume, "s", false), 0);
	CHECK_EQ(snapshots_find(generations, "s", &old), 0);
	CHECK(old.node != new.node);
	CHECK_EQ(generations_free(generations), 0);
}

struct visits {
	size_t names, snapshots;
};

static void count_known(void *context, struct node *parent, const char *name)
{
	struct visits *visits = context;

	CHECK(!strcmp(name, parent ? "f" : "s"));
	*(parent ? &visits->names : &visits->snapshots) += 1;
}

/* Only nodes of removed ones, and only referenced nodes. */
static void test_snapshots_left(void)
{
	size_t opened;
	struct generations *generations = new_writer(stores_dir(), &opened, 0);
	struct volume *volume = writer_of(generations);
	struct volume_entry root, file;
	struct visits visits = {0};

	volumes_write(volume, "e", "1");
	volumes_write(volume, "f", "1");
	CHECK_EQ(snapshots_add(generations, "unseen", false, &root), 0);
	CHECK_EQ(snapshots_remove(generations, "unseen"), 0);
	CHECK_EQ(snapshots_add(generations, "s", false, &root), 0);
	struct generation *generation = generations_hold(generations, root.node);
	CHECK_EQ(volume_lookup(generation->volume, root.node, "f", &file), 0);
	generations_drop(generations, generation);
	generations_for_left(generations, count_known, &visits);
	CHECK(!visits.names && !visits.snapshots);
	CHECK_EQ(snapshots_remove(generations, "s"), 0);
	generations_for_left(generations, count_known, &visits);
	CHECK(visits.names == 1 && !visits.snapshots);
	CHECK_EQ(generations_collect(generations), 2);
	CHECK_EQ(generations_free(generations), 0);
}

/* One that is not used is to be forgotten, asked for once, closed when it is, and opened again. */
static void test_snapshots_idle(void)
{
	size_t opened;
	struct generations *generations = new_writer(stores_dir(), &opened, 1);
	struct volume_entry root, file;
	struct visits visits = {0};

	CHECK_EQ(generations_look_ms(generations, 0), -1);
	volumes_write(writer_of(generations), "f", "1");
	CHECK_EQ(snapshots_add(generations, "s", false, &root), 0);
	CHECK(generations_look_ms(generations, 0) > 0);
	struct generation *generation = generations_hold(generations, root.node);
	CHECK_EQ(volume_lookup(generation->volume, root.node, "f", &file), 0);
	generations_drop(generations, generation);
	const int64_t before = generation->used_ms;
	while (clock_monotonic_ms() < before + 2)
		;
	CHECK_EQ(generations_collect(generations), 1);
	generations_for_left(generations, count_known, &visits);
	CHECK(visits.names == 1 && visits.snapshots == 1);
	forget(generations, file.node, 1);
	forget(generations, root.node, 1);
	generation->used_ms -= 2000;
	CHECK_EQ(generations_collect(generations), 0);
	CHECK_EQ(generations_look_ms(generations, 0), -1);
	CHECK_EQ(opened, 1);
	CHECK_EQ(snapshots_find(generations, "s", &root), 0);
	CHECK_EQ(opened, 2);
	expect(generations, root.node, "f", "1");
	CHECK_EQ(generations_free(generations), 0);
}

/* Of many the oldest are to be forgotten sooner. */
static void test_snapshots_many(void)
{
	enum { MANY = 20, STAY = 16 };
	size_t opened, leaving = 0;
	struct generations *generations = new_writer(stores_dir(), &opened, 0);
	struct volume_entry root;
	char name[16];

	for (int i = 0; i < MANY; i++) {
		(void)snprintf(name, sizeof name, "s%02d", i);
		CHECK_EQ(snapshots_add(generations, name, false, &root), 0);
		struct generation *generation = generations_hold(generations, root.node);
		generations_drop(generations, generation);
		generation->used_ms -= 10000 - i;
	}
	CHECK_EQ(generations_collect(generations), MANY - STAY);
	for (const struct generation *at = generations->newest->next; at; at = at->next)
		if (at->leaving) {
			leaving++;
			CHECK(strcmp(at->name, "s04") < 0);
		}
	CHECK_EQ(leaving, MANY - STAY);
	CHECK_EQ(generations_free(generations), 0);
}

/* No key can be shown under a name that is valid here: they are quoted. */
static void test_control_names(void)
{
	static const char *const bad[] = {"", ".", "..", "a/b", "/", "%", "a%00", "%~x"};
	char name[258];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CHECK(!control_name_is_valid(bad[i]));
	CHECK(control_name_is_valid(".datawal") && control_name_is_valid("a b"));
	memset(name, 'x', sizeof name);
	name[256] = '\0';
	CHECK(!control_name_is_valid(name));
	name[255] = '\0';
	CHECK(control_name_is_valid(name));
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"generation_reload", test_reload},
		{"generation_reload_fails", test_reload_fails},
		{"generation_many", test_many},
		{"generation_writer_never_changes", test_writer_never_changes},
		{"generation_snapshots", test_snapshots},
		{"generation_snapshots_left", test_snapshots_left},
		{"generation_snapshots_last", test_snapshots_last},
		{"generation_snapshots_replaced", test_snapshots_replaced},
		{"generation_snapshots_idle", test_snapshots_idle},
		{"generation_snapshots_many", test_snapshots_many},
		{"generation_control_names", test_control_names},
		{NULL, NULL},
	};

	return check_main(argc, argv, tests);
}
