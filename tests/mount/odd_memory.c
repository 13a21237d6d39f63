/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * odd_memory.c - much that a daemon could keep in memory, to be asked of one that may use little.
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "tests/mount/odd.h"

enum { MIB = 1 << 20, LARGEST = 64 * MIB, SPARSE = 15, HELD = 8, LARGE = 60 * MIB };
enum { LABELLED = 3600, LABEL = 64 << 10 };

static int open_numbered(const char *prefix, int n, int flags)
{
	char name[32];

	(void)snprintf(name, sizeof name, "%s%d", prefix, n);
	return odd_open(name, flags);
}

static void unlink_numbered(const char *prefix, int n)
{
	char name[32];

	(void)snprintf(name, sizeof name, "%s%d", prefix, n);
	MUST(!unlink(name));
}

static void expect_byte(int fd, off_t at, char byte)
{
	char got;

	MUST(pread(fd, &got, 1, at) == 1 && got == byte);
}

/* One byte at the end of each of many files, which stay open. */
static void test_sparse(void)
{
	int fds[SPARSE];

	for (int i = 0; i < SPARSE; i++) {
		fds[i] = open_numbered("sparse", i, O_RDWR | O_CREAT);
		MUST(pwrite(fds[i], "x", 1, LARGEST - 1) == 1);
	}
	for (int i = 0; i < SPARSE; i++) {
		expect_byte(fds[i], LARGEST - 1, 'x');
		expect_byte(fds[i], LARGEST / 2, '\0');
	}
	for (int i = 0; i < SPARSE; i++)
		MUST(!close(fds[i]));
	for (int i = 0; i < SPARSE; i++)
		unlink_numbered("sparse", i);
}

/* Large files that stay open, written whole and then here and there, in turns. */
static void test_held(void)
{
	int fds[HELD];
	char *bytes = malloc(MIB);

	MUST(bytes != NULL);
	for (int i = 0; i < HELD; i++) {
		fds[i] = open_numbered("held", i, O_RDWR | O_CREAT);
		memset(bytes, 'a' + i, MIB);
		for (off_t at = 0; at < LARGE; at += MIB)
			MUST(pwrite(fds[i], bytes, MIB, at) == MIB);
	}
	MUST(!fsync(fds[0]));
	for (int i = 0; i < HELD; i++)
		MUST(pwrite(fds[i], "!", 1, LARGE / 2) == 1);
	/* and all of it as of one moment */
	MUST(!mkdir(".datawal/snapshots/held", 0700));
	for (int i = 0; i < HELD; i++) {
		int fd = open_numbered(".datawal/snapshots/held/held", i, O_RDONLY);
		for (int from = 0; from < 2; from++) {
			int each = from ? fd : fds[i];
			expect_byte(each, 0, (char)('a' + i));
			expect_byte(each, LARGE / 2, '!');
			expect_byte(each, LARGE - 1, (char)('a' + i));
		}
		MUST(!close(fd));
	}
	MUST(!rmdir(".datawal/snapshots/held"));
	for (int i = 0; i < HELD; i++)
		MUST(!close(fds[i]));
	for (int i = 0; i < HELD; i++)
		unlink_numbered("held", i);
	free(bytes);
}

/* The same by mappings; the kernel writes their pages whenever it likes. */
static void test_mapped(void)
{
	char *maps[HELD];

	for (int i = 0; i < HELD; i++) {
		int fd = open_numbered("mapped", i, O_RDWR | O_CREAT);
		MUST(!ftruncate(fd, LARGE));
		maps[i] = mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		MUST(maps[i] != MAP_FAILED && !close(fd));
		for (int at = i; at < LARGE; at += MIB)
			maps[i][at] = (char)('a' + i);
	}
	for (int i = 0; i < HELD; i++)
		MUST(!msync(maps[i], LARGE, MS_SYNC));
	for (int i = 0; i < HELD; i++) {
		maps[i][LARGE - 1] = '!';
		MUST(!munmap(maps[i], LARGE));
	}
	for (int i = 0; i < HELD; i++) {
		int fd = open_numbered("mapped", i, O_RDONLY);
		expect_byte(fd, i, (char)('a' + i));
		expect_byte(fd, 30 * MIB + i, (char)('a' + i));
		expect_byte(fd, LARGE - 1, '!');
		MUST(!close(fd));
	}
	for (int i = 0; i < HELD; i++)
		unlink_numbered("mapped", i);
}

/* The release of a file that made room is a request of its own, behind close(2). */
static void write_when_room(int fd, off_t at)
{
	ssize_t n;

	do
		n = pwrite(fd, "x", 1, at);
	while (n < 0 && errno == ENOSPC);
	MUST(n == 1);
}

/* A file without a name is in memory only: at some point there is no space for more, and as soon as
 * one goes there is. */
static void test_nameless(void)
{
	int fds[SPARSE], count = 0;
	ssize_t n = 1;

	while (count < SPARSE && n == 1) {
		fds[count] = open_numbered("nameless", count, O_RDWR | O_CREAT);
		unlink_numbered("nameless", count);
		n = pwrite(fds[count++], "x", 1, 30 * MIB);
	}
	MUST(n < 0 && errno == ENOSPC && count > 1);
	for (int i = 0; i < count - 1; i++)
		expect_byte(fds[i], 30 * MIB, 'x');
	MUST(!close(fds[0]));
	write_when_room(fds[count - 1], 30 * MIB);
	for (int i = 1; i < count; i++)
		MUST(!close(fds[i]));
	int after = odd_open("after", O_RDWR | O_CREAT);
	write_when_room(after, LARGEST - 1);
	MUST(!close(after));
}

static void fill_label(char *label, int n)
{
	memset(label, 'l', LABEL);
	(void)snprintf(label, LABEL, "%d", n);
}

/* Attributes of many files. */
static void test_label(void)
{
	char *label = malloc(LABEL);

	MUST(label != NULL);
	for (int i = 0; i < LABELLED; i++) {
		int fd = open_numbered("label", i, O_WRONLY | O_CREAT);
		fill_label(label, i);
		/* half of them before the first value is in the log */
		if (i % 2)
			MUST(!close(fd));
		if (i % 2)
			fd = open_numbered("label", i, O_WRONLY);
		MUST(!fsetxattr(fd, "user.label", label, LABEL, 0));
		MUST(!close(fd));
	}
	free(label);
}

static void test_labelled(void)
{
	char *label = malloc(LABEL), *got = malloc(LABEL), name[32];

	MUST(label && got);
	for (int i = 0; i < LABELLED; i += 7) {
		(void)snprintf(name, sizeof name, "label%d", i);
		fill_label(label, i);
		MUST(getxattr(name, "user.label", got, LABEL) == LABEL);
		MUST(!memcmp(got, label, LABEL));
	}
	free(label);
	free(got);
}

int main(int argc, char **argv)
{
	static const struct odd_test tests[] = {
		{"sparse", test_sparse},
		{"held", test_held},
		{"mapped", test_mapped},
		{"nameless", test_nameless},
		{"label", test_label},
		{"labelled", test_labelled},
		{NULL, NULL},
	};
	return odd_main(argc, argv, tests);
}
