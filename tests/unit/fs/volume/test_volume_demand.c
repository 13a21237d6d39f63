/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_volume_demand.c - nodes exist while they are referenced, and no longer; names stay the same
 * while they may be known; records of attributes that belong to nothing go.
 */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "fs/volume/core.h"
#include "tests/support/volumes.h"

static size_t known(const struct volume *v)
{
	return tree_count(&v->tree);
}

static void put_many(const char *dir, unsigned count)
{
	struct dw_store *store = stores_open(dir, 0);
	char key[32];

	for (unsigned i = 0; i < count; i++) {
		(void)snprintf(key, sizeof key, "%u/%u", i % 100, i);
		stores_put(store, key, "value");
	}
	stores_close(store);
}

/* --- nodes --- */

static void test_nodes(void)
{
	const char *dir = stores_dir();

	put_many(dir, 1000);
	struct volume *v = volumes_mount(dir);
	CHECK_EQ(known(v), 0);
	volumes_expect(v, "7/107", "value");
	CHECK(!volumes_find(v, "7/8") && !volumes_find(v, "700"));
	CHECK_EQ(known(v), 2); /* and none for what is not there */
	char *names = volumes_list(v, "8");
	free(names);
	CHECK_EQ(known(v), 3); /* "8"; what is listed without being counted is gone */
	volumes_forget(v);
	CHECK_EQ(known(v), 0);
	/* open and dirty nodes stay */
	struct node *f = volumes_open(v, "9/9", O_RDWR, NULL);
	volumes_write_at(v, f, "V", 1, 0);
	volumes_forget(v);
	CHECK_EQ(known(v), 2);
	CHECK(volumes_find(v, "9/9") == f);
	volumes_forget(v);
	volume_release(v, f); /* commits */
	CHECK_EQ(known(v), 0);
	volumes_expect(v, "9/9", "Value");
	volumes_unmount(v);
}

/* Two lookups give one node; a node made anew shows the same. */
static void test_same(void)
{
	const struct stat st = {.st_mode = 0640, .st_mtim = {1234567890, 5}};
	struct stat first, again;
	const char *dir = stores_dir();

	put_many(dir, 100);
	struct volume *v = volumes_mount(dir);
	struct node *f = volumes_find(v, "5/5");
	CHECK(volumes_find(v, "5/5") == f);
	CHECK_EQ(volume_setattr(v, f, &st, ATTR_MODE | ATTR_MTIME, false, &first), 0);
	CHECK_EQ(volume_setxattr(v, f, "user.x", "x", 1, 0), 0);
	first = volumes_stat(v, "5/5");
	volumes_forget(v);
	again = volumes_stat(v, "5/5");
	CHECK(first.st_ino == again.st_ino && first.st_mode == again.st_mode);
	CHECK(again.st_mode == (S_IFREG | 0640) && again.st_mtim.tv_sec == 1234567890);
	CHECK_EQ(volume_getxattr(v, volumes_find(v, "5/5"), "user.x", NULL, 0), 1);
	volumes_unmount(v);
}

static void count_asked(void *context, struct node *parent, const char *name)
{
	unsigned *asked = context;

	CHECK(parent != NULL && *name);
	(*asked)++;
}

static void note_crowd(void *context)
{
	(*(unsigned *)context)++;
}

/* Too many are known: that is said once, listings give no more, the kernel is asked to forget. */
static void test_crowd(void)
{
	struct volume_options options = volumes_defaults;
	const char *dir = stores_dir();
	unsigned crowds = 0, asked = 0;
	char path[32];

	put_many(dir, 1000);
	options.nodes_max = 400;
	struct volume *v = volumes_mount_with(dir, &options, 0);
	volume_on_crowd(v, note_crowd, &crowds);
	for (unsigned i = 0; i < 600; i++) {
		(void)snprintf(path, sizeof path, "%u/%u", i % 100, i);
		CHECK(volumes_find(v, path) != NULL);
	}
	CHECK(known(v) == 700 && crowds == 1);
	volume_for_surplus(v, count_asked, &asked);
	/* seven go with each directory, of 700 that are 100 too many at the least */
	CHECK(asked >= 400 / 7 && asked <= 80);
	volume_for_surplus(v, count_asked, &asked); /* none is asked for twice */
	CHECK(asked <= 100);
	volumes_forget(v);
	CHECK_EQ(known(v), 0);
	asked = 0;
	volume_for_surplus(v, count_asked, &asked);
	CHECK_EQ(asked, 0);
	volumes_unmount(v);
}

/* --- names --- */

/* A file shown with %= beside a directory keeps that name when the directory goes; no file gets the
 * directory's name. */
static void test_conflict_ends(void)
{
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);

	stores_put(store, "a", "file");
	stores_put(store, "a/x", "x");
	stores_put(store, "a%=", "quoted");
	stores_close(store);
	struct volume *v = volumes_mount(dir);
	volumes_expect_list(v, "", "a|a%=|a%=%=|");
	CHECK_EQ(volumes_unlink(v, "a/x"), 0);
	CHECK_EQ(volumes_rmdir(v, "a"), 0);
	for (int i = 0; i < 2; i++) {
		volumes_expect(v, "a%=", "file");
		volumes_expect(v, "a%=%=", "quoted");
		CHECK(!volumes_find(v, "a"));
		volumes_forget(v);
	}
	/* a directory of that name may come back */
	CHECK_EQ(volumes_mkdir(v, "a"), 0);
	volumes_forget(v);
	volumes_expect(v, "a%=", "file");
	CHECK_EQ(volumes_rmdir(v, "a"), 0);
	/* the file goes: its name is that of the same key again, and then a plain one */
	CHECK_EQ(volumes_unlink(v, "a%="), 0);
	volumes_write(v, "a%=", "again");
	stores_expect(volume_store(v), "a", "again");
	CHECK_EQ(volumes_unlink(v, "a%="), 0);
	volumes_write(v, "a", "plain");
	stores_expect(volume_store(v), "a", "plain");
	volumes_forget(v);
	volumes_expect(v, "a", "plain");
	volumes_unmount(v);
	v = volumes_mount(dir);
	volumes_expect_list(v, "", "a|a%=|");
	volumes_unmount(v);
}

/* A name that is no component is in no conflict, whatever keys there are. */
static void test_no_conflict(void)
{
	static const char *const names[] = {"%=", ".%=", "..%=%="};
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);

	stores_put(store, "", "empty");
	stores_put(store, "/x", "x");
	stores_put(store, ".", "dot");
	stores_put(store, "./x", "x");
	stores_put(store, "..", "dots");
	stores_put(store, "../x", "x");
	stores_close(store);
	struct volume *v = volumes_mount(dir);
	volumes_expect_list(v, "", "%~|%~%=|%~.|%~.%=|%~..|%~..%=|");
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		CHECK(!volumes_find(v, names[i]));
		volumes_write(v, names[i], "plain");
		stores_expect(volume_store(v), names[i], "plain");
		volumes_forget(v);
		volumes_expect(v, names[i], "plain");
	}
	volumes_expect(v, "%~%=", "empty");
	volumes_expect(v, "%~.%=", "dot");
	volumes_expect(v, "%~..%=", "dots");
	volumes_unmount(v);
}

/* --- attributes --- */

static void set_mode(struct volume *v, const char *path, mode_t mode)
{
	struct stat st = {.st_mode = mode};

	CHECK_EQ(volume_setattr(v, volumes_find(v, path), &st, ATTR_MODE, false, &st), 0);
}

/* Many records, some of keys that vanish while nothing is mounted: a thread takes them away. */
static void test_sweep(void)
{
	enum { FILES = 1500 };
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);
	struct dw_store *store;
	char path[32];

	CHECK_EQ(volumes_mkdir(v, "d"), 0);
	set_mode(v, "d", 0700);
	for (unsigned i = 0; i < FILES; i++) {
		(void)snprintf(path, sizeof path, "d/%u", i);
		volumes_write(v, path, "value");
		set_mode(v, path, 0600);
	}
	volumes_unmount(v);
	store = stores_open(dir, 0);
	for (unsigned i = 0; i < FILES; i += 2) {
		(void)snprintf(path, sizeof path, "d/%u", i);
		CHECK_EQ(dw_delete(store, stores_bytes(path)), 0);
	}
	stores_close(store);
	v = volumes_mount(dir);
	CHECK(v->sweep_left);
	CHECK_EQ(volume_start(v), 0);
	CHECK(v->sweeping);
	CHECK_EQ(pthread_join(v->sweeper, NULL), 0); /* it ends by itself */
	v->sweeping = false;
	CHECK_EQ(volume_sync(v), 0);
	CHECK_EQ(dw_count(attrstore_store(v->attrs)), FILES / 2 + 1);
	CHECK_EQ(volumes_stat(v, "d/1").st_mode & 07777, 0600);
	CHECK_EQ(volumes_stat(v, "d").st_mode & 07777, 0700);
	volumes_write(v, "d/0", "anew");
	CHECK_EQ(volumes_stat(v, "d/0").st_mode & 07777, 0644);
	volumes_unmount(v);
}

/* Zero page `n` of the runs of the store of attributes.  False: none is as long. */
static bool zero_page(const char *dir, long n)
{
	static const char zeros[4096];
	char pattern[300];
	glob_t found;
	bool done = false;

	(void)snprintf(pattern, sizeof pattern, "%s/.attr/*.run", dir);
	CHECK_EQ(glob(pattern, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		struct stat st;
		CHECK_EQ(stat(found.gl_pathv[i], &st), 0);
		if (st.st_size <= n * 4096)
			continue;
		FILE *file = fopen(found.gl_pathv[i], "r+");
		CHECK(file && !fseek(file, n * 4096, SEEK_SET));
		CHECK_EQ(fwrite(zeros,
				(size_t)st.st_size - (size_t)n * 4096 < 4096
					? (size_t)st.st_size - (size_t)n * 4096
					: 4096,
				1, file),
			 1);
		CHECK_EQ(fclose(file), 0);
		done = true;
	}
	globfree(&found);
	return done;
}

/* Where the index of the attributes is damaged, no file shows with less protection than it has. */
static void test_damaged_index(void)
{
	enum { FILES = 17000, STEP = 97 }; /* enough for a run to be written */
	static const long pages[] = {0, 1, 2, 3, 5, 8, 12, 17, 23, 30, 40, 50, 70, 90};
	const char *made = strdup(stores_dir());
	struct volume *v = volumes_mount(made);
	unsigned refused = 0, damaged = 0;
	char path[16], copy[600];

	for (unsigned i = 0; i < FILES; i++) {
		(void)snprintf(path, sizeof path, "f%u", i);
		volumes_write(v, path, "secret");
		set_mode(v, path, 0600);
		volumes_forget(v);
	}
	volumes_unmount(v);
	for (size_t p = 0; p < sizeof pages / sizeof *pages; p++) {
		const char *dir = stores_dir();
		(void)snprintf(copy, sizeof copy, "cp -a %s/. %s", made, dir);
		CHECK_EQ(system(copy), 0);
		if (!zero_page(dir, pages[p]))
			break;
		damaged++;
		v = volumes_mount(dir);
		for (unsigned i = 0; i < FILES; i += STEP) {
			struct volume_entry entry;
			(void)snprintf(path, sizeof path, "f%u", i);
			int rc = volume_lookup(v, volume_root(v), path, &entry);
			CHECK(rc == 0 || rc == -EIO);
			refused += rc != 0;
			if (rc)
				continue;
			CHECK_EQ(entry.st.st_mode & 07777, 0600);
			volume_forget(v, entry.node, 1);
		}
		(void)volumes_close(v);
	}
	printf("  %u lookups were refused, of %u stores\n", refused, damaged);
	CHECK(damaged > 4);
	free((void *)made);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"demand_nodes", test_nodes},
		{"demand_same", test_same},
		{"demand_crowd", test_crowd},
		{"demand_conflict_ends", test_conflict_ends},
		{"demand_no_conflict", test_no_conflict},
		{"demand_sweep", test_sweep},
		{"demand_damaged_index", test_damaged_index},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
