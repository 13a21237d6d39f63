/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fileops.c - random operations on one file of a mount and on its bytes in memory.
 *
 *   fileops FILE SHADOW SECONDS    CHECK_SEED repeats a run
 *
 * Reads and writes by read(2), directly, through mappings, and by the kernel from one
 * place to another; truncation, holes, msync, fsync, reopening, dropped caches.  Two
 * descriptors are used at random: each sees the other's changes.  Every operation that
 * reads is held against the bytes in memory, which at the end are written to SHADOW, so
 * that the file can be compared again after the next mount.  On a difference the last
 * operations are listed and the program ends with 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/check.h"

enum { SIZE_MAX_HERE = 600000, HISTORY = 60, PAGE = 4096 };

struct world {
	struct rng rng;
	const char *path;
	int fds[2];
	uint8_t *want, *got; /* SIZE_MAX_HERE bytes; `want` is zero behind `size` */
	size_t size;
	uint64_t count;
	char history[HISTORY][160];
};

static void give_up(const struct world *w, const char *what)
{
	fprintf(stderr, "%s (errno: %s); the last operations:\n", what, strerror(errno));
	for (uint64_t i = w->count < HISTORY ? 0 : w->count - HISTORY; i < w->count; i++)
		fprintf(stderr, "  %s\n", w->history[i % HISTORY]);
	exit(1);
}

#define MUST(w, condition)                                                                         \
	do {                                                                                       \
		if (!(condition))                                                                  \
			give_up(w, "not so: " #condition);                                         \
	} while (0)

static void note(struct world *w, const char *what, size_t offset, size_t size)
{
	(void)snprintf(w->history[w->count % HISTORY], sizeof w->history[0],
		       "%llu %s at %zu, %zu bytes (the file: %zu)", (unsigned long long)w->count,
		       what, offset, size, w->size);
	w->count++;
}

static uint64_t below(struct world *w, uint64_t bound)
{
	return rng_below(&w->rng, bound);
}

static int any_fd(struct world *w)
{
	return w->fds[below(w, 2)];
}

/* A place, and some bytes behind it; often at the edges of pages, often small. */
static void random_range(struct world *w, size_t *offset, size_t *size)
{
	size_t most = below(w, 3) ? 10000 : SIZE_MAX_HERE;

	*offset = below(w, below(w, 2) ? w->size + 1 : SIZE_MAX_HERE);
	*size = below(w, most);
	if (!below(w, 4))
		*offset -= *offset % PAGE;
	if (!below(w, 4))
		*size -= *size % PAGE;
	if (*size > SIZE_MAX_HERE - *offset)
		*size = SIZE_MAX_HERE - *offset;
}

static void random_bytes(struct world *w, uint8_t *at, size_t size)
{
	uint64_t seed = rng_next(&w->rng) | 1;

	for (size_t i = 0; i < size; i++) {
		at[i] = (uint8_t)seed;
		seed = seed << 7 ^ seed >> 9 ^ i;
	}
}

static void resize(struct world *w, size_t size)
{
	if (size < w->size)
		memset(w->want + size, 0, w->size - size);
	w->size = size;
}

static void grow(struct world *w, size_t size)
{
	if (size > w->size)
		w->size = size;
}

/* --- reading --- */

static void expect(struct world *w, const uint8_t *got, size_t offset, size_t size)
{
	char text[120];

	for (size_t i = 0; i < size; i++)
		if (got[i] != w->want[offset + i]) {
			(void)snprintf(text, sizeof text, "byte %zu is %02x, not %02x", offset + i,
				       got[i], w->want[offset + i]);
			give_up(w, text);
		}
}

static size_t readable(const struct world *w, size_t offset, size_t size)
{
	size_t left = offset < w->size ? w->size - offset : 0;

	return size < left ? size : left;
}

static void do_read(struct world *w)
{
	size_t offset, size;

	random_range(w, &offset, &size);
	note(w, "read", offset, size);
	size_t want = readable(w, offset, size);
	MUST(w, pread(any_fd(w), w->got, size, (off_t)offset) == (ssize_t)want);
	expect(w, w->got, offset, want);
}

static void do_check(struct world *w)
{
	struct stat st, by_name;

	note(w, "check", 0, w->size);
	MUST(w, !fstat(any_fd(w), &st) && st.st_size == (off_t)w->size);
	MUST(w, !stat(w->path, &by_name) && by_name.st_size == st.st_size);
	MUST(w, lseek(any_fd(w), 0, SEEK_END) == (off_t)w->size);
	MUST(w, pread(any_fd(w), w->got, SIZE_MAX_HERE, 0) == (ssize_t)w->size);
	expect(w, w->got, 0, w->size);
}

/* A mapping of `size` bytes at `offset`, which need not be a page's edge. */
static uint8_t *map(struct world *w, size_t offset, size_t size, int protection, int flags,
		    uint8_t **base_ret)
{
	size_t in_page = offset % PAGE;

	*base_ret =
		mmap(NULL, size + in_page, protection, flags, any_fd(w), (off_t)(offset - in_page));
	MUST(w, *base_ret != MAP_FAILED);
	return *base_ret + in_page;
}

static void do_map_read(struct world *w)
{
	size_t offset, size;
	uint8_t *base;

	random_range(w, &offset, &size);
	size = readable(w, offset, size);
	if (!size)
		return;
	note(w, "read through a mapping", offset, size);
	int flags = below(w, 2) ? MAP_SHARED : MAP_PRIVATE;
	expect(w, map(w, offset, size, PROT_READ, flags, &base), offset, size);
	MUST(w, !munmap(base, size + offset % PAGE));
}

/* --- writing --- */

static void do_write(struct world *w)
{
	size_t offset, size;

	random_range(w, &offset, &size);
	if (!below(w, 3))
		offset = w->size < SIZE_MAX_HERE - size ? w->size : offset;
	note(w, "write", offset, size);
	random_bytes(w, w->want + offset, size);
	MUST(w, pwrite(any_fd(w), w->want + offset, size, (off_t)offset) == (ssize_t)size);
	if (size)
		grow(w, offset + size);
}

static void do_direct(struct world *w)
{
	size_t offset, size;
	bool writes = below(w, 2);

	random_range(w, &offset, &size);
	offset -= offset % PAGE;
	size -= size % PAGE;
	if (!size)
		return;
	note(w, writes ? "direct write" : "direct read", offset, size);
	int fd = open(w->path, O_RDWR | O_DIRECT);
	uint8_t *buf = aligned_alloc(PAGE, size);
	MUST(w, fd >= 0 && buf);
	if (writes) {
		random_bytes(w, buf, size);
		MUST(w, pwrite(fd, buf, size, (off_t)offset) == (ssize_t)size);
		memcpy(w->want + offset, buf, size);
		grow(w, offset + size);
	} else {
		size_t want = readable(w, offset, size);
		MUST(w, pread(fd, buf, size, (off_t)offset) == (ssize_t)want);
		expect(w, buf, offset, want);
	}
	free(buf);
	MUST(w, !close(fd));
}

static void do_map_write(struct world *w)
{
	size_t offset, size;
	uint8_t *base;
	bool shared = below(w, 4);

	random_range(w, &offset, &size);
	size = readable(w, offset, size);
	if (!size)
		return;
	note(w, shared ? "write through a mapping" : "write through a private mapping", offset,
	     size);
	uint8_t *at = map(w, offset, size, PROT_READ | PROT_WRITE,
			  shared ? MAP_SHARED : MAP_PRIVATE, &base);
	random_bytes(w, at, size);
	if (shared)
		memcpy(w->want + offset, at, size);
	size_t mapped = size + offset % PAGE;
	if (below(w, 2))
		MUST(w, !msync(base, mapped, below(w, 2) ? MS_SYNC : MS_ASYNC));
	MUST(w, !munmap(base, mapped));
}

static void do_copy(struct world *w)
{
	size_t from, to, size;

	random_range(w, &from, &size);
	random_range(w, &to, &size);
	size = readable(w, from, size);
	if (size > SIZE_MAX_HERE - to)
		size = SIZE_MAX_HERE - to;
	if (!size || (from < to + size && to < from + size))
		return; /* of one file the ranges may not overlap */
	note(w, "copy_file_range from", from, size);
	note(w, "  to", to, size);
	off_t in = (off_t)from, out = (off_t)to;
	while (in < (off_t)(from + size))
		MUST(w, copy_file_range(any_fd(w), &in, any_fd(w), &out, from + size - (size_t)in,
					0) > 0);
	memcpy(w->want + to, w->want + from, size);
	grow(w, to + size);
}

/* --- sizes and holes --- */

static void do_truncate(struct world *w)
{
	size_t size = below(w, below(w, 3) ? w->size + 10000 : SIZE_MAX_HERE);

	size = size > SIZE_MAX_HERE ? SIZE_MAX_HERE : size;
	note(w, "truncate to", size, 0);
	if (below(w, 2))
		MUST(w, !ftruncate(any_fd(w), (off_t)size));
	else
		MUST(w, !truncate(w->path, (off_t)size));
	resize(w, size);
}

static void do_fallocate(struct world *w)
{
	static const int modes[] = {
		0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_ZERO_RANGE, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE};
	static const char *const names[] = {"allocate", "allocate behind", "punch", "zero",
					    "zero and keep the size"};
	size_t offset, size, kind = below(w, 5);

	random_range(w, &offset, &size);
	if (!size)
		return;
	note(w, names[kind], offset, size);
	MUST(w, !fallocate(any_fd(w), modes[kind], (off_t)offset, (off_t)size));
	if (modes[kind] & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		memset(w->want + offset, 0, size);
	if (!(modes[kind] & FALLOC_FL_KEEP_SIZE))
		grow(w, offset + size);
}

/* --- descriptors --- */

static void do_sync(struct world *w)
{
	note(w, "fsync", 0, 0);
	MUST(w, below(w, 2) ? !fsync(any_fd(w)) : !fdatasync(any_fd(w)));
}

static void do_reopen(struct world *w)
{
	size_t i = below(w, 2);

	note(w, "reopen", i, 0);
	MUST(w, !close(w->fds[i]));
	if (!below(w, 8)) { /* no process has it open for a moment */
		MUST(w, !close(w->fds[1 - i]));
		w->fds[1 - i] = open(w->path, O_RDWR | O_CLOEXEC);
		MUST(w, w->fds[1 - i] >= 0);
	}
	w->fds[i] = open(w->path, O_RDWR | O_CLOEXEC);
	MUST(w, w->fds[i] >= 0);
}

/* Have the next reads come from the daemon. */
static void do_drop(struct world *w)
{
	note(w, "drop what is cached", 0, 0);
	MUST(w, !fdatasync(w->fds[0]));
	MUST(w, !posix_fadvise(w->fds[0], 0, 0, POSIX_FADV_DONTNEED));
}

static const struct {
	unsigned weight;
	void (*run)(struct world *w);
} ops[] = {
	{12, do_read},     {2, do_check},     {6, do_map_read}, {10, do_write},
	{4, do_direct},    {8, do_map_write}, {3, do_copy},     {4, do_truncate},
	{5, do_fallocate}, {1, do_sync},      {3, do_reopen},   {2, do_drop},
};
enum { KINDS = sizeof ops / sizeof *ops };

static void step(struct world *w)
{
	unsigned total = 0, i = 0;

	for (unsigned k = 0; k < KINDS; k++)
		total += ops[k].weight;
	uint64_t at = below(w, total);
	while (at >= ops[i].weight)
		at -= ops[i++].weight;
	ops[i].run(w);
}

int main(int argc, char **argv)
{
	struct world w = {.rng = {0}};

	if (argc != 4) {
		fprintf(stderr, "usage: fileops FILE SHADOW SECONDS\n");
		return 2;
	}
	w.rng = check_rng();
	w.path = argv[1];
	w.want = calloc(1, SIZE_MAX_HERE);
	w.got = malloc(SIZE_MAX_HERE);
	time_t stop = time(NULL) + atoi(argv[3]);
	for (size_t i = 0; i < 2; i++)
		w.fds[i] = open(w.path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	MUST(&w, w.want && w.got && w.fds[0] >= 0 && w.fds[1] >= 0);
	while (time(NULL) < stop)
		for (unsigned i = 0; i < 20; i++)
			step(&w);
	do_check(&w);
	MUST(&w, !close(w.fds[0]) && !close(w.fds[1]));
	FILE *shadow = fopen(argv[2], "we");
	MUST(&w, shadow && fwrite(w.want, 1, w.size, shadow) == w.size && !fclose(shadow));
	printf("%llu operations\n", (unsigned long long)w.count);
	free(w.want);
	free(w.got);
	return 0;
}
