/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * treeops.c - the same random operations in a mount and in a directory of another file system;
 * answers and trees must be the same.
 *
 *   treeops MOUNT OTHER SECONDS    CHECK_SEED repeats a run
 *   treeops MOUNT - SECONDS        without another: several of these may share a tree
 *
 * Each operation is one function that is called for either tree and tells all that a
 * program could see of it as one number: an errno, a size, a sum of bytes or of names.
 * Paths are a few names at a few levels, so that they often meet; some are wrong on
 * purpose.  Files stay open while their names move and go.  Known differences:
 * the mount has no hard links, and does not exchange directories.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/check.h"

enum { HANDLES = 8, TREES = 2, TEXT = 160, FILE_MAX = 300000, HISTORY = 40 };

/* An operation, drawn once and done in both trees. */
struct draw {
	unsigned kind, handle, flags;
	char path[TEXT], other[TEXT];
	size_t offset, size;
	uint64_t seed;
};

struct tree {
	int root;
	int handles[HANDLES]; /* -1: none */
};

struct world {
	struct rng rng;
	struct tree trees[TREES];
	size_t tree_count; /* 1: there is no other */
	uint64_t count, succeeded;
	char history[HISTORY][2 * TEXT + 100];
};

static uint64_t failure(void)
{
	return (uint64_t)errno << 48;
}

static uint64_t answer(long rc)
{
	return rc < 0 ? failure() : (uint64_t)rc;
}

static uint64_t sum(uint64_t seed, const void *data, size_t size)
{
	const uint8_t *at = data;

	for (size_t i = 0; i < size; i++)
		seed = (seed ^ at[i]) * 0x100000001b3u;
	return seed & 0xffffffffffffu;
}

static void fill(const struct draw *d, uint8_t *buf)
{
	struct rng rng = {d->seed};

	for (size_t i = 0; i < d->size; i++)
		buf[i] = (uint8_t)rng_next(&rng);
}

/* --- operations --- */

static uint64_t op_open(struct tree *t, const struct draw *d)
{
	if (t->handles[d->handle] >= 0)
		return answer(close(t->handles[d->handle])) + (t->handles[d->handle] = -1, 0);
	t->handles[d->handle] = openat(t->root, d->path, (int)d->flags | O_CLOEXEC, 0644);
	return t->handles[d->handle] < 0 ? failure() : 1;
}

static uint64_t op_write(struct tree *t, const struct draw *d)
{
	static uint8_t buf[FILE_MAX];

	fill(d, buf);
	return answer(pwrite(t->handles[d->handle], buf, d->size, (off_t)d->offset));
}

static uint64_t op_read(struct tree *t, const struct draw *d)
{
	static uint8_t buf[2 * FILE_MAX];
	ssize_t n = pread(t->handles[d->handle], buf, d->size, (off_t)d->offset);

	return n < 0 ? failure() : sum((uint64_t)n, buf, (size_t)n);
}

static uint64_t op_ftruncate(struct tree *t, const struct draw *d)
{
	return answer(ftruncate(t->handles[d->handle], (off_t)d->size));
}

static uint64_t op_fstat(struct tree *t, const struct draw *d)
{
	struct stat st;

	if (fstat(t->handles[d->handle], &st) < 0)
		return failure();
	return S_ISDIR(st.st_mode) ? 1 : 2 + (uint64_t)st.st_size * 4 + st.st_nlink;
}

static uint64_t op_fsync(struct tree *t, const struct draw *d)
{
	return answer(fsync(t->handles[d->handle]));
}

static uint64_t op_truncate(struct tree *t, const struct draw *d)
{
	int fd =
		openat(t->root, d->path, O_WRONLY | O_CLOEXEC | (d->flags & O_TRUNC ? O_TRUNC : 0));

	if (fd < 0)
		return failure();
	uint64_t result = d->flags & O_TRUNC ? 0 : answer(ftruncate(fd, (off_t)d->size));
	return close(fd) < 0 ? failure() : result;
}

static uint64_t op_mkdir(struct tree *t, const struct draw *d)
{
	return answer(mkdirat(t->root, d->path, 0755));
}

static uint64_t op_mknod(struct tree *t, const struct draw *d)
{
	return answer(mknodat(t->root, d->path, S_IFREG | 0600, 0));
}

static uint64_t op_rmdir(struct tree *t, const struct draw *d)
{
	return answer(unlinkat(t->root, d->path, AT_REMOVEDIR));
}

static uint64_t op_unlink(struct tree *t, const struct draw *d)
{
	return answer(unlinkat(t->root, d->path, 0));
}

static uint64_t op_rename(struct tree *t, const struct draw *d)
{
	static const unsigned kinds[] = {0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};

	return answer(renameat2(t->root, d->path, t->root, d->other, kinds[d->flags % 5]));
}

static uint64_t op_stat(struct tree *t, const struct draw *d)
{
	struct stat st;

	if (fstatat(t->root, d->path, &st, 0) < 0)
		return failure();
	return S_ISDIR(st.st_mode) ? 1 : 2 + (uint64_t)st.st_size;
}

/* The time that is set, and that it is told again. */
static uint64_t op_utimes(struct tree *t, const struct draw *d)
{
	const struct timespec times[2] = {{1000, 5}, {(time_t)(d->seed >> 34), 7}};
	struct stat st;

	if (utimensat(t->root, d->path, times, 0) < 0)
		return failure();
	return fstatat(t->root, d->path, &st, 0) < 0
		       ? failure()
		       : (uint64_t)(st.st_mtim.tv_sec * 10 + st.st_mtim.tv_nsec);
}

/* All names with their types, whatever their order. */
static uint64_t op_list(struct tree *t, const struct draw *d)
{
	int fd = openat(t->root, d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *entry;
	uint64_t result = 0;

	if (fd < 0)
		return failure();
	DIR *dir = fdopendir(fd);
	while ((errno = 0, entry = readdir(dir)))
		result += sum(entry->d_type, entry->d_name, strlen(entry->d_name));
	result = errno ? failure() : result & 0xffffffffffffu;
	return closedir(dir) < 0 ? failure() : result;
}

static const struct {
	const char *name;
	uint64_t (*run)(struct tree *tree, const struct draw *draw);
	unsigned weight;
	bool needs_handle;
} ops[] = {
	{"open or close", op_open, 20, false}, {"write", op_write, 14, true},
	{"read", op_read, 14, true},           {"ftruncate", op_ftruncate, 4, true},
	{"fstat", op_fstat, 4, true},          {"fsync", op_fsync, 1, true},
	{"truncate", op_truncate, 4, false},   {"mkdir", op_mkdir, 8, false},
	{"mknod", op_mknod, 4, false},         {"rmdir", op_rmdir, 5, false},
	{"unlink", op_unlink, 6, false},       {"rename", op_rename, 12, false},
	{"stat", op_stat, 6, false},           {"utimes", op_utimes, 2, false},
	{"list", op_list, 6, false},
};
enum { KINDS = sizeof ops / sizeof *ops };

/* --- drawing --- */

static void random_path(struct rng *rng, char *ret)
{
	static const char *const names[] = {"a",   "b",          "c",  "Makefile",
					    "%~x", "\xc3\xa4 b", "..", "."};
	static const char *const ends[] = {"", "", "", "", "", "", "", "", "/", "/."};
	unsigned levels = 1 + (unsigned)rng_below(rng, 4);

	*ret = '\0';
	for (unsigned i = 0; i < levels; i++) {
		/* ".." leads out of the tree only from its root */
		size_t name = rng_below(rng, rng_below(rng, 12) || i < 2 ? 6 : 8);
		if (!strcmp(names[name], "..") && i < 2)
			name = 0;
		strcat(ret, i ? "/" : "");
		strcat(ret, names[name]);
	}
	strcat(ret, ends[rng_below(rng, sizeof ends / sizeof *ends)]);
}

static void random_draw(struct world *w, struct draw *d)
{
	static const unsigned flags[] = {O_RDWR,
					 O_RDWR | O_CREAT,
					 O_RDWR | O_CREAT,
					 O_RDWR | O_CREAT | O_EXCL,
					 O_RDWR | O_TRUNC,
					 O_RDWR | O_CREAT | O_TRUNC,
					 O_RDWR | O_CREAT | O_APPEND,
					 O_RDONLY,
					 O_WRONLY | O_CREAT,
					 O_RDONLY | O_DIRECTORY};
	unsigned total = 0;

	for (unsigned k = 0; k < KINDS; k++)
		total += ops[k].weight;
	uint64_t at = rng_below(&w->rng, total);
	for (d->kind = 0; at >= ops[d->kind].weight; d->kind++)
		at -= ops[d->kind].weight;
	d->handle = (unsigned)rng_below(&w->rng, HANDLES);
	d->flags = flags[rng_below(&w->rng, sizeof flags / sizeof *flags)];
	random_path(&w->rng, d->path);
	random_path(&w->rng, d->other);
	size_t most = rng_below(&w->rng, 10) ? 3000 : FILE_MAX;
	d->offset = rng_below(&w->rng, most);
	d->size = rng_below(&w->rng, most);
	d->seed = rng_next(&w->rng);
	if (ops[d->kind].run == op_rename)
		d->flags = (unsigned)(d->seed % 5);
}

/* --- comparing --- */

static const char *describe(uint64_t result)
{
	static char texts[2][64];
	static unsigned next;
	char *text = texts[next++ % 2];

	if (result >> 48)
		(void)snprintf(text, sizeof texts[0], "%s", strerror((int)(result >> 48)));
	else
		(void)snprintf(text, sizeof texts[0], "%llx", (unsigned long long)result);
	return text;
}

/* The other tree cannot take back what the mount refuses, so that is not tried. */
static bool is_known_difference(struct world *w, const struct draw *d)
{
	struct stat st;

	if (ops[d->kind].run != op_rename || d->flags != 4 || w->tree_count == 1)
		return false;
	return (!fstatat(w->trees[1].root, d->path, &st, 0) && S_ISDIR(st.st_mode)) ||
	       (!fstatat(w->trees[1].root, d->other, &st, 0) && S_ISDIR(st.st_mode));
}

static int step(struct world *w)
{
	struct draw d;
	uint64_t results[TREES] = {0};

	random_draw(w, &d);
	if ((ops[d.kind].needs_handle && w->trees[0].handles[d.handle] < 0) ||
	    is_known_difference(w, &d))
		return 0;
	(void)snprintf(w->history[w->count % HISTORY], sizeof w->history[0],
		       "%s '%s' '%s' handle %u flags %o offset %zu size %zu", ops[d.kind].name,
		       d.path, d.other, d.handle, d.flags, d.offset, d.size);
	w->count++;
	for (size_t i = 0; i < w->tree_count; i++)
		results[i] = ops[d.kind].run(&w->trees[i], &d);
	w->succeeded += !(results[0] >> 48);
	/* these a healthy file system never says */
	bool sick = results[0] >> 48 == EIO || results[0] >> 48 == ESTALE;
	if (!sick && (w->tree_count == 1 || results[0] == results[1]))
		return 0;
	fprintf(stderr, "the mount says: %s; the other: %s; the last operations:\n",
		describe(results[0]), describe(results[1]));
	for (uint64_t i = w->count < HISTORY ? 0 : w->count - HISTORY; i < w->count; i++)
		fprintf(stderr, "  %s\n", w->history[i % HISTORY]);
	return 1;
}

int main(int argc, char **argv)
{
	static struct world w;
	int rc = 0;

	if (argc != 4) {
		fprintf(stderr, "usage: treeops MOUNT OTHER|- SECONDS\n");
		return 2;
	}
	w.rng = check_rng();
	w.tree_count = strcmp(argv[2], "-") ? TREES : 1;
	for (size_t i = 0; i < w.tree_count; i++) {
		w.trees[i].root = open(argv[1 + i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (w.trees[i].root < 0) {
			perror(argv[1 + i]);
			return 2;
		}
		memset(w.trees[i].handles, -1, sizeof w.trees[i].handles);
	}
	time_t stop = time(NULL) + atoi(argv[3]);
	while (!rc && time(NULL) < stop)
		for (unsigned i = 0; !rc && i < 50; i++)
			rc = step(&w);
	for (size_t i = 0; i < w.tree_count; i++)
		for (size_t h = 0; h < HANDLES; h++)
			if (w.trees[i].handles[h] >= 0)
				(void)close(w.trees[i].handles[h]); /* the trees are compared yet */
	printf("%llu operations, %llu of them succeeded\n", (unsigned long long)w.count,
	       (unsigned long long)w.succeeded);
	return rc;
}
