/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_room.c - values take no more memory together than they may: those that the log has leave,
 * others are committed early, and a writer waits or gets an error.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

#include "fs/tree/memory.h"
#include "fs/volume/core.h"
#include "store/store.h"
#include "tests/support/files.h"
#include "tests/support/spaceio.h"
#include "tests/support/volumes.h"

enum { KIB = 1 << 10, ROOM = 1 << 20, FILES = 15, SIZE = 256 * KIB };

static struct volume *mount_small(const char *dir)
{
	struct volume_options options = volumes_defaults;

	options.dirty_max = ROOM;
	return volumes_mount_with(dir, &options, 0);
}

static struct volume_figures figures_of(struct volume *volume)
{
	struct volume_figures figures;

	volume_get_figures(volume, &figures);
	CHECK(figures.value_bytes <= figures.dirty_max);
	return figures;
}

static struct node *open_numbered(struct volume *volume, int n)
{
	char name[16];

	(void)snprintf(name, sizeof name, "f%d", n);
	struct node *node = volumes_open(volume, name, O_CREAT | O_RDWR, NULL);
	CHECK(node != NULL);
	return node;
}

/* Zeros, and a byte behind them. */
static void expect_sparse(struct volume *volume, struct node *node, char byte)
{
	char *want = calloc(1, SIZE);

	want[SIZE - 1] = byte;
	volumes_expect_node(volume, node, want, SIZE);
	free(want);
}

/* One byte each, at the end of files that stay open. */
static void test_sparse(void)
{
	const char *dir = stores_dir();
	struct volume *v = mount_small(dir);
	struct node *nodes[FILES];

	for (int i = 0; i < FILES; i++) {
		nodes[i] = open_numbered(v, i);
		volumes_write_at(v, nodes[i], "x", 1, SIZE - 1);
		CHECK(figures_of(v).value_bytes >= SIZE);
	}
	CHECK(figures_of(v).commits_early >= FILES - ROOM / SIZE);
	for (int i = 0; i < FILES; i++) {
		expect_sparse(v, nodes[i], 'x');
		volumes_write_at(v, nodes[i], "y", 1, SIZE - 1); /* in memory again */
		expect_sparse(v, nodes[i], 'y');
		(void)figures_of(v);
	}
	for (int i = 0; i < FILES; i++)
		volumes_done(v, nodes[i]);
	CHECK_EQ(figures_of(v).value_bytes, 0);
	volumes_unmount(v);
	v = mount_small(dir);
	for (int i = 0; i < FILES; i++) {
		nodes[i] = open_numbered(v, i);
		expect_sparse(v, nodes[i], 'y');
		volumes_done(v, nodes[i]);
	}
	volumes_unmount(v);
}

/* Committed values leave before any value is committed early. */
static void test_committed(void)
{
	struct volume *v = mount_small(stores_dir());
	struct node *nodes[FILES];

	for (int i = 0; i < FILES; i++) {
		nodes[i] = open_numbered(v, i);
		volumes_write_at(v, nodes[i], "x", 1, SIZE - 1);
		CHECK_EQ(volume_flush(v, nodes[i]), 0);
	}
	CHECK_EQ(figures_of(v).commits_early, 0);
	for (int i = 0; i < FILES; i++) {
		expect_sparse(v, nodes[i], 'x');
		volumes_done(v, nodes[i]);
	}
	volumes_unmount(v);
}

/* A value that was read from the log, replaced without being read again, committed and let go. */
static void test_replaced(void)
{
	struct volume *v = mount_small(stores_dir());
	struct node *f = open_numbered(v, 0), *other = open_numbered(v, 1);
	char *bytes = malloc(SIZE);

	for (int by_path = 0; by_path < 2; by_path++) {
		struct stat st = {.st_size = 0};
		memset(bytes, 'o', SIZE);
		volumes_write_at(v, f, bytes, SIZE, 0);
		CHECK_EQ(volume_flush(v, f), 0);
		volumes_write_at(v, other, "x", 1, ROOM - 1); /* takes all there is */
		CHECK_EQ(volume_flush(v, other), 0);
		volumes_expect_node(v, f, bytes, SIZE);
		CHECK_EQ(volume_setattr(v, f, &st, ATTR_SIZE, !by_path, &st), 0);
		memset(bytes, 'n', SIZE);
		volumes_write_at(v, f, bytes, SIZE, 0);
		CHECK_EQ(volume_flush(v, f), 0);
		volumes_write_at(v, other, "x", 1, ROOM - 1);
		CHECK_EQ(volume_flush(v, other), 0);
		volumes_expect_node(v, f, bytes, SIZE);
	}
	free(bytes);
	volumes_done(v, f);
	volumes_done(v, other);
	volumes_unmount(v);
}

static void resize(struct volume *volume, struct node *node, off_t size, bool open)
{
	struct stat st = {.st_size = size};

	CHECK_EQ(volume_setattr(volume, node, &st, ATTR_SIZE, open, &st), 0);
}

/* Each way by which a value comes into memory, or grows. */
static void test_other_ways(void)
{
	struct volume *v = mount_small(stores_dir());
	struct node *nodes[FILES];

	for (int i = 0; i < FILES; i++) {
		nodes[i] = open_numbered(v, i);
		if (i % 3 == 0)
			resize(v, nodes[i], SIZE, true);
		else if (i % 3 == 1)
			CHECK_EQ(volume_fallocate(v, nodes[i], 0, 0, SIZE), 0);
		else
			resize(v, nodes[i], SIZE, false); /* by its path */
		(void)figures_of(v);
	}
	for (int i = 0; i < FILES; i++) {
		expect_sparse(v, nodes[i], '\0');
		CHECK_EQ(volume_fallocate(v, nodes[i], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					  0, 100),
			 0);
		resize(v, nodes[i], SIZE - 1, i % 2);
		(void)figures_of(v);
		CHECK_EQ(volumes_stat(v, i ? "f1" : "f0").st_size, SIZE - 1);
		resize(v, nodes[i], SIZE, i % 2);
		expect_sparse(v, nodes[i], '\0');
		if (i == 1)
			resize(v, nodes[0], SIZE - 1, true);
		if (i)
			resize(v, nodes[1], SIZE - 1, true);
	}
	for (int i = 0; i < FILES; i++)
		volumes_done(v, nodes[i]);
	volumes_unmount(v);
}

/* A file without a name is nowhere else.  It may take all room, and then writing fails; values that
 * could leave have left before. */
static void test_nameless(void)
{
	struct volume *v = mount_small(stores_dir());
	struct node *nodes[FILES], *named = open_numbered(v, FILES);
	int count = 0;
	ssize_t n = 0;

	volumes_write_at(v, named, "x", 1, SIZE - 1);
	for (; count < FILES; count++) {
		char name[16];
		nodes[count] = open_numbered(v, count);
		(void)snprintf(name, sizeof name, "f%d", count);
		CHECK_EQ(volumes_unlink(v, name), 0);
		n = volume_write(v, nodes[count], "x", 1, SIZE - 1);
		(void)figures_of(v);
		if (n < 0)
			break;
	}
	volumes_forget(v);
	CHECK_EQ(n, -ENOSPC);
	CHECK_EQ(count, ROOM / SIZE);
	expect_sparse(v, named, 'x');
	for (int i = 0; i < count; i++)
		expect_sparse(v, nodes[i], 'x');
	CHECK_EQ(volume_write(v, named, "y", 1, 0), -ENOSPC);
	volume_release(v, nodes[0]);
	CHECK_EQ(volume_write(v, named, "x", 1, SIZE - 1), 1);
	for (int i = 1; i <= count; i++)
		volume_release(v, nodes[i]);
	volumes_done(v, named);
	CHECK_EQ(figures_of(v).value_bytes, 0);
	volumes_unmount(v);
}

/* No value can leave, for the disk is full: the writer is told why. */
static void test_full_disk(void)
{
	struct volume_options options = volumes_defaults;
	struct spaceio space;
	struct dw_store *store = NULL;
	struct volume *v = NULL;
	struct node *nodes[FILES];
	int count = 0;
	ssize_t n = 1;

	spaceio_init(&space);
	options.dirty_max = ROOM;
	CHECK_EQ(store_open(&space.io, stores_dir(), &(struct dw_options){.create = true}, NULL,
			    &store),
		 0);
	CHECK_EQ(volume_open(store, &options, &v), 0);
	space.room = 64 * KIB;
	for (; count < FILES && n == 1; count++) {
		nodes[count] = open_numbered(v, count);
		n = volume_write(v, nodes[count], "x", 1, SIZE - 1);
		(void)figures_of(v);
	}
	CHECK_EQ(n, -ENOSPC);
	CHECK_EQ(count, ROOM / SIZE + 1);
	/* bytes of a mapping would stay in the kernel's pages, and show to all processes */
	CHECK_EQ(volume_paging(v, nodes[count - 1]), VOLUME_PAGES_NEW);
	space.room = 64 * ROOM;
	CHECK_EQ(volume_write(v, nodes[count - 1], "x", 1, SIZE - 1), 1);
	for (int i = 0; i < count; i++) {
		expect_sparse(v, nodes[i], 'x');
		volumes_done(v, nodes[i]);
	}
	for (int i = 0; i < 2; i++) { /* until an opening has dropped them */
		nodes[0] = open_numbered(v, count - 1);
		CHECK_EQ(volume_paging(v, nodes[0]), i ? VOLUME_PAGES_KEPT : VOLUME_PAGES_NEW);
		volumes_done(v, nodes[0]);
	}
	volumes_unmount(v);
}

/* --- many at once --- */

enum { THREADS = 6, SHARED = 10, WRITES = 150 };

struct writer {
	pthread_t thread;
	struct volume *volume;
	struct node **nodes; /* of all */
	struct rng rng;
	unsigned number;
	atomic_bool *over; /* more memory was used than may be */
};

/* Each has its own stripe of every file, so what it wrote last is what it must read. */
static void *write_stripes(void *context)
{
	enum { STRIPE = SIZE / THREADS / 2 };
	struct writer *w = context;
	uint8_t last[SHARED] = {0};
	uint8_t *bytes = malloc(STRIPE);

	for (int i = 0; i < WRITES; i++) {
		size_t n = (size_t)rng_below(&w->rng, SHARED);
		uint64_t at = (uint64_t)w->number * 2 * STRIPE;
		struct volume_figures figures;
		if (volume_read(w->volume, w->nodes[n], bytes, 1, at) == 1 && *bytes != last[n])
			atomic_store(w->over, true);
		last[n] = (uint8_t)(i % 255 + 1);
		memset(bytes, last[n], STRIPE);
		if (volume_write(w->volume, w->nodes[n], bytes, STRIPE, at) != STRIPE)
			atomic_store(w->over, true);
		if (rng_below(&w->rng, 8) == 0)
			(void)volume_flush(w->volume, w->nodes[n]);
		volume_get_figures(w->volume, &figures);
		if (figures.value_bytes > figures.dirty_max)
			atomic_store(w->over, true);
	}
	free(bytes);
	return NULL;
}

static void test_many(void)
{
	struct volume *v = mount_small(stores_dir());
	struct rng rng = check_rng();
	struct node *nodes[SHARED];
	struct writer writers[THREADS];
	atomic_bool over = false;

	CHECK_EQ(volume_start(v), 0);
	for (int i = 0; i < SHARED; i++)
		nodes[i] = open_numbered(v, i);
	for (unsigned i = 0; i < THREADS; i++) {
		writers[i] = (struct writer){.volume = v,
					     .nodes = nodes,
					     .rng = {rng_next(&rng)},
					     .number = i,
					     .over = &over};
		CHECK_EQ(pthread_create(&writers[i].thread, NULL, write_stripes, &writers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		(void)pthread_join(writers[i].thread, NULL);
	CHECK(!atomic_load(&over));
	CHECK(figures_of(v).commits_early > 0);
	for (int i = 0; i < SHARED; i++)
		volumes_done(v, nodes[i]);
	volumes_unmount(v);
}

/* --- how much memory there is --- */

static void write_file(const char *top, const char *path, const char *text)
{
	char *full = NULL;

	CHECK(asprintf(&full, "%s/%s", top, path) > 0);
	FILE *file = fopen(full, "we");
	CHECK(file && fputs(text, file) >= 0 && !fclose(file));
	free(full);
}

static void make_directory(const char *top, const char *path)
{
	char *full = NULL;

	CHECK(asprintf(&full, "%s/%s", top, path) > 0);
	CHECK_EQ(mkdir(full, 0700), 0);
	free(full);
}

/* A thread that found no value to evict looks again if another gave room back meanwhile: then there
 * may be one. */
static void test_given_meanwhile(void)
{
	struct room room;
	uint64_t seen;

	CHECK_EQ(room_init(&room, 100), 0);
	CHECK(room_take(&room, 60, NULL));
	CHECK(!room_take(&room, 60, &seen));
	room_count(&room, 0, 60); /* another one's value */
	room_give(&room, 60);
	CHECK_EQ(room_take_or_wait(&room, 60, seen), 0);
	CHECK(!room_take(&room, 60, &seen));
	CHECK_EQ(room_take_or_wait(&room, 60, seen), -ENOSPC);
	room_count(&room, 60, 0);
	CHECK_EQ(room_take_or_wait(&room, 60, seen), 1);
	room_give(&room, 60);
	room_release(&room);
}

static void test_limit(void)
{
	const char *top = stores_dir();
	struct sysinfo machine;

	CHECK_EQ(sysinfo(&machine), 0);
	uint64_t all = (uint64_t)machine.totalram * machine.mem_unit;
	CHECK_EQ(memory_limit_at(top, top), all); /* nothing there */
	make_directory(top, "self");
	make_directory(top, "a");
	make_directory(top, "a/b");
	write_file(top, "self/cgroup", "0::/a/b\n");
	CHECK_EQ(memory_limit_at(top, top), all);
	write_file(top, "a/b/memory.max", "max\n");
	CHECK_EQ(memory_limit_at(top, top), all);
	write_file(top, "a/memory.max", "1000000\n"); /* that of a group above counts */
	CHECK_EQ(memory_limit_at(top, top), 1000000);
	write_file(top, "a/b/memory.max", "900000\n");
	CHECK_EQ(memory_limit_at(top, top), 900000);
	write_file(top, "memory.max", "800000\n"); /* in a namespace of its own */
	CHECK_EQ(memory_limit_at(top, top), 800000);
	/* version 1 */
	write_file(top, "self/cgroup", "7:blkio:/a\n4:memory:/x\n0::/\n");
	make_directory(top, "memory");
	make_directory(top, "memory/x");
	write_file(top, "memory/memory.limit_in_bytes", "9223372036854771712\n");
	CHECK_EQ(memory_limit_at(top, top), 800000);
	write_file(top, "memory/x/memory.limit_in_bytes", "700000\n");
	CHECK_EQ(memory_limit_at(top, top), 700000);
	write_file(top, "self/cgroup", "nonsense\n\n4:memory\n");
	CHECK_EQ(memory_limit_at(top, top), all);
}

static void test_default(void)
{
	struct volume *v = volumes_mount(stores_dir());
	uint64_t max = figures_of(v).dirty_max;

	CHECK(max >= DW_VALUE_SIZE_MAX && max <= 256 << 20);
	volumes_unmount(v);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"room_sparse", test_sparse},
		{"room_committed", test_committed},
		{"room_other_ways", test_other_ways},
		{"room_replaced", test_replaced},
		{"room_nameless", test_nameless},
		{"room_full_disk", test_full_disk},
		{"room_many", test_many},
		{"room_given_meanwhile", test_given_meanwhile},
		{"room_limit", test_limit},
		{"room_default", test_default},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
