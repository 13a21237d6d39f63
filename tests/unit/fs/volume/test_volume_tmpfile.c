/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_volume_tmpfile.c - files that are made without a name, and may be given one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/volume/core.h"
#include "store/store.h"
#include "tests/support/spaceio.h"
#include "tests/support/volumes.h"

static struct node *make(struct volume *volume, const char *dir, mode_t mode)
{
	struct volume_entry entry;

	CHECK_EQ(volume_tmpfile(volume, &volumes_cred, volumes_find(volume, dir), mode, O_RDWR,
				&entry),
		 0);
	CHECK_EQ(entry.st.st_nlink, 0);
	return entry.node;
}

/* Close it, and have the kernel forget it. */
static void drop(struct volume *volume, struct node *node)
{
	volume_flush(volume, node);
	volume_release(volume, node);
	volume_forget(volume, node, 1);
}

static int give_name(struct volume *volume, struct node *node, const char *path)
{
	struct volume_entry entry;
	const char *name;
	struct node *parent = volumes_parent(volume, path, &name);
	int rc = volume_link(volume, node, parent, name, &entry);

	if (!rc) {
		CHECK(entry.node == node && entry.st.st_nlink == 1);
		volume_forget(volume, node, 1);
	}
	return rc;
}

static void test_named(void)
{
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);
	struct dw_stats before, after;

	CHECK_EQ(volumes_mkdir(v, "d"), 0);
	volumes_write(v, "taken", "t");
	dw_get_stats(volume_store(v), &before);
	struct node *f = make(v, "d", 0600);
	volumes_write_at(v, f, "value", 5, 0);
	CHECK_EQ(volume_fsync(v, f), 0);
	volumes_expect_list(v, "d", "");
	CHECK_EQ(give_name(v, f, "taken"), -EEXIST);
	CHECK_EQ(give_name(v, volumes_find(v, "taken"), "other"), -EPERM);
	dw_get_stats(volume_store(v), &after);
	CHECK_EQ(after.puts, before.puts);
	CHECK_EQ(give_name(v, f, "d/f"), 0);
	dw_get_stats(volume_store(v), &after);
	CHECK_EQ(after.puts, before.puts + 1); /* name and value at once */
	CHECK_EQ(give_name(v, f, "d/g"), -EPERM);
	volumes_expect(v, "d/f", "value");
	volumes_write_at(v, f, "V", 1, 0);
	drop(v, f);
	/* a file closed without a name is gone */
	f = make(v, "", 0600);
	volumes_write_at(v, f, "value", 5, 0);
	drop(v, f);
	/* a file that lost its name does not get another */
	f = volumes_open(v, "taken", O_RDWR, NULL);
	CHECK_EQ(volumes_unlink(v, "taken"), 0);
	CHECK_EQ(give_name(v, f, "taken"), -EPERM);
	volume_release(v, f);
	volumes_unmount(v);
	v = volumes_mount(dir);
	volumes_expect(v, "d/f", "Value");
	CHECK_EQ(volumes_stat(v, "d/f").st_mode & 07777, 0600);
	volumes_expect_list(v, "", "d|");
	volumes_expect_list(v, "d", "f|");
	volumes_unmount(v);
}

/* A name that could not be committed is none; later it can be. */
static void test_full_disk(void)
{
	static char bytes[100000];
	const char *dir = stores_dir();
	struct spaceio space;
	struct dw_store *store = NULL;
	struct volume *v = NULL;

	spaceio_init(&space);
	CHECK_EQ(store_open(&space.io, dir, &(struct dw_options){.create = true}, NULL, &store), 0);
	CHECK_EQ(volume_open(store, &volumes_defaults, &v), 0);
	volumes_write(v, "other", "o");
	struct node *f = make(v, "", 0640);
	memset(bytes, 'b', sizeof bytes);
	volumes_write_at(v, f, bytes, sizeof bytes, 0);
	space.room = 10000;
	CHECK_EQ(give_name(v, f, "f"), -ENOSPC);
	volumes_expect_list(v, "", "other|");
	volumes_expect_node(v, f, bytes, sizeof bytes);
	CHECK_EQ(volume_commit_all(v), 0); /* nothing of it is left to be committed */
	space.room = 10000000;
	CHECK_EQ(give_name(v, f, "f"), 0);
	drop(v, f);
	volumes_unmount(v);
	v = volumes_mount(dir);
	volumes_expect_list(v, "", "f|other|");
	CHECK_EQ(volumes_stat(v, "f").st_mode & 07777, 0640);
	CHECK_EQ(volumes_stat(v, "f").st_size, sizeof bytes);
	volumes_unmount(v);
}

static void test_refused(void)
{
	struct volume *v = volumes_mount(stores_dir());
	struct volume_entry entry;

	volumes_write(v, "f", "");
	CHECK_EQ(volumes_mkdir(v, "d"), 0);
	CHECK_EQ(volume_tmpfile(v, &volumes_cred, volumes_find(v, "f"), 0600, O_RDWR, &entry),
		 -ENOTDIR);
	CHECK_EQ(volume_lookup(v, volume_root(v), "d", &entry), 0);
	struct node *d = entry.node, *f = make(v, "d", 0600);
	CHECK_EQ(volumes_rmdir(v, "d"), 0);
	CHECK_EQ(volume_tmpfile(v, &volumes_cred, d, 0600, O_RDWR, &entry), -ENOENT);
	CHECK_EQ(volume_link(v, f, d, "name", &entry), -ENOENT);
	CHECK_EQ(volume_link(v, d, volume_root(v), "name", &entry), -EPERM);
	char name[300];
	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	CHECK_EQ(volume_link(v, f, volume_root(v), name, &entry), -ENAMETOOLONG);
	struct volume *frozen = volumes_snapshot(v, "moment");
	CHECK_EQ(volume_tmpfile(frozen, &volumes_cred, volume_root(frozen), 0600, O_RDWR, &entry),
		 -EROFS);
	volumes_unmount(frozen);
	CHECK_EQ(give_name(v, f, "%00"), 0); /* names are keys as always */
	CHECK_EQ(dw_contains(volume_store(v), (struct dw_bytes){"", 1}), true);
	volume_forget(v, d, 1);
	drop(v, f);
	volumes_unmount(v);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"tmpfile_named", test_named},
		{"tmpfile_full_disk", test_full_disk},
		{"tmpfile_refused", test_refused},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
