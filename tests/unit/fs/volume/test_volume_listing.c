/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_volume_listing.c - open directories: entries that are there throughout are listed once,
 * whatever changes meanwhile, and offsets in a listing stay valid.
 */
#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/volumes.h"

enum { MANY = 100000, FEW = 200 };

/* A reader of a directory, some entries at a time. */
struct reader {
	struct listing *dir;
	uint64_t offset;
	unsigned left, taken;
	unsigned char *seen; /* owned: of names "NNNNNN-stays" */
	char last[64];
};

static int take(void *context, const char *name, struct node *node, const struct stat *st,
		uint64_t next)
{
	struct reader *r = context;
	unsigned number;

	if (!r->left)
		return 1;
	CHECK(st->st_ino != 0);
	r->left--;
	r->offset = next;
	if (!node)
		return 0;
	r->taken++;
	(void)snprintf(r->last, sizeof r->last, "%s", name);
	if (strstr(name, "-stays") && sscanf(name, "%6u", &number) == 1) {
		CHECK(number < MANY);
		CHECK(!r->seen[number]);
		r->seen[number] = 1;
	}
	return 0;
}

static struct reader reader_open(struct volume *v, const char *path)
{
	struct reader r = {.seen = calloc(MANY, 1)};

	CHECK(r.seen != NULL);
	CHECK_EQ(volume_opendir(v, volumes_find(v, path), &r.dir), 0);
	return r;
}

/* False: that was the end. */
static bool reader_step(struct reader *r, unsigned count)
{
	r->left = count;
	CHECK_EQ(volume_readdir(r->dir, r->offset, false, take, r), 0);
	return !r->left;
}

static void reader_close(struct reader *r)
{
	volume_closedir(r->dir);
	free(r->seen);
}

static void put_numbered(const char *dir, unsigned count)
{
	struct dw_store *store = stores_open(dir, 0);
	char keys[100][32];
	struct dw_op ops[100];

	CHECK_EQ(count % 100, 0);
	for (unsigned i = 0; i < count; i += 100) {
		for (unsigned k = 0; k < 100; k++) {
			(void)snprintf(keys[k], sizeof keys[k], "d/%06u-%s", i + k,
				       (i + k) % 5 ? "stays" : "goes");
			ops[k] = (struct dw_op){.type = DW_PUT, .key = stores_bytes(keys[k])};
		}
		CHECK_EQ(dw_batch(store, ops, 100), 0);
	}
	stores_close(store);
}

static void name_of(unsigned number, const char *what, char ret[48])
{
	(void)snprintf(ret, 48, "d/%06u-%s", number, what);
}

/* Removed, created, renamed, replaced, exchanged: while two listings go on. */
static void churn(struct volume *v, unsigned i, unsigned count)
{
	char name[48], other[48];

	name_of(i * 5 % count, "goes", name);
	name_of((i * 35 + 3) % count, "stays", other);
	if (i % 2)
		CHECK_EQ(volumes_unlink(v, name), 0);
	else /* an entry of the listing takes the name of another one in it */
		CHECK_EQ(volumes_rename(v, name, other, 0), 0);
	name_of(i, "new", name);
	CHECK_EQ(volumes_create(v, name), 0);
	name_of(i, "moved", other);
	CHECK_EQ(volumes_rename(v, name, other, 0), 0);
	name_of((i * 35 + 1) % count, "stays", name); /* it stays under its name: another file */
	CHECK_EQ(volumes_rename(v, other, name, 0), 0);
	name_of((i * 15 + 2) % count, "stays", other);
	if (strcmp(name, other) != 0)
		CHECK_EQ(volumes_rename(v, name, other, RENAME_EXCHANGE), 0);
	volumes_forget(v);
}

static void check_two(unsigned count, unsigned step)
{
	const char *dir = stores_dir();

	put_numbered(dir, count);
	struct volume *v = volumes_mount(dir);
	struct reader a = reader_open(v, "d"), b = reader_open(v, "d");
	bool more_a = true, more_b = true;
	for (unsigned i = 0; more_a || more_b; i++) {
		more_a = more_a && reader_step(&a, step);
		if (i % 2)
			more_b = more_b && reader_step(&b, 2 * step);
		if (i < count / 5)
			churn(v, i, count);
	}
	for (unsigned i = 0; i < count; i++)
		CHECK(a.seen[i] == (i % 5 != 0) && b.seen[i] == (i % 5 != 0));
	reader_close(&a);
	reader_close(&b);
	volumes_unmount(v);
}

static void test_two(void)
{
	check_two(FEW, 3);
	check_two(MANY, 1000);
}

/* A file that is renamed in its directory shows once, by its old name or its new one. */
static void test_renamed(void)
{
	const char *dir = stores_dir();
	char name[48], other[48];

	put_numbered(dir, FEW);
	struct volume *v = volumes_mount(dir);
	struct reader r = reader_open(v, "d");
	(void)reader_step(&r, 2 + 50); /* the dots as well */
	for (unsigned i = 0; i < FEW; i++) {
		if (i % 5 == 0)
			continue;
		name_of(i, "stays", name);
		name_of(i, "between", other); /* twice: a chain */
		CHECK_EQ(volumes_rename(v, name, other, 0), 0);
		/* those that were listed get names that were not */
		(void)snprintf(name, sizeof name, "d/%06u-stays-%u", i, i);
		CHECK_EQ(volumes_rename(v, other, name, 0), 0);
	}
	(void)reader_step(&r, UINT32_MAX);
	CHECK_EQ(r.taken, FEW);
	for (unsigned i = 0; i < FEW; i++)
		CHECK_EQ(r.seen[i], i % 5 != 0);
	reader_close(&r);
	volumes_unmount(v);
}

/* seekdir(3): an entry keeps its offset as long as it exists. */
static void test_places(void)
{
	const char *dir = stores_dir();
	uint64_t places[FEW];
	char names[FEW][64], name[400];

	put_numbered(dir, FEW);
	struct volume *v = volumes_mount(dir);
	struct reader r = reader_open(v, "d");
	(void)reader_step(&r, 2);
	for (unsigned i = 0; i < FEW; i++) {
		places[i] = r.offset;
		CHECK(reader_step(&r, 1));
		memcpy(names[i], r.last, sizeof names[i]);
	}
	for (unsigned i = 0; i < FEW; i += 3) {
		(void)snprintf(name, sizeof name, "d/%.60s", names[i]);
		CHECK_EQ(volumes_unlink(v, name), 0);
		(void)snprintf(name, sizeof name, "d/new%u", i);
		CHECK_EQ(volumes_create(v, name), 0);
	}
	for (unsigned i = FEW - 1; i > 0; i--) {
		memset(r.seen, 0, MANY);
		r.offset = places[i];
		if (!reader_step(&r, 1))
			continue; /* the last one is gone */
		unsigned want = i % 3 ? i : i + 1;
		CHECK(!strcmp(r.last, names[want]));
	}
	/* from the start again: the present entries */
	memset(r.seen, 0, MANY);
	r.offset = 0;
	r.taken = 0;
	(void)reader_step(&r, UINT32_MAX);
	CHECK_EQ(r.taken, FEW);
	reader_close(&r);
	volumes_unmount(v);
}

/* Opened anew for each part, as nfsd does it, while what was listed is removed. */
static void test_opened_anew(void)
{
	const char *dir = stores_dir();
	unsigned taken = 0;
	bool more = true;
	char name[80];

	put_numbered(dir, FEW);
	struct volume *v = volumes_mount(dir);
	for (uint64_t offset = 2; more;) {
		struct reader r = reader_open(v, "d");
		r.offset = offset;
		for (int i = 0; i < 7 && more; i++) {
			more = reader_step(&r, 1);
			if (!more)
				break;
			(void)snprintf(name, sizeof name, "d/%s", r.last);
			CHECK_EQ(volumes_unlink(v, name), 0);
		}
		taken += r.taken;
		offset = r.offset;
		reader_close(&r);
	}
	CHECK_EQ(taken, FEW);
	volumes_expect_list(v, "d", "");
	/* no more than some of them are kept */
	for (int i = 0; i < 30; i++) {
		(void)snprintf(name, sizeof name, "d%d", i);
		CHECK_EQ(volumes_mkdir(v, name), 0);
		struct reader r = reader_open(v, "");
		(void)reader_step(&r, 3);
		reader_close(&r);
	}
	volumes_unmount(v);
}

/* Files that are in no log yet stand among the others, once, though one comes into it meanwhile. */
static void test_unlogged(void)
{
	struct volume *v = volumes_mount(stores_dir());
	struct node *open[3];

	CHECK_EQ(volumes_mkdir(v, "d"), 0);
	volumes_write(v, "d/b", "b");
	open[0] = volumes_open(v, "d/a", O_CREAT | O_RDWR, NULL);
	open[1] = volumes_open(v, "d/c", O_CREAT | O_RDWR, NULL);
	CHECK_EQ(volumes_mkdir(v, "d/bb"), 0);
	open[2] = volumes_open(v, "d/a0", O_CREAT | O_RDWR, NULL);
	volumes_expect_list(v, "d", "a|a0|b|bb|c|");
	CHECK_EQ(volumes_rmdir(v, "d"), -ENOTEMPTY);
	struct reader r = reader_open(v, "d");
	(void)reader_step(&r, 3);
	volumes_done(v, open[1]);
	CHECK_EQ(volumes_rename(v, "d/a0", "d/z", 0), 0);
	(void)reader_step(&r, UINT32_MAX);
	CHECK_EQ(r.taken, 5);
	reader_close(&r);
	CHECK_EQ(volumes_unlink(v, "d/a"), 0);
	volumes_expect_list(v, "d", "b|bb|c|z|");
	volumes_done(v, open[0]);
	volumes_done(v, open[2]);
	volumes_unmount(v);
}

/* Keys below a directory do not slow down a listing above it. */
static void test_skips(void)
{
	const char *dir = stores_dir();

	put_numbered(dir, MANY);
	struct volume *v = volumes_mount(dir);
	volumes_write(v, "c", "c");
	volumes_write(v, "d0", "d0");
	for (int i = 0; i < 2000; i++) /* 200 million entries, were they looked at */
		volumes_expect_list(v, "", "c|d|d0|");
	volumes_unmount(v);
}

/* A directory that went lists nothing more. */
static void test_removed(void)
{
	struct volume *v = volumes_mount(stores_dir());

	CHECK_EQ(volumes_mkdir(v, "d"), 0);
	volumes_write(v, "d/f", "f");
	struct reader r = reader_open(v, "d");
	(void)reader_step(&r, 2);
	CHECK_EQ(volumes_unlink(v, "d/f"), 0);
	CHECK_EQ(volumes_rmdir(v, "d"), 0);
	(void)reader_step(&r, 10);
	CHECK_EQ(r.taken, 0);
	r.offset = 0;
	(void)reader_step(&r, 10);
	CHECK_EQ(r.taken, 0);
	reader_close(&r);
	volumes_unmount(v);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"listing_two", test_two},           {"listing_renamed", test_renamed},
		{"listing_places", test_places},     {"listing_opened_anew", test_opened_anew},
		{"listing_unlogged", test_unlogged}, {"listing_skips", test_skips},
		{"listing_removed", test_removed},   {NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
