/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_view.c - one volume taking the place of another, and the names of the control
 * directory.
 */
#include <errno.h>
#include <string.h>

#include "fs/control.h"
#include "fs/view.h"
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
		{"view_control_names", test_control_names},
		{NULL, NULL},
	};

	return check_main(argc, argv, tests);
}
