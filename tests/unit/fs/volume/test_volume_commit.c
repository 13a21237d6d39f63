/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_volume_commit.c - committing: which call appends the value of a file to the log, and how
 * much the log grows by it.
 */
#include <poll.h>
#include <stdlib.h>

#include "tests/support/volumes.h"

static void test_one_put(void)
{
	struct volume *v = volumes_mount(stores_dir());
	struct node *f = volumes_open(v, "f", O_CREAT | O_RDWR, NULL);

	for (int i = 0; i < 100; i++)
		volumes_write_at(v, f, "0123456789", 10, 10u * (unsigned)i);
	CHECK_EQ(volumes_puts(v), 0);
	volumes_done(v, f);
	CHECK_EQ(volumes_puts(v), 1);
	volumes_done(v, volumes_open(v, "f", O_RDWR, NULL)); /* nothing written */
	f = volumes_open(v, "f", O_RDONLY, NULL);
	volumes_write(v, "g", "g");
	CHECK_EQ(volumes_puts(v), 2);
	volumes_done(v, f);
	CHECK_EQ(volumes_puts(v), 2);
	f = volumes_open(v, "f", O_RDWR, NULL);
	volumes_write_at(v, f, "a", 1, 0);
	CHECK_EQ(volume_fsync(v, f), 0);
	CHECK_EQ(volumes_puts(v), 3);
	volumes_write_at(v, f, "b", 1, 0);
	volume_release(v, f); /* a mapping's pages come after the flush */
	CHECK_EQ(volumes_puts(v), 4);
	CHECK_EQ(volume_sync(v), 0);
	volumes_unmount(v);
}

/* Opening alone appends nothing: the log goes from the old value to the new one. */
static void test_opened_only(void)
{
	struct volume *v = volumes_mount(stores_dir());
	struct node *f;

	volumes_write(v, "f", "old");
	CHECK_EQ(volumes_puts(v), 1); /* creating it was none */
	for (int created = 0; created < 2; created++) {
		const char *name = created ? "new" : "f", *before = created ? NULL : "old";
		int flags = O_CREAT | O_TRUNC | O_WRONLY;
		uint64_t puts = volumes_puts(v);
		/* a shell's `echo x >f`: the first descriptor is copied and closed */
		f = volumes_open(v, name, flags, NULL);
		CHECK_EQ(volume_flush(v, f), 0);
		volumes_expect_node(v, f, "", 0);
		stores_expect(volume_store(v), name, before);
		volumes_write_at(v, f, "x", 1, 0);
		CHECK_EQ(volume_flush(v, f), 0);
		stores_expect(volume_store(v), name, "x");
		CHECK_EQ(volume_release(v, f), 0);
		CHECK_EQ(volumes_puts(v), puts + 1);
		/* nothing is written: the last close commits, or a sync */
		f = volumes_open(v, name, flags, NULL);
		CHECK_EQ(volume_flush(v, f), 0);
		CHECK_EQ(volumes_puts(v), puts + 1);
		CHECK_EQ(volume_release(v, f), 0);
		stores_expect(volume_store(v), name, "");
		CHECK_EQ(volumes_puts(v), puts + 2);
		volumes_write(v, name, "y");
		f = volumes_open(v, name, flags, NULL);
		CHECK_EQ(volume_fsync(v, f), 0);
		stores_expect(volume_store(v), name, "");
		CHECK_EQ(volume_release(v, f), 0);
		CHECK_EQ(volumes_puts(v), puts + 4);
	}
	/* cut by ftruncate(2): that is a write */
	struct stat st = {.st_size = 0};
	volumes_write(v, "f", "old");
	f = volumes_open(v, "f", O_RDWR, NULL);
	CHECK_EQ(volume_setattr(v, f, &st, ATTR_SIZE, true, &st), 0);
	CHECK_EQ(volume_flush(v, f), 0);
	stores_expect(volume_store(v), "f", "");
	CHECK_EQ(volume_release(v, f), 0);
	volumes_unmount(v);
}

static uint64_t bytes_so_far(struct volume *volume)
{
	struct dw_stats stats;

	dw_get_stats(volume_store(volume), &stats);
	return stats.bytes_appended;
}

/* `lines` processes append to a file through copies of one descriptor.  Returns the growth of the
 * log. */
static uint64_t append_lines(struct volume *volume, struct node *node, unsigned lines)
{
	static const char line[] = "Sat Nov 28 11:34:05 CET 2026\n";
	const size_t size = sizeof line - 1;
	struct stat st;
	uint64_t before = bytes_so_far(volume);

	CHECK_EQ(volume_getattr(volume, node, &st), 0);
	for (unsigned i = 0; i < lines; i++) {
		volumes_write_at(volume, node, line, size, (uint64_t)st.st_size + i * size);
		CHECK_EQ(volume_flush(volume, node), 0);
	}
	return bytes_so_far(volume) - before;
}

/* The log grows with the size of a file, not with its square, however many close it. */
static void test_growth(void)
{
	struct volume_options options = volumes_defaults;
	struct dw_value value;

	options.commit_ms = 3600 * 1000;
	struct volume *v = volumes_mount_with(stores_dir(), &options, 0);
	struct node *f = volumes_open(v, "log", O_CREAT | O_RDWR | O_APPEND, NULL);
	uint64_t grown = append_lines(v, f, 3000);
	CHECK(grown < 3 * 87000 + (64 << 10) + 1000);
	CHECK(grown > 87000); /* it is not left to the end alone */
	CHECK_EQ(volume_release(v, f), 0);
	CHECK_EQ(dw_get(volume_store(v), stores_bytes("log"), &value), 0);
	CHECK_EQ(value.size, 87000);
	free(value.data);
	/* small ones are as they were: each close commits */
	f = volumes_open(v, "small", O_CREAT | O_RDWR | O_APPEND, NULL);
	uint64_t puts = volumes_puts(v);
	(void)append_lines(v, f, 50);
	CHECK_EQ(volumes_puts(v), puts + 50);
	CHECK_EQ(volume_release(v, f), 0);
	/* a few lines to a large one; another has it open, so its close is not the last either */
	char *large = calloc(1, 20000000);
	f = volumes_open(v, "large", O_CREAT | O_RDWR | O_APPEND, NULL);
	volumes_write_at(v, f, large, 20000000, 0);
	volumes_done(v, f);
	struct node *reader = volumes_open(v, "large", O_RDONLY, NULL);
	f = volumes_open(v, "large", O_RDWR | O_APPEND, NULL);
	CHECK(append_lines(v, f, 20) < 3 * 20001000);
	puts = volumes_puts(v);
	CHECK_EQ(volume_release(v, f), 0);
	CHECK_EQ(volumes_puts(v), puts);
	CHECK_EQ(volume_release(v, reader), 0);
	CHECK_EQ(volumes_puts(v), puts + 1);
	free(large);
	volumes_unmount(v);
}

/* Once in a while a close commits at once, whatever the file's records came to. */
static void test_growth_slow(void)
{
	struct volume_options options = volumes_defaults;

	options.commit_ms = 1;
	struct volume *v = volumes_mount_with(stores_dir(), &options, 0);
	char *large = calloc(1, 100000);
	struct node *f = volumes_open(v, "log", O_CREAT | O_RDWR | O_APPEND, NULL);
	volumes_write_at(v, f, large, 100000, 0);
	for (uint64_t i = 0; i < 10; i++) {
		uint64_t puts = volumes_puts(v);
		volumes_write_at(v, f, "x", 1, 100000 + i);
		(void)poll(NULL, 0, 2);
		CHECK_EQ(volume_flush(v, f), 0);
		CHECK_EQ(volumes_puts(v), puts + 1);
	}
	CHECK_EQ(volume_release(v, f), 0);
	free(large);
	volumes_unmount(v);
}

/* Syncs are asked for, and put off no close: it may be the only one. */
static void test_close_after_syncs(void)
{
	struct volume_options options = volumes_defaults;

	options.commit_ms = 3600 * 1000;
	struct volume *v = volumes_mount_with(stores_dir(), &options, 0);
	char *large = calloc(1, 100000);
	struct node *f = volumes_open(v, "f", O_CREAT | O_RDWR, NULL);
	for (int i = 0; i < 10; i++) {
		volumes_write_at(v, f, large, 100000, 0);
		CHECK_EQ(volume_fsync(v, f), 0);
	}
	uint64_t puts = volumes_puts(v);
	volumes_write_at(v, f, "x", 1, 0);
	CHECK_EQ(volume_flush(v, f), 0);
	CHECK_EQ(volumes_puts(v), puts + 1);
	CHECK_EQ(volume_release(v, f), 0);
	free(large);
	volumes_unmount(v);
}

/* The name of a file that is open is in the log when its directory was synced; other changes wait.
 */
static void test_fsync_dir(void)
{
	struct volume_options options = volumes_defaults;

	options.commit_ms = 3600 * 1000;
	struct volume *v = volumes_mount_with(stores_dir(), &options, 0);
	CHECK_EQ(volumes_mkdir(v, "d"), 0);
	CHECK_EQ(volumes_mkdir(v, "d/below"), 0);
	volumes_write(v, "d/old", "old");
	struct node *lock = volumes_open(v, "d/lock", O_CREAT | O_EXCL | O_WRONLY, NULL);
	struct node *pid = volumes_open(v, "d/pid", O_CREAT | O_EXCL | O_WRONLY, NULL);
	struct node *old = volumes_open(v, "d/old", O_WRONLY, NULL);
	struct node *other = volumes_open(v, "d/below/other", O_CREAT | O_WRONLY, NULL);
	volumes_write_at(v, pid, "1", 1, 0);
	volumes_write_at(v, old, "new", 3, 0);
	CHECK_EQ(volume_fsync_dir(v, volumes_find(v, "d")), 0);
	stores_expect(volume_store(v), "d/lock", "");
	stores_expect(volume_store(v), "d/pid", "1");
	stores_expect(volume_store(v), "d/old", "old");
	stores_expect(volume_store(v), "d/below/other", NULL);
	uint64_t puts = volumes_puts(v);
	CHECK_EQ(volume_fsync_dir(v, volumes_find(v, "d")), 0);
	CHECK_EQ(volumes_puts(v), puts);
	volumes_done(v, lock);
	volumes_done(v, pid);
	volumes_done(v, old);
	volumes_done(v, other);
	volumes_unmount(v);
}

static void test_unmount_commits(void)
{
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);
	struct node *f = volumes_open(v, "f", O_CREAT | O_RDWR, NULL);

	volumes_write_at(v, f, "f", 1, 0);
	volumes_open(v, "g", O_CREAT | O_RDWR, NULL);
	CHECK_EQ(volume_commit_all(v), 0);
	stores_expect(volume_store(v), "f", "f");
	stores_expect(volume_store(v), "g", "");
	volumes_write_at(v, f, "F", 1, 0);
	volumes_unmount(v);
	v = volumes_mount(dir);
	volumes_expect(v, "f", "F");
	volumes_expect(v, "g", "");
	volumes_unmount(v);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"volume_one_put", test_one_put},
		{"volume_opened_only", test_opened_only},
		{"volume_growth", test_growth},
		{"volume_growth_slow", test_growth_slow},
		{"volume_close_after_syncs", test_close_after_syncs},
		{"volume_fsync_dir", test_fsync_dir},
		{"volume_unmount_commits", test_unmount_commits},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
