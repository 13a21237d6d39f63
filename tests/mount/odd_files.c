/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * odd_files.c - odd but legal things done to one file, checked as they happen; the
 * shell test looks at what is left after the next mount.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "tests/mount/odd.h"

enum { KIB = 1 << 10, MIB = 1 << 20, LIMIT = 64 * MIB, PAGE = 4096 };

/* --- several at once --- */

static void test_append(void)
{
	enum { WRITERS = 4, LINES = 300, LINE = 40 };
	char line[LINE + 1], got[LINE];
	unsigned seen[WRITERS] = {0};

	for (unsigned w = 0; w < WRITERS; w++) {
		if (odd_fork())
			continue;
		int fd = odd_open("append", O_WRONLY | O_APPEND | O_CREAT);
		for (unsigned i = 0; i < LINES; i++) {
			(void)snprintf(line, sizeof line, "%u %36u\n", w, i);
			MUST(write(fd, line, LINE - 1) == LINE - 1);
		}
		_exit(close(fd) < 0);
	}
	odd_wait(WRITERS);
	int fd = odd_open("append", O_RDONLY);
	/* each writer's lines are whole and in its order */
	for (unsigned i = 0; i < WRITERS * LINES; i++) {
		unsigned w, n;
		MUST(read(fd, got, LINE - 1) == LINE - 1);
		got[LINE - 1] = '\0';
		MUST(sscanf(got, "%u %u", &w, &n) == 2 && w < WRITERS);
		MUST(n == seen[w]++);
	}
	MUST(read(fd, got, 1) == 0);
}

static void test_excl(void)
{
	enum { RIVALS = 4, NAMES = 200 };
	char name[16];
	int won[2];
	uint8_t wins[NAMES] = {0}, one;

	MUST(!pipe(won));
	for (unsigned r = 0; r < RIVALS; r++) {
		if (odd_fork())
			continue;
		for (unsigned i = 0; i < NAMES; i++) {
			(void)snprintf(name, sizeof name, "excl-%u", i);
			int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
			MUST(fd >= 0 || errno == EEXIST);
			one = (uint8_t)i;
			if (fd >= 0)
				MUST(write(won[1], &one, 1) == 1 && !close(fd));
		}
		_exit(0);
	}
	odd_wait(RIVALS);
	MUST(!close(won[1]));
	while (read(won[0], &one, 1) == 1)
		wins[one]++;
	for (unsigned i = 0; i < NAMES; i++)
		MUST(wins[i] == 1);
}

static void test_trunc(void)
{
	odd_write("trunc", "a long value", 12);
	int reader = odd_open("trunc", O_RDONLY);
	odd_expect(reader, "a long value", 12);
	int fd = odd_open("trunc", O_WRONLY | O_TRUNC);
	odd_expect(reader, "", 0);
	MUST(pwrite(fd, "new", 3, 2) == 3);
	odd_expect(reader, "\0\0new", 5);
	MUST(!ftruncate(fd, 3));
	MUST(!ftruncate(fd, 5));
	odd_expect(reader, "\0\0n\0\0", 5); /* bytes that were cut off do not come back */
	MUST(!close(fd));
	odd_expect_file("trunc", "\0\0n\0\0", 5);
}

/* Sizes change under writers and readers: a byte is zero or what belongs there. */
static void test_truncate_race(void)
{
	enum { SIZE = 64 * KIB, PARTIES = 4 };
	int fd = odd_open("race", O_RDWR | O_CREAT);
	time_t stop = time(NULL) + 3;
	static uint8_t right[SIZE], got[SIZE];
	struct stat st;

	for (size_t i = 0; i < SIZE; i++)
		right[i] = (uint8_t)(1 + i % 251);
	for (unsigned p = 0; p < PARTIES; p++) {
		if (odd_fork())
			continue;
		srandom(p);
		while (time(NULL) < stop) {
			size_t at = (size_t)random() % SIZE, size = (size_t)random() % (SIZE - at);
			if (p == 0)
				MUST(!ftruncate(fd, (off_t)at));
			else if (p == 1)
				MUST(!truncate("race", (off_t)at));
			else if (p == 2)
				MUST(pwrite(fd, right + at, size, (off_t)at) == (ssize_t)size);
			ssize_t n = pread(fd, got, size, (off_t)at);
			MUST(n >= 0);
			for (ssize_t i = 0; i < n; i++)
				MUST(!got[i] || got[i] == right[at + (size_t)i]);
		}
		_exit(0);
	}
	odd_wait(PARTIES);
	MUST(!fstat(fd, &st));
	MUST(lseek(fd, 0, SEEK_END) == st.st_size);
	MUST(pread(fd, got, SIZE, 0) == st.st_size);
	MUST(!close(fd));
	odd_expect_file("race", got, (size_t)st.st_size);
}

/* --- holes and ranges --- */

static void test_sparse(void)
{
	int fd = odd_open("sparse", O_RDWR | O_CREAT);
	char *want = calloc(1, 3 * MIB);

	MUST(want != NULL);
	static const off_t places[] = {2 * MIB + 5, 7, MIB - 3, 3 * MIB - 5};
	for (size_t i = 0; i < 4; i++) {
		MUST(pwrite(fd, "hello", 5, places[i]) == 5);
		memcpy(want + places[i], "hello", 5);
	}
	odd_expect(fd, want, 3 * MIB);
	MUST(!close(fd));
	odd_expect_file("sparse", want, 3 * MIB);
	free(want);
}

static void test_fallocate(void)
{
	enum { SIZE = 20000 };
	int fd = odd_open("allocated", O_RDWR | O_CREAT);
	struct stat st;
	char want[SIZE];

	memset(want, 'x', SIZE);
	MUST(pwrite(fd, want, 10000, 0) == 10000);
	MUST(!fallocate(fd, 0, 5000, 3000));
	MUST(!fstat(fd, &st) && st.st_size == 10000);
	MUST(!fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, SIZE));
	MUST(!fstat(fd, &st) && st.st_size == 10000);
	MUST(!fallocate(fd, 0, 0, SIZE));
	memset(want + 10000, 0, SIZE - 10000);
	odd_expect(fd, want, SIZE); /* and its pages are cached now */
	char *map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	MUST(map != MAP_FAILED && !memcmp(map, want, SIZE));
	MUST(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 9000));
	memset(want + 100, 0, 9000);
	odd_expect(fd, want, SIZE);
	MUST(!memcmp(map, want, SIZE));
	/* beyond the end there is nothing to punch, and the size stays */
	MUST(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, SIZE - 1, MIB));
	MUST(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2 * SIZE, 5));
	odd_expect(fd, want, SIZE);
	MUST_FAIL(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, PAGE), EOPNOTSUPP);
	MUST_FAIL(fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, PAGE), EOPNOTSUPP);
	MUST_FAIL(fallocate(fd, 0, LIMIT, 1), EFBIG);
	MUST(posix_fallocate(fd, LIMIT - 5, 6) == EFBIG);
	MUST(!munmap(map, SIZE));
	MUST(!close(fd));
	odd_expect_file("allocated", want, SIZE);
}

/* Data and holes follow one another up to the end; holes are zero. */
static void test_seek(void)
{
	enum { SIZE = 300000 };
	static char value[SIZE];
	int fd = odd_open("seek", O_RDWR | O_CREAT);
	off_t at = 0;

	MUST_FAIL(lseek(fd, 0, SEEK_DATA), ENXIO);
	MUST_FAIL(lseek(fd, 0, SEEK_HOLE), ENXIO);
	memset(value, 'd', PAGE);
	memset(value + 100000, 'd', 100000);
	MUST(pwrite(fd, value, PAGE, 0) == PAGE);
	MUST(pwrite(fd, value + 100000, 100000, 100000) == 100000);
	MUST(!ftruncate(fd, SIZE));
	MUST(lseek(fd, 0, SEEK_DATA) == 0);
	while (at < SIZE) {
		off_t data = lseek(fd, at, SEEK_DATA);
		if (data < 0) {
			MUST(errno == ENXIO);
			data = SIZE;
		}
		MUST(data >= at);
		for (; at < data; at++)
			MUST(!value[at]);
		if (at < SIZE) {
			off_t hole = lseek(fd, at, SEEK_HOLE);
			MUST(hole > at && hole <= SIZE);
			at = hole;
		}
	}
	MUST(at == SIZE);
	MUST_FAIL(lseek(fd, SIZE, SEEK_DATA), ENXIO);
	MUST_FAIL(lseek(fd, SIZE, SEEK_HOLE), ENXIO);
	MUST(lseek(fd, -5, SEEK_END) == SIZE - 5);
	MUST(lseek(fd, 3, SEEK_CUR) == SIZE - 2);
}

/* Writes past the kernel's pages show to every process that has pages: read before, read meanwhile,
 * mapped before, mapped meanwhile. */
static void test_write_only(void)
{
	enum { SIZE = 3 * PAGE };
	char *bytes = malloc(SIZE), *got = malloc(SIZE);
	int before, during, writer = odd_open("wo", O_WRONLY | O_CREAT);

	MUST(bytes && got);
	memset(bytes, 'a', SIZE);
	MUST(write(writer, bytes, SIZE) == SIZE && !close(writer));
	before = odd_open("wo", O_RDONLY);
	const char *old_map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, before, 0);
	MUST(old_map != MAP_FAILED && old_map[PAGE] == 'a');
	for (int round = 0; round < 2; round++) {
		/* first beside one that has its pages, then alone */
		writer = odd_open("wo", O_WRONLY);
		during = odd_open("wo", O_RDONLY);
		const char *map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, during, 0);
		MUST(map != MAP_FAILED && map[PAGE] == bytes[PAGE]);
		bytes[PAGE] = bytes[SIZE - 1] = (char)('b' + round);
		MUST(pwrite(writer, bytes + PAGE, 1, PAGE) == 1);
		MUST(pwrite(writer, bytes + SIZE - 1, 1, SIZE - 1) == 1);
		MUST(map[PAGE] == bytes[PAGE]);
		MUST(pread(during, got, SIZE, 0) == SIZE && !memcmp(got, bytes, SIZE));
		if (!round) {
			MUST(old_map[PAGE] == 'b' && old_map[SIZE - 1] == 'b');
			MUST(pread(before, got, SIZE, 0) == SIZE && !memcmp(got, bytes, SIZE));
			MUST(!munmap((void *)old_map, SIZE) && !close(before));
		}
		MUST(!close(writer));
		MUST(pread(during, got, SIZE, 0) == SIZE && !memcmp(got, bytes, SIZE));
		MUST(!munmap((void *)map, SIZE) && !close(during));
		during = odd_open("wo", O_RDONLY);
		MUST(read(during, got, SIZE) == SIZE && !memcmp(got, bytes, SIZE));
		MUST(!close(during));
	}
	MUST(!truncate("wo", PAGE + 1));
	during = odd_open("wo", O_RDONLY);
	MUST(read(during, got, SIZE) == PAGE + 1 && !memcmp(got, bytes, PAGE + 1));
	free(bytes);
	free(got);
}

static void test_copy_range(void)
{
	enum { SIZE = 3 * MIB + 17 };
	char *value = malloc(SIZE + 500);
	off_t from = 1000, to = 5;
	size_t left = SIZE;

	MUST(value != NULL);
	for (size_t i = 0; i < SIZE; i++)
		value[i] = (char)(i * 7 + i / 4099);
	odd_write("copy-from", value, SIZE);
	int in = odd_open("copy-from", O_RDONLY), out = odd_open("copy-to", O_RDWR | O_CREAT);
	while (left) {
		ssize_t n = copy_file_range(in, NULL, out, NULL, left, 0);
		MUST(n > 0);
		left -= (size_t)n;
	}
	MUST(copy_file_range(in, NULL, out, NULL, 1, 0) == 0); /* the end */
	odd_expect(out, value, SIZE);
	MUST(copy_file_range(in, &from, out, &to, 200, 0) == 200);
	memcpy(value + 5, value + 1000, 200);
	MUST(from == 1200 && to == 205);
	odd_expect(out, value, SIZE);
	/* within a file, and what makes it longer */
	from = 0, to = SIZE;
	MUST(copy_file_range(out, &from, out, &to, 500, 0) == 500);
	memcpy(value + SIZE, value, 500);
	odd_expect(out, value, SIZE + 500);
	MUST(!close(in) && !close(out));
	odd_expect_file("copy-to", value, SIZE + 500);
	free(value);
}

/* 64 MiB to the byte, and one more. */
static void test_limit(void)
{
	int fd = odd_open("limit", O_RDWR | O_CREAT);
	static char block[MIB];
	struct stat st;

	memset(block, 'b', sizeof block);
	MUST(pwrite(fd, "first", 5, 0) == 5);
	MUST(pwrite(fd, "x", 1, LIMIT - 1) == 1);
	MUST(!fstat(fd, &st) && st.st_size == LIMIT);
	MUST_FAIL(pwrite(fd, "y", 1, LIMIT), EFBIG);
	MUST_FAIL(pwrite(fd, "y", 1, (off_t)1 << 40), EFBIG);
	MUST_FAIL(ftruncate(fd, LIMIT + 1), EFBIG);
	MUST_FAIL(truncate("limit", LIMIT + 1), EFBIG);
	/* up to the limit it is written */
	MUST(pwrite(fd, block, 100, LIMIT - 60) == 60);
	MUST(pwrite(fd, block, sizeof block, LIMIT - 3 * PAGE - 9) == 3 * PAGE + 9);
	MUST(!fstat(fd, &st) && st.st_size == LIMIT);
	MUST(!ftruncate(fd, LIMIT));
	MUST(pread(fd, block, 10, LIMIT - 4) == 4 && !memcmp(block, "bbbb", 4));
	int end = odd_open("limit", O_WRONLY | O_APPEND);
	MUST_FAIL(write(end, "y", 1), EFBIG);
	MUST(!close(end) && !close(fd));
	MUST(!stat("limit", &st) && st.st_size == LIMIT);
}

/* --- mappings --- */

static void test_mmap(void)
{
	enum { SIZE = 5 * PAGE + 100 };
	char *want = calloc(1, SIZE);
	int fd = odd_open("mapped", O_RDWR | O_CREAT), other = odd_open("mapped", O_RDWR);

	MUST(want && !ftruncate(fd, SIZE));
	char *shared = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *private = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	MUST(shared != MAP_FAILED && private != MAP_FAILED);
	memset(shared + 10, 's', 3 * PAGE);
	memset(want + 10, 's', 3 * PAGE);
	odd_expect(other, want, SIZE); /* seen by read(2) before it is written back */
	MUST(pwrite(other, "written", 7, 2 * PAGE) == 7);
	memcpy(want + 2 * PAGE, "written", 7);
	MUST(!memcmp(shared, want, SIZE));
	memset(private, 'p', SIZE);
	odd_expect(other, want, SIZE);  /* no other process sees it */
	memset(shared + SIZE, 'q', 50); /* behind the end, in its page */
	MUST(!msync(shared, SIZE, MS_SYNC));
	MUST(!ftruncate(other, SIZE + 50));
	MUST(!ftruncate(other, SIZE));
	odd_expect(other, want, SIZE);
	if (!odd_fork()) { /* another process writes through a mapping of its own */
		char *its = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		MUST(its != MAP_FAILED);
		memcpy(its, "child", 5);
		_exit(msync(its, PAGE, MS_SYNC) < 0);
	}
	odd_wait(1);
	memcpy(want, "child", 5);
	MUST(!memcmp(shared, want, SIZE));
	MUST(!close(fd) && !close(other)); /* the mapping is what keeps the file */
	memset(shared + 4 * PAGE, 'z', 10);
	memset(want + 4 * PAGE, 'z', 10);
	MUST(!munmap(shared, SIZE) && !munmap(private, SIZE));
	odd_expect_file("mapped", want, SIZE);
	free(want);
}

/* --- names that go --- */

static void compact(void)
{
	int fd = odd_open(".datawal/control", O_WRONLY);

	MUST(write(fd, "compact\n", 8) == 8);
	MUST(!close(fd));
}

static void test_gone(void)
{
	enum { SIZE = 200000 };
	static char large[SIZE];
	struct stat st;

	memset(large, 'l', SIZE);
	odd_write("unlinked", large, SIZE);
	odd_write("replaced", "old", 3);
	odd_write("replacing", "new", 3);
	int unlinked = odd_open("unlinked", O_RDWR), replaced = odd_open("replaced", O_RDWR);
	int replacing = odd_open("replacing", O_RDWR);
	MUST(!unlink("unlinked"));
	MUST(!rename("replacing", "replaced"));
	compact(); /* the record of none of them is live, or where it was */
	odd_expect(unlinked, large, SIZE);
	odd_expect(replaced, "old", 3);
	odd_expect(replacing, "new", 3);
	MUST(!fstat(unlinked, &st) && !st.st_nlink && st.st_size == SIZE);
	MUST(pwrite(unlinked, "more", 4, SIZE) == 4);
	MUST(!ftruncate(unlinked, 10) && !fsync(unlinked));
	odd_expect(unlinked, large, 10);
	MUST(pwrite(replaced, "OLD", 3, 0) == 3);
	odd_expect(replaced, "OLD", 3);
	odd_expect_file("replaced", "new", 3);
	/* the name is free again, and is another file */
	odd_write("unlinked", "second", 6);
	odd_expect(unlinked, large, 10);
	char *map = mmap(NULL, 10, PROT_READ | PROT_WRITE, MAP_SHARED, unlinked, 0);
	MUST(map != MAP_FAILED && !close(unlinked));
	memcpy(map, "mapping", 7);
	MUST(!msync(map, 10, MS_SYNC) && !munmap(map, 10));
	odd_expect_file("unlinked", "second", 6);
	MUST(!close(replaced) && !close(replacing));
}

int main(int argc, char **argv)
{
	static const struct odd_test tests[] = {
		{"append", test_append},
		{"excl", test_excl},
		{"trunc", test_trunc},
		{"truncate-race", test_truncate_race},
		{"sparse", test_sparse},
		{"fallocate", test_fallocate},
		{"seek", test_seek},
		{"copy-range", test_copy_range},
		{"limit", test_limit},
		{"mmap", test_mmap},
		{"write-only", test_write_only},
		{"gone", test_gone},
		{NULL, NULL},
	};
	return odd_main(argc, argv, tests);
}
