/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_volume_rename.c - names that change: files and directories renamed, removed,
 * replaced; and that a directory stays when its last file goes.
 */
#include <errno.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/files.h"
#include "tests/support/volumes.h"

static struct volume *remount(struct volume *volume, const char *dir)
{
	volumes_unmount(volume);
	return volumes_mount(dir);
}

/* --- files --- */

static void test_file(void)
{
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);
	struct dw_stats before, after;

	volumes_write(v, "f", "value");
	volumes_write(v, "target", "old");
	CHECK_EQ(volumes_mkdir(v, "d"), 0);
	dw_get_stats(volume_store(v), &before);
	CHECK_EQ(volumes_rename(v, "f", "d/g", 0), 0);
	dw_get_stats(volume_store(v), &after);
	CHECK_EQ(after.puts, before.puts + 1);
	CHECK_EQ(after.deletes, before.deletes + 1);
	stores_expect(volume_store(v), "f", NULL);
	stores_expect(volume_store(v), "d/g", "value");
	CHECK_EQ(volumes_rename(v, "d/g", "target", 0), 0);
	volumes_expect(v, "target", "value");
	CHECK_EQ(volumes_rename(v, "target", "target", 0), 0);
	volumes_expect(v, "target", "value");
	CHECK_EQ(volumes_rename(v, "none", "x", 0), -ENOENT);
	CHECK_EQ(volumes_rename(v, "target", "d", 0), -EISDIR);
	CHECK_EQ(volumes_rename(v, "target", "x", RENAME_WHITEOUT), -EINVAL);
	volumes_expect_list(v, "", "d|target|");
	volumes_expect_list(v, "d", "");
	v = remount(v, dir);
	volumes_expect_list(v, "", "d|target|");
	volumes_expect_list(v, "d", "");
	volumes_expect(v, "target", "value");
	volumes_unmount(v);
}

static void test_noreplace(void)
{
	struct volume *v = volumes_mount(stores_dir());

	volumes_write(v, "f", "f");
	volumes_write(v, "g", "g");
	CHECK_EQ(volumes_mkdir(v, "d"), 0);
	CHECK_EQ(volumes_mkdir(v, "e"), 0);
	CHECK_EQ(volumes_rename(v, "f", "g", RENAME_NOREPLACE), -EEXIST);
	CHECK_EQ(volumes_rename(v, "f", "d", RENAME_NOREPLACE), -EEXIST);
	CHECK_EQ(volumes_rename(v, "d", "e", RENAME_NOREPLACE), -EEXIST);
	CHECK_EQ(volumes_rename(v, "f", "f", RENAME_NOREPLACE), -EEXIST);
	CHECK_EQ(volumes_rename(v, "f", "h", RENAME_NOREPLACE), 0);
	CHECK_EQ(volumes_rename(v, "d", "i", RENAME_NOREPLACE), 0);
	volumes_expect_list(v, "", "e|g|h|i|");
	volumes_expect(v, "g", "g");
	volumes_expect(v, "h", "f");
	volumes_unmount(v);
}

static void test_exchange(void)
{
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);

	volumes_write(v, "f", "of f");
	CHECK_EQ(volumes_mkdir(v, "d"), 0);
	volumes_write(v, "d/g", "longer, of g");
	struct stat f = volumes_stat(v, "f"), g = volumes_stat(v, "d/g");
	CHECK_EQ(volumes_rename(v, "f", "d/g", RENAME_EXCHANGE), 0);
	volumes_expect(v, "f", "longer, of g");
	volumes_expect(v, "d/g", "of f");
	CHECK_EQ(volumes_stat(v, "f").st_ino, f.st_ino); /* a hash of the name */
	CHECK_EQ(volumes_stat(v, "f").st_mtim.tv_nsec, g.st_mtim.tv_nsec);
	CHECK_EQ(volumes_stat(v, "d/g").st_mtim.tv_nsec, f.st_mtim.tv_nsec);
	volumes_expect_list(v, "", "d|f|");
	volumes_expect_list(v, "d", "g|");
	CHECK_EQ(volumes_rename(v, "f", "f", RENAME_EXCHANGE), 0);
	CHECK_EQ(volumes_rename(v, "f", "none", RENAME_EXCHANGE), -ENOENT);
	CHECK_EQ(volumes_rename(v, "none", "f", RENAME_EXCHANGE), -ENOENT);
	CHECK_EQ(volumes_rename(v, "f", "d", RENAME_EXCHANGE), -EINVAL);
	CHECK_EQ(volumes_rename(v, "d", "f", RENAME_EXCHANGE), -EINVAL);
	CHECK_EQ(volumes_rename(v, "f", "d/g", RENAME_EXCHANGE | RENAME_NOREPLACE), -EINVAL);
	v = remount(v, dir);
	volumes_expect_list(v, "", "d|f|");
	volumes_expect(v, "f", "longer, of g");
	volumes_expect(v, "d/g", "of f");
	volumes_unmount(v);
}

/* Both are open and were written; one is in the log not at all. */
static void test_exchange_open(void)
{
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);

	volumes_write(v, "f", "old");
	struct node *f = volumes_open(v, "f", O_RDWR, NULL);
	struct node *g = volumes_open(v, "g", O_CREAT | O_RDWR, NULL);
	volumes_write_at(v, f, "new f", 5, 0);
	volumes_write_at(v, g, "g", 1, 0);
	CHECK_EQ(volumes_rename(v, "g", "f", RENAME_EXCHANGE), 0);
	stores_expect(volume_store(v), "f", "g");
	stores_expect(volume_store(v), "g", "new f");
	volumes_write_at(v, f, "!", 1, 5); /* the opener follows the file, not the name */
	volumes_done(v, f);
	volumes_done(v, g);
	volumes_expect(v, "g", "new f!");
	CHECK_EQ(volumes_unlink(v, "f"), 0);
	v = remount(v, dir);
	volumes_expect_list(v, "", "g|");
	volumes_expect(v, "g", "new f!");
	volumes_unmount(v);
}

/* Wherever a crash ends the log, both values are there under some name. */
static void test_exchange_torn(void)
{
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);
	char path[PATH_MAX];
	struct stat st;

	volumes_write(v, "f", "of f");
	volumes_write(v, "g", "of g, longer");
	(void)snprintf(path, sizeof path, "%s/00000001.dwal", dir);
	CHECK_EQ(stat(path, &st), 0);
	off_t before = st.st_size;
	CHECK_EQ(volumes_rename(v, "f", "g", RENAME_EXCHANGE), 0);
	volumes_unmount(v);
	CHECK_EQ(stat(path, &st), 0);
	files_remove_suffixed(dir, ".hint"); /* a crash leaves none that says it was closed */
	for (off_t size = st.st_size; size >= before; size--) {
		CHECK_EQ(truncate(path, size), 0);
		struct dw_store *store = stores_open_reader(dir);
		bool has_f = false, has_g = false;
		static const char *const keys[] = {"f", "g", "f.exchanged-0", "g.exchanged-0"};
		for (size_t i = 0; i < 4; i++) {
			has_f |= stores_holds(store, stores_bytes(keys[i]), stores_bytes("of f"));
			has_g |= stores_holds(store, stores_bytes(keys[i]),
					      stores_bytes("of g, longer"));
		}
		CHECK(has_f && has_g);
		stores_close(store);
	}
}

static void count_node(void *context, struct node *node)
{
	(void)node;
	++*(unsigned *)context;
}

/* Numbers are of names, also below a directory that was renamed. */
static void test_dir_inos(void)
{
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);
	unsigned known = 0;

	CHECK_EQ(volumes_mkdir(v, "a"), 0);
	CHECK_EQ(volumes_mkdir(v, "a/b"), 0);
	volumes_write(v, "a/b/f", "f");
	ino_t before = volumes_stat(v, "a/b/f").st_ino;
	CHECK_EQ(volumes_rename(v, "a", "c", 0), 0);
	ino_t after = volumes_stat(v, "c/b/f").st_ino;
	CHECK(before != after);
	struct node *f = volumes_open(v, "c/b/f", O_RDONLY, NULL);
	volume_visit_below(v, volume_root(v), "c", count_node, &known);
	CHECK(known >= 1);
	volumes_done(v, f);
	v = remount(v, dir);
	CHECK_EQ(volumes_stat(v, "c/b/f").st_ino, after);
	volumes_unmount(v);
}

/* Both the file that moves and the one that it replaces are open. */
static void test_open_files(void)
{
	enum { SIZE = 200000 };
	const char *dir = stores_dir();
	struct volume *v = volumes_mount_with(dir, NULL, 100000);
	uint8_t *noise = stores_noise(3, SIZE);
	struct node *f, *target;

	f = volumes_open(v, "target", O_CREAT | O_RDWR, NULL);
	volumes_write_at(v, f, noise, SIZE, 0);
	volumes_done(v, f);
	volumes_write(v, "f", "old");
	target = volumes_open(v, "target", O_RDONLY, NULL);
	f = volumes_open(v, "f", O_RDWR, NULL);
	volumes_write_at(v, f, "new", 3, 0);
	CHECK_EQ(volumes_rename(v, "f", "target", 0), 0);
	stores_expect(volume_store(v), "target", "new"); /* openers saw the value that moved */
	CHECK_EQ(dw_compact(volume_store(v), NULL), 0);
	volumes_expect_node(v, target, noise, SIZE);
	volumes_expect_node(v, f, "new", 3);
	volumes_write_at(v, f, "er", 2, 3);
	volumes_write_at(v, target, "lost", 4, 0); /* only its opener sees it */
	volumes_done(v, target);
	volumes_done(v, f);
	volumes_expect_list(v, "", "target|");
	v = remount(v, dir);
	volumes_expect_list(v, "", "target|");
	volumes_expect(v, "target", "newer");
	free(noise);
	volumes_unmount(v);
}

/* A file that was created, written and renamed before anything was committed: how
 * editors and rsync write. */
static void test_never_committed(void)
{
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);
	struct dw_stats stats;

	CHECK_EQ(volumes_mkdir(v, "d"), 0);
	struct node *f = volumes_open(v, "d/tmp", O_CREAT | O_RDWR, NULL);
	volumes_write_at(v, f, "value", 5, 0);
	CHECK_EQ(volumes_rename(v, "d/tmp", "f", 0), 0);
	stores_expect(volume_store(v), "f", "value");
	volumes_done(v, f);
	dw_get_stats(volume_store(v), &stats);
	CHECK_EQ(stats.puts, 2); /* the directory's marker, and this */
	CHECK_EQ(stats.deletes, 0);
	/* and of a directory that holds such a file */
	f = volumes_open(v, "d/new", O_CREAT | O_RDWR, NULL);
	volumes_write_at(v, f, "new", 3, 0);
	CHECK_EQ(volumes_rename(v, "d", "e", 0), 0);
	volumes_done(v, f);
	stores_expect(volume_store(v), "e/new", "new");
	v = remount(v, dir);
	volumes_expect_list(v, "", "e|f|");
	volumes_expect_list(v, "e", "new|");
	volumes_unmount(v);
}

/* --- directories --- */

static void test_dir(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);

	stores_put(store, "a/b/c/d/f", "deep");
	stores_put(store, "a/b/g", "g");
	stores_put(store, "a/x", "x");
	stores_put(store, "ab", "beside"); /* its key begins like the directory's */
	stores_close(store);
	struct volume *v = volumes_mount(dir);
	CHECK_EQ(volumes_mkdir(v, "full"), 0);
	CHECK_EQ(volumes_mkdir(v, "full/d"), 0);
	CHECK_EQ(volumes_mkdir(v, "empty"), 0);
	CHECK_EQ(volumes_rename(v, "a", "a", 0), 0);
	CHECK_EQ(volumes_rename(v, "a", "a/n", 0), -EINVAL);
	CHECK_EQ(volumes_rename(v, "a", "a/b/c/n", 0), -EINVAL);
	CHECK_EQ(volumes_rename(v, "a/b", "a", 0), -ENOTEMPTY);
	CHECK_EQ(volumes_rename(v, "a", "full", 0), -ENOTEMPTY);
	CHECK_EQ(volumes_rename(v, "a", "ab", 0), -ENOTDIR);
	CHECK_EQ(dw_count(volume_store(v)), 7);
	CHECK_EQ(volumes_rename(v, "a", "empty", 0), 0);
	CHECK_EQ(volumes_rename(v, "empty/b/c", "full/d/c", 0), 0);
	for (int i = 0; i < 2; i++) {
		volumes_expect_list(v, "", "ab|empty|full|");
		volumes_expect_list(v, "empty", "b|x|");
		volumes_expect_list(v, "empty/b", "g|");
		volumes_expect_list(v, "full/d", "c|");
		volumes_expect_list(v, "full/d/c", "d|");
		volumes_expect(v, "full/d/c/d/f", "deep");
		volumes_expect(v, "ab", "beside");
		stores_expect(volume_store(v), "a/x", NULL);
		stores_expect(volume_store(v), "empty/b/c/d/f", NULL);
		v = remount(v, dir);
	}
	volumes_unmount(v);
}

static void test_rmdir(void)
{
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);

	CHECK_EQ(volumes_mkdir(v, "d"), 0);
	CHECK_EQ(volumes_mkdir(v, "d"), -EEXIST);
	stores_expect(volume_store(v), "d/", "");
	volumes_write(v, "d/f", "f");
	CHECK_EQ(volumes_rmdir(v, "d"), -ENOTEMPTY);
	CHECK_EQ(volumes_unlink(v, "d"), -EISDIR);
	CHECK_EQ(volumes_rmdir(v, "d/f"), -ENOTDIR);
	CHECK_EQ(volumes_rmdir(v, "none"), -ENOENT);
	CHECK_EQ(volumes_unlink(v, "d/f"), 0);
	CHECK_EQ(volumes_mkdir(v, "d/e"), 0);
	CHECK_EQ(volumes_rmdir(v, "d"), -ENOTEMPTY);
	CHECK_EQ(volumes_rmdir(v, "d/e"), 0);
	CHECK_EQ(volumes_rmdir(v, "d"), 0);
	CHECK_EQ(dw_count(volume_store(v)), 0);
	v = remount(v, dir);
	volumes_expect_list(v, "", "");
	volumes_unmount(v);
}

/* Nothing can be made in a directory that is gone but still referenced. */
static void test_removed_dir(void)
{
	struct volume *v = volumes_mount(stores_dir());
	struct volume_entry d, entry;
	const struct volume_cred *cred = &volumes_cred;

	CHECK_EQ(volume_mkdir(v, cred, volume_root(v), "d", 0755, &d), 0);
	CHECK_EQ(volumes_rmdir(v, "d"), 0);
	volumes_write(v, "f", "f");
	CHECK_EQ(volume_create(v, cred, d.node, "f", 0644, 0, &entry), -ENOENT);
	CHECK_EQ(volume_mkdir(v, cred, d.node, "d", 0755, &entry), -ENOENT);
	CHECK_EQ(volume_lookup(v, d.node, "f", &entry), -ENOENT);
	CHECK_EQ(volume_rename(v, volume_root(v), "f", d.node, "f", 0), -ENOENT);
	CHECK_EQ(volume_getattr(v, d.node, &entry.st), 0);
	CHECK_EQ(entry.st.st_nlink, 0);
	volume_forget(v, d.node, 1);
	volumes_expect(v, "f", "f");
	volumes_unmount(v);
}

/* However the last file of a directory without a marker goes, the directory stays. */
static void test_implicit(void)
{
	static const char *const keys[] = {"a/f",   "b/f", "c/f", "d/d/f", "e/e/f",
					   "g/g/f", "h/f", "i/f", "i/g"};
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		stores_put(store, keys[i], keys[i]);
	stores_close(store);
	struct volume *v = volumes_mount(dir);
	CHECK_EQ(volumes_unlink(v, "a/f"), 0);
	CHECK_EQ(volumes_rename(v, "b/f", "b2", 0), 0);
	CHECK_EQ(volumes_rename(v, "c/f", "c/g", 0), 0);
	CHECK_EQ(volumes_rename(v, "d/d", "d2", 0), 0);
	CHECK_EQ(volumes_unlink(v, "e/e/f"), 0);
	CHECK_EQ(volumes_rmdir(v, "e/e"), 0);
	CHECK_EQ(volumes_rename(v, "g/g", "g/h", 0), 0);
	/* a file that is not in the log keeps no directory */
	struct node *open = volumes_open(v, "h/g", O_CREAT | O_RDWR, NULL);
	CHECK_EQ(volumes_unlink(v, "h/f"), 0);
	CHECK_EQ(volumes_unlink(v, "h/g"), 0);
	volumes_done(v, open);
	CHECK_EQ(volumes_unlink(v, "i/f"), 0);
	stores_expect(volume_store(v), "i/", NULL); /* another file keeps it: no marker */
	for (int i = 0; i < 2; i++) {
		volumes_expect_list(v, "", "a|b|b2|c|d|d2|e|g|h|i|");
		volumes_expect_list(v, "a", "");
		volumes_expect_list(v, "b", "");
		volumes_expect_list(v, "c", "g|");
		volumes_expect_list(v, "d", "");
		volumes_expect_list(v, "d2", "f|");
		volumes_expect_list(v, "e", "");
		volumes_expect_list(v, "g", "h|");
		volumes_expect_list(v, "g/h", "f|");
		volumes_expect_list(v, "h", "");
		v = remount(v, dir);
	}
	CHECK_EQ(volumes_rmdir(v, "a"), 0);
	stores_expect(volume_store(v), "a/", NULL);
	volumes_unmount(v);
}

/* The marker of the replaced directory belongs to the one in its place. */
static void test_marker_taken_over(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);

	stores_put(store, "implicit/f", "f");
	stores_close(store);
	struct volume *v = volumes_mount(dir);
	CHECK_EQ(volumes_mkdir(v, "marked"), 0);
	CHECK_EQ(volumes_rename(v, "implicit", "marked", 0), 0);
	CHECK_EQ(volumes_rename(v, "marked", "last", 0), 0);
	v = remount(v, dir);
	volumes_expect_list(v, "", "last|");
	volumes_expect(v, "last/f", "f");
	volumes_unmount(v);
}

/* Renaming what was put from outside, and onto it. */
static void test_outside(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);

	stores_put(store, "a", "file");
	stores_put(store, "a/b", "below");
	stores_put(store, "a/", "payload");
	stores_put(store, "n", "n");
	stores_close(store);
	struct volume *v = volumes_mount(dir);
	volumes_expect_list(v, "", "a|a%=|n|");
	CHECK_EQ(volumes_rename(v, "n", "a%=", 0), 0);
	stores_expect(volume_store(v), "a", "n");
	CHECK_EQ(volumes_rename(v, "a%=", "a/c", 0), 0);
	stores_expect(volume_store(v), "a", NULL);
	CHECK_EQ(volumes_rename(v, "a", "z", 0), 0);
	stores_expect(volume_store(v), "z/", "payload");
	CHECK_EQ(volumes_rename(v, "z/c", "z/%~", 0), 0);
	stores_expect(volume_store(v), "z/", "n");
	volumes_write(v, "empty", "");
	CHECK_EQ(volumes_rename(v, "empty", "z/%~", 0), -EINVAL); /* it would be the marker */
	CHECK_EQ(volumes_truncate(v, "z/%~", 0), -EINVAL);
	CHECK_EQ(volumes_truncate(v, "z/%~", 3), 0);
	CHECK_EQ(volumes_rename(v, "z/%~", "%~", 0), 0);
	CHECK_EQ(volumes_truncate(v, "%~", 1), 0);
	v = remount(v, dir);
	volumes_expect_list(v, "", "%~|empty|z|");
	volumes_expect_list(v, "z", "b|");
	volumes_expect(v, "%~", "n");
	volumes_unmount(v);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"volume_rename_file", test_file},
		{"volume_rename_noreplace", test_noreplace},
		{"volume_exchange", test_exchange},
		{"volume_exchange_open", test_exchange_open},
		{"volume_exchange_torn", test_exchange_torn},
		{"volume_rename_dir_inos", test_dir_inos},
		{"volume_rename_open", test_open_files},
		{"volume_rename_never_committed", test_never_committed},
		{"volume_rename_dir", test_dir},
		{"volume_rmdir", test_rmdir},
		{"volume_removed_dir", test_removed_dir},
		{"volume_implicit_dir", test_implicit},
		{"volume_marker_taken_over", test_marker_taken_over},
		{"volume_rename_outside", test_outside},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
