/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_volume_xattr.c - large extended attributes are not in memory, and are the file's
 * whatever happens to it.
 */
#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/attr/xattr.h"
#include "fs/volume/core.h"
#include "store/store.h"
#include "tests/support/files.h"
#include "tests/support/volumes.h"

enum { LARGE = 30000, SMALL = 100 };

/* Text of so many bytes that depends on `letter`. */
static void set(struct volume *volume, const char *path, char letter, size_t size)
{
	char *text = malloc(size);

	memset(text, letter, size);
	CHECK_EQ(volume_setxattr(volume, volumes_find(volume, path), "user.text", text, size, 0),
		 0);
	free(text);
}

static void expect_node(struct volume *volume, struct node *node, char letter, size_t size)
{
	char *got = malloc(LARGE), names[32];

	CHECK_EQ(volume_getxattr(volume, node, "user.text", got, LARGE), size);
	CHECK(got[0] == letter && got[size - 1] == letter);
	CHECK_EQ(volume_listxattr(volume, node, names, sizeof names), sizeof "user.text");
	free(got);
}

/* And they are in memory only if they are small. */
static void expect(struct volume *volume, const char *path, char letter, size_t size)
{
	struct node *node = volumes_find(volume, path);

	CHECK(node != NULL);
	for (int i = 0; i < 2; i++) {
		expect_node(volume, node, letter, size);
		CHECK_EQ(node->attrs->outside, size > XATTRS_KEPT_MAX);
		CHECK_EQ(node->attrs->xattrs != NULL, size <= XATTRS_KEPT_MAX);
	}
}

static struct volume *remount(struct volume *volume, const char *dir)
{
	volumes_unmount(volume);
	return volumes_mount(dir);
}

static void set_mode(struct volume *volume, const char *path, mode_t mode)
{
	struct stat st = {.st_mode = mode};

	CHECK_EQ(volume_setattr(volume, volumes_find(volume, path), &st, ATTR_MODE, false, &st), 0);
}

static void test_kept(void)
{
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);

	volumes_write(v, "large", "value");
	volumes_write(v, "small", "value");
	CHECK_EQ(volumes_mkdir(v, "dir"), 0);
	set(v, "large", 'l', LARGE);
	set(v, "small", 's', SMALL);
	set(v, "dir", 'd', LARGE);
	set(v, "", 'r', LARGE);
	for (int i = 0; i < 2; i++) {
		expect(v, "large", 'l', LARGE);
		expect(v, "small", 's', SMALL);
		expect(v, "dir", 'd', LARGE);
		expect(v, "", 'r', LARGE);
		set_mode(v, "large", 0600);
		set_mode(v, "dir", 0700);
		volumes_write(v, "large", "another"); /* a new value keeps them */
		volumes_write(v, "dir/f", "");        /* as a new name does */
		CHECK_EQ(volumes_truncate(v, "large", 3), 0);
		expect(v, "large", 'l', LARGE);
		expect(v, "dir", 'd', LARGE);
		v = remount(v, dir);
	}
	CHECK_EQ(volumes_stat(v, "large").st_mode & 07777, 0600);
	volumes_expect(v, "large", "ano");
	/* from large to small and to none */
	set(v, "large", 'x', SMALL);
	expect(v, "large", 'x', SMALL);
	CHECK_EQ(volume_removexattr(v, volumes_find(v, "large"), "user.text"), 0);
	CHECK_EQ(volume_getxattr(v, volumes_find(v, "large"), "user.text", NULL, 0), -ENODATA);
	volumes_unmount(v);
}

/* Before the first value is in the log. */
static void test_new_file(void)
{
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);
	struct node *f = volumes_open(v, "f", O_CREAT | O_RDWR, NULL);

	volumes_write_at(v, f, "value", 5, 0);
	set(v, "f", 'f', SMALL);
	expect(v, "f", 'f', SMALL);
	set(v, "f", 'f', LARGE);
	expect(v, "f", 'f', LARGE);
	volumes_write_at(v, f, "V", 1, 0);
	expect_node(v, f, 'f', LARGE);
	set(v, "f", 'g', LARGE);
	volumes_done(v, f);
	expect(v, "f", 'g', LARGE);
	v = remount(v, dir);
	expect(v, "f", 'g', LARGE);
	volumes_expect(v, "f", "Value");
	volumes_unmount(v);
}

static void test_renamed(void)
{
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);

	CHECK_EQ(volumes_mkdir(v, "dir"), 0);
	CHECK_EQ(volumes_mkdir(v, "dir/below"), 0);
	volumes_write(v, "dir/below/a", "a");
	volumes_write(v, "b", "b");
	volumes_write(v, "c", "c");
	volumes_write(v, "d", "d");
	set(v, "dir", '1', LARGE);
	set(v, "dir/below", '2', LARGE);
	set(v, "dir/below/a", 'a', LARGE);
	set(v, "b", 'b', LARGE);
	set(v, "c", 'c', LARGE - 1);
	set(v, "d", 'd', LARGE);
	CHECK_EQ(volumes_rename(v, "dir", "moved", 0), 0);
	CHECK_EQ(volumes_rename(v, "b", "c", RENAME_EXCHANGE), 0);
	CHECK_EQ(volumes_rename(v, "d", "dd", 0), 0);
	CHECK_EQ(volumes_rename(v, "dd", "b", 0), 0); /* over what was c */
	for (int i = 0; i < 2; i++) {
		expect(v, "moved", '1', LARGE);
		expect(v, "moved/below", '2', LARGE);
		expect(v, "moved/below/a", 'a', LARGE);
		expect(v, "c", 'b', LARGE);
		expect(v, "b", 'd', LARGE);
		if (!i)
			v = remount(v, dir);
	}
	volumes_expect(v, "c", "b");
	volumes_expect(v, "b", "d");
	volumes_unmount(v);
}

/* So much below that records of old names go while the directory is under way. */
static void test_many_renamed(void)
{
	enum { DEPTH = 15, FILES = 400 };
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);
	char path[DEPTH * 251 + 300] = "dir", *end;

	CHECK_EQ(volumes_mkdir(v, path), 0);
	volumes_write(v, "dir/a", "a");
	set(v, "dir/a", 'a', LARGE);
	for (int i = 0; i < DEPTH; i++) {
		size_t used = strlen(path);
		(void)snprintf(path + used, sizeof path - used, "/%0250d", i);
		CHECK_EQ(volumes_mkdir(v, path), 0);
	}
	end = path + strlen(path);
	for (int i = 0; i < FILES; i++) {
		(void)sprintf(end, "/%d", i);
		volumes_write(v, path, "x");
		set_mode(v, path, 0600);
	}
	CHECK_EQ(volumes_rename(v, "dir", "moved", 0), 0);
	for (int i = 0; i < 2; i++) {
		expect(v, "moved/a", 'a', LARGE);
		if (!i)
			v = remount(v, dir);
	}
	volumes_unmount(v);
}

static struct volume_figures figures_of(struct volume *volume)
{
	struct volume_figures figures;

	volume_get_figures(volume, &figures);
	return figures;
}

/* A file without a name keeps what it has while there is room, and it counts. */
static void test_nameless(void)
{
	struct volume_options options = volumes_defaults;
	struct node *nodes[5];
	char name[16];

	options.dirty_max = 3 * LARGE + 1000;
	struct volume *v = volumes_mount_with(stores_dir(), &options, 0);
	for (int i = 0; i < 5; i++) {
		(void)snprintf(name, sizeof name, "f%d", i);
		volumes_write(v, name, "");
		set(v, name, (char)('a' + i), LARGE);
		nodes[i] = volumes_open(v, name, O_RDONLY, NULL);
	}
	CHECK_EQ(figures_of(v).value_bytes, 0);
	for (int i = 0; i < 4; i++) {
		(void)snprintf(name, sizeof name, "f%d", i);
		CHECK_EQ(volumes_unlink(v, name), 0);
		CHECK(figures_of(v).value_bytes <= options.dirty_max);
	}
	CHECK_EQ(volumes_rename(v, "f4", "f5", 0), 0);
	for (int i = 0; i < 3; i++)
		expect_node(v, nodes[i], (char)('a' + i), LARGE);
	CHECK_EQ(volume_getxattr(v, nodes[3], "user.text", NULL, 0), -ENODATA);
	uint64_t before = figures_of(v).value_bytes;
	expect_node(v, nodes[4], 'e', LARGE);
	CHECK_EQ(volume_setxattr(v, nodes[3], "user.text", name, 3, 0), 0);
	char *large = calloc(1, LARGE);
	CHECK_EQ(volume_setxattr(v, nodes[0], "user.more", large, LARGE, 0), -ENOSPC);
	expect_node(v, nodes[0], 'a', LARGE);
	CHECK_EQ(volume_removexattr(v, nodes[0], "user.text"), 0);
	CHECK_EQ(figures_of(v).value_bytes, before - before / 3);
	CHECK_EQ(volume_setxattr(v, nodes[0], "user.text", large, LARGE, 0), 0);
	CHECK_EQ(figures_of(v).value_bytes, before);
	free(large);
	volumes_forget(v);
	for (int i = 0; i < 5; i++)
		volume_release(v, nodes[i]);
	CHECK_EQ(figures_of(v).value_bytes, 0);
	/* nor do they stay with a directory */
	CHECK_EQ(volumes_mkdir(v, "dir"), 0);
	set(v, "dir", 'd', LARGE);
	struct volume_entry entry;
	CHECK_EQ(volume_lookup(v, volume_root(v), "dir", &entry), 0);
	CHECK_EQ(volumes_rmdir(v, "dir"), 0);
	expect_node(v, entry.node, 'd', LARGE);
	volumes_forget(v);
	volume_forget(v, entry.node, 1);
	CHECK_EQ(figures_of(v).value_bytes, 0);
	volumes_unmount(v);
}

static struct volume *greedy; /* another thread writes to it while the disk is full */

static ssize_t write_and_take(struct io *io, int fd, const struct iovec *iov, int count,
			      off_t offset)
{
	if (!greedy)
		return io_posix.pwritev(io, fd, iov, count, offset);
	(void)room_take(&greedy->room, LARGE, NULL);
	return -ENOSPC;
}

/* A file that could not be given a name is what it was, also when others want its room. */
static void test_not_named(void)
{
	struct volume_options options = volumes_defaults;
	struct dw_store *store = NULL;
	struct volume *v = NULL;
	struct volume_entry entry, named;
	struct io io = io_posix;
	char *large = calloc(1, LARGE);

	io.pwritev = write_and_take;
	options.dirty_max = LARGE + 10000;
	CHECK_EQ(store_open(&io, stores_dir(), &(struct dw_options){.create = true}, NULL, &store),
		 0);
	CHECK_EQ(volume_open(store, &options, &v), 0);
	CHECK_EQ(volume_tmpfile(v, &volumes_cred, volume_root(v), 0600, O_RDWR, &entry), 0);
	memset(large, 'n', LARGE);
	CHECK_EQ(volume_setxattr(v, entry.node, "user.text", large, LARGE, 0), 0);
	uint64_t before = figures_of(v).value_bytes;
	CHECK(before >= LARGE);
	greedy = v;
	CHECK_EQ(volume_link(v, entry.node, volume_root(v), "f", &named), -ENOSPC);
	greedy = NULL;
	expect_node(v, entry.node, 'n', LARGE);
	CHECK_EQ(figures_of(v).value_bytes, before);
	CHECK_EQ(volume_link(v, entry.node, volume_root(v), "f", &named), 0);
	CHECK(figures_of(v).value_bytes < LARGE);
	expect(v, "f", 'n', LARGE);
	volume_forget(v, named.node, 1);
	(void)volume_release(v, entry.node);
	CHECK_EQ(figures_of(v).value_bytes, 0);
	volumes_unmount(v);
	free(large);
}

/* Of a moment, whatever is set later. */
static void test_snapshot(void)
{
	struct volume *v = volumes_mount(stores_dir());

	volumes_write(v, "f", "value");
	set(v, "f", 'f', LARGE);
	set(v, "", 'r', LARGE);
	struct volume *frozen = volumes_snapshot(v, "moment");
	set(v, "f", 'x', LARGE);
	set(v, "", 'x', LARGE);
	expect(frozen, "", 'r', LARGE); /* before its names are read */
	expect(frozen, "f", 'f', LARGE);
	expect(frozen, "", 'r', LARGE);
	CHECK_EQ(volumes_unlink(v, "f"), 0);
	expect(frozen, "f", 'f', LARGE);
	volumes_unmount(frozen);
	volumes_unmount(v);
}

/* One flipped bit in each record: the values stay, and can be written. */
static void test_damaged(void)
{
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);
	char path[4200];

	volumes_write(v, "f", "value");
	set(v, "f", 'f', LARGE);
	CHECK_EQ(volume_sync(v), 0);
	(void)snprintf(path, sizeof path, "%s/.attr/00000001.dwal", dir);
	FILE *file = fopen(path, "r+e");
	CHECK(file && !fseek(file, LARGE / 2, SEEK_SET) && fputc('F', file) == 'F');
	CHECK_EQ(fclose(file), 0);
	CHECK_EQ(volume_getxattr(v, volumes_find(v, "f"), "user.text", NULL, 0), -ENODATA);
	CHECK_EQ(volumes_rename(v, "f", "g", 0), 0);
	volumes_write(v, "g", "another");
	volumes_expect(v, "g", "another");
	set(v, "g", 'g', LARGE);
	expect(v, "g", 'g', LARGE);
	volumes_unmount(v);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"xattr_kept", test_kept},
		{"xattr_new_file", test_new_file},
		{"xattr_renamed", test_renamed},
		{"xattr_many_renamed", test_many_renamed},
		{"xattr_nameless", test_nameless},
		{"xattr_snapshot", test_snapshot},
		{"xattr_damaged", test_damaged},
		{"xattr_not_named", test_not_named},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
