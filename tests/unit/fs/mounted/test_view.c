/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_view.c - one volume taking the place of another, snapshots beside one, and the names
 * of the control directory.
 */
#include <errno.h>
#include <string.h>

#include "fs/mounted/control.h"
#include "fs/mounted/snapshots.h"
#include "tests/support/volumes.h"

struct world {
	const char *dir;
	int rc; /* what opening gives */
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

static struct views *new_views(struct world *world)
{
	const struct views_config config = {reopen, world, on_change, world};
	struct views *views = NULL;

	CHECK_EQ(views_new(open_reader(world->dir), &config, &views), 0);
	return views;
}

static void expect(struct views *views, const struct node *node, const char *path, const char *text)
{
	struct view *view = views_hold(views, node);

	volumes_expect(view->volume, path, text);
	views_drop(views, view);
}

/* A node tells its volume, which stays while the node is known. */
static void test_reload(void)
{
	struct world world = {.dir = stores_dir()};
	struct volume_entry dir, file;

	write_store(world.dir, "d/f", "old");
	struct views *views = new_views(&world);
	struct view *first = views_hold(views, NULL);
	CHECK_EQ(volume_lookup(first->volume, volume_root(first->volume), "d", &dir), 0);
	CHECK_EQ(volume_lookup(first->volume, dir.node, "f", &file), 0);
	write_store(world.dir, "d/f", "new");
	CHECK(views_is_newest(views, first->volume));
	CHECK_EQ(views_reload(views), 0);
	CHECK(!views_is_newest(views, first->volume));
	CHECK(world.changes == 1 && world.changed == first->volume);
	expect(views, NULL, "d/f", "new");
	expect(views, file.node, "d/f", "old");
	expect(views, dir.node, "d/f", "old");
	struct volume *old = first->volume;
	/* held by a request; then by the two nodes; then by one */
	CHECK_EQ(views_collect(views), 1);
	views_drop(views, first);
	CHECK_EQ(views_collect(views), 1);
	volume_forget(old, dir.node, 1);
	CHECK_EQ(views_collect(views), 1);
	volume_forget(old, file.node, 1);
	CHECK_EQ(views_collect(views), 0);
	CHECK_EQ(views_free(views), 0);
}

static void test_reload_fails(void)
{
	struct world world = {.dir = stores_dir(), .rc = -EBADMSG};

	write_store(world.dir, "f", "old");
	struct views *views = new_views(&world);
	write_store(world.dir, "f", "new");
	CHECK_EQ(views_reload(views), -EBADMSG);
	CHECK_EQ(world.changes, 0);
	expect(views, NULL, "f", "old");
	world.rc = 0;
	CHECK_EQ(views_reload(views), 0);
	expect(views, NULL, "f", "new");
	CHECK_EQ(views_free(views), 0);
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
	struct views *views = new_views(&world);
	for (int i = 0; i < MANY; i++) {
		struct view *view = views_hold(views, NULL);
		volumes[i] = view->volume;
		CHECK_EQ(volume_lookup(view->volume, volume_root(view->volume), "f", &entries[i]),
			 0);
		views_drop(views, view);
		(void)snprintf(text, sizeof text, "%d", i + 1);
		write_store(world.dir, "f", text);
		CHECK_EQ(views_reload(views), 0);
	}
	CHECK_EQ(views_collect(views), MANY);
	for (int i = 0; i < MANY; i += 2)
		volume_forget(volumes[i], entries[i].node, 1);
	CHECK_EQ(views_collect(views), MANY / 2);
	for (int i = 1; i < MANY; i += 2) {
		(void)snprintf(text, sizeof text, "%d", i);
		expect(views, entries[i].node, "f", text);
		volume_forget(volumes[i], entries[i].node, 1);
	}
	CHECK_EQ(views_free(views), 0);
}

static void test_writer_never_changes(void)
{
	struct views *views = NULL;
	struct volume *volume = volumes_mount(stores_dir());

	CHECK_EQ(views_new(volume, &(struct views_config){.open = NULL}, &views), 0);
	CHECK(!views_may_change(views));
	CHECK_EQ(views_reload(views), -EINVAL);
	struct view *view = views_hold(views, NULL);
	CHECK(view->volume == volume && views_is_newest(views, volume));
	views_drop(views, view);
	CHECK_EQ(views_collect(views), 0);
	CHECK_EQ(views_free(views), 0);
}

/* --- snapshots --- */

static void expect_names(struct views *views, const char *names)
{
	struct snapshot_entry entry = {.serial = 0};
	char got[256] = "";

	while (!snapshots_next(views, entry.serial, &entry)) {
		(void)strcat(got, entry.name);
		(void)strcat(got, "|");
	}
	CHECK(!strcmp(got, names));
}

static struct views *new_writer(const char *dir)
{
	struct views *views = NULL;

	CHECK_EQ(views_new(volumes_mount(dir), &(struct views_config){.open = NULL}, &views), 0);
	return views;
}

/* What is known of one keeps it, not its name; and a node tells which it is of. */
static void test_snapshots(void)
{
	struct views *views = new_writer(stores_dir());
	struct volume *volume = views_hold(views, NULL)->volume;
	struct volume_entry one, two, found, file;

	volumes_write(volume, "f", "1");
	CHECK_EQ(snapshots_add(views, "one", &one), 0);
	volumes_write(volume, "f", "2");
	CHECK_EQ(snapshots_add(views, "two", &two), 0);
	CHECK_EQ(snapshots_add(views, "one", &found), -EEXIST);
	expect_names(views, "one|two|");
	expect(views, one.node, "f", "1");
	expect(views, two.node, "f", "2");
	CHECK_EQ(snapshots_find(views, "one", &found), 0);
	CHECK(found.node == one.node && found.st.st_ino == one.st.st_ino);
	CHECK(one.st.st_ino != two.st.st_ino && one.st.st_ino != 1);
	/* a name keeps what nobody knows */
	struct view *view = views_hold(views, one.node);
	CHECK_EQ(volume_lookup(view->volume, one.node, "f", &file), 0);
	CHECK(file.st.st_ino != volumes_stat(volume, "f").st_ino);
	volume_forget(view->volume, one.node, 2);
	views_drop(views, view);
	CHECK_EQ(views_collect(views), 0);
	CHECK_EQ(snapshots_remove(views, "one"), 0);
	CHECK_EQ(snapshots_remove(views, "one"), -ENOENT);
	CHECK_EQ(snapshots_find(views, "one", &found), -ENOENT);
	expect_names(views, "two|");
	CHECK_EQ(snapshots_count(views), 1);
	CHECK_EQ(views_collect(views), 1);
	expect(views, file.node, "f", "1");
	/* the same name again, beside it */
	CHECK_EQ(snapshots_add(views, "one", &found), 0);
	CHECK(found.node != one.node && found.st.st_ino == one.st.st_ino);
	expect_names(views, "two|one|");
	view = views_hold(views, file.node);
	volume_forget(view->volume, file.node, 1);
	CHECK_EQ(views_collect(views), 1); /* held */
	views_drop(views, view);
	CHECK_EQ(views_collect(views), 0);
	CHECK_EQ(views_free(views), 0);
}

static void count_known(void *context, struct node *parent, const char *name)
{
	size_t *count = context;

	CHECK(parent != NULL && !strcmp(name, "f"));
	++*count;
}

/* Only of what was removed, and only what somebody has. */
static void test_snapshots_left(void)
{
	struct views *views = new_writer(stores_dir());
	struct volume *volume = views_hold(views, NULL)->volume;
	struct volume_entry root, file;
	size_t count = 0;

	volumes_write(volume, "e", "1");
	volumes_write(volume, "f", "1");
	CHECK_EQ(snapshots_add(views, "unseen", &root), 0);
	CHECK_EQ(snapshots_remove(views, "unseen"), 0);
	CHECK_EQ(snapshots_add(views, "s", &root), 0);
	struct view *view = views_hold(views, root.node);
	CHECK_EQ(volume_lookup(view->volume, root.node, "f", &file), 0);
	views_drop(views, view);
	views_for_left(views, count_known, &count);
	CHECK_EQ(count, 0);
	CHECK_EQ(snapshots_remove(views, "s"), 0);
	views_for_left(views, count_known, &count);
	CHECK_EQ(count, 1);
	CHECK_EQ(views_collect(views), 2);
	CHECK_EQ(views_free(views), 0);
}

static void test_snapshots_read_only(void)
{
	struct world world = {.dir = stores_dir()};
	struct volume_entry entry;

	write_store(world.dir, "f", "1");
	struct views *views = new_views(&world);
	CHECK_EQ(snapshots_add(views, "s", &entry), -EROFS);
	CHECK_EQ(snapshots_count(views), 0);
	CHECK_EQ(views_free(views), 0);
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
		{"view_reload", test_reload},
		{"view_reload_fails", test_reload_fails},
		{"view_many", test_many},
		{"view_writer_never_changes", test_writer_never_changes},
		{"view_snapshots", test_snapshots},
		{"view_snapshots_left", test_snapshots_left},
		{"view_snapshots_read_only", test_snapshots_read_only},
		{"view_control_names", test_control_names},
		{NULL, NULL},
	};

	return check_main(argc, argv, tests);
}
