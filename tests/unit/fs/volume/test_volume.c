/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_volume.c - values: creating, reading, writing, truncating, what open files
 * see of a file that is removed or replaced, and what reaches the log when.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/volumes.h"

static uint64_t puts_so_far(struct volume *volume)
{
	struct dw_stats stats;

	dw_get_stats(volume_store(volume), &stats);
	return stats.puts;
}

/* --- reading and writing --- */

static void test_write(void)
{
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);
	struct node *f = volumes_open(v, "f", O_CREAT | O_RDWR, NULL);
	char buffer[8];

	volumes_expect_node(v, f, "", 0);
	volumes_write_at(v, f, "hello", 5, 0);
	volumes_write_at(v, f, "J", 1, 0);
	volumes_write_at(v, f, "y!", 2, 4);
	volumes_expect_node(v, f, "Jelly!", 6);
	CHECK_EQ(volume_read(v, f, buffer, 3, 2), 3);
	CHECK(!memcmp(buffer, "lly", 3));
	CHECK_EQ(volume_read(v, f, buffer, 3, 5), 1);
	CHECK_EQ(volume_read(v, f, buffer, 3, 6), 0);
	CHECK_EQ(volume_read(v, f, buffer, 3, 1ull << 40), 0);
	CHECK_EQ(volume_write(v, f, "x", 0, 1ull << 40), 0);
	volumes_done(v, f);
	stores_expect(volume_store(v), "f", "Jelly!");
	f = volumes_open(v, "f", O_RDWR | O_APPEND, NULL); /* the kernel tells the offset */
	volumes_write_at(v, f, "?", 1, 6);
	volumes_done(v, f);
	volumes_expect(v, "f", "Jelly!?");
	volumes_unmount(v);
	v = volumes_mount(dir);
	volumes_expect(v, "f", "Jelly!?");
	volumes_expect_list(v, "", "f|");
	volumes_unmount(v);
}

static void test_sparse(void)
{
	struct volume *v = volumes_mount(stores_dir());
	struct node *f = volumes_open(v, "f", O_CREAT | O_RDWR, NULL);

	volumes_write_at(v, f, "secret secret", 13, 0);
	volumes_done(v, f);
	CHECK_EQ(volumes_truncate(v, "f", 2), 0);
	f = volumes_open(v, "f", O_RDWR, NULL);
	volumes_write_at(v, f, "x", 1, 6);
	volumes_expect_node(v, f, "se\0\0\0\0x", 7); /* what was cut off does not come back */
	volumes_write_at(v, f, "y", 1, 2000);
	char want[2001] = "se\0\0\0\0x";
	want[2000] = 'y';
	volumes_expect_node(v, f, want, sizeof want);
	volumes_done(v, f);
	volumes_expect_node(v, volumes_find(v, "f"), want, sizeof want);
	volumes_unmount(v);
}

static void test_truncate(void)
{
	struct volume *v = volumes_mount(stores_dir());
	struct stat st = {.st_size = 4};

	volumes_write(v, "f", "0123456789");
	CHECK_EQ(volumes_truncate(v, "f", 5), 0); /* not open: committed at once */
	stores_expect(volume_store(v), "f", "01234");
	CHECK_EQ(volumes_truncate(v, "f", 7), 0);
	volumes_expect_node(v, volumes_find(v, "f"), "01234\0\0", 7);
	CHECK_EQ(volumes_truncate(v, "f", 0), 0);
	stores_expect(volume_store(v), "f", "");
	struct node *f = volumes_open(v, "f", O_RDWR, NULL), *again;
	volumes_write_at(v, f, "abcdef", 6, 0);
	uint64_t puts = puts_so_far(v);
	CHECK_EQ(volume_setattr(v, f, &st, ATTR_SIZE, true, &st), 0);
	CHECK_EQ(st.st_size, 4);
	st.st_size = 6;
	CHECK_EQ(volume_setattr(v, f, &st, ATTR_SIZE, true, &st), 0);
	volumes_expect_node(v, f, "abcd\0\0", 6);
	CHECK_EQ(puts_so_far(v), puts); /* open: with the close */
	again = volumes_open(v, "f", O_RDONLY, NULL);
	volumes_expect_node(v, again, "abcd\0\0", 6); /* all openers see it */
	volumes_done(v, f);
	volumes_done(v, again);
	CHECK_EQ(puts_so_far(v), puts + 1);
	CHECK_EQ(volumes_truncate(v, "f", DW_VALUE_SIZE_MAX + 1ull), -EFBIG);
	st.st_size = -1;
	CHECK_EQ(volume_setattr(v, f, &st, ATTR_SIZE, false, &st), -EINVAL);
	CHECK_EQ(volume_setattr(v, volume_root(v), &(struct stat){0}, ATTR_SIZE, false, &st),
		 -EISDIR);
	volumes_expect_node(v, f, "abcd\0\0", 6);
	volumes_unmount(v);
}

static void test_open_flags(void)
{
	struct volume *v = volumes_mount(stores_dir());
	int rc;

	volumes_write(v, "f", "value");
	CHECK_EQ(volumes_mkdir(v, "d"), 0);
	CHECK_EQ(volumes_create(v, "f"), -EEXIST); /* O_EXCL */
	CHECK_EQ(volumes_create(v, "d"), -EEXIST);
	volumes_expect(v, "f", "value");
	struct node *f = volumes_open(v, "f", O_CREAT | O_RDWR, NULL);
	volumes_expect_node(v, f, "value", 5);
	volumes_done(v, f);
	f = volumes_open(v, "f", O_CREAT | O_TRUNC | O_WRONLY, NULL);
	volumes_expect_node(v, f, "", 0);
	volumes_done(v, f);
	stores_expect(volume_store(v), "f", "");
	volumes_write(v, "f", "value");
	volumes_done(v, volumes_open(v, "f", O_TRUNC | O_RDWR, NULL));
	stores_expect(volume_store(v), "f", "");
	CHECK(!volumes_open(v, "none", O_RDONLY, &rc));
	CHECK_EQ(rc, -ENOENT);
	CHECK(!volumes_open(v, "d", O_RDONLY, &rc));
	CHECK_EQ(rc, -EISDIR);
	CHECK(!volumes_open(v, "d", O_CREAT | O_RDWR, &rc));
	CHECK_EQ(rc, -EISDIR);
	CHECK(!volumes_open(v, "f/x", O_CREAT | O_RDWR, &rc));
	CHECK_EQ(rc, -ENOTDIR);
	CHECK_EQ(volumes_create(v, "empty"), 0);
	stores_expect(volume_store(v), "empty", "");
	volumes_unmount(v);
}

static void test_mknod(void)
{
	struct volume *v = volumes_mount(stores_dir());
	struct volume_entry entry;

	CHECK_EQ(volume_mknod(v, &volumes_cred, volume_root(v), "f", S_IFREG | 0644, &entry), 0);
	volume_forget(v, entry.node, 1);
	stores_expect(volume_store(v), "f", "");
	CHECK_EQ(volume_mknod(v, &volumes_cred, volume_root(v), "f", S_IFREG | 0644, &entry),
		 -EEXIST);
	CHECK_EQ(volume_mknod(v, &volumes_cred, volume_root(v), "p", S_IFIFO | 0644, &entry),
		 -EPERM);
	volumes_expect_list(v, "", "f|");
	volumes_unmount(v);
}

/* --- the largest value --- */

static void test_largest(void)
{
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);
	struct node *f = volumes_open(v, "f", O_CREAT | O_RDWR, NULL);
	char byte;

	volumes_write_at(v, f, "xyz", 3, DW_VALUE_SIZE_MAX - 3);
	CHECK_EQ(volume_write(v, f, "x", 1, DW_VALUE_SIZE_MAX), -EFBIG);
	CHECK_EQ(volume_write(v, f, "x", 1, UINT64_MAX), -EFBIG);
	CHECK_EQ(volume_write(v, f, "abcde", 5, DW_VALUE_SIZE_MAX - 2), 2);
	CHECK_EQ(volume_fallocate(v, f, 0, DW_VALUE_SIZE_MAX, 1), -EFBIG);
	CHECK_EQ(volume_fallocate(v, f, 0, UINT64_MAX, UINT64_MAX), -EFBIG);
	volumes_done(v, f);
	volumes_unmount(v);
	v = volumes_mount(dir);
	CHECK_EQ(volumes_stat(v, "f").st_size, DW_VALUE_SIZE_MAX);
	f = volumes_open(v, "f", O_RDONLY, NULL);
	static const char want[] = {0, 'x', 'a', 'b'};
	for (size_t i = 0; i < sizeof want; i++) {
		CHECK_EQ(volume_read(v, f, &byte, 1, DW_VALUE_SIZE_MAX - 4 + i), 1);
		CHECK_EQ(byte, want[i]);
	}
	CHECK_EQ(volume_read(v, f, &byte, 1, DW_VALUE_SIZE_MAX), 0);
	volumes_done(v, f);
	volumes_unmount(v);
}

static void test_fallocate(void)
{
	struct volume *v = volumes_mount(stores_dir());
	const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	volumes_write(v, "f", "0123456789");
	struct node *f = volumes_open(v, "f", O_RDWR, NULL);
	CHECK_EQ(volume_fallocate(v, f, FALLOC_FL_KEEP_SIZE, 5, 100), 0);
	volumes_expect_node(v, f, "0123456789", 10);
	CHECK_EQ(volume_fallocate(v, f, punch, 8, 100), 0);
	CHECK_EQ(volume_fallocate(v, f, punch, 1, 2), 0);
	CHECK_EQ(volume_fallocate(v, f, punch, 50, 2), 0);
	volumes_expect_node(v, f,
			    "0\0\0"
			    "34567\0\0",
			    10);
	CHECK_EQ(volume_fallocate(v, f, 0, 9, 3), 0);
	CHECK_EQ(volume_fallocate(v, f, FALLOC_FL_ZERO_RANGE, 7, 2), 0);
	CHECK_EQ(volume_fallocate(v, f, FALLOC_FL_ZERO_RANGE, 12, 1), 0);
	volumes_expect_node(v, f,
			    "0\0\0"
			    "3456\0\0\0\0\0\0",
			    13);
	CHECK_EQ(volume_fallocate(v, f, FALLOC_FL_COLLAPSE_RANGE, 0, 1), -EOPNOTSUPP);
	volumes_done(v, f);
	CHECK_EQ(volumes_stat(v, "f").st_size, 13);
	volumes_unmount(v);
}

/* --- what open files see --- */

static void test_unlinked(void)
{
	const char *dir = stores_dir();
	struct volume *v = volumes_mount(dir);

	volumes_write(v, "small", "small");
	struct node *small = volumes_open(v, "small", O_RDWR, NULL);
	struct node *fresh = volumes_open(v, "fresh", O_CREAT | O_RDWR, NULL);
	volumes_write_at(v, fresh, "fresh", 5, 0);
	CHECK_EQ(volumes_unlink(v, "small"), 0);
	CHECK_EQ(volumes_unlink(v, "fresh"), 0);
	CHECK_EQ(volumes_unlink(v, "fresh"), -ENOENT);
	volumes_expect_list(v, "", "");
	uint64_t puts = puts_so_far(v);
	volumes_expect_node(v, fresh, "fresh", 5);
	volumes_expect_node(v, small, "small", 5);
	volumes_write(v, "small", "another");
	volumes_write_at(v, small, "S", 1, 0);
	volumes_expect_node(v, small, "Small", 5);
	volumes_write_at(v, fresh, "!", 1, 5);
	volumes_expect_node(v, fresh, "fresh!", 6);
	volumes_done(v, small);
	CHECK_EQ(volume_fsync(v, fresh), 0);
	volumes_done(v, fresh);
	CHECK_EQ(puts_so_far(v), puts + 1); /* only the other one */
	volumes_unmount(v);
	v = volumes_mount(dir);
	volumes_expect_list(v, "", "small|");
	volumes_expect(v, "small", "another");
	volumes_unmount(v);
}

/* A large value is not in memory: it is pinned in a segment that goes. */
static void test_unlinked_large(void)
{
	enum { SIZE = 300000 };
	struct volume *v = volumes_mount_with(stores_dir(), NULL, 100000);
	uint8_t *noise = stores_noise(1, SIZE);
	struct node *f[2];

	for (int i = 0; i < 2; i++) {
		f[i] = volumes_open(v, i ? "g" : "f", O_CREAT | O_RDWR, NULL);
		volumes_write_at(v, f[i], noise, SIZE, 0);
		volumes_done(v, f[i]);
		f[i] = volumes_open(v, i ? "g" : "f", O_RDWR, NULL);
	}
	volumes_expect_node(v, f[0], noise, SIZE); /* one read before, one not */
	for (int i = 0; i < 2; i++)
		CHECK_EQ(volumes_unlink(v, i ? "g" : "f"), 0);
	for (int i = 0; i < 5; i++)
		volumes_write(v, "h", "something to compact");
	CHECK_EQ(dw_compact(volume_store(v), NULL), 0);
	CHECK_EQ(dw_count(volume_store(v)), 1);
	for (int i = 0; i < 2; i++) {
		volumes_expect_node(v, f[i], noise, SIZE);
		noise[200000] ^= 0xff;
		volumes_write_at(v, f[i], noise + 200000, 1, 200000);
		volumes_expect_node(v, f[i], noise, SIZE);
		noise[200000] ^= 0xff;
		volumes_done(v, f[i]);
	}
	volumes_expect_list(v, "", "h|");
	free(noise);
	volumes_unmount(v);
}

/* A reader's view follows a writer, whether or not the value was pinned. */
static void test_shared(void)
{
	enum { SIZE = 200000 };
	struct volume *v = volumes_mount(stores_dir());
	uint8_t *noise = stores_noise(2, SIZE);
	struct node *f = volumes_open(v, "f", O_CREAT | O_RDWR, NULL), *reader;

	volumes_write_at(v, f, noise, SIZE, 0);
	volumes_done(v, f);
	reader = volumes_open(v, "f", O_RDONLY, NULL);
	volumes_expect_node(v, reader, noise, SIZE);
	CHECK_EQ(dw_compact(volume_store(v), NULL), 0);
	f = volumes_open(v, "f", O_RDWR, NULL);
	noise[7] ^= 1;
	volumes_write_at(v, f, noise + 7, 1, 7);
	volumes_expect_node(v, reader, noise, SIZE);
	volumes_done(v, f);
	volumes_expect_node(v, reader, noise, SIZE);
	volumes_done(v, reader);
	volumes_expect_node(v, volumes_find(v, "f"), noise, SIZE);
	free(noise);
	volumes_unmount(v);
}

/* --- the kernel's pages --- */

/* Those who open a file while one has it open for writing only go past the pages as well. */
static void test_paging(void)
{
	struct volume *v = volumes_mount(stores_dir());
	struct node *a = volumes_open(v, "f", O_CREAT | O_WRONLY, NULL), *b;

	CHECK_EQ(volume_paging(v, a), VOLUME_PAGES_KEPT); /* not allowed yet */
	volumes_done(v, a);
	volume_allow_direct(v);
	a = volumes_open(v, "f", O_RDONLY, NULL);
	b = volumes_open(v, "f", O_WRONLY, NULL);
	CHECK_EQ(volume_paging(v, b), VOLUME_PAGES_KEPT); /* others have pages of it */
	volumes_done(v, a);
	volumes_done(v, b);
	a = volumes_open(v, "f", O_WRONLY, NULL);
	CHECK_EQ(volume_paging(v, a), VOLUME_PAGES_DIRECT);
	volumes_done(v, a);
	a = volumes_open(v, "f", O_RDONLY, NULL);
	CHECK_EQ(volume_paging(v, a), VOLUME_PAGES_KEPT); /* writes dropped what they changed */
	volumes_done(v, a);
	a = volumes_open(v, "g", O_CREAT | O_WRONLY, NULL);
	b = volumes_open(v, "g", O_RDWR, NULL);
	CHECK_EQ(volume_paging(v, b), VOLUME_PAGES_DIRECT);
	volumes_done(v, a);
	CHECK_EQ(volume_paging(v, b), VOLUME_PAGES_DIRECT);
	volumes_done(v, b);
	/* it may have been mapped: the pages go with each opening until all have closed */
	a = volumes_open(v, "g", O_RDONLY, NULL);
	b = volumes_open(v, "g", O_RDWR, NULL);
	CHECK_EQ(volume_paging(v, a), VOLUME_PAGES_NEW);
	CHECK_EQ(volume_paging(v, b), VOLUME_PAGES_NEW);
	volumes_done(v, a);
	volumes_done(v, b);
	a = volumes_open(v, "g", O_RDWR, NULL);
	CHECK_EQ(volume_paging(v, a), VOLUME_PAGES_KEPT);
	volumes_done(v, a);
	volumes_unmount(v);
}

struct given {
	char data[100];
	size_t size;
	int count;
};

static void note_given(void *context, const void *data, size_t size)
{
	struct given *given = context;

	CHECK(size <= sizeof given->data);
	memcpy(given->data, data, size);
	given->size = size;
	given->count++;
}

static void expect_given(struct volume *v, struct node *f, const char *text)
{
	struct given given = {.count = 0};

	CHECK_EQ(volume_open_file(v, f, O_RDONLY), 0);
	volume_push(v, f, 20, note_given, &given);
	CHECK_EQ(given.count, text != NULL);
	CHECK(!text || (given.size == strlen(text) && !memcmp(given.data, text, given.size)));
	volumes_done(v, f);
}

/* As one who knows it. */
static struct node *write_known(struct volume *v, const char *path, const char *text)
{
	struct volume_entry entry;

	volumes_write(v, path, text);
	CHECK_EQ(volume_lookup(v, volume_root(v), path, &entry), 0);
	return entry.node;
}

/* Once for each value, to who alone has it open. */
static void test_give(void)
{
	struct volume *v = volumes_mount(stores_dir());
	struct node *f = write_known(v, "f", "one"), *empty, *large;
	struct stat st = {.st_size = 1};

	expect_given(v, f, "one");
	expect_given(v, f, NULL);
	CHECK_EQ(volume_open_file(v, f, O_WRONLY), 0);
	volumes_write_at(v, f, "two", 3, 0);
	expect_given(v, f, NULL); /* another one has it open */
	volumes_done(v, f);
	expect_given(v, f, "two");
	CHECK_EQ(volume_setattr(v, f, &st, ATTR_SIZE, false, &st), 0);
	expect_given(v, f, "t");
	/* what the kernel forgot, it is given again */
	volume_forget(v, f, 1);
	f = volumes_find(v, "f");
	expect_given(v, f, "t");
	empty = write_known(v, "empty", "");
	expect_given(v, empty, NULL);
	large = write_known(v, "large", "more than twenty bytes");
	expect_given(v, large, NULL);
	volume_forget(v, empty, 1);
	volume_forget(v, large, 1);
	volumes_unmount(v);
}

/* --- committing --- */

static void test_one_put(void)
{
	struct volume *v = volumes_mount(stores_dir());
	struct node *f = volumes_open(v, "f", O_CREAT | O_RDWR, NULL);

	for (int i = 0; i < 100; i++)
		volumes_write_at(v, f, "0123456789", 10, 10u * (unsigned)i);
	CHECK_EQ(puts_so_far(v), 0);
	volumes_done(v, f);
	CHECK_EQ(puts_so_far(v), 1);
	volumes_done(v, volumes_open(v, "f", O_RDWR, NULL)); /* nothing written */
	f = volumes_open(v, "f", O_RDONLY, NULL);
	volumes_write(v, "g", "g");
	CHECK_EQ(puts_so_far(v), 2);
	volumes_done(v, f);
	CHECK_EQ(puts_so_far(v), 2);
	f = volumes_open(v, "f", O_RDWR, NULL);
	volumes_write_at(v, f, "a", 1, 0);
	CHECK_EQ(volume_fsync(v, f), 0);
	CHECK_EQ(puts_so_far(v), 3);
	volumes_write_at(v, f, "b", 1, 0);
	volume_release(v, f); /* a mapping's pages come after the flush */
	CHECK_EQ(puts_so_far(v), 4);
	CHECK_EQ(volume_sync(v), 0);
	volumes_unmount(v);
}

/* Opening alone appends nothing: the log goes from the old value to the new one. */
static void test_opened_only(void)
{
	struct volume *v = volumes_mount(stores_dir());
	struct node *f;

	volumes_write(v, "f", "old");
	CHECK_EQ(puts_so_far(v), 1); /* creating it was none */
	for (int created = 0; created < 2; created++) {
		const char *name = created ? "new" : "f", *before = created ? NULL : "old";
		int flags = O_CREAT | O_TRUNC | O_WRONLY;
		uint64_t puts = puts_so_far(v);
		/* a shell's `echo x >f`: the first descriptor is copied and closed */
		f = volumes_open(v, name, flags, NULL);
		CHECK_EQ(volume_flush(v, f), 0);
		volumes_expect_node(v, f, "", 0);
		stores_expect(volume_store(v), name, before);
		volumes_write_at(v, f, "x", 1, 0);
		CHECK_EQ(volume_flush(v, f), 0);
		stores_expect(volume_store(v), name, "x");
		CHECK_EQ(volume_release(v, f), 0);
		CHECK_EQ(puts_so_far(v), puts + 1);
		/* nothing is written: the last close commits, or a sync */
		f = volumes_open(v, name, flags, NULL);
		CHECK_EQ(volume_flush(v, f), 0);
		CHECK_EQ(puts_so_far(v), puts + 1);
		CHECK_EQ(volume_release(v, f), 0);
		stores_expect(volume_store(v), name, "");
		CHECK_EQ(puts_so_far(v), puts + 2);
		volumes_write(v, name, "y");
		f = volumes_open(v, name, flags, NULL);
		CHECK_EQ(volume_fsync(v, f), 0);
		stores_expect(volume_store(v), name, "");
		CHECK_EQ(volume_release(v, f), 0);
		CHECK_EQ(puts_so_far(v), puts + 4);
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

/* `lines` processes append to a file through copies of one descriptor.  What the log grows by. */
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
	uint64_t puts = puts_so_far(v);
	(void)append_lines(v, f, 50);
	CHECK_EQ(puts_so_far(v), puts + 50);
	CHECK_EQ(volume_release(v, f), 0);
	/* a few lines to a large one; another has it open, so its close is not the last either */
	char *large = calloc(1, 20000000);
	f = volumes_open(v, "large", O_CREAT | O_RDWR | O_APPEND, NULL);
	volumes_write_at(v, f, large, 20000000, 0);
	volumes_done(v, f);
	struct node *reader = volumes_open(v, "large", O_RDONLY, NULL);
	f = volumes_open(v, "large", O_RDWR | O_APPEND, NULL);
	CHECK(append_lines(v, f, 20) < 3 * 20001000);
	puts = puts_so_far(v);
	CHECK_EQ(volume_release(v, f), 0);
	CHECK_EQ(puts_so_far(v), puts);
	CHECK_EQ(volume_release(v, reader), 0);
	CHECK_EQ(puts_so_far(v), puts + 1);
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
		uint64_t puts = puts_so_far(v);
		volumes_write_at(v, f, "x", 1, 100000 + i);
		(void)poll(NULL, 0, 2);
		CHECK_EQ(volume_flush(v, f), 0);
		CHECK_EQ(puts_so_far(v), puts + 1);
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
	uint64_t puts = puts_so_far(v);
	volumes_write_at(v, f, "x", 1, 0);
	CHECK_EQ(volume_flush(v, f), 0);
	CHECK_EQ(puts_so_far(v), puts + 1);
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
	uint64_t puts = puts_so_far(v);
	CHECK_EQ(volume_fsync_dir(v, volumes_find(v, "d")), 0);
	CHECK_EQ(puts_so_far(v), puts);
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
		{"volume_write", test_write},
		{"volume_sparse", test_sparse},
		{"volume_truncate", test_truncate},
		{"volume_open_flags", test_open_flags},
		{"volume_mknod", test_mknod},
		{"volume_largest", test_largest},
		{"volume_fallocate", test_fallocate},
		{"volume_unlinked", test_unlinked},
		{"volume_unlinked_large", test_unlinked_large},
		{"volume_shared", test_shared},
		{"volume_paging", test_paging},
		{"volume_push", test_give},
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
