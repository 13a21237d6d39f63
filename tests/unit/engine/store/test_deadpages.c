/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * test_deadpages.c - large values that were replaced or removed leave the page cache, and nothing
 * else does.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/deadpages.h"
#include "store/store.h"
#include "tests/support/stores.h"

enum { SIZE = 4 * DEAD_SIZE_MIN };

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* How many pages of a segment are cached. */
static size_t cached(const char *dir, unsigned id)
{
	char path[512];
	struct stat st;

	(void)snprintf(path, sizeof path, "%s/%08u.dwal", dir, id);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && !fstat(fd, &st));
	size_t pages = ((size_t)st.st_size + page_size() - 1) / page_size(), count = 0;
	void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	unsigned char *flags = malloc(pages);
	CHECK(data != MAP_FAILED && flags && !mincore(data, (size_t)st.st_size, flags));
	for (size_t i = 0; i < pages; i++)
		count += flags[i] & 1;
	free(flags);
	(void)munmap(data, (size_t)st.st_size);
	(void)close(fd);
	return count;
}

static struct dw_bytes noise(uint64_t seed, size_t size)
{
	return (struct dw_bytes){stores_noise(seed, size), size};
}

static void put(struct dw_store *store, const char *key, uint64_t seed, size_t size)
{
	struct dw_bytes value = noise(seed, size);

	CHECK_EQ(dw_put(store, stores_bytes(key), value), 0);
	free((void *)value.data);
}

static void expect(struct dw_store *store, const char *key, uint64_t seed, size_t size)
{
	struct dw_bytes value = noise(seed, size);

	CHECK(stores_holds(store, stores_bytes(key), value));
	free((void *)value.data);
}

/* Not of a file system that lives in memory. */
static bool can_be_dropped(void)
{
	const char *dir = stores_dir();
	char path[512];
	uint8_t *bytes = stores_noise(1, SIZE);

	(void)snprintf(path, sizeof path, "%s/00000001.dwal", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && write(fd, bytes, SIZE) == SIZE && !fsync(fd));
	CHECK_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	(void)close(fd);
	free(bytes);
	if (!cached(dir, 1))
		return true;
	check_skip("the file system of /tmp keeps all its pages in memory");
	return false;
}

/* Pages of a value that it shares with no neighbour. */
static size_t own_pages(size_t size)
{
	return size / page_size() - 2;
}

/* Whether at least half of the pages of values that died left the cache.  The kernel promises
 * nothing: pages may be in use just then, or gone before for want of memory. */
static bool pages_go(bool sealed)
{
	enum { VALUES = 20 };
	const char *dir = stores_dir();
	struct dw_store *store = stores_open(dir, 0);

	for (uint64_t i = 0; i < VALUES; i++)
		put(store, sealed ? (char[]){(char)('a' + i), '\0'} : "key", i, SIZE);
	put(store, "kept", 1, SIZE);
	if (sealed)
		CHECK_EQ(dw_rotate(store), 0);
	size_t before = cached(dir, 1);
	for (uint64_t i = 0; sealed && i < VALUES; i++)
		stores_delete(store, (char[]){(char)('a' + i), '\0'});
	if (!sealed)
		CHECK_EQ(dw_rotate(store), 0);
	size_t after = cached(dir, 1);
	expect(store, "kept", 1, SIZE);
	stores_close(store);
	return after + (VALUES - 1) * own_pages(SIZE) / 2 <= before;
}

static void test_pages(void)
{
	enum { TRIES = 50 };

	if (!can_be_dropped())
		return;
	for (int sealed = 0; sealed < 2; sealed++) {
		int tries = 0;
		while (tries < TRIES && !pages_go(sealed))
			tries++;
		CHECK(tries < TRIES);
	}
}

static bool is_open_and_deleted(void)
{
	char link[64], target[600];
	bool found = false;

	for (int fd = 0; fd < 256; fd++) {
		(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		ssize_t n = readlink(link, target, sizeof target - 1);
		if (n > 0) {
			target[n] = '\0';
			found |= strstr(target, ".dwal") && strstr(target, "(deleted)");
		}
	}
	return found;
}

/* A segment that a compaction seals and removes is not held until the next write. */
static void test_compaction(void)
{
	struct dw_store *store = stores_open(stores_dir(), 0);

	put(store, "key", 1, SIZE);
	put(store, "key", 2, SIZE);
	CHECK_EQ(dw_compact(store, NULL), 0);
	CHECK(!is_open_and_deleted());
	expect(store, "key", 2, SIZE);
	stores_close(store);
}

/* --- which ranges --- */

enum { RANGES_MAX = 300 };

static struct {
	size_t count;
	uint64_t bytes;
	uint64_t begin[RANGES_MAX], end[RANGES_MAX];
	int syncs_fail; /* -errno */
} seen;

static void note_uncache(struct io *io, int fd, off_t offset, off_t size)
{
	(void)io;
	(void)fd;
	CHECK(offset % (off_t)page_size() == 0 && size > 0);
	CHECK(seen.count < RANGES_MAX);
	seen.begin[seen.count] = (uint64_t)offset;
	seen.end[seen.count++] = (uint64_t)(offset + size);
	seen.bytes += (uint64_t)size;
}

static int sync_or_fail(struct io *io, int fd)
{
	return seen.syncs_fail ? seen.syncs_fail : io_posix.fdatasync(io, fd);
}

static struct dw_store *open_noting(void)
{
	static struct io io;
	struct dw_store *store = NULL;

	io = io_posix;
	io.uncache = note_uncache;
	io.fdatasync = sync_or_fail;
	memset(&seen, 0, sizeof seen);
	CHECK_EQ(store_open(&io, stores_dir(), &(struct dw_options){.create = true}, NULL, &store),
		 0);
	return store;
}

/* All pages of a record but those that it shares, and none of another. */
static void expect_range(size_t i, uint64_t begin, uint64_t end)
{
	CHECK(i < seen.count);
	CHECK(seen.begin[i] >= begin && seen.end[i] <= end);
	CHECK(seen.end[i] - seen.begin[i] >= own_pages((size_t)(end - begin)) * page_size());
}

/* In a sealed segment pages go when the value does. */
static void test_sealed(void)
{
	struct dw_store *store = open_noting();
	uint64_t replaced, kept, removed;

	put(store, "replaced", 1, SIZE);
	replaced = store->core->log.end;
	put(store, "kept", 2, SIZE);
	kept = store->core->log.end;
	put(store, "removed", 3, SIZE);
	removed = store->core->log.end;
	put(store, "small", 4, DEAD_SIZE_MIN - 1);
	CHECK_EQ(dw_rotate(store), 0);
	put(store, "small", 5, 1);
	CHECK_EQ(seen.count, 0);
	put(store, "replaced", 5, 1);
	CHECK_EQ(seen.count, 1);
	expect_range(0, 0, replaced);
	stores_delete(store, "removed");
	CHECK_EQ(seen.count, 2);
	expect_range(1, kept, removed);
	expect(store, "kept", 2, SIZE);
	expect(store, "replaced", 5, 1);
	stores_close(store);
}

/* In the active segment pages wait to be written. */
static void test_active(void)
{
	enum { VALUES = 200 }; /* more than there is room for at first */
	struct dw_store *store = open_noting();
	uint64_t ends[VALUES + 1] = {0};

	for (uint64_t i = 0; i < VALUES; i++) {
		put(store, "key", i, DEAD_SIZE_MIN);
		ends[i + 1] = store->core->log.end;
	}
	put(store, "kept", 1, SIZE);
	CHECK_EQ(seen.count, 0);
	CHECK_EQ(dw_rotate(store), 0);
	CHECK_EQ(seen.count, VALUES - 1);
	for (size_t i = 0; i < VALUES - 1; i++)
		expect_range(i, ends[i], ends[i + 1]);
	expect(store, "key", VALUES - 1, DEAD_SIZE_MIN);
	stores_delete(store, "key");
	CHECK_EQ(seen.count, VALUES);
	expect_range(VALUES - 1, ends[VALUES - 1], ends[VALUES]);
	put(store, "kept", 2, SIZE); /* of the new segment, and closed like that */
	put(store, "kept", 3, SIZE);
	stores_close(store);
}

static void test_ranges(void)
{
	struct dw_store *store = open_noting(), *snapshot = NULL;

	put(store, "a", 1, SIZE);
	put(store, "b", 1, SIZE);
	put(store, "a", 2, SIZE);
	stores_delete(store, "a");
	CHECK_EQ(seen.count, 0); /* not on disk */
	CHECK_EQ(dw_rotate(store), 0);
	CHECK_EQ(seen.count, 2);
	CHECK(seen.bytes <= 2 * (uint64_t)SIZE && seen.bytes >= 2 * own_pages(SIZE) * page_size());
	put(store, "b", 2, SIZE);
	CHECK_EQ(seen.count, 3);
	CHECK_EQ(dw_snapshot(store, &snapshot), 0);
	put(store, "b", 3, SIZE);
	CHECK_EQ(dw_rotate(store), 0);
	put(store, "b", 4, SIZE);
	CHECK_EQ(seen.count, 3);
	expect(snapshot, "b", 2, SIZE); /* yet to be read */
	CHECK_EQ(dw_close(snapshot), 0);
	put(store, "b", 5, SIZE); /* in the same segment as that before */
	seen.syncs_fail = -EIO;
	CHECK(dw_rotate(store) < 0);
	CHECK_EQ(seen.count, 3);
	seen.syncs_fail = 0;
	(void)dw_close(store); /* says what became of the sync */
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		{"dead_pages_sealed", test_sealed}, {"dead_pages_active", test_active},
		{"dead_pages_pages", test_pages},   {"dead_pages_compaction", test_compaction},
		{"dead_pages_ranges", test_ranges}, {NULL, NULL},
	};
	return check_main(argc, argv, tests);
}
