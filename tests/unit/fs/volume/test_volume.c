/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_volume.c - values: creating, reading, writing, truncating, and the view that open files have
 * of a file that is removed or replaced.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/volumes.h"

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
	volumes_expect_node(v, f, "se\0\0\0\0x", 7); /* bytes that were cut off do not come back */
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
	uint64_t puts = volumes_puts(v);
	CHECK_EQ(volume_setattr(v, f, &st, ATTR_SIZE, true, &st), 0);
	CHECK_EQ(st.st_size, 4);
	st.st_size = 6;
	CHECK_EQ(volume_setattr(v, f, &st, ATTR_SIZE, true, &st), 0);
	volumes_expect_node(v, f, "abcd\0\0", 6);
	CHECK_EQ(volumes_puts(v), puts); /* open: with the close */
	again = volumes_open(v, "f", O_RDONLY, NULL);
	volumes_expect_node(v, again, "abcd\0\0", 6); /* all openers see it */
	volumes_done(v, f);
	volumes_done(v, again);
	CHECK_EQ(volumes_puts(v), puts + 1);
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
	uint64_t puts = volumes_puts(v);
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
	CHECK_EQ(volumes_puts(v), puts + 1); /* only the other one */
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
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
