/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_heap.c - the heap grown at once: by the main thread only, only for much, and what is not
 * used goes back.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fs/tree/heap.h"
#include "tests/support/check.h"

enum { GROWTH = 64 << 20, BLOCK = 120, COUNT = 100000 };

/* The sanitizers bring a malloc of their own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { IS_GLIBC = false };
#else
enum { IS_GLIBC = true };
#endif

/* Bytes of this process that are in memory. */
static size_t resident(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long all = 0, there = 0;

	CHECK(file != NULL);
	CHECK_EQ(fscanf(file, "%lu %lu", &all, &there), 2);
	(void)fclose(file);
	return there * (size_t)sysconf(_SC_PAGESIZE);
}

static void test_grow(void)
{
	static void *blocks[COUNT];
	struct heap_growth growth;
	const char *before = sbrk(0);

	heap_grow(&growth, GROWTH);
	if (!growth.started && IS_GLIBC) {
		check_skip("one processor");
		return;
	}
	if (IS_GLIBC) /* what was there counts */
		CHECK((const char *)sbrk(0) >= before + GROWTH - (1 << 20));
	const char *grown = sbrk(0);
	for (size_t i = 0; i < COUNT; i++) {
		blocks[i] = malloc(BLOCK);
		CHECK(blocks[i] != NULL);
		memset(blocks[i], (int)i, BLOCK);
	}
	CHECK(sbrk(0) == grown);
	for (int waited = 0; growth.started && resident() < GROWTH && waited < 10000; waited++)
		usleep(1000); /* until all of it was fetched */
	if (growth.started && resident() < GROWTH &&
	    madvise(growth.start, 1, MADV_POPULATE_WRITE) < 0)
		check_skip("Linux before 5.14");
	else
		CHECK(!growth.started || resident() >= GROWTH);
	heap_grown(&growth);
	CHECK(!growth.started);
	if (IS_GLIBC) /* less than half is used */
		CHECK(resident() < GROWTH / 2 + COUNT * BLOCK);
	for (size_t i = 0; i < COUNT; i++) {
		const uint8_t *bytes = blocks[i];
		CHECK(bytes[0] == (uint8_t)i && bytes[BLOCK - 1] == (uint8_t)i);
		free(blocks[i]);
	}
}

static void test_little(void)
{
	struct heap_growth growth;
	const char *before = sbrk(0);

	heap_grow(&growth, 1 << 20);
	CHECK(!growth.started && sbrk(0) == before);
	heap_grown(&growth);
}

/* Whose heap is another one. */
static void *grow_elsewhere(void *context)
{
	struct heap_growth growth;
	const char *before = sbrk(0);

	(void)context;
	heap_grow(&growth, GROWTH);
	CHECK(!growth.started && sbrk(0) == before);
	heap_grown(&growth);
	return NULL;
}

static void test_other_thread(void)
{
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, grow_elsewhere, NULL), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"heap_grow", test_grow},
		{"heap_little", test_little},
		{"heap_other_thread", test_other_thread},
		{NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
